"""Asking for pictures and trainings, and changing one's mind.

Everything a person spends is decided in one transaction under their subscription's lock.
"""

from __future__ import annotations

import secrets
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction

from billing import ledger
from billing.models import Subscription
from billing.plans import Plan, cost, plan_named
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.assets.services import delete_assets
from generator.jobs import lifecycle
from generator.jobs.models import PROMPT_MAX, Generation, Training
from generator.portraits import surplus
from generator.portraits.models import PortraitModel

if TYPE_CHECKING:
    from accounts.models import User

SEED_MAX = 2**32  # what every engine's random generator takes


def submit_generation(
    user: User,
    *,
    id: uuid.UUID,
    kind: str,
    prompt: str,
    negative_prompt: str = "",
    portrait_model: PortraitModel | None = None,
    attributes: dict[str, Any] | None = None,
    count: int = 1,
    seed: int | None = None,
    pose: Asset | None = None,
) -> Generation:
    """Charge for `count` pictures and queue them. The same `id` again is the same generation.

    Raises Refusal: not_found, prompt_missing, prompt_too_long, bad_text, bad_count,
    advanced_settings, model_not_ready, insufficient_credits.
    """
    try:
        with transaction.atomic():
            subscription = ledger.locked(user)
            existing = Generation.objects.filter(id=id).first()
            if existing:
                return _own(existing, user)
            wanted = Generation(
                id=id,
                owner=user,
                kind=_kind(kind),
                prompt=_text(prompt, "prompt"),
                negative_prompt=_text(negative_prompt, "negative prompt", may_be_empty=True),
                portrait_model=portrait_model,
                attributes=attributes or {},
                count=count,
                seed=secrets.randbelow(SEED_MAX) if seed is None else seed % SEED_MAX,
                pose=pose,
                engine=settings.ENGINE_IMAGE,
                charged=cost(kind, count),
            )
            _check(wanted, plan_named(subscription.plan))
            what = f"{count} {'picture' if count == 1 else 'pictures'}"
            _check_line(Generation, subscription)
            _charge(subscription, wanted, f"{what}: {wanted.prompt[:80]}")
            wanted.save(force_insert=True)
            lifecycle.announce(wanted)
    except IntegrityError as error:  # two people chose one id at the same moment
        raise _unknown() from error
    return wanted


def start_training(
    portrait_model: PortraitModel, *, id: uuid.UUID, subscription: Subscription
) -> Training:
    """Charge for and queue a training, in the caller's transaction and under its lock."""
    surplus.check_usable(portrait_model, portrait_model.owner)
    if portrait_model.trainings.filter(state__in=lifecycle.UNFINISHED).exists():
        raise Refusal("training_unfinished", "This model is being trained already.", status=409)
    training = Training(
        id=id,
        owner_id=portrait_model.owner_id,
        portrait_model=portrait_model,
        seed=secrets.randbelow(SEED_MAX),
        engine=settings.ENGINE_IMAGE,
        charged=cost("training"),
    )
    _check_line(Training, subscription)
    _charge(subscription, training, f"Training of {portrait_model.name}")
    training.save(force_insert=True)
    lifecycle.announce(training)
    return training


def cancel(job: Training | Generation) -> None:
    """Stop a job; its credits are returned. A finished one stays as it is."""
    lifecycle.cancel(job)


def cancel_all(portrait_model: PortraitModel) -> None:
    """Before a portrait model is deleted: its jobs are over and refunded now."""
    for training in portrait_model.trainings.all():
        lifecycle.cancel_now(training)
        forget_training(training.pk)
    for generation in portrait_model.generations.filter(state__in=lifecycle.UNFINISHED):
        lifecycle.cancel_now(generation)


def delete_generation(generation: Generation) -> None:
    """The pictures, their files and the row go; an unfinished one is canceled first."""
    with transaction.atomic():
        lifecycle.cancel_now(generation)
        delete_assets(Asset.objects.filter(generation=generation))
        generation.delete()


def recreate(generation: Generation, *, id: uuid.UUID) -> Generation:
    """The same request with the same seed: the same pictures, as a generation of its own."""
    return submit_generation(
        generation.owner,
        id=id,
        kind=generation.kind,
        prompt=generation.prompt,
        negative_prompt=generation.negative_prompt,
        portrait_model=generation.portrait_model,
        attributes=generation.attributes,
        count=generation.count,
        seed=generation.seed,
        pose=generation.pose,
    )


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


def _text(text: str, what: str, *, may_be_empty: bool = False) -> str:
    text = clean_text(text, what)
    if not text and not may_be_empty:
        raise Refusal("prompt_missing", f"Please write a {what}.")
    if len(text) > PROMPT_MAX:
        raise Refusal(
            "prompt_too_long", f"The {what} is longer than {PROMPT_MAX:,} characters. Shorten it."
        )
    return text


def _kind(kind: str) -> str:
    if kind not in Generation.Kind.values:
        raise Refusal("bad_kind", "There is no such kind of picture.")
    return kind


def _check(wanted: Generation, plan: Plan) -> None:
    if not 1 <= wanted.count <= plan.max_count:
        raise Refusal(
            "bad_count",
            f"On the {plan.title} plan one request makes 1 to {plan.max_count} pictures.",
        )
    if (wanted.negative_prompt or wanted.pose) and not plan.advanced_settings:
        raise Refusal(
            "advanced_settings",
            f"Negative prompts and poses are not part of the {plan.title} plan.",
            status=403,
        )
    if wanted.pose and not Asset.objects.filter(pk=wanted.pose.pk, owner=wanted.owner).exists():
        raise _unknown()
    if wanted.portrait_model:
        _check_portrait_model(wanted.owner, wanted.portrait_model)


def _check_line(noun: lifecycle.AnyModel, subscription: Subscription) -> None:
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


def _check_portrait_model(user: User, portrait_model: PortraitModel) -> None:
    """Read again under the lock: it may have been deleted or made private since."""
    visible = PortraitModel.objects.visible_to(user).filter(pk=portrait_model.pk).first()
    if visible is None:
        raise Refusal("not_found", "There is no such model.", status=404)
    surplus.check_usable(visible, user)
    if not visible.is_ready:
        raise Refusal(
            "model_not_ready",
            f"{visible.name} is not trained yet. Nothing was charged.",
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
