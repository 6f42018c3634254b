"""People the studio learns."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts import consent
from billing.refusals import Refusal
from generator.api import asking, shown
from generator.api.auth import owner
from generator.api.own import READ, TRAIN, Page, answers, page_of
from generator.api.shown import JobOut, PortraitModelOut, ViewOut
from generator.assets.models import Asset
from generator.portraits import services, sheets
from generator.portraits.models import PortraitModel
from generator.portraits.views import with_training
from generator.portraits.views_sheet import signed

router = Router(tags=["portrait models"])


class PortraitModelPage(Page):
    items: list[PortraitModelOut]


class PortraitModelIn(Schema):
    name: str = Field(description="1 to 32 characters.")
    image: str = Field(description="An asset's id, a URL or base64: one photo, or a drawn face.")
    description: str = ""
    is_public: bool = False
    consent: str = Field(
        "permission", description='Who is in it: "me", "permission" (you have it) or "invented".'
    )


class PortraitModelChanges(Schema):
    name: str | None = None
    description: str | None = None
    is_public: bool | None = None
    others_may_use: bool | None = None


class ViewPage(Page):
    items: list[ViewOut]


class RejectedViews(Schema):
    names: list[str] = Field(description="Of views that it was learnt from.")


@router.get(
    "/portrait-models",
    auth=READ,
    response=answers(PortraitModelPage, 422),
    summary="Own ones, newest first",
)
def portrait_model_list(request: HttpRequest) -> Any:
    rows = with_training(PortraitModel.objects.filter(owner=owner(request)))
    return page_of([shown.portrait_model(row) for row in rows], "")


@router.post(
    "/portrait-models",
    auth=TRAIN,
    response=answers(PortraitModelOut, 400, 402, 404, 409, 413, 422, status=201),
    summary="Learn somebody from one photo",
)
def portrait_model_create(request: HttpRequest, body: PortraitModelIn) -> Any:
    """The model and its training, charged once. Send `Idempotency-Key` to be able to repeat it."""
    user, id = owner(request), asking.new_id(request)

    known = PortraitModel.objects.filter(id=id, owner=user).first()
    reference = None if known else _reference(request, body.image)

    def create() -> PortraitModel:
        return known or services.create_portrait_model(
            user,
            id=id,
            name=body.name,
            description=body.description,
            is_public=body.is_public,
            reference=reference,
            consent=consent.given(user, kind=body.consent, text_version=consent.CURRENT),
        )

    def show(row: PortraitModel) -> Any:
        return shown.portrait_model(row, is_trial=asking.is_trial(request))

    return Status(201, asking.perform(request, create, show, lent=[reference]))


def _reference(request: HttpRequest, sent: str) -> Asset | None:
    picture = asking.picture(owner(request), sent, cut=True)
    if picture and picture.kind not in (Asset.Kind.REFERENCE, Asset.Kind.FACE):
        raise Refusal("bad_reference", "A model learns from a photo or a drawn face.")
    return picture


@router.get(
    "/portrait-models/{id}",
    auth=READ,
    response=answers(PortraitModelOut, 404, 422),
    summary="Own or public",
)
def portrait_model_detail(request: HttpRequest, id: UUID) -> Any:
    found = with_training(PortraitModel.objects.visible_to(owner(request)))
    row = get_object_or_404(found, id=id)
    return shown.portrait_model(row, own=row.owner_id == owner(request).pk)


@router.patch(
    "/portrait-models/{id}",
    auth=TRAIN,
    response=answers(PortraitModelOut, 400, 404, 409, 422),
    summary="Change",
)
def portrait_model_update(request: HttpRequest, id: UUID, body: PortraitModelChanges) -> Any:
    changes = {name: value for name, value in body.dict().items() if value is not None}
    row = _own(request, id)
    return shown.portrait_model(services.update_portrait_model(row, **changes) if changes else row)


@router.delete(
    "/portrait-models/{id}",
    auth=TRAIN,
    response=answers(None, 404, 422, status=204),
    summary="Delete with all its pictures",
)
def portrait_model_delete(request: HttpRequest, id: UUID) -> Any:
    services.delete_portrait_model(_own(request, id))
    return Status(204, None)


@router.post(
    "/portrait-models/{id}/trainings",
    auth=TRAIN,
    response=answers(JobOut, 402, 404, 409, 422, status=202),
    summary="Train again",
)
def training_create(request: HttpRequest, id: UUID) -> Any:
    row, training_id = _own(request, id), asking.new_id(request)
    trial = asking.is_trial(request)
    return Status(
        202,
        asking.perform(
            request,
            lambda: services.train_again(row, training_id=training_id),
            lambda made: shown.job(made, is_trial=trial),
        ),
    )


@router.get(
    "/portrait-models/{id}/views",
    auth=READ,
    response=answers(ViewPage, 404, 422),
    summary="What it was learnt from beside the photos",
)
def view_list(request: HttpRequest, id: UUID) -> Any:
    """Of own ones that an engine made views of; empty for all others."""
    row = _own(request, id)
    items = [
        {
            "name": view.name,
            "words": view.words,
            "likeness": view.likeness,
            "url": signed(row, view),
        }
        for view in sheets.views(row)
    ]
    return page_of(items, "")


@router.post(
    "/portrait-models/{id}/views/reject",
    auth=TRAIN,
    response=answers(JobOut, 402, 404, 409, 422, status=202),
    summary="Train with other views in place of some",
)
def view_reject(request: HttpRequest, id: UUID, body: RejectedViews) -> Any:
    """Charged as any training. Until it succeeds, and if it does not, the model stays as it is."""
    row, training_id = _own(request, id), asking.new_id(request)
    trial = asking.is_trial(request)
    return Status(
        202,
        asking.perform(
            request,
            lambda: sheets.reject_views(row, body.names, training_id=training_id),
            lambda made: shown.job(made, is_trial=trial),
        ),
    )


def _own(request: HttpRequest, id: UUID) -> PortraitModel:
    own = PortraitModel.objects.filter(owner=owner(request)).select_related("reference")
    return get_object_or_404(own, id=id)
