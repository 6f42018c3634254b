"""The identity sheet of a portrait model: to be looked at, and views of it to be rejected."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from billing import ledger
from billing.refusals import Refusal
from generator.engine import registry
from generator.engine.interface import EngineError
from generator.engine.production import card
from generator.jobs import services as jobs
from generator.jobs.models import Training
from generator.portraits.models import PortraitModel

JPEG = b"\xff\xd8\xff"


def views(portrait_model: PortraitModel) -> tuple[card.View, ...]:
    """What the tier "fast" learnt from beside the references; empty for the others.

    Reads the beginning of the weights alone, and decodes no picture: by their first bytes, what
    is no JPEG is no view.
    """
    if not portrait_model.weights:
        return ()
    try:
        with portrait_model.weights.open("rb") as file:
            start = file.read(8)
            start += file.read(min(int.from_bytes(start, "little"), card.MAX_HEADER_BYTES))
        return tuple(view for view in card.views(start) if view.jpeg.startswith(JPEG))
    except (EngineError, FileNotFoundError):  # the embedded engine's files are others
        return ()


def asked(view: card.View) -> tuple[str, str]:
    """What it was to show: the person, and where they are. The second may be blank."""
    *person, scene = view.words.split(", ", 2)
    return (", ".join(person), scene) if person else (scene, "")


def view(portrait_model: PortraitModel, name: str) -> card.View | None:
    return next((one for one in views(portrait_model) if one.name == name), None)


def are_made_here() -> bool:
    """Whether the engine of this studio makes views at all."""
    return "fast" in registry.describe(settings.ENGINE_IMAGE).tiers


def reject_views(
    portrait_model: PortraitModel, names: Sequence[str], *, training_id: uuid.UUID
) -> Training:
    """A training in which other views take the place of these; the rest of the sheet is kept.

    The same id is the same training, and so is one that rejects the same views and is not over.
    Raises Refusal: unknown_view, no_views, and what a training raises.
    """
    rejected = sorted(set(names))
    with transaction.atomic():
        subscription = ledger.locked(portrait_model.owner)
        known = jobs.known_training(portrait_model, id=training_id)
        if known and (known.pk == training_id or (rejected and known.rejected_views == rejected)):
            return known
        _check(portrait_model, rejected)
        return jobs.start_training(
            portrait_model,
            id=training_id,
            subscription=subscription,
            tier="fast",
            rejected_views=rejected,
        )


def _check(portrait_model: PortraitModel, rejected: Sequence[str]) -> None:
    if not rejected:
        raise Refusal("unknown_view", "Choose the views that others shall take the place of.")
    if not set(rejected) <= {view.name for view in views(portrait_model)}:
        raise Refusal(
            "unknown_view", "The model was not trained with these views. Choose among those it has."
        )
    if not are_made_here():
        raise Refusal(
            "no_views",
            "The engine in use makes no views, so no others can take their place.",
            status=409,
        )
