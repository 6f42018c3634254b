"""Who may open a socket: pages of this very address, and nobody else's."""

from __future__ import annotations

import pytest
from asgiref.testing import ApplicationCommunicator
from pytest_django import Settings

from studio.asgi import application

FOREIGN = {
    "another host": "http://elsewhere.example:8000",
    "another port": "http://127.0.0.1:8001",
    "another scheme": "https://127.0.0.1:8000",
    "a longer name": "http://127.0.0.1.elsewhere.example:8000",
    "a sandboxed frame": "null",
    "nobody at all": "",
}


async def first_answer(origin: str) -> str:
    headers = [(b"origin", origin.encode())] if origin else []
    socket = ApplicationCommunicator(
        application,
        {"type": "websocket", "path": "/ws/studio/", "headers": headers, "subprotocols": []},
    )
    await socket.send_input({"type": "websocket.connect"})
    answer = await socket.receive_output(10)
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(10)
    return str(answer["type"])


@pytest.mark.parametrize("origin", FOREIGN.values(), ids=FOREIGN.keys())
async def test_a_foreign_page_gets_no_socket(db: None, origin: str) -> None:
    assert await first_answer(origin) == "websocket.close"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_own_page_gets_one_by_either_name(db: None, host: str) -> None:
    assert await first_answer(f"http://{host}:8000") == "websocket.accept"


def test_the_origins_are_exact(settings: Settings) -> None:
    assert settings.ORIGINS[0] == settings.SITE_URL
    assert all(origin.startswith("http://") for origin in settings.ORIGINS)
