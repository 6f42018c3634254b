"""The identity sheet of a portrait model: to be looked at, and views of it to be rejected."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db import transaction

from billing import ledger
from billing.refusals import Refusal
from generator.engine.interface import EngineError
from generator.engine.production import card
from generator.jobs import services as jobs
from generator.jobs.models import Training
from generator.portraits.models import PortraitModel


def views(portrait_model: PortraitModel) -> tuple[card.View, ...]:
    """What the tier "fast" learnt from beside the references; empty for the others.

    Reads the beginning of the weights alone.
    """
    if not portrait_model.weights:
        return ()
    with portrait_model.weights.open("rb") as file:
        start = file.read(8)
        start += file.read(min(int.from_bytes(start, "little"), card.MAX_HEADER_BYTES))
    try:
        return card.views(start)
    except EngineError:  # the embedded engine's files are others
        return ()


def reject_views(
    portrait_model: PortraitModel, names: Sequence[str], *, training_id: uuid.UUID
) -> Training:
    """A training in which other views take the place of these; the rest of the sheet is kept.

    The same id is the same training. Raises Refusal: unknown_view, and what a training raises.
    """
    with transaction.atomic():
        subscription = ledger.locked(portrait_model.owner)
        known = portrait_model.trainings.filter(id=training_id).first()
        unfinished = portrait_model.trainings.filter(state__in=["queued", "running"]).first()
        if existing := known or unfinished:
            return existing
        if not names or not set(names) <= {view.name for view in views(portrait_model)}:
            raise Refusal("unknown_view", "Choose views that this model was trained with.")
        return jobs.start_training(
            portrait_model,
            id=training_id,
            subscription=subscription,
            tier="fast",
            rejected_views=names,
        )
