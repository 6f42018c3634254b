"""A whole studio: what the worker's process writes appears in the browser's socket."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from generator.consumers import SIGNED_OUT
from tests.servers import Studio

pytestmark = [pytest.mark.live, pytest.mark.engine]

PATIENCE_S = 120.0  # the first picture of a cold engine on two busy cores
SUBMIT = """
import uuid
from accounts.models import User
from generator.jobs.services import submit_generation
person = User.objects.get(email="ada@example.com")
made = submit_generation(person, id=uuid.uuid4(), kind="face", prompt="a woman", count=2)
print("made", made.id)
"""


def _socket(studio: Studio, session: str, *, origin: str = "") -> ClientConnection:
    opened: ClientConnection = connect(
        f"{studio.address.replace('http', 'ws')}/ws/studio/",
        additional_headers={"Cookie": f"sessionid={session}"},
        origin=Origin(origin or studio.address),
    )
    return opened


def _frames_of(socket: ClientConnection, job_id: str) -> list[str]:
    """Every frame about a job until its end."""
    frames: list[str] = []
    deadline = time.monotonic() + PATIENCE_S
    while not frames or "faces--succeeded" not in frames[-1]:
        frame = socket.recv(timeout=max(0.0, deadline - time.monotonic()))
        if job_id in frame:
            frames.append(str(frame))
    return frames


def test_a_face_appears_in_the_page_as_it_is_drawn(
    start_studio: Callable[..., Studio], engine_weights: Path
) -> None:
    studio = start_studio(ENGINE_WEIGHTS=str(engine_weights))
    session = studio.session_for("ada@example.com")
    with _socket(studio, session) as socket:
        job_id = studio.manage("shell", "-v0", "-c", SUBMIT).split()[-1]
        frames = _frames_of(socket, job_id)
    percents = [int(found) for frame in frames for found in re.findall(r'value="(\d+)"', frame)]
    assert percents == sorted(percents) and "faces--running" in "".join(frames)
    assert frames[-1].count("/media/") == 2
    studio.manage("audit", "--strict")  # fails unless all is well


def test_a_socket_of_nobody_is_closed_for_good(live_studio: Studio) -> None:
    with _socket(live_studio, "nobody") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == SIGNED_OUT


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "null"])
def test_a_page_of_somebody_else_gets_no_socket(live_studio: Studio, origin: str) -> None:
    session = live_studio.session_for("ada@example.com")
    with pytest.raises(InvalidStatus) as refused:
        _socket(live_studio, session, origin=origin)
    assert refused.value.response.status_code == 403
