"""One picture or clip: large, with what made it, and everything that can be done with it."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.access import person, sign_in_required
from generator.assets.models import Asset, AssetQuerySet, Folder, Share
from generator.engine import registry
from generator.library import services
from generator.portraits.models import PortraitModel

ROWS = ("generation__portrait_model", "generation__source", "folder", "share")


@require_GET
@sign_in_required
def generation_picture(request: HttpRequest, id: uuid.UUID, index: int) -> HttpResponse:
    """One of a generation's own pictures by its number."""
    own = _own(request)
    return _viewer(request, get_object_or_404(own, generation=id, index=index))


@require_GET
def picture(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Own or public. Unknown and foreign ids give the same 404."""
    visible = Asset.objects.visible_to(request.user).filter(generation__isnull=False)
    return _viewer(request, get_object_or_404(visible.select_related(*ROWS), id=id))


def _viewer(request: HttpRequest, asset: Asset) -> HttpResponse:
    is_own = asset.owner_id == request.user.pk
    template = "_viewer" if request.headers.get("HX-Request") else "picture"
    return render(request, f"generator/{template}.html", context(request, asset, is_own=is_own))


def context(request: HttpRequest, asset: Asset, *, is_own: bool) -> dict[str, Any]:
    generation = asset.generation
    assert generation is not None
    around = generation.assets.filter(deleted_at__isnull=True).order_by("index")
    siblings = list(around.only("id", "index", "generation_id")) if is_own else []
    at = next((n for n, one in enumerate(siblings) if one.pk == asset.pk), 0)
    return {
        "asset": asset,
        "generation": generation,
        "is_own": is_own,
        "faces": faces_of(asset),
        "previous": siblings[at - 1] if at else None,
        "next": siblings[at + 1] if at + 1 < len(siblings) else None,
        "source": _visible_source(asset) if is_own else None,
        "share_url": share_url(request, asset) if is_own else "",
        "folders": Folder.objects.filter(owner=asset.owner_id) if is_own else [],
        "engine": registry.describe(generation.engine),
        "is_unmeasured": _is_unmeasured(asset),
    }


def _is_unmeasured(asset: Asset) -> bool:
    """Somebody was asked for, and the engine had no face files to look for them with."""
    generation = asset.generation
    if generation is None or generation.portrait_model_id is None or asset.likeness is not None:
        return False
    return registry.weights_of(generation.engine) is not None


def faces_of(asset: Asset) -> list[dict[str, Any]]:
    """Everybody's likeness with their name; the worst moment of a clip beside its mean."""
    faces, worst = asset.measures.get("faces", []), asset.measures.get("worst", [])
    models = PortraitModel.objects.filter(pk__in=[face["model"] for face in faces])
    names = {str(pk): name for pk, name in models.values_list("pk", "name")}
    lowest = {face["model"]: face["likeness"] for face in worst}
    return [
        {**face, "name": names.get(face["model"], "Somebody"), "worst": lowest.get(face["model"])}
        for face in faces
    ]


def _visible_source(asset: Asset) -> Asset | None:
    source = asset.generation.source if asset.generation else None
    return source if source and source.deleted_at is None else None


def share_url(request: HttpRequest, asset: Asset) -> str:
    """The public link of a shared picture, blank where there is none."""
    try:
        token = asset.share.token
    except Share.DoesNotExist:
        return ""
    return f"{settings.SITE_URL}{reverse('shared', args=[token])}"


@require_POST
@sign_in_required
def favourite(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Love it or leave it; the button as it is then."""
    asset = _one(request, id)
    services.set_favourite(asset, is_favourite=not asset.is_favourite)
    if not request.headers.get("HX-Request"):
        return redirect("picture", id=asset.id)
    return render(request, "generator/_favourite.html", {"asset": asset})


@require_POST
@sign_in_required
def share(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    return _changed_share(request, services.share(_one(request, id)).asset)


@require_POST
@sign_in_required
def revoke(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    asset = _one(request, id)
    services.revoke(asset)
    return _changed_share(request, _one(request, id))


def _changed_share(request: HttpRequest, asset: Asset) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        return redirect("picture", id=asset.id)
    shown = {"asset": asset, "share_url": share_url(request, asset)}
    return render(request, "generator/_share.html", shown)


@require_POST
@sign_in_required
def publish(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Onto Explore, or off it again."""
    asset = _one(request, id)
    if asset.published_at:
        services.unpublish([asset])
    else:
        services.publish(asset)
    if not request.headers.get("HX-Request"):
        return redirect("picture", id=asset.id)
    return render(request, "generator/_publish.html", {"asset": _one(request, id)})


@require_POST
@sign_in_required
def put(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Into one of the person's folders, or out of it."""
    asset, wanted = _one(request, id), request.POST.get("folder", "")
    folder = get_object_or_404(Folder, id=wanted, owner=person(request)) if wanted else None
    services.move(Asset.objects.filter(pk=asset.pk), folder)
    if not request.headers.get("HX-Request"):
        messages.success(request, "Moved.")
        return redirect("picture", id=asset.id)
    return HttpResponse(status=204)


@require_GET
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """What somebody shared: the picture alone, for whoever has the link."""
    links = Share.objects.select_related("asset__generation")
    found = get_object_or_404(links, token=token, asset__deleted_at__isnull=True)
    response = render(request, "generator/shared.html", {"share": found, "asset": found.asset})
    response["X-Robots-Tag"] = "noindex"
    response["Referrer-Policy"] = "no-referrer"  # the address is the key
    return response


def _own(request: HttpRequest) -> AssetQuerySet:
    own: AssetQuerySet = Asset.objects.made().filter(owner=person(request))
    return own.filter(generation__isnull=False).select_related(*ROWS)


def _one(request: HttpRequest, id: uuid.UUID) -> Asset:
    return get_object_or_404(_own(request), id=id)
