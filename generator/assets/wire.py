"""One question to one checked address: a deadline, an allowance of bytes, no second name lookup.

Plain `http.client` over a socket that is already connected, so nothing in it can connect anywhere.
"""

from __future__ import annotations

import functools
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from django.core.cache import caches

from generator.assets import addresses
from generator.assets.addresses import Url

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CONNECT_S = 5  # for each address
AT_ONCE = 4  # questions to one host
AGAIN_S = 0.05  # between looks for a free seat
HEAD_MAX = 256 * 1024  # bytes of status, headers and what chunks cost beside the body
PIECE = 64 * 1024  # bytes read at once
OWN_HEADERS = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding")


class Failed(Exception):
    """It was asked, and no good answer came. `reason`: time, size, short, form or another word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Deadline:
    """Seconds for everything together: names, connections, redirects and slow drips."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, always more than none. Raises Failed."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Failed("time")
        return left


class Drip(io.RawIOBase):
    """What arrives at a socket, until the time or the allowance of bytes is used up."""

    def __init__(self, sock: socket.socket, deadline: Deadline, allowance: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._allowance = allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._sock.settimeout(self._deadline.left())
        count = self._sock.recv_into(buffer)
        self._allowance -= count
        if self._allowance < 0:
            raise Failed("size")
        return count


class Wire:
    """The part of a socket that http.client uses, with the deadline in every call."""

    def __init__(self, sock: socket.socket, deadline: Deadline, allowance: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._allowance = allowance

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(Drip(self._sock, self._deadline, self._allowance))

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self._deadline.left())
            rest = rest[self._sock.send(rest) :]

    def close(self) -> None:
        """Not yet: http.client lets go before the body is read. `asked` closes the socket."""


@functools.cache
def trust() -> ssl.SSLContext:
    """Checks the certificate and the host's name; no keys of ours are shown to anybody."""
    return ssl.create_default_context()


@contextmanager
def asked(
    url: Url,
    method: str,
    *,
    deadline: Deadline,
    limit: int,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """The answer's head; its body is still on the wire. Raises NotAsked, Failed, OSError and more.

    `limit`: bytes of body that may arrive. One name lookup; the connection goes to its answer.
    """
    found = addresses.resolved(url, deadline.left())
    with _turn(url.host, deadline):
        sock = _connected(found, url.port, deadline)
        try:
            if url.scheme == "https":
                sock.settimeout(deadline.left())
                sock = trust().wrap_socket(sock, server_hostname=url.host)
            connection = http.client.HTTPConnection(url.host, url.port)
            connection.auto_open = 0  # never by itself: that would ask for the name again
            connection.sock = cast(socket.socket, Wire(sock, deadline, limit + HEAD_MAX))
            _send(connection, url, method, body, headers or {})
            yield connection.getresponse()
        finally:
            sock.close()


@contextmanager
def _turn(host: str, deadline: Deadline) -> Iterator[None]:
    """One of AT_ONCE seats: nobody makes this studio a flood. Raises Failed("time").

    A seat whose holder was killed is free again when its deadline is over.
    """
    store = caches["counters"]
    seats = [f"fetch:{host}:{number}" for number in range(AT_ONCE)]
    while not (seat := next((one for one in seats if store.add(one, 1, deadline.left())), "")):
        time.sleep(min(AGAIN_S, deadline.left()))
    try:
        yield
    finally:
        store.delete(seat)


def whole_body(answer: http.client.HTTPResponse, limit: int) -> bytes:
    """The body as it was sent, at most `limit` bytes. Raises Failed."""
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Failed("encoding")  # nobody asked for it, and a bomb would come this way
    length = _announced(answer)
    if length is not None and length > limit:
        raise Failed("size")
    data = bytearray()
    while piece := answer.read(PIECE):
        data += piece
        if len(data) > limit:
            raise Failed("size")
    if length is not None and len(data) != length:
        raise Failed("short")
    return bytes(data)


def _announced(answer: http.client.HTTPResponse) -> int | None:
    """Bytes of body, None where chunks or the end tell. Two readings of one answer are refused."""
    lengths = answer.headers.get_all("Content-Length", [])
    codings = answer.headers.get_all("Transfer-Encoding", [])
    if len(lengths) + len(codings) > 1:
        raise Failed("form")
    if codings and codings[0].strip().lower() != "chunked":
        raise Failed("form")
    if not lengths:
        return None
    if not re.fullmatch("[0-9]{1,15}", lengths[0].strip()):
        raise Failed("form")
    return int(lengths[0])


def _connected(found: list[str], port: int, deadline: Deadline) -> socket.socket:
    """The first of these addresses that answers. No name gets here."""
    failure: OSError = ConnectionError("no address")
    for address in found:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            sock.settimeout(min(CONNECT_S, deadline.left()))
            sock.connect((address, port))
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except Failed:
            sock.close()
            raise
    raise failure


def _send(
    connection: http.client.HTTPConnection,
    url: Url,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> None:
    connection.putrequest(method, url.target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", url.authority)
    connection.putheader("Connection", "close")
    connection.putheader("Accept-Encoding", "identity")
    for name, value in headers.items():
        if name.lower() not in OWN_HEADERS:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
