"""Photos, styles and features of a person, checked and handed to a training."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accounts import consent
from accounts.models import ApiKey
from billing import ledger
from billing.plans import plan_named
from billing.refusals import Refusal
from generator.api import asking
from generator.api.tryiton.models import Slot
from generator.assets import fetch, links
from generator.assets.models import Asset, AssetQuerySet
from generator.assets.services import KEPT_UNUSED
from generator.jobs import blocked
from generator.jobs.services import clean_text
from generator.photos import services as photos
from generator.portraits.models import DESCRIPTION_MAX
from generator.styles import catalogue
from generator.workstation.forms import as_uuid

if TYPE_CHECKING:
    from accounts.models import User

SIDE = 640  # px of a photo as it should come
PHOTOS_MAX = 20  # as many as a training looks at
STYLES_MAX = 40
FETCH_S = 60.0  # for all photos from elsewhere: a program waits for the answer
UPLOADED = (Asset.Kind.UPLOAD, Asset.Kind.REFERENCE)
NEGATIVES = ("no ", "not ", "without ")
GENDER_ROOM = len("woman, ")  # a description begins with the gender


@dataclass(frozen=True)
class Wanted:
    """What was asked for, looked at and fetched."""

    gender: str
    styles: list[str]
    words: str = ""
    photos: list[Asset] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def prepared(
    user: User,
    slot: Slot,
    *,
    id: uuid.UUID,
    gender: str,
    styles: Sequence[str],
    customizations: str,
    image_urls: Sequence[str],
) -> Wanted:
    """The slow part. Raises Refusal: model_used, style_missing, bad_style, expired, bad_text,
    too_long, bad_images and what photos raise. Nothing is used where it does.
    """
    if slot.learns_as == id:
        return Wanted(gender, [])
    _check_unused(slot)
    wanted = _styles(user, gender, styles)
    words, warnings = features(customizations)
    found = _photos(user, image_urls)
    warnings += [line for number, one in enumerate(found, 1) if (line := _warning(number, one))]
    return Wanted(gender, wanted, words, found, warnings)


def start(
    user: User, key: ApiKey, slot: Slot, wanted: Wanted, *, id: uuid.UUID
) -> tuple[Slot, list[str]]:
    """The slot in use, and warnings about what was changed. The same `id` again changes nothing.

    Raises Refusal: model_used and what a portrait model raises. Nothing is charged or used then.
    """
    if slot.learns_as == id:
        return slot, []
    with transaction.atomic():
        plan = plan_named(ledger.locked(user).plan)
        slot = Slot.objects.get(pk=slot.pk)
        _check_unused(slot)
        photos.submit(
            user,
            id=id,
            name=f"{wanted.gender.title()} {str(slot.pk)[:8]}",
            images=[links.signed(picture) for picture in wanted.photos],
            gender=wanted.gender,
            words=wanted.words,
            is_public=not plan.private_models,
            consent=consent.given(user, kind="permission", text_version=consent.CURRENT),
        )
        keep(slot_styles(user, wanted.styles))
        slot.key, slot.gender, slot.styles = key, wanted.gender, wanted.styles
        slot.customizations = wanted.words
        slot.learns_as, slot.used_at, slot.problem, slot.asked = id, timezone.now(), "", {}
        slot.save()
    return slot, wanted.warnings


def free(slot: Slot, problem: str) -> None:
    """Its photos made no portrait model and cost nothing: it may be used again."""
    with transaction.atomic():
        ledger.locked(slot.owner)
        pictures = slot_styles(slot.owner, slot.styles)
        pictures.filter(expires_at__isnull=True).update(expires_at=timezone.now() + KEPT_UNUSED)
        Slot.objects.filter(pk=slot.pk, learns_as=slot.learns_as).update(
            used_at=None, learns_as=None, styles=[], problem=problem[:300]
        )


def features(sent: str) -> tuple[str, list[str]]:
    """ "thick beard, no glasses" as "thick beard", with a warning that says so.

    Raises Refusal: bad_text, content_blocked, too_long.
    """
    parts = [part for part in (one.strip() for one in clean_text(sent, "text").split(",")) if part]
    dropped = [part for part in parts if part.lower().startswith(NEGATIVES)]
    words = ", ".join(part for part in parts if part not in dropped)
    if len(words) > DESCRIPTION_MAX - GENDER_ROOM:
        most = DESCRIPTION_MAX - GENDER_ROOM
        raise Refusal("too_long", f"The customizations may have at most {most} characters.")
    blocked.check(words)  # now, so that no training is charged whose pictures would be refused
    return words, [
        f"“{part[:60]}” was left out: mention only what the person has." for part in dropped
    ]


def slot_styles(user: User, styles: Sequence[str]) -> AssetQuerySet:
    """The uploaded pictures among them."""
    ids = [id for id in map(as_uuid, styles) if id]
    return Asset.objects.filter(owner=user, pk__in=ids)


def keep(pictures: AssetQuerySet) -> None:
    """Used in time, so they stay until the style was drawn."""
    pictures.update(expires_at=None)


def uploaded(user: User, id: uuid.UUID, what: str) -> Asset:
    """A picture of upload-image. Raises Refusal: not_found, expired."""
    found = Asset.objects.live().filter(owner=user, kind__in=UPLOADED, pk=id).first()
    if found is None:
        words = f"{what} is no uploaded image of yours. They are deleted after 24 hours."
        raise Refusal("not_found", words, status=404)
    if found.expires_at and found.expires_at <= timezone.now():
        words = f"{what} was uploaded more than 24 hours ago. Upload it again."
        raise Refusal("expired", words, status=400)
    return found


def _check_unused(slot: Slot) -> None:
    if slot.used_at:
        words = "This model is used already: it is trained once. Choose one that is not used."
        raise Refusal("model_used", words, status=409)


def _styles(user: User, gender: str, sent: Sequence[str]) -> list[str]:
    """Each once, in the order they came."""
    styles = list(dict.fromkeys(one.strip() for one in sent))
    if not styles:
        raise Refusal("style_missing", "Please choose at least one style.")
    if len(styles) > STYLES_MAX:
        raise Refusal("too_many_styles", f"Choose at most {STYLES_MAX} styles.")
    for style in styles:
        if id := as_uuid(style):
            uploaded(user, id, f"The style {style}")
        elif style not in catalogue.styles() or catalogue.style(style).gender != gender:
            words = f"There is no style “{style[:40]}” for a {gender}. Ask for the styles first."
            raise Refusal("bad_style", words)
    return styles


def _photos(user: User, sent: Sequence[str]) -> list[Asset]:
    """Each as an upload: those from elsewhere are fetched now, so that their sizes are known."""
    if not 1 <= len(sent) <= PHOTOS_MAX:
        raise Refusal("bad_images", f"Send 1 to {PHOTOS_MAX} photos, not {len(sent)}.")
    until, found = time.monotonic() + FETCH_S, []
    for number, value in enumerate(sent, 1):
        if time.monotonic() > until:
            words = "The photos took too long to arrive. Use upload-image."
            raise Refusal("url_unreachable", words, status=400)
        try:
            found.append(_photo(user, value.strip(), f"Photo {number}"))
        except Refusal as refusal:
            lead = "" if refusal.message.startswith("Photo ") else f"Photo {number}: "
            raise Refusal(refusal.code, lead + refusal.message, status=refusal.status) from refusal
    return found


def _photo(user: User, value: str, what: str) -> Asset:
    if id := as_uuid(value):
        return uploaded(user, id, what)
    if fetch.is_own(value):
        asset = fetch.own_asset(user, value)
        if asset.owner_id == user.pk and asset.kind in UPLOADED:
            return uploaded(user, asset.pk, what)
    return asking.store(user, fetch.picture(user, value))


def _warning(number: int, picture: Asset) -> str:
    width, height = picture.width, picture.height
    if width != height:
        return (
            f"Photo {number} is {width} × {height}, not square: it is cropped to a square, which "
            "may cut off parts of the person."
        )
    if width != SIDE:
        return f"Photo {number} is {width} × {height}: it is scaled to {SIDE} × {SIDE}."
    return ""
