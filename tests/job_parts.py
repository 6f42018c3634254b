"""Jobs, portrait models and results to test with. All of it real rows and real files."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from PIL import Image

from accounts.models import User
from billing import ledger
from billing.models import CreditEntry
from generator.assets.models import Asset
from generator.engine.interface import GeneratedImage, TrainedAdapter
from generator.jobs import audit, lifecycle, services
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel

WEIGHTS = b"what an engine would have learnt"


def png(color: str = "teal", side: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), color).save(out, "PNG")
    return out.getvalue()


def images(count: int, *, seed: int = 0) -> list[GeneratedImage]:
    return [GeneratedImage(png(), seed + index) for index in range(count)]


def adapter() -> TrainedAdapter:
    return TrainedAdapter(WEIGHTS, likeness=71, preview=png())


def submit(user: User, *, count: int = 1, **fields: Any) -> Generation:
    asked: dict[str, Any] = {"id": uuid.uuid4(), "kind": "face", "prompt": "a woman"}
    return services.submit_generation(user, **{**asked, "count": count, **fields})


def portrait_model(
    user: User, *, is_public: bool = True, picture: bytes | None = None
) -> PortraitModel:
    """One with a reference and no training yet. The reference is a stored picture."""
    drawn = claim(submit(user))
    lifecycle.finish_generation(drawn, [GeneratedImage(picture or png(), 0)])
    reference = Asset.objects.get(generation=drawn)
    Asset.objects.filter(pk=reference.pk).update(
        kind=Asset.Kind.REFERENCE, generation=None, is_public=is_public
    )
    Generation.objects.filter(pk=drawn.pk).delete()
    reference.refresh_from_db()
    return PortraitModel.objects.create(
        owner=user,
        name="Ada",
        reference=reference,
        is_public=is_public,
        others_may_use=is_public,
    )


def train(model: PortraitModel) -> Training:
    with transaction.atomic():
        subscription = ledger.locked(model.owner)
        return services.start_training(model, id=uuid.uuid4(), subscription=subscription)


def ready_model(user: User, *, is_public: bool = True) -> PortraitModel:
    """One that has learnt."""
    model = portrait_model(user, is_public=is_public)
    training = claim(train(model))
    lifecycle.finish_training(training, adapter())
    model.refresh_from_db()
    return model


def claim(job: Any) -> Any:
    """This very job, claimed."""
    claimed = lifecycle.claim(type(job), job.pk)
    assert claimed is not None, "somebody else has it"
    return claimed


def finish(generation: Generation) -> Generation:
    claimed: Generation = claim(generation)
    lifecycle.finish_generation(claimed, images(claimed.count))
    return claimed


def expire(job: Training | Generation, *, by: timedelta = timedelta(seconds=1)) -> None:
    """As if its worker had been silent for longer than the lease."""
    type(job)._default_manager.filter(pk=job.pk).update(lease_until=Now() - by)


def row(job: Training | Generation) -> Any:
    return type(job)._default_manager.get(pk=job.pk)


def refunds(job: Training | Generation) -> list[int]:
    key = f"{lifecycle.key(job)}:refund"
    return list(CreditEntry.objects.filter(key=key).values_list("amount", flat=True))


def assert_invariants() -> None:
    """What `manage.py audit --strict` promises, with no patience for files without a row."""
    assert audit.violations(orphan_age=timedelta(0)) == []
