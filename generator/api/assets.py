"""Pictures and clips: uploads in, everything made out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import File, Router, Status
from ninja.files import UploadedFile

from billing.refusals import Refusal
from generator.api import asking, shown
from generator.api.auth import owner
from generator.api.base import with_headers
from generator.api.own import GENERATE, READ, Page, answers, page_of
from generator.api.shown import AssetOut
from generator.assets import services, views
from generator.assets.models import Asset, AssetQuerySet
from generator.library import services as library
from generator.workstation.history import cursor_of, older

router = Router(tags=["assets"])
PAGE = 50
_KINDS = ("image/png", "image/jpeg", "image/webp", "video/mp4")
_BYTES = {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _KINDS}}
BYTES = {
    200: _BYTES,
    206: {"description": "A part of it", **_BYTES},
    304: {"description": "Unchanged"},
    416: {"description": "There is no such part"},
}


class AssetPage(Page):
    items: list[AssetOut]


@router.get("/assets", auth=READ, response=answers(AssetPage, 422), summary="Newest first")
def asset_list(request: HttpRequest, kind: str = "", before: str = "") -> Any:
    found = _own(request)
    if kind:
        found = found.filter(kind=kind[:10])
    rows = list(older(found, before).order_by("-created_at", "-id")[: PAGE + 1])
    more = cursor_of(rows[PAGE - 1]) if len(rows) > PAGE else ""
    return page_of([shown.asset(row) for row in rows[:PAGE]], more)


@router.post(
    "/assets",
    auth=GENERATE,
    response=answers(AssetOut, 400, 413, 422, status=201),
    summary="Upload a photo",
)
def asset_upload(request: HttpRequest, file: File[UploadedFile]) -> Any:
    """JPEG, PNG, WebP, HEIC or AVIF as the multipart field `file`; kept for 24 hours if unused."""
    return Status(201, asking.upload(request, file, shown.asset))


@router.get("/assets/{id}", auth=READ, response=answers(AssetOut, 404, 422), summary="One of them")
def asset_detail(request: HttpRequest, id: UUID) -> Any:
    return shown.asset(_one(request, id))


@router.get(
    "/assets/{id}/content",
    auth=READ,
    response=answers(None, 404, 422),
    openapi_extra={"responses": BYTES},
    summary="Its bytes, with ETag and ranges",
)
def asset_content(request: HttpRequest, id: UUID) -> HttpResponseBase:
    _one(request, id)
    return with_headers(request, views.asset(request, id))


@router.delete(
    "/assets/{id}",
    auth=GENERATE,
    response=answers(None, 404, 409, 422, status=204),
    summary="Delete",
)
def asset_delete(request: HttpRequest, id: UUID) -> Any:
    """For good. What a portrait model learnt from goes with the model only (409)."""
    row = _one(request, id)
    if row.generation_id:
        library.delete(Asset.objects.made().filter(pk=row.pk))
    else:
        family = services.unused_family(row) if row.kind == Asset.Kind.UPLOAD else [row]
        if services.unused(Asset.objects.filter(pk=row.pk)).first() is None:
            raise Refusal("in_use", "A portrait model learns from this picture.", status=409)
        services.delete_assets(family)
    return Status(204, None)


def _own(request: HttpRequest) -> AssetQuerySet:
    own: AssetQuerySet = Asset.objects.live().filter(owner=owner(request))
    return own


def _one(request: HttpRequest, id: UUID) -> Asset:
    return get_object_or_404(_own(request), id=id)
