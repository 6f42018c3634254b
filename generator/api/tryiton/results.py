"""What came of a model: one picture for each style; and pictures made anew from a picture."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from billing.refusals import Refusal
from generator.api import asking
from generator.api.tryiton import pictures
from generator.api.tryiton.automatic import generation_id
from generator.api.tryiton.models import Slot
from generator.assets import fetch, links
from generator.assets.models import Asset
from generator.jobs import services as jobs
from generator.jobs.lifecycle import State
from generator.jobs.models import Generation
from generator.photos import services as photos
from generator.portraits.models import PortraitModel
from generator.workstation.forms import as_uuid

if TYPE_CHECKING:
    from accounts.models import User

# The engine hears what is spoken of and keeps everything else of the picture.
INSTRUCTIONS = {
    "fullMakeover": "wearing new clothes, new hair, new background: {prompt}",
    "background": "change the background to {prompt}",
    "clothes": "wearing {prompt}",
    "hair": "change the hair to {prompt}",
}
STATUS = {State.SUCCEEDED: "success", State.FAILED: "error", State.CANCELED: "error"}


def of_slot(slot: Slot) -> dict[str, Any]:
    """Every style with its picture or why there is none, and how far it is altogether."""
    images = _images(slot) if slot.learns_as else []
    there = [one for one in images if one["imageUrl"]]
    status, message = _outlook(slot, images)
    return {
        "status": status,
        "message": message,
        "modelId": str(slot.pk),
        "imageUrls": [one["imageUrl"] for one in there],
        "imageKeys": [one["imageKey"] for one in there],
        "images": images,
    }


def recreate(
    user: User, *, id: uuid.UUID, source: Asset | None, category: str, prompt: str
) -> Generation:
    """An edit of the picture in which the people it was made with are kept. Raises Refusal."""
    if known := Generation.objects.filter(pk=id, owner=user).first():
        return known
    words = jobs.clean_text(prompt, "prompt")
    if not words:
        raise Refusal("prompt_missing", "Please write what should change.")
    assert source is not None  # there is no such generation yet
    return jobs.submit_generation(
        user,
        id=id,
        kind=Generation.Kind.EDIT,
        prompt=INSTRUCTIONS[category].format(prompt=words),
        people=_people(user, source),
        source=source,
    )


def _images(slot: Slot) -> list[dict[str, Any]]:
    ids = {style: generation_id(slot, style) for style in slot.styles}
    found = Generation.objects.filter(owner=slot.owner, deleted_at=None).in_bulk([*ids.values()])
    drawn = Asset.objects.live().filter(generation__in=found, index=0)
    by_generation = {asset.generation_id: asset for asset in drawn}
    return [_image(slot, style, found.get(id), by_generation.get(id)) for style, id in ids.items()]


def _image(
    slot: Slot, style: str, generation: Generation | None, drawn: Asset | None
) -> dict[str, Any]:
    if drawn is not None:
        url, key = links.signed(drawn), str(drawn.pk)
        return {"style": style, "status": "success", "imageUrl": url, "imageKey": key}
    nothing = {"style": style, "imageUrl": None, "imageKey": None}
    if generation is not None:
        if generation.state == State.SUCCEEDED:
            return {**nothing, "status": "error", "message": "It was deleted."}
        status = STATUS.get(State(generation.state), "processing")
        return {**nothing, "status": status, "message": generation.error_message}
    if style in slot.asked:
        return {**nothing, "status": "error", "message": slot.asked[style] or "It was deleted."}
    return {**nothing, "status": "waiting"}


def _outlook(slot: Slot, images: list[dict[str, Any]]) -> tuple[str, str]:
    if slot.learns_as is None:
        return ("error", slot.problem) if slot.problem else ("waiting", "It is not trained yet.")
    if slot.over_at and not slot.asked:  # deleted before anything was drawn
        return "error", slot.problem
    if slot.over_at and all(one["status"] in ("success", "error") for one in images):
        made = sum(one["status"] == "success" for one in images)
        return ("success" if made else "error"), f"{made} of {len(images)} pictures were made."
    if slot.problem:
        return "processing", slot.problem
    if slot.asked:
        return "processing", "The pictures are being made."
    try:
        told = photos.status(slot.owner, slot.learns_as)
    except Refusal as refusal:
        return "error", refusal.message
    return ("error" if told.state in ("ERROR", "INACTIVE") else "processing"), told.message


def source(user: User, value: str, *, id: uuid.UUID) -> Asset | None:
    """A key, an address of ours, or a picture from elsewhere; None where `id` was asked before."""
    if Generation.objects.filter(pk=id, owner=user).exists():
        return None
    if named := pictures.named(value):
        generation = Generation.objects.filter(pk=named, owner=user).first()
        if generation is None:
            raise Refusal("not_found", "There is no such picture.", status=404)
        return pictures.first(generation)
    if not as_uuid(value) and fetch.is_own(value):
        asset = fetch.own_asset(user, value)
        value = str(asset.pk) if asset.owner_id == user.pk else value
    if named := as_uuid(value):
        generation = Generation.objects.filter(pk=named, owner=user).first()
        if generation is not None:  # the key of a picture that was told before it was there
            return pictures.first(generation)
    found = asking.picture(user, value)
    if found is None:
        raise Refusal("source_missing", "Please send a picture.")
    return found


def _people(user: User, source: Asset) -> list[PortraitModel]:
    """Who was asked for in it and may still be used."""
    if source.generation_id is None:
        return []
    usable = PortraitModel.objects.usable_by(user).exclude(weights="")
    shown = usable.filter(appearances__generation=source.generation_id)
    return list(shown.order_by("appearances__place"))
