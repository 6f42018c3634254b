"""Rows for page tests: portrait models and generations as the services leave them."""

from __future__ import annotations

import uuid

from accounts.models import User
from generator.assets.models import Asset
from generator.jobs.models import Appearance, Generation, Training
from generator.portraits.models import PortraitModel


def reference(owner: User, *, is_public: bool = True) -> Asset:
    return Asset.objects.create(
        owner=owner, kind="reference", file=f"assets/{uuid.uuid4()}.jpg", width=512, height=512,
        is_public=is_public,
    )  # fmt: skip


def portrait_model(
    owner: User,
    name: str = "Ada",
    *,
    is_ready: bool = True,
    is_public: bool = True,
    others_may_use: bool = True,
) -> PortraitModel:
    return PortraitModel.objects.create(
        owner=owner,
        name=name,
        is_public=is_public,
        others_may_use=others_may_use,
        reference=reference(owner, is_public=is_public),
        weights="weights/some.safetensors" if is_ready else "",
    )


def training(model: PortraitModel, state: str = "queued") -> Training:
    return Training.objects.create(
        owner=model.owner, portrait_model=model, state=state, engine="miniature", charged=20
    )


def generation(
    model: PortraitModel, owner: User | None = None, *, state: str = "succeeded", count: int = 2
) -> Generation:
    made = Generation.objects.create(
        owner=owner or model.owner, portrait_model=model, kind="image", state=state, count=count,
        prompt="at the beach", engine="miniature", charged=4 * count, seed=7,
    )  # fmt: skip
    Appearance.objects.create(generation=made, portrait_model=model, place=0)
    if state == "succeeded":
        for index in range(count):
            Asset.objects.create(
                owner=made.owner, kind="image", file=f"assets/{uuid.uuid4()}.png", width=256,
                height=256, generation=made, index=index, seed=7 + index, likeness=91,
            )  # fmt: skip
    return made
