"""What a portrait model keeps of a person for a production engine: one safetensors file.

Its tensors are a LoRA in diffusers' own keys, which stock `load_lora_weights` reads; none where
nothing was trained. Its metadata holds the reference pictures, since these engines look at them
each time they draw. A file without them, trained elsewhere, is an adapter alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from generator.engine import pictures
from generator.engine.interface import EngineError, Tier
from generator.engine.production import card
from generator.engine.production.card import View

MAX_BYTES = 512 * 2**20  # rank 128 of the largest denoiser has 380 MB
REFERENCES_MAX = 8  # kept; an engine looks at as many of them as it accepts
_KEY = re.compile(r"(?:transformer|unet)\.([\w.]+)\.lora_([AB])\.weight")


@dataclass(frozen=True)
class Person:
    """One person, for the engines of one family."""

    family: str
    tier: Tier
    references: tuple[bytes, ...]  # JPEG
    lora: dict[str, Tensor] = field(default_factory=dict)  # "<layer>.lora_A.weight" and B
    prompt: str = ""  # the words the adapter was trained with
    sha256: str = ""  # of the file; what it is kept under while warm
    views: tuple[View, ...] = ()  # an identity sheet that was learnt, for a person to look at

    @property
    def pictures(self) -> list[Image.Image]:
        return [pictures.read(data) for data in self.references]


def write(person: Person, *, prefix: str) -> bytes:
    """The file. `prefix` is the denoiser's name in a pipeline: "transformer" or "unet"."""
    who = {
        "format": card.FORMAT,
        "family": person.family,
        "tier": person.tier,
        "prompt": person.prompt,
        "references": [base64.b64encode(data).decode("ascii") for data in person.references],
        "views": [card.packed(view) for view in person.views],
    }
    tensors = {f"{prefix}.{name}": values.contiguous() for name, values in person.lora.items()}
    return save_tensors(tensors, metadata={card.KEY: json.dumps(who)})


def kept(reference: bytes, size_px: int) -> bytes:
    """A reference as it is kept: a JPEG of at most `size_px` a side."""
    image = pictures.read(reference)
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue()


def read(data: bytes, *, family: str) -> Person:
    """Check and open a file that may come from anywhere.

    Raises EngineError: "adapter_too_large", "adapter_broken", "adapter_foreign",
    "adapter_other_base", "adapter_not_finite". Whether shapes fit is the wardrobe's to say.
    """
    if len(data) > MAX_BYTES:
        raise EngineError("adapter_too_large", f"The weights exceed {MAX_BYTES // 2**20} MB.")
    who = card.header(data)
    if who.get("family", family) != family:
        raise EngineError(
            "adapter_other_base",
            f"This person was learnt by “{str(who['family'])[:40]}”, not by “{family}”. "
            "Train them once more with this engine.",
        )
    lora = _lora(data)
    return Person(
        family=family,
        tier="trained" if lora else "instant",
        references=_references(who),
        lora=lora,
        prompt=str(who.get("prompt", ""))[:200],
        sha256=hashlib.sha256(data).hexdigest(),
        views=_views(who),
    )


def _lora(data: bytes) -> dict[str, Tensor]:
    try:
        tensors = load_tensors(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError):
        raise card.broken() from None
    found = {}
    for key, values in tensors.items():
        match = _KEY.fullmatch(key)
        if not match or not values.is_floating_point():
            raise card.foreign()
        if not torch.isfinite(values.float()).all():
            raise EngineError(
                "adapter_not_finite", "The weights contain values that are no numbers."
            )
        found[f"{match[1]}.lora_{match[2]}.weight"] = values
    return found


def _views(who: dict[str, Any]) -> tuple[View, ...]:
    """Each is a picture as well."""
    found = card.views_of(who)
    for view in found:
        pictures.read(view.jpeg)
    return found


def _references(who: dict[str, Any]) -> tuple[bytes, ...]:
    """Each is a picture: they may come from anywhere too."""
    given = who.get("references", [])
    if not isinstance(given, list) or len(given) > REFERENCES_MAX:
        raise card.foreign()
    try:
        found = tuple(base64.b64decode(str(text), validate=True) for text in given)
    except (binascii.Error, ValueError):
        raise card.foreign() from None
    for data in found:
        pictures.read(data)
    return found
