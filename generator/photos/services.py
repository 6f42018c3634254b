"""Asking for a portrait model made from several photos, and how far it has come."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery

from accounts import keys
from accounts.models import Consent
from billing import ledger
from billing.plans import cost, plan_named, plan_said
from billing.refusals import Refusal
from generator.assets import fetch
from generator.assets.models import Asset
from generator.assets.services import delete_assets
from generator.jobs import lifecycle
from generator.jobs import services as jobs
from generator.jobs.lifecycle import UNFINISHED, State
from generator.jobs.models import Training
from generator.photos.models import GIVEN_MAX, TAG_MAX, Photo, PhotoSet
from generator.portraits import services as portraits
from generator.portraits import surplus
from generator.portraits.models import PortraitModel
from generator.portraits.names import clean_description, clean_name

if TYPE_CHECKING:
    from accounts.models import User

PHOTOS_MAX = 50
GENDER_MAX = 40
# How many photos each tier may be asked for with; left out, the first that their number fits.
TIERS = {"instant": (1, PHOTOS_MAX), "fast": (5, 10), "standard": (10, PHOTOS_MAX)}
USUAL = {"instant": (1, 4), "fast": (5, 9), "standard": (10, PHOTOS_MAX)}
AT_ONCE = 100  # sets whose leftovers one look removes
# Asked for again and again: a model, its latest training, its plan and its photos at once.
_SETS = PhotoSet.objects.filter(pk=OuterRef("pk"), owner=OuterRef("owner"))
_MODELS = (
    PortraitModel.objects.annotate(before=surplus.BEFORE, summary=Subquery(_SETS.values("summary")))
    .order_by("-trainings__created_at")
    .values(
        "name", "weights", "before", "summary", "trainings__state", "trainings__done",
        "trainings__total", "trainings__error_message", "owner__subscription__plan",
        "owner__subscription__paid_until",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Status:
    state: str  # VALIDATING, QUEUING, IN_PROGRESS, READY, ERROR, INACTIVE
    message: str  # a sentence or two for whoever asked


def submit(
    user: User,
    *,
    id: uuid.UUID,
    name: str,
    images: Sequence[str],
    tier: str = "",
    gender: str = "",
    words: str = "",
    is_public: bool = False,
    consent: Consent | None,
    tag: str = "",
) -> PhotoSet:
    """Queue photos to become the portrait model `id`. The same `id` again is the same row.

    `images`: what `fetch.picture` takes; nothing is asked or decoded here. `gender` and `words`
    become the description, `consent` is not saved yet. Nothing is charged before there is a model.
    Raises Refusal: not_found, id_used, bad_images, bad_image, bad_tier, bad_tag, bad_gender,
    consent_missing, private_models, model_limit, insufficient_credits, concurrency and what
    `names` raises.
    """
    if existing := _existing(user, id):
        return existing
    kept_tier = _tier(tier, len(images))
    given = [_given(user, image, place) for place, image in enumerate(images, start=1)]
    wanted = PhotoSet(
        id=id,
        owner=user,
        name=clean_name(name),
        description=clean_description(", ".join(filter(None, [_short(gender), words.strip()]))),
        tag=_tag(tag),
        is_public=is_public,
        tier=kept_tier,
        is_tier_named=bool(tier),
        engine=settings.ENGINE_IMAGE,
        api_key=keys.acting(),
    )
    if consent is None:
        raise Refusal("consent_missing", portraits.CONSENT_MISSING)
    wanted.consent_kind, wanted.consent_text_version = consent.kind, consent.text_version
    try:
        with lifecycle.files_of_a_transaction() as written, transaction.atomic():
            subscription = ledger.locked(user)
            if existing := _existing(user, id):
                return existing
            plan = plan_named(subscription.plan)
            coming = PhotoSet.objects.filter(owner=user, state__in=UNFINISHED).count()
            portraits.check_cap(user, plan, coming=coming)
            portraits.check_privacy(plan, is_public=is_public)
            ledger.check_affordable(subscription, cost("training"))
            jobs.check_line(PhotoSet, subscription)
            wanted.save(force_insert=True)
            Photo.objects.bulk_create(
                _photo(wanted, place, one, written) for place, one in enumerate(given, start=1)
            )
            lifecycle.announce(wanted)
    except IntegrityError as error:  # two people chose one id at the same moment
        raise _unknown() from error
    return wanted


def status(user: User, id: uuid.UUID) -> Status:
    """Of a photo set or a portrait model of this person. Raises Refusal("not_found")."""
    if known := _MODELS.filter(pk=id, owner=user).first():
        return _of_model(known)
    photo_set = PhotoSet.objects.filter(pk=id, owner=user).first()
    if photo_set is None:
        raise _unknown()
    if photo_set.state in UNFINISHED:
        return Status("VALIDATING", "The photos are being looked at.")
    if photo_set.state == State.FAILED:
        return Status("ERROR", _joined(photo_set.error_message, photo_set.summary))
    if photo_set.state == State.CANCELED:
        return Status("ERROR", "This was canceled. Nothing was charged.")
    return Status("INACTIVE", "This model was deleted.")


def release(photo_set: PhotoSet) -> None:
    """Let go of what an ended set no longer needs: addresses, bytes, uploads.

    The upload that the model's own reference was cut from stays with it.
    """
    photos = list(photo_set.photos.select_related("upload"))
    names = [str(photo.file.name) for photo in photos if photo.file]
    uploads = Asset.objects.filter(pk__in=[photo.upload_id for photo in photos if photo.upload_id])
    with transaction.atomic():
        delete_assets(uploads.exclude(crops__portrait_model__isnull=False))
        photo_set.photos.update(file="", given="", upload=None)
        transaction.on_commit(lambda: _remove(names))


def release_ended() -> int:
    """The sets whose worker did not come to it. How many there were."""
    holding = Photo.objects.exclude(given="", file="", upload=None)
    ended_ones = PhotoSet.objects.exclude(state__in=UNFINISHED)
    ended = list(ended_ones.filter(pk__in=holding.values("photo_set"))[:AT_ONCE])
    for photo_set in ended:
        release(photo_set)
    return len(ended)


def _of_model(told: Mapping[str, Any]) -> Status:
    name, summary, before = told["name"], told["summary"] or "", told["before"] or 0
    plan = plan_said(told["owner__subscription__plan"], told["owner__subscription__paid_until"])
    if before and before >= plan.portrait_models:
        return Status("INACTIVE", f"{name} is beyond the models of the plan: read-only.")
    if told["weights"]:
        return Status("READY", _joined(f"{name} is ready.", summary))
    state = told["trainings__state"]
    if state is None or state == State.CANCELED:
        return Status("INACTIVE", f"The training of {name} was canceled. Train it again.")
    if state == State.QUEUED:
        return Status("QUEUING", _joined(f"{name} waits for its training.", summary))
    if state == State.RUNNING:
        training = Training(done=told["trainings__done"], total=told["trainings__total"])
        learning = f"{name} is being learned: {training.percent} %."
        return Status("IN_PROGRESS", _joined(learning, summary))
    return Status("ERROR", _joined(told["trainings__error_message"], summary))


def _existing(user: User, id: uuid.UUID) -> PhotoSet | None:
    found = PhotoSet.objects.filter(pk=id).first()
    model = PortraitModel.objects.filter(pk=id).first()
    if any(row is not None and row.owner_id != user.pk for row in (found, model)):
        raise _unknown()
    if found is None and model is not None:
        raise Refusal("id_used", "A model made another way has this id already.", status=409)
    return found


def _tier(named: str, count: int) -> str:
    if not 1 <= count <= PHOTOS_MAX:
        raise Refusal("bad_images", f"A model is made from 1 to {PHOTOS_MAX} photos, not {count}.")
    if not named:
        return next(tier for tier, (_, most) in USUAL.items() if count <= most)
    if named not in TIERS:
        raise Refusal("bad_tier", f"There is no tier “{named[:20]}”: {', '.join(TIERS)}.")
    least, most = TIERS[named]
    if not least <= count <= most:
        raise Refusal(
            "bad_images", f"The tier “{named}” takes {least} to {most} photos, and {count} came."
        )
    return named


def _given(user: User, image: str, place: int) -> str | bytes:
    """An address as it is; a picture in base64 as the bytes it stands for."""
    if not image.strip():
        raise Refusal("bad_image", f"Photo {place} is neither an address nor a picture in base64.")
    if "\x00" in image or any(0xD800 <= ord(letter) <= 0xDFFF for letter in image[:GIVEN_MAX]):
        raise Refusal("bad_image", f"Photo {place} contains a character that cannot be stored.")
    image = image.strip()
    if len(image) <= GIVEN_MAX:
        return image
    if image[:8].lower().startswith(("http://", "https://")):
        raise Refusal("bad_url", f"Photo {place}: the address is too long.", status=400)
    return fetch.picture(user, image)


def _photo(wanted: PhotoSet, place: int, given: str | bytes, written: list[str]) -> Photo:
    if isinstance(given, str):
        return Photo(photo_set=wanted, place=place, given=given)
    written.append(default_storage.save(f"photos/{uuid.uuid4()}.bin", ContentFile(given)))
    return Photo(photo_set=wanted, place=place, file=written[-1])


def _remove(names: Sequence[str]) -> None:
    for name in names:
        default_storage.delete(name)


def _tag(tag: str) -> str:
    tag = jobs.clean_text(tag, "tag")
    if len(tag) > TAG_MAX:
        raise Refusal("bad_tag", f"The tag may have at most {TAG_MAX} characters.")
    return tag


def _short(gender: str) -> str:
    gender = jobs.clean_text(gender, "gender")
    if len(gender) > GENDER_MAX:
        raise Refusal("bad_gender", f"The gender may have at most {GENDER_MAX} characters.")
    return gender


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _unknown() -> Refusal:
    return Refusal("not_found", "There is no such model.", status=404)
