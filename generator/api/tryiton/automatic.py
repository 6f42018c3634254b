"""After a training every chosen style is drawn once. Looked at by the sweeper, again and again.

Each picture has the id that follows from its training and style, so that asking twice is asking
once; what could not be paid now is asked for again a minute later.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from accounts import keys
from billing.refusals import Refusal
from generator.api.tryiton.models import Slot
from generator.api.tryiton.training import free
from generator.assets.models import Asset
from generator.jobs import services as jobs
from generator.jobs.models import Generation
from generator.photos import services as photos
from generator.portraits.models import PortraitModel
from generator.workstation.forms import as_uuid

log = logging.getLogger(__name__)

AT_ONCE = 50
AGAIN_AFTER = timedelta(minutes=1)
WAITS = {402, 409}  # credits, a full line: another day it will do
SET_NAME = "Chosen styles"


def generate_styles() -> None:
    """Of every slot whose training is done. Safe to run anywhere, any number of times."""
    pending = Slot.objects.filter(used_at__isnull=False, over_at__isnull=True)
    due = pending.filter(Q(look_at=None) | Q(look_at__lte=timezone.now()))
    there = PortraitModel.objects.all()
    trained = due.filter(learns_as__in=there.exclude(weights="").values("pk"))
    for slot in trained.select_related("owner", "key")[:AT_ONCE]:
        _draw(slot)
    for slot in due.exclude(learns_as__in=there.values("pk")).select_related("owner")[:AT_ONCE]:
        _look_at_photos(slot)


def generation_id(slot: Slot, style: str) -> uuid.UUID:
    assert slot.learns_as is not None  # used
    return uuid.uuid5(slot.learns_as, style)


def _draw(slot: Slot) -> None:
    assert slot.learns_as is not None  # used
    model = PortraitModel.objects.get(pk=slot.learns_as)
    problem = ""
    for style in slot.styles:
        if style in slot.asked:
            continue
        try:
            with keys.in_name_of(slot.key):
                _submit(slot, model, style)
            slot.asked[style] = ""
        except Refusal as refusal:
            if refusal.status in WAITS:
                problem = refusal.message
                break
            slot.asked[style] = refusal.message
    now = timezone.now()
    slot.problem = problem[:300]
    slot.look_at = now + AGAIN_AFTER if problem else None
    slot.over_at = None if problem else now
    slot.save(update_fields=["asked", "problem", "look_at", "over_at"])


def _submit(slot: Slot, model: PortraitModel, style: str) -> None:
    id, picture = as_uuid(style), None
    if id:
        picture = Asset.objects.live().filter(owner=slot.owner, pk=id).first()
        if picture is None:
            raise Refusal("not_found", "The uploaded style was deleted.", status=404)
    jobs.submit_generation(
        slot.owner,
        id=generation_id(slot, style),
        kind=Generation.Kind.IMAGE,
        prompt=slot.customizations,
        people=[model],
        style="" if picture else style,
        style_picture=picture,
        set_id=slot.learns_as,
        set_name=SET_NAME,
    )


def _look_at_photos(slot: Slot) -> None:
    """Photos that made no portrait model free the slot; one that was deleted is over."""
    assert slot.learns_as is not None  # used
    try:
        outlook = photos.status(slot.owner, slot.learns_as)
    except Refusal as refusal:
        outlook = photos.Status("INACTIVE", refusal.message)
    if outlook.state == "ERROR":
        log.info("%s: its photos made no portrait model", slot)
        free(slot, outlook.message)
    elif outlook.state == "INACTIVE":
        Slot.objects.filter(pk=slot.pk).update(over_at=timezone.now(), problem="It was deleted.")
