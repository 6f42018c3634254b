"""generate, edit, enhance, remix: one request, the pictures in the answer or in a job."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from billing.refusals import Refusal
from generator.api import asking
from generator.api.auth import owner
from generator.api.phota.api import GENERATE, READ, answers
from generator.api.phota.models import Callback
from generator.assets import intake, links
from generator.assets.models import Asset
from generator.engine import borrowing
from generator.jobs import lifecycle, services
from generator.jobs.models import PROMPT_MAX, Generation
from generator.portraits.mentions import REFERENCE
from generator.portraits.models import PortraitModel
from generator.templatetags.studio_tags import pictures as pictures_of
from generator.webhooks import services as webhooks
from generator.workstation import history
from generator.workstation.forms import as_uuid

router = Router(tags=["pictures"])
SIGNED_IN = "X-Phota-Signature"
LOOK_S = 0.25
# What their resolutions mean here: qualities of the engine.
QUALITIES = {"1K": "standard", "2K": "fine"}
MODELS = {  # their base models and the resolutions each has; all of them are the studio's engine
    "nb2": ("1K", "2K", "4K"), "gpt-image-2": ("1K", "2K", "4K"), "qwen-image-2": ("1K", "2K"),
    "flux-2": ("1K", "2K"), "reve": ("1K",),
}  # fmt: skip
UNUSED = (
    "Not used: image {numbers}. One image besides the first can lend clothes, background or light, "
    "where the prompt points at it: “in the clothes of image 2”."
)
Prompt = Annotated[str, Field(max_length=PROMPT_MAX)]


class Asked(Schema):
    """What every kind of picture request has."""

    output_format: Literal["png", "jpg"] = "png"
    response_mode: Literal["bytes", "urls"] = "bytes"
    is_async: bool = Field(False, alias="async", description="Needs response_mode urls.")
    callback_url: str | None = Field(None, max_length=2000, description="HTTPS; only with async.")
    client_request_id: str | None = Field(
        None, max_length=255, description="The same value is the same job, charged once."
    )


class Drawn(Asked):
    prompt: Prompt = ""
    num_output_images: int = Field(1, ge=1, le=4)
    aspect_ratio: Literal["auto", "1:1", "3:4", "4:3", "9:16", "16:9"] = "auto"
    resolution: Literal["1K", "2K", "4K"] = Field("1K", description="4K: not with this engine.")
    base_model: str = Field("nb2", description="Every name is drawn by the studio's engine.")
    quality: Literal["auto", "low", "medium", "high"] | None = Field(
        None, description="gpt-image-2 only."
    )


class GenerateIn(Drawn):
    model_config = {
        "json_schema_extra": {"examples": [{"prompt": "A photo of [[id]] at a dinner party"}]}
    }


class EditIn(Drawn):
    images: list[str] = Field(
        min_length=1,
        max_length=10,
        description="Base64 or URLs. The first one is edited; of the others, the one that the "
        "prompt points at lends what it is named for: “in the clothes of image 2”.",
    )
    profile_ids: list[str] = Field([], max_length=8)


class EnhanceIn(Asked):
    image: str
    prompt: Prompt = ""
    profile_ids: list[str] = Field([], max_length=8)
    num_output_images: int = Field(1, ge=1, le=4, description="1 with this engine.")


class RemixIn(Asked):
    input_image: str
    reference_image: str
    prompt: Prompt = ""
    profile_ids: list[str] = Field([], max_length=8)


class KnownSubjects(Schema):
    counts: dict[str, int] = Field(description="How often each profile was found in the pictures.")


class Pictures(Schema):
    images: list[str] = Field(description="Base64, in the mode bytes.")
    download_urls: list[str] = Field(description="Open for 24 hours, in the mode urls.")
    known_subjects: KnownSubjects
    warnings: list[str] = Field([], description="Ours: which images were not used.")


class JobHandle(Schema):
    """An accepted request."""

    job_id: str
    poll_url: str
    status: str = Field(description="Ours: queued, running, succeeded, failed or canceled.")


class EditHandle(JobHandle):
    warnings: list[str] = Field([], description="Ours: which images are not used.")


class JobStatus(Schema):
    """Authoritative over callbacks. The shape is ours."""

    job_id: str
    status: str
    result: Pictures | None = None
    error: dict[str, str] | None = None


class Secret(Schema):
    secret: str = Field(description=f"Signs {SIGNED_IN}: t=<unix>,v1=<hmac-sha256 of t.body>.")


MADE = answers(Pictures, 400, 402, 404, 409, 413, 422, 500, 504) | {202: JobHandle}
EDITED = {**MADE, 202: EditHandle}


@router.post("/generate", auth=GENERATE, response=MADE, summary="A new picture of profiles")
def generate(request: HttpRequest, body: GenerateIn) -> Any:
    """Profiles are named in the prompt, `[[id]]`; without one it shows nobody in particular."""
    people = _people(request, [], body.prompt)
    kind = "image" if people else "face"
    fields = _drawn(body)
    if kind == "face" and not body.prompt.strip():
        raise Refusal("prompt_missing", "Please write a prompt.", status=400)
    return _make(request, body, kind, people, **fields)


@router.post("/edit", auth=GENERATE, response=EDITED, summary="Change a picture by words")
def edit(request: HttpRequest, body: EditIn) -> Any:
    """People in the picture are matched with `profile_ids` and those named in the prompt."""
    people = _people(request, body.profile_ids, body.prompt)
    fields = _drawn(body)
    fields.pop("aspect_ratio")
    given = {"source": body.images[0]}
    if lender := borrowing.pointed_at(body.prompt, len(body.images)):
        given["style_picture"] = body.images[lender - 1]
    unused = [number for number in range(2, len(body.images) + 1) if number != lender]
    return _make(request, body, "edit", people, given, unused=unused, **fields)


@router.post("/enhance", auth=GENERATE, response=MADE, summary="Enlarge and restore")
def enhance(request: HttpRequest, body: EnhanceIn) -> Any:
    if body.num_output_images > 1:
        raise Refusal("invalid", "This studio enhances a picture once per request.", status=400)
    people = _people(request, body.profile_ids, body.prompt)
    return _make(request, body, "enhance", people, {"source": body.image}, size_px=1024)


@router.post("/remix", auth=GENERATE, response=MADE, summary="In another picture's style")
def remix(request: HttpRequest, body: RemixIn) -> Any:
    people = _people(request, body.profile_ids, body.prompt)
    given = {"source": body.input_image, "style_picture": body.reference_image}
    return _make(request, body, "restyle", people, given, prompt=body.prompt)


@router.get("/jobs/{id}", auth=READ, response=answers(JobStatus, 404), summary="An async job")
def job(request: HttpRequest, id: str) -> Any:
    known = as_uuid(id)
    rows = history.rows(owner(request))
    found = rows.filter(id=known).first() if known else None
    if found is None:
        raise Refusal("job_not_found", "There is no such job.", status=404)
    return told(found)


@router.get("/webhook-secret", auth=READ, response=answers(Secret), summary="Signs callbacks")
def webhook_secret(request: HttpRequest) -> Any:
    return {"secret": webhooks.secret_of(owner(request))}


# --- asking ------------------------------------------------------------------
def _drawn(body: Drawn) -> dict[str, Any]:
    """Raises Refusal where their own service answers 400."""
    if body.base_model not in MODELS:
        raise Refusal("invalid_base_model", "There is no such base_model.", status=400)
    if body.resolution not in MODELS[body.base_model]:
        words = f"{body.base_model} has {', '.join(MODELS[body.base_model])}."
        raise Refusal("invalid_resolution", words, status=400)
    if body.quality is not None and body.base_model != "gpt-image-2":
        raise Refusal("invalid_quality", "quality is for gpt-image-2 only.", status=400)
    if body.resolution not in QUALITIES:
        words = "This studio's engine draws 1K and 2K."
        raise Refusal("invalid_resolution", words, status=400)
    return {
        "prompt": body.prompt,
        "count": body.num_output_images,
        "aspect_ratio": body.aspect_ratio,
        "quality": QUALITIES[body.resolution],
    }


def _people(request: HttpRequest, ids: Sequence[str], prompt: str) -> list[PortraitModel]:
    """Those of the field and those named in the prompt. Raises Refusal: 404, not ready: 400."""
    wanted = list(dict.fromkeys([*ids, *REFERENCE.findall(prompt)]))
    known = [as_uuid(id) for id in wanted]
    own = PortraitModel.objects.filter(owner=owner(request))
    found = own.in_bulk([id for id in known if id])
    if any(id is None or id not in found for id in known):
        raise Refusal("profile_not_found", "There is no such profile.", status=404)
    people = [found[id] for id in known if id]
    for one in people:
        if not one.is_ready:
            words = f"The profile {one.pk} is not ready."
            raise Refusal("profile_not_ready", words, status=400)
    return people


def _make(
    request: HttpRequest,
    body: Asked,
    kind: str,
    people: list[PortraitModel],
    given: dict[str, str] | None = None,
    *,
    unused: Sequence[int] = (),
    **fields: Any,
) -> Any:
    warnings = [UNUSED.format(numbers=", ".join(map(str, unused)))] if unused else []
    if body.is_async and body.response_mode != "urls":
        raise Refusal("invalid", "async needs response_mode urls.", status=400)
    if body.callback_url and not body.is_async:
        raise Refusal("invalid", "callback_url needs async.", status=400)
    if body.callback_url:
        _check_callback(body.callback_url)
    user, id = owner(request), asking.new_id(request, key=body.client_request_id or None)
    prompt = fields.pop("prompt", "")

    known = Generation.objects.filter(id=id, owner=user).first()
    lent = {
        name: asking.picture(user, sent, cut=name == "source")
        for name, sent in ({} if known else given or {}).items()
    }

    def create() -> Generation:
        if known:
            return known
        made = services.submit_generation(
            user, id=id, kind=kind, prompt=prompt, people=people, **{**fields, **lent}
        )
        Callback.objects.get_or_create(
            generation=made,
            defaults={
                "url": body.callback_url or "",
                "format": body.output_format,
            },
        )
        return made

    if asking.is_trial(request):
        asking.perform(request, create, lambda row: row.pk, lent=lent.values())
        told = _result_of([], body.response_mode, body.output_format)
        return {**told, "warnings": warnings}
    made: Generation = asking.perform(request, create, lambda row: row)
    if body.is_async:
        handle = {"job_id": str(id), "poll_url": _poll_url(id), "status": made.state}
        return Status(202, {**handle, "warnings": warnings})
    return {**_waited(made, body), "warnings": warnings}


def _check_callback(url: str) -> None:
    try:
        webhooks.check_address(url)
    except Refusal as refusal:
        raise Refusal("invalid_callback_url", refusal.message, status=400) from refusal


def _waited(made: Generation, body: Asked) -> Any:
    """The finished pictures; 504 with the credits back once it took too long."""
    until = time.monotonic() + settings.API_WAIT_S
    while time.monotonic() < until:
        if (found := _finished(made, body)) is not None:
            return found
        time.sleep(LOOK_S)
    if lifecycle.cancel_now(made):
        words = "This took too long. Nothing was charged; ask again with async."
        raise Refusal("timeout", words, status=504)
    return _finished(made, body)  # it ended in the last moment, and is charged


def _finished(made: Generation, body: Asked) -> Any:
    """The pictures, or None while they are being made. Raises Refusal where there will be none."""
    row = history.rows(made.owner).filter(pk=made.pk).first()
    if row is None or row.state == "canceled":
        raise Refusal("canceled", "The request was canceled. Nothing was charged.", status=409)
    if row.state == "failed":
        words = f"{row.error_message} Nothing was charged."
        raise Refusal("generation_failed", words, status=500)
    if row.state != "succeeded":
        return None
    return _result_of(pictures_of(row), body.response_mode, body.output_format)


def _poll_url(id: UUID) -> str:
    return f"{settings.SITE_URL}/v1/phota/jobs/{id}"


# --- answering ---------------------------------------------------------------
def told(row: Generation) -> dict[str, Any]:
    """A job as `GET /jobs/{id}` and its callback say it."""
    asked = Callback.objects.filter(generation=row).first() or Callback()
    result = error = None
    if row.state == "succeeded":
        result = _result_of(pictures_of(row), "urls", asked.format)
    elif row.error_code:
        error = {"code": row.error_code.upper(), "detail": row.error_message}
    return {"job_id": str(row.pk), "status": row.state, "result": result, "error": error}


def _result_of(assets: list[Asset], mode: str, format: str) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for asset in assets:
        for face in asset.measures.get("faces", []):
            if not face["missing"]:
                counts[face["model"]] = counts.get(face["model"], 0) + 1
    urls = [f"{links.signed(one)}{'&download=jpg' * (format == 'jpg')}" for one in assets]
    return {
        "images": [_encoded(one, format) for one in assets] if mode == "bytes" else [],
        "download_urls": urls if mode == "urls" else [],
        "known_subjects": {"counts": counts},
    }


def _encoded(asset: Asset, format: str) -> str:
    with asset.file.open("rb") as file:
        data = file.read()
    if format == "jpg":
        data = intake.convert(data, "jpg", b"")
    return base64.b64encode(data).decode()
