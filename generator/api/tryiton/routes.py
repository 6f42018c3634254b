"""The paths below `/api/key`, in the order a program asks for them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.templatetags.static import static
from ninja import File, Router
from ninja.files import UploadedFile

from generator.api import asking
from generator.api.auth import api_key, owner
from generator.api.base import with_headers
from generator.api.tryiton import pictures, results, slots, training
from generator.api.tryiton.models import Slot
from generator.api.tryiton.own import GENERATE, OURS, READ, TRAIN, answers, links
from generator.api.tryiton.schemas import (
    Gender,
    ModelOut,
    RecreateIn,
    RecreateOut,
    ResultsOut,
    StyleOut,
    TrainIn,
    TrainOut,
    UploadOut,
)
from generator.assets import links as addresses
from generator.assets.models import Asset
from generator.jobs.models import Generation
from generator.styles import catalogue

router = Router()


@router.get(
    "/models",
    auth=READ,
    response=answers(list[ModelOut]),
    tags=["training"],
    summary="Models, used ones first",
    description=f"As many unused ones as the plan has room for. {OURS}",
    openapi_extra=links(results_of={"parameters": {"modelId": "$response.body#/0/id"}}),
)
def models(request: HttpRequest) -> Any:
    found = slots.listed(owner(request))
    trained = slots.trained(found)
    return [
        {
            "id": str(slot.pk),
            "is_used": slot.used_at is not None,
            "is_trained": slot.pk in trained,
            "email_sent": False,
            "gender": slot.gender or None,
            "created_at": slot.created_at,
        }
        for slot in found
    ]


@router.get(
    "/styles",
    auth=READ,
    response=answers(list[StyleOut]),
    tags=["training"],
    summary="The styles of one gender",
    description=OURS,
)
def styles(request: HttpRequest, gender: Gender) -> Any:
    return [
        {
            "id": one.id,
            "name": one.title,
            "gender": one.gender,
            "previewUrl": settings.SITE_URL + static(one.preview),
        }
        for one in catalogue.of(gender)
    ]


@router.post(
    "/upload-image",
    auth=GENERATE,
    response=answers(UploadOut, 413, 415),
    tags=["training"],
    summary="Upload a photo or a style",
    description=f"JPEG, PNG, WebP, HEIC or AVIF as the multipart field `file`; kept for 24 hours "
    f"unless it is used. {OURS}",
    openapi_extra=links(
        train_model={
            "requestBody": {
                "styles": ["$response.body#/imageKey"],
                "imageUrls": ["$response.body#/imageUrl"],
            }
        },
        recreate={"requestBody": {"imageUrl": "$response.body#/imageUrl"}},
    ),
)
def upload_image(request: HttpRequest, file: File[UploadedFile]) -> Any:
    def show(row: Asset) -> dict[str, Any]:
        return {
            "status": "success",
            "imageUrl": addresses.signed(row),
            "imageKey": str(row.pk),
            "expiresAt": row.expires_at,
        }

    return asking.upload(request, file, show)


@router.post(
    "/train-model",
    auth=TRAIN,
    response=answers(TrainOut, 402, 404, 409, 413, 415),
    tags=["training"],
    summary="Train a model, once",
    openapi_extra=links(results_of={"parameters": {"modelId": "$response.body#/modelId"}}),
)
def train_model(request: HttpRequest, body: TrainIn) -> Any:
    """The training is charged when it begins, each style when it is drawn after it.

    A model that is used already is told with 409. With a plan whose models are all public, this
    one is public.
    """
    user, id = owner(request), asking.new_id(request)

    slot = slots.one(user, body.modelId)
    wanted = training.prepared(
        user,
        slot,
        id=id,
        gender=body.gender,
        styles=body.styles,
        customizations=body.customizations,
        image_urls=body.imageUrls,
    )

    def act() -> tuple[Slot, list[str]]:
        return training.start(user, api_key(request), slot, wanted, id=id)

    def show(made: tuple[Slot, list[str]]) -> dict[str, Any]:
        slot, warnings = made
        message = "The training has begun. Every style is drawn when it is done."
        told = {"status": "success", "message": message, "modelId": str(slot.pk)}
        return {**told, "warnings": warnings}

    return asking.perform(request, act, show, lent=wanted.photos)


@router.get(
    "/results",
    auth=READ,
    response=answers(ResultsOut, 404),
    tags=["pictures"],
    summary="The pictures of a model, as they come",
    description=OURS,
)
def results_of(request: HttpRequest, modelId: str) -> Any:
    return results.of_slot(slots.one(owner(request), modelId))


@router.post(
    "/recreate",
    auth=GENERATE,
    response=answers(RecreateOut, 402, 404, 409, 410, 413, 415),
    tags=["pictures"],
    summary="The same person with other clothes, hair or background",
    openapi_extra=links(
        picture={"parameters": {"id": "$response.body#/imageKeys/0"}},
        recreate={"requestBody": {"imageUrl": "$response.body#/imageUrls/0"}},
    ),
)
def recreate(request: HttpRequest, body: RecreateIn) -> Any:
    """Answers before the picture exists. It costs what an edit costs in the studio."""
    user, id = owner(request), asking.new_id(request)

    source = results.source(user, body.imageUrl.strip(), id=id)

    def act() -> Generation:
        return results.recreate(
            user, id=id, source=source, category=body.category, prompt=body.prompt
        )

    def show(made: Generation) -> dict[str, Any]:
        return {
            "status": "success",
            "message": "The picture is being made.",
            "imageUrls": [pictures.address(made)],
            "imageKeys": [str(made.pk)],
        }

    return asking.perform(request, act, show, lent=[source])


@router.get(
    "/pictures/{id}",
    auth=None,
    response=answers(bytes, 404, 410),
    tags=["pictures"],
    summary="A picture that was told before it existed",
    description=f"404 until it is there, 410 if it was not made; no key is asked for. {OURS}",
    url_name="picture",
)
def picture(request: HttpRequest, id: UUID, signature: str = "") -> HttpResponseBase:
    return with_headers(request, pictures.opened(request, id, signature))
