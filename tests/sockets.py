"""A browser's end of the studio's socket, spoken to the ASGI application directly.

(channels.testing needs daphne, which the studio does not.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.conf import settings
from django.test import Client

from accounts.models import User
from studio.asgi import application

WAIT_S = 20  # two busy cores


class Window:
    """One open socket."""

    def __init__(self, communicator: ApplicationCommunicator) -> None:
        self.communicator = communicator

    async def frame(self) -> str:
        """The next frame from the studio."""
        answer = await self.communicator.receive_output(WAIT_S)
        assert answer["type"] == "websocket.send", answer
        text: str = answer["text"]
        return text

    async def until(self, fact: Callable[[str], bool]) -> str:
        """The first frame for which `fact` is true."""
        while not fact(frame := await self.frame()):
            pass
        return frame

    async def say(self, text: str) -> None:
        await self.communicator.send_input({"type": "websocket.receive", "text": text})

    async def close_code(self) -> int:
        """How the studio closed it, whatever it sent before."""
        while (answer := await self.communicator.receive_output(WAIT_S))[
            "type"
        ] == "websocket.send":
            pass
        code: int = answer["code"]
        return code


@asynccontextmanager
async def socket(session: str | None, *, origin: str = "") -> AsyncIterator[Window]:
    """Connected with this session key, accepted, closed at the end."""
    headers = [(b"origin", (origin or settings.SITE_URL).encode())]
    if session:
        headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode()))
    communicator = ApplicationCommunicator(
        application,
        {
            "type": "websocket",
            "path": "/ws/studio/",
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        },
    )
    await communicator.send_input({"type": "websocket.connect"})
    answer = await communicator.receive_output(WAIT_S)
    assert answer["type"] == "websocket.accept", answer
    try:
        yield Window(communicator)
    finally:
        await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await communicator.wait(WAIT_S)


@asynccontextmanager
async def window(user: User) -> AsyncIterator[Window]:
    """A signed-in person's."""
    async with socket(await database_sync_to_async(signed_in)(user)) as opened:
        yield opened


def signed_in(user: User) -> str:
    """The key of a new session of theirs."""
    client = Client()
    client.force_login(user)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)
