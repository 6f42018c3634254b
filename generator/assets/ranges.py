"""A stored file, or the part of it that a player asks for (RFC 9110, 14). One range at most.

Safari plays nothing that does not answer ranges, and everybody seeks with them.
"""

from __future__ import annotations

import re

from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse

ONE_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def answer(request: HttpRequest, name: str, content_type: str, *, etag: str) -> HttpResponse:
    """200, 206 or 416. The body at once: under ASGI a streamed one is read into memory as well."""
    try:
        file = default_storage.open(name)
    except FileNotFoundError as error:
        raise Http404 from error
    with file:
        part = _asked(request, file.size, etag)
        if part is None:
            response = HttpResponse(file.read(), content_type=content_type)
        elif not part:
            response = HttpResponse(status=416, content_type=content_type)
            response["Content-Range"] = f"bytes */{file.size}"
        else:
            file.seek(part.start)
            response = HttpResponse(file.read(len(part)), status=206, content_type=content_type)
            response["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    response["Accept-Ranges"] = "bytes"
    return response


def _asked(request: HttpRequest, size: int, etag: str) -> range | None:
    """The bytes asked for; empty where there are none such, None for the whole file."""
    found = ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    if not found or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    end = min(size, int(last) + 1) if last else size
    return range(int(first), end)
