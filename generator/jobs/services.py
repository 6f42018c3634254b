"""Asking for pictures and trainings, and changing one's mind.

Everything a person spends is decided in one transaction under their subscription's lock.
"""

from __future__ import annotations

import secrets
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from billing import ledger
from billing.models import Subscription
from billing.plans import cost, plan_named
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.assets.services import KEPT_UNUSED, delete_assets, unused
from generator.jobs import blocked, lifecycle, requests
from generator.jobs.boxes import Boxes
from generator.jobs.models import PROMPT_MAX, Appearance, Generation, Training
from generator.portraits import mentions, surplus
from generator.portraits.models import PortraitModel

if TYPE_CHECKING:
    from accounts.models import User

SEED_MAX = 2**32  # what every engine's random generator takes
# What a generation asks for beside its kind, prompt and people: drawn again, it is the same.
SAME = (
    "negative_prompt", "attributes", "count", "seed", "pose", "source", "mask", "style_picture",
    "style", "aspect_ratio", "quality", "seconds", "size_px", "best_of", "likeness_floor",
)  # fmt: skip


def submit_generation(
    user: User,
    *,
    id: uuid.UUID,
    kind: str,
    prompt: str,
    portrait_model: PortraitModel | None = None,
    people: Sequence[PortraitModel] = (),
    boxes: Boxes | None = None,
    **fields: Any,
) -> Generation:
    """Charge for pictures or a clip and queue them. The same `id` again is the same generation.

    Whom they show: those named in the prompt, else `people` (or the one `portrait_model`);
    `boxes` say where each of them stands.
    `fields` are those of the row: count, seed (None: any), negative_prompt, attributes, source,
    pose, mask, style_picture, style, aspect_ratio, quality, seconds, size_px, best_of,
    likeness_floor.

    Raises Refusal: not_found, bad_kind, prompt_missing, prompt_too_long, bad_text,
    content_blocked, named_too_often, bad_count, bad_best_of, bad_floor, bad_quality,
    bad_aspect_ratio, bad_size, bad_seconds, bad_style, bad_source, bad_boxes, boxes_unsupported,
    source_missing, style_missing, too_many_people, advanced_settings, max_px, model_not_ready,
    insufficient_credits.
    """
    picked = list(people) or ([portrait_model] if portrait_model else [])
    try:
        with transaction.atomic():
            subscription = ledger.locked(user)
            existing = Generation.objects.filter(id=id).first()
            if existing:
                return _own(existing, user)
            return submit_locked(
                subscription,
                id=id,
                kind=kind,
                prompt=prompt,
                picked=picked,
                boxes=boxes,
                **fields,
            )
    except IntegrityError as error:  # two people chose one id at the same moment
        raise _unknown() from error


def submit_locked(
    subscription: Subscription,
    *,
    id: uuid.UUID,
    kind: str,
    prompt: str,
    picked: Sequence[PortraitModel],
    seed: int | None = None,
    negative_prompt: str = "",
    boxes: Boxes | None = None,
    **fields: Any,
) -> Generation:
    """One generation in the caller's transaction, under the subscription's lock."""
    user = subscription.user
    typed = clean_text(prompt, "prompt")
    if len(typed) > PROMPT_MAX:
        raise Refusal(
            "prompt_too_long", f"The prompt is longer than {PROMPT_MAX:,} characters. Shorten it."
        )
    blocked.check(typed)
    kept, people = mentions.resolve(user, typed, picked) if kind != "face" else (typed, [])
    if kind in requests.RECOGNISED:  # who is named comes first, the others may be in it as well
        people += [one for one in picked if one not in people]
    wanted = Generation(
        id=id,
        owner=user,
        kind=_kind(kind),
        prompt=kept,
        negative_prompt=clean_text(negative_prompt, "negative prompt"),
        portrait_model=people[0] if people else None,
        seed=secrets.randbelow(SEED_MAX) if seed is None else seed % SEED_MAX,
        engine=settings.ENGINE_IMAGE,
        **fields,
    )
    wanted.attributes = wanted.attributes or {}
    requests.check(wanted, people, plan_named(subscription.plan), boxes or {})
    wanted.recipe = requests.recipe(wanted)
    wanted.charged = requests.price(
        kind,
        count=wanted.count,
        best_of=wanted.best_of,
        seconds=wanted.seconds,
        quality=wanted.quality,
    )
    check_line(Generation, subscription)
    _charge(subscription, wanted, f"{_what(wanted)}: {mentions.shown(kept, people)[:80]}")
    wanted.save(force_insert=True)
    Appearance.objects.bulk_create(
        Appearance(
            generation=wanted,
            portrait_model=one,
            place=at,
            weights_sha256=one.weights_sha256,
            box=(boxes or {}).get(one.pk),
        )
        for at, one in enumerate(people)
    )
    keep_pictures(wanted)
    lifecycle.announce(wanted)
    return wanted


