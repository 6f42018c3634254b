"""A server of somebody else: keeps what it was sent, byte for byte, and answers as it is told.

Knows nothing of the product. `verified` is written from the documented format alone.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Message:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    address: str
    status: int = 200
    messages: list[Message] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    @property
    def netloc(self) -> str:
        return self.address.split("/")[2]

    def hold(self) -> None:
        """Answers wait until `may_answer` is set again."""
        self.may_answer.clear()


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            house.messages.append(Message(self.path, dict(self.headers), body))
            house.arrived.set()
            house.may_answer.wait(30)
            self.send_response(house.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    house = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    house.may_answer.set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield house
    finally:
        house.may_answer.set()
        server.shutdown()
        server.server_close()


def verified(header: str, body: bytes, secret: str) -> int:
    """The seconds it was signed at. Fails if the signature is not that of `body`."""
    parts = dict(part.split("=", 1) for part in header.split(","))
    signed = parts["t"].encode("ascii") + b"." + body
    expected = hmac.new(secret.encode("utf-8"), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], expected), "the signature is not of these bytes"
    return int(parts["t"])
