"""Several pictures as one file, packed while it is sent: nothing is kept in memory or on disk.

Pictures are packed already, so they are only stored; the archive is as large as they are.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import PurePosixPath

from asgiref.sync import sync_to_async
from django.core.files.storage import default_storage
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from generator.assets.models import Asset
from generator.assets.names import download_name
from generator.assets.services import shown_name


class _Sink(io.RawIOBase):
    """What a ZipFile writes into and we take out of; it cannot be sought."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self.parts = b"".join(self.parts), []
        return taken


def response(request: HttpRequest, pictures: list[Asset]) -> StreamingHttpResponse:
    """An attachment that begins at once."""
    packed = parts(pictures)
    body = _awaited(packed) if isinstance(request, ASGIRequest) else packed
    answer = StreamingHttpResponse(body, content_type="application/zip")
    answer["Content-Disposition"] = 'attachment; filename="likeness.zip"'
    return answer


def parts(pictures: list[Asset]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for number, picture in enumerate(pictures, 1):
            name = shown_name(picture)
            try:
                with default_storage.open(name) as file:
                    data = file.read()
            except FileNotFoundError:  # deleted while it was being packed
                continue
            moment = picture.created_at.timetuple()[:6]
            archive.writestr(zipfile.ZipInfo(_called(number, picture, name), moment), data)
            yield sink.take()
    yield sink.take()


def _called(number: int, picture: Asset, name: str) -> str:
    drawn = picture.generation
    who = drawn.portrait_model.name if drawn and drawn.portrait_model else "likeness"
    extension = PurePosixPath(name).suffix.removeprefix(".")
    return f"{number:03} {download_name(f'{who} {picture.kind}', extension)}"


async def _awaited(packed: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same, each part made in a thread: files are read there."""

    def following() -> bytes | None:
        return next(packed, None)

    while (part := await sync_to_async(following)()) is not None:
        yield part
