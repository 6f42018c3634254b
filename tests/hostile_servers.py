"""Small servers on free ports of 127.0.0.1 that answer well, badly, slowly or without end.

One server hands out one answer: bytes, pieces that are sent one after the other, or a function that
gets the connection. What it was asked is kept in `heads` and `bodies`.
"""

from __future__ import annotations

import datetime
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = bytes | Callable[[socket.socket], None]
MEGABYTE = 1024 * 1024


class Server:
    """A listening port, and what came to it."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.context = context
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.visitors = 0  # connections, whatever they said
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/a.png"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = self._listener.accept()
                self.visitors += 1
                threading.Thread(target=self._serve, args=(visitor,), daemon=True).start()

    def _serve(self, visitor: socket.socket) -> None:
        with suppress(OSError), visitor:
            if self.context:
                visitor = self.context.wrap_socket(visitor, server_side=True)
            head, _, body = _read_until(visitor, b"\r\n\r\n").partition(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    while len(body) < int(line.partition(b":")[2]):
                        body += visitor.recv(65536)
            self.bodies.append(body)
            if isinstance(self.answer, bytes):
                visitor.sendall(self.answer)
            else:
                self.answer(visitor)
            with suppress(OSError):
                visitor.shutdown(socket.SHUT_WR)
                visitor.recv(1)  # the other side goes first, so that nothing sent is lost
            visitor.close()


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(answer, context)
    try:
        yield server
    finally:
        server.close()


def _read_until(visitor: socket.socket, end: bytes) -> bytes:
    """What was said up to `end`, or a greeting in TLS to a server that knows none."""
    data = visitor.recv(65536)
    if data.startswith(b"\x16"):
        return data
    while end not in data and (piece := visitor.recv(65536)):
        data += piece
    return data


# --- answers ---------------------------------------------------------------------------
def page(body: bytes, *headers: str, status: str = "200 OK", length: str | None = None) -> bytes:
    """A whole answer; `length` is what it says about its body, "" to say nothing."""
    said = str(len(body)) if length is None else length
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {said}"] if said else [])]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return page(b"", f"Location: {location}", status=status)


def chunked(body: bytes, size: int = 1000) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    packed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return page(packed + b"0\r\n\r\n", "Transfer-Encoding: chunked", length="")


def endless(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """Sends until the other side hangs up."""

    def send(visitor: socket.socket) -> None:
        visitor.sendall(head)
        while True:
            visitor.sendall(piece)

    return send


def dripping(data: bytes, start: int) -> Callable[[socket.socket], None]:
    """`start` bytes at once, the rest byte by byte, 20 a second: each is soon enough."""

    def send(visitor: socket.socket) -> None:
        visitor.sendall(data[:start])
        for at in range(start, len(data)):
            visitor.sendall(data[at : at + 1])
            time.sleep(0.05)  # the attack itself

    return send


def silent(visitor: socket.socket) -> None:
    visitor.recv(1)  # until the other side hangs up


def slamming(visitor: socket.socket) -> None:
    """RST instead of an answer."""
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visitor.close()


def bomb(size: int) -> bytes:
    """`size` bytes of nothing, packed a thousand times smaller."""
    return gzip.compress(bytes(size), mtime=0)


CHUNKED = "Transfer-Encoding: chunked"
ENDLESS = b"HTTP/1.1 200 OK\r\n"
# name: (answer, the reason of the refusal), for a limit far below a megabyte
HOSTILE: dict[str, tuple[Answer, str]] = {
    "10 GB announced": (page(b"x", length=str(10 * 1024**3)), "size"),
    "one byte too many announced": (page(bytes(100_001)), "size"),
    "one byte too many": (page(bytes(100_001), length=""), "size"),
    "endless": (endless(ENDLESS + b"\r\n", bytes(65536)), "size"),
    "endless in chunks": (
        endless(ENDLESS + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n%s\r\n" % bytes(4096)),
        "size",
    ),
    "a chunk of minus one": (
        endless(ENDLESS + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", bytes(65536)), "size",
    ),
    "a chunk of minus two": (page(b"-2\r\nab\r\n0\r\n\r\n", CHUNKED, length=""), "form"),
    "a chunk without end": (
        endless(ENDLESS + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", bytes(65536)),
        "size",
    ),
    "trailers without end": (
        endless(ENDLESS + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 5000), "size",
    ),
    "chunks that are none": (page(b"hello\r\n", CHUNKED, length=""), "form"),
    "chunks cut off": (page(b"ff\r\nabc", CHUNKED, length=""), "form"),
    "continue without end": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), "size"),
    "5000 headers": (page(b"x", *(f"X-{n}: 1" for n in range(5000))), "form"),
    "a header of 2 MB": (page(b"x", "X: " + "a" * 2 * MEGABYTE), "form"),
    "headers without end": (endless(ENDLESS, b"X: 1\r\n" * 5000), "form"),
    "a status line without end": (endless(b"HTTP/1.1 200 ", b"a" * 65536), "form"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", "form"),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", "form"),
    "closed at once": (b"", "connection"),
    "reset": (slamming, "connection"),
    "less than announced": (page(b"abc", length="1000"), "short"),
    "a negative length": (page(b"abc", length="-1"), "form"),
    "a length with a sign": (page(b"abc", length="+3"), "form"),
    "a length with a line": (page(bytes(10), length="1_0"), "form"),
    "two lengths": (page(b"abcd", "Content-Length: 3"), "form"),
    "two equal lengths": (page(b"abc", "Content-Length: 3"), "form"),
    "length and chunks": (page(b"3\r\nabc\r\n0\r\n\r\n", CHUNKED), "form"),
    "packed chunks": (page(b"0\r\n\r\n", "Transfer-Encoding: gzip, chunked", length=""), "form"),
    "a gzip bomb": (page(bomb(50 * MEGABYTE), "Content-Encoding: gzip"), "encoding"),
    "brotli": (page(b"x", "Content-Encoding: br"), "encoding"),
    "packed twice": (page(b"x", "Content-Encoding: identity, gzip"), "encoding"),
    "nothing": (page(b"", status="204 No Content", length=""), "status"),
    "a part": (page(b"abc", status="206 Partial Content"), "status"),
    "not modified": (page(b"", status="304 Not Modified"), "status"),
    "sign in first": (page(b"", 'WWW-Authenticate: Basic realm="x"', status="401 No"), "status"),
    "not found": (page(b"abc", status="404 Not Found"), "status"),
    "broken": (page(b"abc", status="500 Oh"), "status"),
    "a redirect to nowhere": (page(b"", status="302 Found"), "status"),
}  # fmt: skip
SLOW: dict[str, Answer] = {
    "never answers": silent,
    "a slow head": dripping(page(b"x", *["X: " + "y" * 20] * 5), 20),
    "a slow body": dripping(page(bytes(200)), 60),
    "slow chunks": dripping(chunked(bytes(200), size=1), 60),
}


# --- certificates ----------------------------------------------------------------------
def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """What a server for that name needs, and the file to trust it by. Signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path, keys = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    keys.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, keys)
    return context, path
