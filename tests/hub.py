"""A hub of models of our own: the few questions `huggingface_hub` asks, answered over HTTP."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """`files` of one repository at COMMIT; `asked` remembers what was downloaded."""

    daemon_threads = True

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repo, self.files = repo, files
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.split("?")[0]
        api, files = f"/api/models/{self.server.repo}", f"/{self.server.repo}/resolve/{COMMIT}/"
        if path in (f"{api}/revision/{COMMIT}", f"{api}/revision/main", api):
            siblings = [{"rfilename": n, "size": len(d)} for n, d in self.server.files.items()]
            found = {"id": self.server.repo, "sha": COMMIT, "siblings": siblings}
            self._send(json.dumps(found).encode(), with_body=with_body)
        elif path.startswith(f"{api}/tree/"):
            tree = [
                {"type": "file", "path": n, "size": len(d), "oid": "0" * 40}
                for n, d in self.server.files.items()
            ]
            self._send(json.dumps(tree).encode(), with_body=with_body)
        elif path.startswith(files) and path[len(files) :] in self.server.files:
            name = path[len(files) :]
            if with_body:
                self.server.asked.append(name)
            data = self.server.files[name]
            self._send(data, hashlib.sha256(data).hexdigest(), with_body=with_body)
        else:
            self.send_response(404)
            code = "RepoNotFound" if path.startswith("/api") else "EntryNotFound"
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, data: bytes, etag: str = "", *, with_body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@contextmanager
def serving(repo: str, files: dict[str, bytes]) -> Iterator[Hub]:
    with Hub(repo, files) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()
