"""The composer's pictures: what an edit starts from, a pose, a style, a mask.

Each has a slot in the form; a picture comes into it from the library or as an upload, and is cut
to the square around its face where the base model needs that.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import reswap, retarget, trigger_client_event

from accounts.access import person, sign_in_required
from accounts.limits import limited
from billing.refusals import Refusal
from generator.assets import services as assets
from generator.assets.models import Asset
from generator.library import shelves
from generator.library.shelves import Filters
from generator.styles import catalogue
from generator.workstation.forms import PICTURES, own_picture

CUT = ("source", "pose")  # drawn from: a square, the face where the base model has its own
TITLES = {
    "source": "Choose a picture",
    "pose": "Choose a pose",
    "style_picture": "Choose a style picture",
    "mask": "Choose a mask",
}


@require_GET
@sign_in_required
def slot(request: HttpRequest, role: str) -> HttpResponse:
    """The slot with `?picture=`, or empty."""
    _check(role)
    picture = own_picture(person(request), request.GET.get("picture", ""))
    return _filled(request, role, picture)


@require_http_methods(["GET", "POST"])
@sign_in_required
@limited("upload", "60/h")
def choose(request: HttpRequest, role: str) -> HttpResponse:
    """Own pictures to choose from, and a way to upload one."""
    _check(role)
    if request.method == "POST":
        return _upload(request, role)
    return _chooser(request, role, {"shelf": _shelf(request)})


def _shelf(request: HttpRequest) -> shelves.Shelf:
    stills = Asset.objects.exclude(kind=Asset.Kind.VIDEO)
    before = request.GET.get("before", "")
    return shelves.shelf(person(request), Filters(), before=before, among=stills)


def _chooser(
    request: HttpRequest, role: str, more: dict[str, object], *, status: int = 200
) -> HttpResponse:
    is_htmx = request.headers.get("HX-Request")
    template = "_choose_picture" if is_htmx else "choose_picture"
    if is_htmx and request.GET.get("before"):
        template = "_choices"
    shown = {"role": role, "title": TITLES[role], "kind": request.GET.get("kind", ""), **more}
    return render(request, f"generator/{template}.html", shown, status=status)


def _upload(request: HttpRequest, role: str) -> HttpResponse:
    try:
        picture = _stored(request, role)
    except Refusal as refusal:
        more: dict[str, object] = {"shelf": _shelf(request), "refusal": refusal}
        return _chooser(request, role, more, status=refusal.status)
    if request.headers.get("HX-Request"):
        response = _filled(request, role, picture)
        response = reswap(retarget(response, f"#slot-{role}"), "outerHTML")
        return trigger_client_event(response, "close-dialog")
    query = urlencode({"kind": request.POST.get("kind", "edit"), role: picture.pk})
    return redirect(f"{reverse('workstation')}?{query}")


def _stored(request: HttpRequest, role: str) -> Asset:
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise Refusal("file_missing", "Please choose a photo.")
    upload = assets.store_upload(person(request), file)
    return assets.crop_suggested(upload) if role in CUT else upload


def _filled(request: HttpRequest, role: str, picture: Asset | None) -> HttpResponse:
    shown = {"role": role, "picture": picture}
    return render(request, "generator/_slot.html", shown)


def _check(role: str) -> None:
    if role not in PICTURES:
        raise Http404


@require_GET
@sign_in_required
def style(request: HttpRequest) -> HttpResponse:
    """The style slot with `?style=`, or without one."""
    chosen = catalogue.styles().get(request.GET.get("style", ""))
    return render(request, "generator/_style.html", {"style": chosen})