def known_training(portrait_model: PortraitModel, *, id: uuid.UUID) -> Training | None:
    """What a second click meets: the training of this id, else the one that is not over.

    Raises Refusal("not_found") where another portrait model was trained under this id.
    """
    known = Training.objects.filter(id=id).first()
    if known is None:
        return portrait_model.trainings.filter(state__in=lifecycle.UNFINISHED).first()
    if known.portrait_model_id != portrait_model.pk:
        raise Refusal("not_found", "There is no such training.", status=404)
    return known


def start_training(
    portrait_model: PortraitModel,
    *,
    id: uuid.UUID,
    subscription: Subscription,
    tier: str = "trained",
    rejected_views: Sequence[str] = (),
) -> Training:
    """Charge for and queue a training, in the caller's transaction and under its lock."""
    surplus.check_usable(portrait_model, portrait_model.owner)
    if portrait_model.trainings.filter(state__in=lifecycle.UNFINISHED).exists():
        raise Refusal("training_unfinished", "This model is being trained already.", status=409)
    training = Training(
        id=id,
        owner_id=portrait_model.owner_id,
        portrait_model=portrait_model,
        tier=tier,
        rejected_views=list(rejected_views),
        seed=secrets.randbelow(SEED_MAX),
        engine=settings.ENGINE_IMAGE,
        charged=cost("training"),
    )
    check_line(Training, subscription)
    _charge(subscription, training, f"Training of {portrait_model.name}")
    training.save(force_insert=True)
    lifecycle.announce(training)
    return training


def cancel(job: lifecycle.AnyJob) -> None:
    """Stop a job; its credits are returned. A finished one stays as it is."""
    lifecycle.cancel(job)


def cancel_all(portrait_model: PortraitModel) -> None:
    """Before a portrait model is deleted: its jobs are over and refunded now."""
    for training in portrait_model.trainings.all():
        lifecycle.cancel_now(training)
        forget_training(training.pk)
    for generation in generations_of(portrait_model).filter(state__in=lifecycle.UNFINISHED):
        lifecycle.cancel_now(generation)


def delete_generation(generation: Generation) -> None:
    """The pictures, their files and the row go; an unfinished one is canceled first."""
    with transaction.atomic():
        lifecycle.cancel_now(generation)
        release_pictures(generation)
        delete_assets(Asset.objects.filter(generation=generation))
        generation.delete()


def generations_of(portrait_model: PortraitModel) -> QuerySet[Generation]:
    """Everything that shows this person, alone or among others."""
    return Generation.objects.filter(appearances__portrait_model=portrait_model)


def recreate(generation: Generation, *, id: uuid.UUID, picture: Asset | None = None) -> Generation:
    """The same request with the same seed: the same pixels, as a generation of its own.

    `picture`: only that one of it, drawn with its own seed. Raises Refusal("source_gone") where
    a picture that it started from was deleted, and what `submit_generation` raises.
    """
    if generation.kind in requests.FROM_A_PICTURE and generation.source is None:
        raise Refusal("source_gone", "The picture that this was made from was deleted.", status=409)
    same = {name: getattr(generation, name) for name in SAME}
    if picture is not None:
        same |= {"count": 1, "best_of": 1, "likeness_floor": 0, "seed": picture.seed}
    shown = list(generation.appearances.select_related("portrait_model"))
    return submit_generation(
        generation.owner,
        id=id,
        kind=generation.kind,
        prompt=generation.prompt,
        people=[one.portrait_model for one in shown],
        boxes={one.portrait_model_id: one.box for one in shown if one.box},
        **same,
    )


