"""A portrait model from its first photo, asked for as a set of photos is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Consent
from billing.refusals import Refusal
from generator.assets import fetch
from generator.assets import services as assets
from generator.portraits.models import PortraitModel
from generator.portraits.services import create_portrait_model

if TYPE_CHECKING:
    from accounts.models import User


@dataclass(frozen=True)
class Status:
    state: str  # QUEUING, IN_PROGRESS, READY, ERROR, INACTIVE
    message: str


def submit(
    user: User,
    *,
    id: uuid.UUID,
    name: str,
    images: Sequence[str],
    gender: str = "",
    words: str = "",
    is_public: bool = False,
    consent: Consent | None,
) -> PortraitModel:
    """Raises Refusal: bad_image, bad_url, url_unreachable and what the portrait model raises."""
    data = fetch.picture(user, images[0])
    upload = assets.store_upload(user, SimpleUploadedFile("photo", data))
    return create_portrait_model(
        user,
        id=id,
        name=name,
        description=", ".join(filter(None, [gender, words])),
        is_public=is_public,
        reference=assets.crop_suggested(upload),
        consent=consent,
    )


def status(user: User, id: uuid.UUID) -> Status:
    """Raises Refusal("not_found")."""
    model = PortraitModel.objects.filter(pk=id, owner=user).first()
    if model is None:
        raise Refusal("not_found", "There is no such model.", status=404)
    if model.is_ready:
        return Status("READY", f"{model.name} is ready.")
    training = model.trainings.order_by("-created_at").first()
    if training is None or training.state == "canceled":
        return Status("INACTIVE", f"The training of {model.name} was canceled.")
    if training.state == "failed":
        return Status("ERROR", training.error_message)
    if training.state == "queued":
        return Status("QUEUING", f"{model.name} waits for its training.")
    return Status("IN_PROGRESS", f"{model.name} is being learned: {training.percent} %.")
