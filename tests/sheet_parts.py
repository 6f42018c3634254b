"""Identity sheets in files, as an engine for a GPU leaves them. Loads no torch."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Sequence

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image
from safetensors.numpy import save

from generator.engine.production import card
from generator.engine.production.card import View
from generator.portraits.models import PortraitModel

WORDS = (
    "facing the camera, smiling, close-up in soft window light, at home, in a grey sweater",
    "in profile, with a calm face, half body in the evening sun, in a park, in a white shirt",
    "head turned to the left, talking, close-up under an overcast sky, in a street, in a dark coat",
    "head turned to the right, smiling, half body by lamplight, in a cafe, in a green dress shirt",
)


def jpeg(seed: int, side: int = 64) -> bytes:
    """Coloured blocks, others for each seed."""
    dice = random.Random(seed)
    blocks = np.array([dice.randrange(256) for _ in range(4 * 4 * 3)], np.uint8).reshape(4, 4, 3)
    return as_jpeg(Image.fromarray(blocks).resize((side, side), Image.Resampling.NEAREST))


def as_jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=92)
    return out.getvalue()


def sheet(seed: int = 0, likeness: Sequence[int | None] = (71, 40, None, 88)) -> tuple[View, ...]:
    shown = zip(WORDS, likeness, strict=True)
    return tuple(View(jpeg(4 * seed + at), words, one) for at, (words, one) in enumerate(shown))


def weights(views: Sequence[View]) -> bytes:
    """Of a klein person whose adapter is one number."""
    who = {
        "format": card.FORMAT, "family": "klein", "tier": "fast", "prompt": "a photo of a person",
        "references": [base64.b64encode(jpeg(99)).decode()],
        "views": [card.packed(view) for view in views],
    }  # fmt: skip
    lora = {f"transformer.a.lora_{one}.weight": np.ones((1, 1), np.float32) for one in "AB"}
    data: bytes = save(lora, metadata={card.KEY: json.dumps(who)})
    return data


def give(model: PortraitModel, views: Sequence[View]) -> tuple[View, ...]:
    """`model` was learnt from these."""
    file = ContentFile(weights(views))
    model.weights.name = default_storage.save(f"weights/{model.pk}.safetensors", file)
    model.save(update_fields=["weights"])
    return tuple(views)