def release_pictures(generation: Generation) -> None:
    """Before a generation goes: uploads that only it looked at have a last day again."""
    for picture in _looked_at(generation):
        if (
            picture.kind in (Asset.Kind.UPLOAD, Asset.Kind.REFERENCE)
            and not looked_at(picture).exclude(pk=generation.pk).exists()
        ):
            expires = timezone.now() + KEPT_UNUSED
            unused(Asset.objects.filter(pk=picture.pk)).update(expires_at=expires)


def looked_at(picture: Asset) -> QuerySet[Generation]:
    """The generations that start from a picture or borrow something of it."""
    by = Q(source=picture) | Q(pose=picture) | Q(mask=picture) | Q(style_picture=picture)
    return Generation.objects.filter(by)


def _looked_at(generation: Generation) -> list[Asset]:
    given = (generation.source, generation.pose, generation.mask, generation.style_picture)
    return [picture for picture in given if picture]


def keep_pictures(generation: Generation) -> None:
    """What a generation looks at stays for as long as it does: uploads have a last day."""
    ids = [picture.pk for picture in _looked_at(generation)]
    if ids:
        Asset.objects.filter(pk__in=ids, expires_at__isnull=False).update(expires_at=None)


def resume_folder(training_id: uuid.UUID | str) -> Path:
    """Where a training keeps its checkpoint, across attempts and workers of one machine."""
    return Path(settings.VAR_DIR) / "trainings" / str(training_id)


def forget_training(training_id: uuid.UUID | str) -> None:
    shutil.rmtree(resume_folder(training_id), ignore_errors=True)


def clean_text(text: str, what: str) -> str:
    """Text every database and engine takes: no NUL, no half of a surrogate pair."""
    text = text.strip()
    if "\x00" in text or any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        raise Refusal("bad_text", f"The {what} contains a character that cannot be stored.")
    return text


def _kind(kind: str) -> str:
    if kind not in Generation.Kind.values:
        raise Refusal("bad_kind", "There is no such kind of picture.")
    return kind


def _what(wanted: Generation) -> str:
    """ "3 pictures", "A clip of 4 s": the first words of a statement's line."""
    if wanted.kind == Generation.Kind.VIDEO:
        return f"A clip of {wanted.seconds} s"
    if wanted.kind in (Generation.Kind.FACE, Generation.Kind.IMAGE):
        return f"{wanted.count} {'picture' if wanted.count == 1 else 'pictures'}"
    return {"edit": "Edit", "enhance": "Enlargement", "restyle": "Restyling", "vary": "Variations"}[
        wanted.kind
    ]


def check_line(noun: lifecycle.AnyModel, subscription: Subscription) -> None:
    """Raises Refusal("concurrency") where the person's own line is full."""
    plan = plan_named(subscription.plan)
    unfinished = noun._default_manager.filter(
        owner=subscription.user_id, state__in=lifecycle.UNFINISHED
    )
    if unfinished.count() < plan.concurrency + plan.waiting:
        return
    raise Refusal(
        "concurrency",
        f"On the {plan.title} plan {plan.concurrency} can run at a time and {plan.waiting} wait in "
        "line, and your line is full. Wait for one to end, or upgrade. Nothing was charged.",
        status=409,
    )


def _charge(subscription: Subscription, job: Training | Generation, reason: str) -> None:
    ledger.charge(subscription, job.charged, key=f"{lifecycle.key(job)}:charge", reason=reason)


def _own(existing: Generation, user: User) -> Generation:
    if existing.owner_id != user.pk:
        raise _unknown()
    return existing


def _unknown() -> Refusal:
    return Refusal("not_found", "There is no such picture.", status=404)
