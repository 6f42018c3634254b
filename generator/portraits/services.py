"""Creating, changing and removing portrait models: each a transaction under the owner's lock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.core.files.storage import default_storage
from django.db import transaction

from accounts.models import Consent
from billing import ledger
from billing.plans import PLANS, Plan, default_plan, plan_named
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.assets.services import delete_assets, reference_from_face, unused
from generator.jobs import services as jobs
from generator.jobs.models import Training
from generator.photos.models import PhotoSet
from generator.portraits import surplus
from generator.portraits.models import PortraitModel, Reference
from generator.portraits.names import clean_description, clean_name

if TYPE_CHECKING:
    from accounts.models import User

REFERENCE_MISSING = "Please provide an image for creating your model."
CONSENT_MISSING = "Please say who is in this photo."


def create_portrait_model(
    user: User,
    *,
    id: uuid.UUID,
    name: str,
    description: str,
    is_public: bool,
    reference: Asset | None,
    consent: Consent | None = None,
    further: Sequence[Asset] = (),
    tier: str = "trained",
) -> PortraitModel:
    """A new portrait model and its first training, charged once.

    `id` is chosen by the page: a double click, a second tab and the back button meet the same row.
    `further`: more references of the same person.
    `consent` is not saved yet; a photo needs it, a drawn face does not.
    Raises Refusal: name_missing, reference_missing, consent_missing, model_limit, private_models,
    insufficient_credits and what `names` raises.
    """
    with transaction.atomic():
        subscription = ledger.locked(user)
        existing = _existing(user, id)
        if existing is not None:
            return existing
        name, description = clean_name(name), clean_description(description)
        plan = plan_named(subscription.plan)
        check_cap(user, plan)
        check_privacy(plan, is_public=is_public)
        claimed = _claimed(user, reference, is_public=is_public)
        portrait_model = PortraitModel.objects.create(
            id=id,
            owner=user,
            name=name,
            description=description,
            is_public=is_public,
            reference=claimed,
            consent=_consent(claimed, consent),
        )
        Reference.objects.bulk_create(
            Reference(portrait_model=portrait_model, asset=_claimed(user, one), place=place)
            for place, one in enumerate(further, start=1)
        )
        jobs.start_training(portrait_model, id=uuid.uuid4(), subscription=subscription, tier=tier)
    return portrait_model


def update_portrait_model(portrait_model: PortraitModel, **changes: str | bool) -> PortraitModel:
    """Name, description, is_public and links. The reference is as public as its model."""
    with transaction.atomic():
        subscription = ledger.locked(portrait_model.owner)
        surplus.check_usable(portrait_model, portrait_model.owner)
        if "name" in changes:
            changes["name"] = clean_name(str(changes["name"]))
        if "description" in changes:
            changes["description"] = clean_description(str(changes["description"]))
        if changes.get("is_public") is False and portrait_model.is_public:
            check_privacy(plan_named(subscription.plan), is_public=False)
        for field, value in changes.items():
            setattr(portrait_model, field, value)
        portrait_model.save(update_fields=[*changes, "updated_at"])
        Asset.objects.filter(pk=portrait_model.reference_id).update(
            is_public=portrait_model.is_public
        )
        if not portrait_model.is_public:  # nobody sees pictures of somebody private
            shows = Asset.objects.filter(generation__in=jobs.generations_of(portrait_model))
            shows.filter(is_public=True).update(is_public=False, published_at=None)
    return portrait_model


def train_again(portrait_model: PortraitModel, *, training_id: uuid.UUID) -> Training:
    """Another training after one that failed; the unfinished one if there is one."""
    with transaction.atomic():
        subscription = ledger.locked(portrait_model.owner)
        if known := jobs.known_training(portrait_model, id=training_id):
            return known
        latest = portrait_model.trainings.order_by("-created_at").first()
        tier = latest.tier if latest else "trained"
        return jobs.start_training(
            portrait_model, id=training_id, subscription=subscription, tier=tier
        )


def delete_portrait_model(portrait_model: PortraitModel) -> None:
    """Everything of it goes: jobs, pictures, reference, upload and weights.

    A running job is given back: its worker meets no row at its next heartbeat and stops.
    """
    with transaction.atomic():
        ledger.locked(portrait_model.owner)
        jobs.cancel_all(portrait_model)
        shows = list(jobs.generations_of(portrait_model))
        drawn = list(Asset.objects.filter(generation__in=shows))
        further = list(Asset.objects.filter(further_reference__portrait_model=portrait_model))
        reference, weights = portrait_model.reference, portrait_model.weights.name
        consent = portrait_model.consent
        for generation in shows:
            jobs.release_pictures(generation)
            generation.delete()
        pk = portrait_model.pk
        portrait_model.delete()
        if consent is not None:
            consent.delete()
        source = reference.source
        uploads = [source] if source and source.kind == Asset.Kind.UPLOAD else []
        delete_assets([*drawn, reference, *further, *uploads])
        PhotoSet.objects.filter(pk=pk).delete()
        if weights:
            transaction.on_commit(lambda: default_storage.delete(weights))


def check_privacy(plan: Plan, *, is_public: bool) -> None:
    """Raises Refusal("private_models") where the plan shows every model to everybody."""
    if not is_public and not plan.private_models:
        raise Refusal(
            "private_models",
            f"On the {plan.title} plan models are public. Upgrade to keep a model private.",
            status=403,
        )


def is_photo(reference: Asset) -> bool:
    """Whether somebody may be in it: everything but what the generator drew."""
    shown = reference.source or reference
    return shown.kind != Asset.Kind.FACE


def _consent(reference: Asset, consent: Consent | None) -> Consent | None:
    if not is_photo(reference):
        return None
    if consent is None:
        raise Refusal("consent_missing", CONSENT_MISSING)
    consent.save(force_insert=True)
    return consent


def _existing(user: User, id: uuid.UUID) -> PortraitModel | None:
    existing = PortraitModel.objects.filter(id=id).first()
    if existing is not None and existing.owner_id != user.pk:
        raise Refusal("not_found", "There is no such model.", status=404)
    return existing


def check_cap(user: User, plan: Plan, *, coming: int = 0) -> None:
    """Raises Refusal("model_limit"). `coming`: models that are asked for and not there yet."""
    count = PortraitModel.objects.filter(owner=user).count() + coming
    if count < plan.portrait_models:
        return
    models = "1 model" if plan.portrait_models == 1 else f"{plan.portrait_models} models"
    if plan == default_plan():
        message = f"The free {plan.title} plan holds {models}. Upgrade to create more."
    elif plan.portrait_models < max(other.portrait_models for other in PLANS.values()):
        message = (
            f"You have reached the {models} of your {plan.title} plan. "
            "Move to a larger plan, or delete a model you no longer need."
        )
    else:
        message = (
            f"You have reached the {models} of the {plan.title} plan, the largest there is. "
            "Delete a model you no longer need."
        )
    raise Refusal("model_limit", message, status=403)


def _claimed(user: User, reference: Asset | None, *, is_public: bool = False) -> Asset:
    """The reference, locked against the sweeper and kept from now on."""
    if reference is None:
        raise Refusal("reference_missing", REFERENCE_MISSING)
    claimed = (
        Asset.objects.select_for_update()
        .filter(pk=reference.pk, owner=user, kind__in=[Asset.Kind.REFERENCE, Asset.Kind.FACE])
        .first()
    )
    if claimed is None:
        raise Refusal("reference_missing", REFERENCE_MISSING)
    if claimed.kind == Asset.Kind.FACE:
        claimed = reference_from_face(claimed)
    if not unused(Asset.objects.filter(pk=claimed.pk)).exists():
        raise Refusal(
            "reference_used",
            "Another model already learns from this image. Please provide a new one.",
            status=409,
        )
    claimed.expires_at = None
    claimed.is_public = is_public
    claimed.save(update_fields=["expires_at", "is_public"])
    return claimed
