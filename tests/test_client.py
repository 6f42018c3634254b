"""The Python client, against a running studio with the real engine."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from likeness import ApiError, AsyncClient, Client, Job, JobFailed, WaitedTooLong
from likeness.operations import make
from likeness.wire import Events, pause_s

from tests import pictures
from tests.servers import BASE_DIR, Studio

EMAIL = "client@example.com"
JOB = {
    "id": "1", "noun": "generation", "kind": "image", "state": "queued", "phase": "", "percent": 0,
    "credits": 4, "seed": 7, "created_at": "2026-11-21T12:00:00Z", "new_in_2027": True,
}  # fmt: skip


# --- what needs no studio -----------------------------------------------------------------------
def test_both_clients_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BASE_DIR / "clients" / "python")
    import make_sync  # type: ignore[import-not-found]

    written = make_sync.synchronous((make_sync.FOLDER / "asynchronous.py").read_text())
    assert (make_sync.FOLDER / "synchronous.py").read_text() == written


def test_a_stream_is_read_event_by_event() -> None:
    events, heard = Events(), []
    text = json.dumps({**JOB, "percent": 40})
    for line in (": still there", "", "event: progress", f"data: {text}", "", "event: end"):
        heard += list(events.heard(line))
    assert [(one.id, one.percent) for one in heard] == [("1", 40)]


def test_the_studio_says_how_long_to_be_patient() -> None:
    assert pause_s(0, httpx.Response(429, headers={"Retry-After": "7"})) == 7
    assert pause_s(3, None) > pause_s(0, None)


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these statuses in turn; 0 hangs up. And the keys that it was sent."""
    left, keys = list(statuses), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.append(self.headers["Idempotency-Key"])
            self.rfile.read(int(self.headers["Content-Length"]))
            status = left.pop(0)
            if not status:
                self.connection.close()
                return
            body = json.dumps(JOB).encode() if status == 202 else b"<h1>busy</h1>"
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", keys
        server.shutdown()


def test_what_failed_on_the_way_is_sent_again_under_the_same_key() -> None:
    with answering(0, 503, 429, 202) as (address, keys), Client(address, "k") as studio:
        assert studio.images("at the beach").id == "1"
        assert len(keys) == 4 and len(set(keys)) == 1


def test_patience_ends() -> None:
    with answering(503, 503) as (address, keys), Client(address, "k", retries=1) as studio:
        with pytest.raises(ApiError) as refused:
            studio.images("at the beach")
        assert (refused.value.status, refused.value.code) == (503, "unknown") and len(keys) == 2


def test_another_request_has_another_key() -> None:
    keys = {make("/images", [], key="", is_trial=False).headers["Idempotency-Key"] for _ in "ab"}
    assert len(keys) == 2


# --- a running studio ---------------------------------------------------------------------------
@pytest.fixture
def secret(live_studio: Studio) -> str:
    live_studio.session_for(EMAIL)
    return live_studio.manage("api_key", "create", EMAIL).strip()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "ada.png"
    path.write_bytes(pictures.encoded(pictures.scene((640, 640)), "PNG"))
    return path


def test_the_studio_refuses_in_words(live_studio: Studio, secret: str) -> None:
    with Client(live_studio.address, "lk_nobodys") as stranger:
        with pytest.raises(ApiError) as refused:
            stranger.account()
        assert (refused.value.status, refused.value.code) == (401, "key_invalid")
        assert refused.value.message and refused.value.request_id
    with Client(live_studio.address, secret) as studio:
        with pytest.raises(ApiError) as refused:
            studio.job("0f8fad5b-d9cb-469f-a165-70867728950e")
        assert (refused.value.status, refused.value.code) == (404, "not_found")


@pytest.mark.engine
def test_somebody_is_invented_learnt_and_drawn(
    live_studio: Studio, secret: str, photo: Path, tmp_path: Path
) -> None:
    seen: list[Job] = []
    with Client(live_studio.address, secret) as studio:
        assert studio.options().people_max >= 1
        price = studio.estimate("face").credits
        assert studio.faces(age=30, is_trial=True).credits == price
        drawn = studio.wait(studio.faces(age=30), on_progress=seen.append, timeout_s=300)
        assert seen[-1] == drawn and seen[-1].is_over
        face = drawn.assets[0]
        saved = studio.download(face, tmp_path / "face.png")
        assert saved.read_bytes().startswith(b"\x89PNG") and len(list(tmp_path.iterdir())) == 2
        model = studio.create_portrait_model("Ada", face, is_public=True, key="ada")
        again = studio.create_portrait_model("Ada", face, is_public=True, key="ada")
        assert model.id == again.id and model.training
        with pytest.raises(WaitedTooLong):
            studio.wait(model.training, timeout_s=0)
        studio.wait(model.training, timeout_s=500)
        assert studio.portrait_model(model.id).is_ready
    asyncio.run(_pictures_of(live_studio, secret, model.id, photo, tmp_path))


async def _pictures_of(house: Studio, secret: str, model: str, photo: Path, folder: Path) -> None:
    async with AsyncClient(house.address, secret) as studio:
        assert model in [one.id async for one in studio.portrait_models()]
        job = await studio.wait(await studio.images("at the beach", model), timeout_s=300)
        assert job.portrait_model_ids == [model] and job.assets[0].faces
        await studio.download(job.assets[0], folder / "ada-made.png")
        uploaded = await studio.upload(photo)
        assert uploaded.id in [one.id async for one in studio.assets()]
        waiting = await studio.images("in the snow", model)
        await studio.cancel(waiting)
        with pytest.raises(JobFailed) as ended:
            await studio.wait(waiting)
        assert ended.value.job.state == "canceled"
        assert {job.id, waiting.id} <= {one.id async for one in studio.jobs()}
        await studio.delete(job)
        with pytest.raises(ApiError):
            await studio.job(job.id)
