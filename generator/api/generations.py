"""Pictures and clips of people: every kind of request the workstation knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from billing.refusals import Refusal
from generator.api import asking, shown
from generator.api.auth import owner
from generator.api.own import GENERATE, answers
from generator.api.shown import JobOut, PersonBox
from generator.assets.models import Asset
from generator.engine.attributes import Attributes, InvalidAttribute
from generator.influencer.services import generate_faces
from generator.jobs import boxes, services
from generator.jobs.models import Generation
from generator.jobs.requests import CANDIDATES_MAX
from generator.portraits.models import PortraitModel

router = Router(tags=["generations"])
SEED_MAX = 2**32 - 1
ACCEPTED = answers(JobOut, 400, 402, 404, 409, 413, 422, status=202)
PICTURE = "An asset's id, a URL or base64."
BOXES = (
    "Where two people or more stand, one for each: portrait_model_id, and x, y, width, height as "
    "fractions of the picture, 0 to 1 from its upper left corner. Without them, in the prompt's "
    "order. What this studio's engine takes of them is in /options."
)


class Asked(Schema):
    """What every kind has."""

    portrait_model_ids: list[UUID] = Field([], max_length=CANDIDATES_MAX)
    prompt: str = Field("", description="People are named with [[id]] or @name.")
    negative_prompt: str = ""
    quality: str = "standard"
    seed: int | None = Field(None, ge=0, le=SEED_MAX)


class Several(Asked):
    count: int = 1
    best_of: int = Field(1, description="Drawn for each picture given; each is charged.")
    likeness_floor: int = Field(0, description="Pictures below are drawn again, or not charged.")


class ImageIn(Several):
    aspect_ratio: str = "auto"
    style: str = Field("", description="A style's id, see /styles.")
    boxes: list[PersonBox] = Field([], max_length=CANDIDATES_MAX, description=BOXES)
    pose: str = Field("", description=PICTURE)
    style_picture: str = Field("", description=PICTURE)


class VideoIn(Asked):
    seconds: int = 3
    aspect_ratio: str = "auto"
    style: str = ""
    image: str = Field("", description=f"Set this picture in motion. {PICTURE}")


class EditIn(Several):
    image: str = Field(description=PICTURE)
    mask: str = Field("", description=f"White may change. {PICTURE}")


class RestyleIn(Several):
    image: str = Field(description=PICTURE)
    style_picture: str = Field(description=PICTURE)


class VariationIn(Several):
    image: str = Field(description=PICTURE)


class EnhanceIn(Schema):
    image: str = Field(description=PICTURE)
    portrait_model_ids: list[UUID] = Field([], max_length=CANDIDATES_MAX)
    size_px: int = Field(1024, description="The height it becomes, see /options.")


class FaceIn(Schema):
    """The influencer generator's form."""

    gender: str = "woman"
    age: int = 25
    height_cm: int = 170
    weight_kg: int = 65
    country: str = Field("US", description="ISO 3166-1 alpha-2")
    country2: str = ""
    build: str = ""
    eyes: str = ""
    hair_style: str = ""
    hair_color: str = ""
    dimple: bool = False
    beard: bool = False
    suntan: bool = False
    details: str = ""
    count: int = 1


@router.post("/faces", auth=GENERATE, response=ACCEPTED, summary="Invent somebody")
def face_create(request: HttpRequest, body: FaceIn) -> Any:
    sent = body.dict()
    count = sent.pop("count")
    try:
        attributes = Attributes(**sent)
    except InvalidAttribute as error:
        raise Refusal("invalid", f"{error.field}: {error}") from error
    id, user = asking.new_id(request), owner(request)
    return _answer(request, lambda: generate_faces(user, id=id, attributes=attributes, count=count))


@router.post("/images", auth=GENERATE, response=ACCEPTED, summary="Draw people in a new picture")
def image_create(request: HttpRequest, body: ImageIn) -> Any:
    return _make(request, "image", body)


@router.post("/videos", auth=GENERATE, response=ACCEPTED, summary="Make a clip")
def video_create(request: HttpRequest, body: VideoIn) -> Any:
    return _make(request, "video", body)


@router.post("/edits", auth=GENERATE, response=ACCEPTED, summary="Change a picture by words")
def edit_create(request: HttpRequest, body: EditIn) -> Any:
    return _make(request, "edit", body)


@router.post("/enhancements", auth=GENERATE, response=ACCEPTED, summary="Enlarge and restore")
def enhancement_create(request: HttpRequest, body: EnhanceIn) -> Any:
    return _make(request, "enhance", body)


@router.post("/restyles", auth=GENERATE, response=ACCEPTED, summary="As another picture looks")
def restyle_create(request: HttpRequest, body: RestyleIn) -> Any:
    return _make(request, "restyle", body)


@router.post("/variations", auth=GENERATE, response=ACCEPTED, summary="The same, otherwise")
def variation_create(request: HttpRequest, body: VariationIn) -> Any:
    return _make(request, "vary", body)


def _make(request: HttpRequest, kind: str, body: Schema) -> Any:
    sent, user, id = body.dict(), owner(request), asking.new_id(request)
    people = _people(request, sent.pop("portrait_model_ids"))
    prompt = sent.pop("prompt", "")
    pictures = {"image": "source", "pose": "pose", "mask": "mask", "style_picture": "style_picture"}

    known = Generation.objects.filter(id=id, owner=user).first()
    if known is not None:
        return _answer(request, lambda: known)
    for name, field in pictures.items():
        if name in sent:
            cut = field in ("source", "pose")
            sent[field] = asking.picture(user, sent.pop(name), cut=cut)
    if "boxes" in sent:
        sent["boxes"] = boxes.of(boxes.pair(one) for one in sent["boxes"])
    return _answer(
        request,
        lambda: services.submit_generation(
            user, id=id, kind=kind, prompt=prompt, people=people, **sent
        ),
        lent=[sent.get(field) for field in pictures.values()],
    )


def _people(request: HttpRequest, ids: list[UUID]) -> list[PortraitModel]:
    """In the order they were named. Raises Refusal("not_found")."""
    usable = PortraitModel.objects.usable_by(owner(request)).in_bulk(ids)
    if len(usable) != len(set(ids)):
        raise Refusal("not_found", "There is no such model.", status=404)
    return [usable[id] for id in dict.fromkeys(ids)]


def _answer(request: HttpRequest, create: Any, *, lent: Sequence[Asset | None] = ()) -> Any:
    trial = asking.is_trial(request)
    told = asking.perform(request, create, lambda row: shown.job(row, is_trial=trial), lent=lent)
    return Status(202, told)
