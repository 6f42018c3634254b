"""Photo sets to test with: asked for, read, and made into models."""

from __future__ import annotations

import base64
import io
import random
import uuid
from typing import Any

from django.core.files.storage import default_storage
from PIL import Image

from accounts.models import Consent, User
from generator.engine.interface import Sighting
from generator.photos import services, work
from generator.photos.models import Photo, PhotoSet
from generator.portraits.models import PortraitModel
from tests.job_parts import claim

SHOWN = Sighting((0.1, 0.1, 0.8), 0.5)


def picture(seed: int = 0) -> str:
    """Noise that is long enough to be stored apart, in base64."""
    noise = random.Random(seed).randbytes(48 * 48 * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (48, 48), noise).resize((320, 320)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def submit(user: User, count: int = 1, **fields: Any) -> PhotoSet:
    asked: dict[str, Any] = {
        "id": uuid.uuid4(),
        "name": "Ada",
        "images": [picture(seed) for seed in range(count)],
        "consent": Consent(user=user, kind="me", text_version="2026-11"),
        "is_public": True,
    }
    return services.submit(user, **{**asked, **fields})


def read(photo_set: PhotoSet) -> tuple[PhotoSet, list[Photo]]:
    """Claimed, with every photo read."""
    claimed: PhotoSet = claim(photo_set)
    photos = list(claimed.photos.all())
    work.read_all(claimed, photos, lambda step: None, lambda: None)
    return claimed, photos


def made(photo_set: PhotoSet, **sightings: Sighting) -> PortraitModel:
    """The model of photos that all show the subject, but for `p2=…`."""
    claimed, photos = read(photo_set)
    found = {photo.place: sightings.get(f"p{photo.place}", SHOWN) for photo in photos}
    work.make(claimed, photos, found, lambda: None)
    services.release(claimed)
    return PortraitModel.objects.get(pk=photo_set.pk)


def nothing_is_stored() -> bool:
    return not default_storage.exists("photos") or not default_storage.listdir("photos")[1]
