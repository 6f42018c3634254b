"""Other people, drawn once by the base model itself.

They are what a training must not disturb (prior preservation) and what likeness calls 0.
Kept beside the weights; drawn again when the weights change.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from generator.engine.attributes import (
    EXPRESSIONS,
    LIGHTS,
    OUTFIT_COLORS,
    OUTFITS,
    SCENES,
    Attributes,
)

NAME = "strangers.safetensors"
COUNT = 28  # their mean cosine to a face wanders by less than 0.03 between draws

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Strangers:
    latents: Tensor  # (N, C, h, w)
    embeddings: Tensor  # (N, E) unit vectors of the reader
    prompts: list[str]


def fingerprint(weights: Path) -> str:
    """Changes when any part of the base model that draws or reads strangers does."""
    digest = hashlib.sha256()
    for part in ("unet", "vae", "text_encoder", "reader"):
        for path in sorted((weights / part).glob("*.safetensors")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def scene(rng: random.Random) -> str:
    """Everything in a prompt that is not the person."""
    outfit = f"{rng.choice(OUTFIT_COLORS)} {rng.choice(OUTFITS)}"
    words = [rng.choice(EXPRESSIONS), outfit, f"{rng.choice(SCENES)} background"]
    return ", ".join([*words, f"{rng.choice(LIGHTS)} light"])


def prompts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"{Attributes.random(rng).to_prompt()}, {scene(rng)}" for _ in range(count)]


def load(folder: Path, version: str) -> Strangers | None:
    """The kept strangers, or None if absent, broken or of other weights."""
    try:
        with safe_open(folder / NAME, framework="pt") as file:
            notes = file.metadata() or {}
            if notes.get("version") != version:
                return None
            latents, embeddings = (file.get_tensor(x).float() for x in ("latents", "embeddings"))
            return Strangers(latents, embeddings, json.loads(notes["prompts"]))
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def draw(
    one: Callable[[str, int], tuple[Tensor, Tensor]], *, count: int = COUNT, seed: int = 7
) -> Strangers:
    """`one(prompt, seed)` gives latents (1, C, h, w) and an embedding (1, E)."""
    asked = prompts(count, seed)
    drawn = [one(prompt, seed + i) for i, prompt in enumerate(asked)]
    latents, embeddings = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    return Strangers(latents, embeddings, asked)


def keep(folder: Path, strangers: Strangers, version: str) -> None:
    """Beside the weights, if that folder may be written to; a log line if not."""
    notes = {"version": version, "prompts": json.dumps(strangers.prompts)}
    tensors = {
        "latents": strangers.latents.to(torch.float8_e4m3fn).contiguous(),  # off by 3 %
        "embeddings": strangers.embeddings.contiguous(),
    }
    part = folder / f"{NAME}.{os.getpid()}.part"
    try:
        save_file(tensors, part, metadata=notes)
        os.replace(part, folder / NAME)
    except (OSError, SafetensorError):
        log.warning("%s cannot be written; strangers are drawn again at every start", folder)
