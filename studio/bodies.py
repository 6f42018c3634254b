"""How large a request may be: the limits, and their guard in front of an ASGI application.

Django reads a whole body, to disk if need be, before its first middleware is asked.
So under ASGI the guard stands before Django and counts what really arrives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

UPLOAD_PATHS = ("/uploads/", "/models/new/")
API_PATHS = ("/api/", "/v1/phota/")
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def limit_for(path: str) -> int:
    """Bytes."""
    if path.startswith(API_PATHS):
        return int(settings.API_MAX_BODY)
    is_upload = path in UPLOAD_PATHS or path.startswith("/create/choose/")
    return int(settings.UPLOAD_MAX if is_upload else settings.MAX_BODY)


def refusal(limit: int) -> str:
    size = f"{limit // 1024**2 - 1} MB" if limit >= 1024**2 else f"{limit // 1024} kB"
    return f"This is too large. The limit is {size}."


class BodyLimit:
    """Answers 413 on the declared length, or as soon as more arrives than is allowed."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        limit = limit_for(scope["path"])
        if _declared(scope) > limit:
            await _refuse(send, limit)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            # Django gives a request up, without a word, when its sender is gone.
            return message if arrived <= limit else {"type": "http.disconnect"}

        await self.application(scope, counted, send)
        if arrived > limit:
            await _refuse(send, limit)


def _declared(scope: Message) -> int:
    """The length the sender announced; 0 without one. What is no number is Django's to refuse."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


async def _refuse(send: Send, limit: int) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    headers.append((b"x-content-type-options", b"nosniff"))
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": refusal(limit).encode()})
