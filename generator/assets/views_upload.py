"""The upload door: photos in, reference previews out."""

from __future__ import annotations

import re
import uuid

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from accounts.access import sign_in_required
from accounts.limits import limited
from accounts.models import User
from billing.refusals import Refusal
from generator.assets import services
from generator.assets.frames import ANGLE_MAX
from generator.assets.models import Asset
from generator.assets.verdict import verdict

NOT_AN_IMAGE = Refusal("not_an_image", "The file must be an image.")


@require_POST
@sign_in_required
@limited("upload", "30/h")
def upload_create(request: HttpRequest) -> HttpResponseBase:
    """One photo in, the reference preview out: framed around the face the door found."""
    file = request.FILES.get("file")
    if file is None:
        return preview(request, refusal=NOT_AN_IMAGE)
    try:
        upload = services.store_upload(_sender(request), file)
        return preview(request, services.crop_suggested(upload))
    except Refusal as refusal:
        return preview(request, refusal=refusal)


@require_POST
@sign_in_required
@limited("crop", "120/h")
def upload_crop(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """A new frame for an upload of this person: x, y, size in px of the original, angle."""
    upload = _own_upload(request, id)
    try:
        x, y, size = (_pixels(request, name, upload) for name in ("x", "y", "size"))
        angle = _angle(request)
        reference = services.crop_reference(upload, x=x, y=y, size=size, angle=angle)
        if "accept" in request.POST:  # the frame was the answer to this problem
            services.use_anyway(reference.source or upload, code=request.POST["accept"])
        return preview(request, reference)
    except Refusal as refusal:
        return preview(request, refusal=refusal)


@require_POST
@sign_in_required
@limited("crop", "120/h")
def upload_turn(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """The photo stands up: turned by `degrees`, looked at and framed anew."""
    upload = _own_upload(request, id)
    try:
        degrees = int(request.POST["degrees"]) if _is_number(request, "degrees") else 0
        turned = services.turn_upload(upload, degrees=degrees)
        return preview(request, services.crop_suggested(turned))
    except Refusal as refusal:
        return preview(request, refusal=refusal)


@require_POST
@sign_in_required
def upload_accept(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """ "Use it anyway": no more of the problem called `code`."""
    upload = _own_upload(request, id)
    return preview(request, services.use_anyway(upload, code=request.POST.get("code", "")))


@require_POST
@sign_in_required
def upload_delete(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """Removes an unused reference or upload, and what it was cut from or into."""
    found = get_object_or_404(
        services.unused(Asset.objects.all()),
        id=id,
        owner=_sender(request),
        kind__in=[Asset.Kind.UPLOAD, Asset.Kind.REFERENCE],
    )
    services.delete_assets(services.unused_family(found))
    return preview(request)


@require_safe
def reference_preview(request: HttpRequest) -> HttpResponseBase:
    """The preview with a face or reference of this person in it, or empty."""
    return preview(request, services.own_reference(request.user, request.GET.get("reference", "")))


def preview(
    request: HttpRequest, reference: Asset | None = None, *, refusal: Refusal | None = None
) -> HttpResponse:
    """The reference preview in one of its three states: empty, filled, failed."""
    context = {"reference": reference, "refusal": refusal, "verdict": verdict(reference)}
    status = refusal.status if refusal else 200
    return render(request, "generator/_reference_preview.html", context, status=status)


def _pixels(request: HttpRequest, name: str, upload: Asset) -> int:
    """A whole number of px. Cropping sends fractions and may overshoot by one."""
    try:
        value = round(float(request.POST.get(name, "")))
    except (ValueError, OverflowError):
        value = -1
    if not 0 <= value <= max(upload.width, upload.height):
        raise Refusal("bad_frame", "This frame lies outside the picture. Please frame it again.")
    return value


def _angle(request: HttpRequest) -> int:
    """Whole degrees; a frame drawn by hand has none."""
    angle = int(request.POST["angle"]) if _is_number(request, "angle") else 0
    if abs(angle) > ANGLE_MAX:
        raise Refusal("bad_frame", "This frame is turned too far. Please frame it again.")
    return angle


def _is_number(request: HttpRequest, name: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,3}", request.POST.get(name, "")) is not None


def _own_upload(request: HttpRequest, id: uuid.UUID) -> Asset:
    own = Asset.objects.filter(owner=_sender(request), kind=Asset.Kind.UPLOAD)
    return get_object_or_404(own, id=id)


def _sender(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # sign_in_required let them in
    return request.user
