"""Profiles: portrait models as Phota's callers know them."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Router, Schema

from accounts import consent
from accounts.models import Consent
from billing.refusals import Refusal
from generator.api import asking
from generator.api.auth import owner
from generator.api.base import with_headers
from generator.api.phota.api import READ, TRAIN, answers
from generator.assets import intake
from generator.jobs import lifecycle
from generator.jobs.lifecycle import UNFINISHED, State
from generator.photos import services as photos
from generator.photos.models import PhotoSet
from generator.portraits import services as portraits
from generator.portraits.models import NAME_MAX, PortraitModel
from generator.workstation.forms import as_uuid

router = Router(tags=["profiles"])
IMAGES_MAX = 50
SOMEBODY = "Profile"


class ProfileIn(Schema):
    image_urls: list[str] = Field(
        min_length=1,
        max_length=IMAGES_MAX,
        description="1 to 50. fast: 5 to 10, standard: 10 to 50; instant, 1 to 4, is ours.",
    )
    training_tier: Literal["standard", "fast", "instant"] | None = Field(
        None, description="Left out, the number of images decides (ours)."
    )
    tag: str | None = Field(None, min_length=1, max_length=128)


class ProfileMade(Schema):
    profile_id: str


class ProfileIds(Schema):
    profiles: list[str] = Field(description="Newest first. The elements' shape is ours.")


class ProfileStatus(Schema):
    profile_id: str
    status: Literal["VALIDATING", "QUEUING", "IN_PROGRESS", "READY", "ERROR", "INACTIVE"]
    message: str


class ProfileGone(Schema):
    profile_id: str
    status: str


@router.post(
    "/profiles/add",
    auth=TRAIN,
    response=answers(ProfileMade, 400, 402, 409, 413, 422),
    summary="Train a profile",
)
def profile_add(request: HttpRequest, body: ProfileIn) -> Any:
    """The id comes at once; the photos are fetched, looked at and learnt from afterwards."""
    user, id = owner(request), asking.new_id(request)

    def submit() -> PhotoSet:
        return photos.submit(
            user,
            id=id,
            name=(body.tag or SOMEBODY)[:NAME_MAX],
            images=body.image_urls,
            tier=body.training_tier or "",
            tag=body.tag or "",
            is_public=False,
            consent=consent.given(user, kind=Consent.Kind.PERMISSION, text_version=consent.CURRENT),
        )

    return asking.perform(request, submit, lambda made: {"profile_id": str(made.pk)})


@router.get("/profiles/ids", auth=READ, response=answers(ProfileIds), summary="All profiles")
def profile_ids(request: HttpRequest) -> Any:
    user = owner(request)
    models = PortraitModel.objects.filter(owner=user).values_list("created_at", "pk")
    coming = PhotoSet.objects.filter(owner=user, state__in=[*UNFINISHED, State.FAILED])
    found = {pk: moment for moment, pk in [*coming.values_list("created_at", "pk"), *models]}
    return {"profiles": [str(pk) for pk in sorted(found, key=lambda pk: found[pk], reverse=True)]}


@router.get(
    "/profiles/{id}/status",
    auth=READ,
    response=answers(ProfileStatus, 404),
    summary="How far its training is",
)
def profile_status(request: HttpRequest, id: str) -> Any:
    known = _known(id)
    try:
        status = photos.status(owner(request), known)
    except (Refusal, Http404) as error:
        raise _unknown() from error
    return {"profile_id": str(known), "status": status.state, "message": status.message}


@router.get(
    "/profiles/{id}/profile_picture",
    auth=READ,
    response=answers(bytes, 404),
    summary="Its reference, a JPEG",
)
def profile_picture(request: HttpRequest, id: str) -> HttpResponse:
    with _own(request, id).reference.file.open("rb") as file:
        data = intake.convert(file.read(), "jpg", b"")
    return with_headers(request, HttpResponse(data, content_type="image/jpeg"))


@router.delete(
    "/profiles/{id}", auth=TRAIN, response=answers(ProfileGone, 404), summary="Delete for good"
)
def profile_delete(request: HttpRequest, id: str) -> Any:
    photo_set = PhotoSet.objects.filter(owner=owner(request), pk=_known(id)).first()
    model = PortraitModel.objects.filter(owner=owner(request), pk=_known(id)).first()
    if model is not None:
        portraits.delete_portrait_model(model)
    elif photo_set is not None and photo_set.state != State.SUCCEEDED:
        lifecycle.cancel_now(photo_set)
        photos.release(photo_set)
        photo_set.delete()
    else:
        raise _unknown()
    return {"profile_id": id, "status": "ok"}


def _own(request: HttpRequest, id: str) -> PortraitModel:
    own = PortraitModel.objects.filter(owner=owner(request)).select_related("reference")
    found = own.filter(pk=_known(id)).first()
    if found is None:
        raise _unknown()
    return found


def _known(id: str) -> UUID:
    """What is no id of ours is nobody's."""
    found = as_uuid(id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Refusal:
    return Refusal("profile_not_found", "There is no such profile.", status=404)
