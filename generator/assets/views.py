"""The media door: the only way to a stored picture or clip."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath

from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from generator.assets import intake, links, provenance, ranges, services
from generator.assets.models import Asset
from generator.assets.names import download_name

CONTENT_TYPES = {
    ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".mp4": "video/mp4",
    ".webm": "video/webm",
}  # fmt: skip
CONVERTED = ("jpg", "webp")  # formats a picture is downloaded in beside its own


@require_safe
def asset(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """One picture or clip, or what lies beside it. Unknown and foreign ids give the same 404.

    Never from a cache without asking: a picture may have become private since. `?share=<token>`
    opens what its owner shared, `?signature=` what a program handed on, to anybody.
    """
    if links.opens(id, request.GET.get("signature", "")):
        visible = Asset.objects.live()
    else:
        visible = Asset.objects.visible_to(request.user, share=request.GET.get("share", ""))
    asset = get_object_or_404(visible.select_related("owner"), id=id)
    wanted = request.GET.get("download", "")
    if wanted in CONVERTED and not asset.is_clip:
        return closed(_converted(asset, wanted), services.shown_name(asset, f".{wanted}"))
    name = _stored_name(asset, request.GET.get("size", ""), request.GET.get("format", ""))
    etag = _etag(name)
    if request.headers.get("If-None-Match") == etag:
        return closed(HttpResponseNotModified(), name)
    response = ranges.answer(request, name, CONTENT_TYPES[PurePosixPath(name).suffix], etag=etag)
    _name_download(response, asset, PurePosixPath(name).suffix, is_download=bool(wanted))
    return closed(response, name)


def _stored_name(asset: Asset, size: str, format: str) -> str:
    if format == "webm" and asset.is_clip:
        return services.shown_name(asset, ".webm")
    if not size:
        return services.shown_name(asset)
    if size == "worst" and asset.measures.get("worst"):
        return services.shown_name(asset, "_worst.webp")
    if size not in {str(side) for side in intake.THUMBNAILS}:
        raise Http404
    if int(size) > asset.thumbnail_px and not asset.is_clip:  # an older picture has no large one
        return services.shown_name(asset)
    return services.shown_name(asset, f"_{size}.webp")


def _converted(asset: Asset, format: str) -> HttpResponse:
    """The picture in another format, made in the limited child. Says like the first who made it."""
    drawn = asset.generation
    packet = b""
    if drawn:
        packet = provenance.xmp(engine=drawn.engine, is_drawn=drawn.source_id is None)
    with default_storage.open(services.shown_name(asset)) as file:
        data = intake.convert(file.read(), format, packet)
    response = HttpResponse(data, content_type=CONTENT_TYPES[f".{format}"])
    _name_download(response, asset, f".{format}", is_download=True)
    return response


def _name_download(
    response: HttpResponse, asset: Asset, extension: str, *, is_download: bool
) -> None:
    called = download_name(title(asset), extension.removeprefix("."))
    disposition = content_disposition_header(is_download, called)
    response["Content-Disposition"] = disposition or "inline"


def _etag(name: str) -> str:
    """A stored file never changes, so its name will do."""
    return f'"{PurePosixPath(name).name}"'


def closed(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """What every answer of the door carries."""
    response["ETag"] = _etag(name)
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def title(asset: Asset) -> str:
    """The photo's own name, or whom a drawn picture shows and which of them it is."""
    if asset.display_name:
        return PurePosixPath(asset.display_name).stem
    drawn = asset.generation
    who = drawn.portrait_model.name if drawn and drawn.portrait_model else "likeness"
    return f"{who} {asset.kind} {asset.index + 1}"
