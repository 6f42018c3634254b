"""The media door: the only way to a stored picture."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath

from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from generator.assets import intake, services
from generator.assets.models import Asset
from generator.assets.names import download_name

CONTENT_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@require_safe
def asset(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """One picture, or its thumbnail. Unknown and foreign ids give the same 404.

    Never from a cache without asking: a picture may have become private since.
    """
    pictures = Asset.objects.visible_to(request.user).select_related("owner")
    asset = get_object_or_404(pictures, id=id)
    name = _stored_name(asset, request.GET.get("size", ""))
    etag = f'"{PurePosixPath(name).stem}"'  # a stored file never changes
    if request.headers.get("If-None-Match") == etag:
        response: HttpResponseBase = HttpResponseNotModified()
    else:
        response = _file(asset, name, download=request.GET.get("download") == "1")
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response


def _stored_name(asset: Asset, size: str) -> str:
    if not size:
        return services.shown_name(asset)
    if size not in {str(side) for side in intake.THUMBNAILS}:
        raise Http404
    return services.shown_name(asset, int(size))


def _file(asset: Asset, name: str, *, download: bool) -> HttpResponse:
    """The whole file at once: under ASGI a streamed one is read into memory all the same."""
    try:
        file = default_storage.open(name)
    except FileNotFoundError as error:
        raise Http404 from error
    extension = PurePosixPath(name).suffix
    called = download_name(_title(asset), extension.removeprefix("."))
    with file:
        response = HttpResponse(file.read(), content_type=CONTENT_TYPES[extension])
    response["Content-Disposition"] = content_disposition_header(download, called) or "inline"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _title(asset: Asset) -> str:
    """The photo's own name, or whom a drawn picture shows and which of them it is."""
    if asset.display_name:
        return PurePosixPath(asset.display_name).stem
    drawn = asset.generation
    who = drawn.portrait_model.name if drawn and drawn.portrait_model else "likeness"
    return f"{who} {asset.kind} {asset.index + 1}"
