"""What a training learns from: pictures and prompts, read once and kept beside its checkpoint.

Of a picture the posterior is kept, mean and spread: sampling it anew each step is what
encoding it anew each step does, without the encoder.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from generator.engine import pictures
from generator.engine.interface import EngineError
from generator.engine.production.training import checkpoint
from generator.engine.production.training.families import Family, Where, Words
from generator.engine.production.training.recipe import TrainingRecipe

NAME = "examples.safetensors"


@dataclass(frozen=True)
class Given:
    """What was asked for. Masks are pictures, white on the face or person; None: all of it."""

    references: Sequence[bytes]
    masks: Sequence[bytes | None]
    prior: Sequence[bytes]


@dataclass(frozen=True)
class Examples:
    """N pictures, the person's own before those of the prior."""

    own: int
    mean: Tensor  # (N, C, h, w) float32
    spread: Tensor  # (N, C, h, w), or zeros
    focus: Tensor  # (N, 1, h, w), mean 1 each: how much each place counts
    prompt: Tensor  # (N,) which of the words
    words: Words

    @property
    def prior(self) -> int:
        return len(self.mean) - self.own

    def asked(self, rows: Tensor) -> Words:
        which = self.prompt[rows]
        return {name: values[which] for name, values in self.words.items()}

    def to(self, where: Where) -> Examples:
        """Onto the device; words in the denoiser's precision, latents in float32."""
        mean, spread, focus = (x.to(where.device) for x in (self.mean, self.spread, self.focus))
        words = {name: x.to(where.device, where.dtype) for name, x in self.words.items()}
        return Examples(self.own, mean, spread, focus, self.prompt.to(where.device), words)


def read(
    family: Family,
    base: Path,
    given: Given,
    recipe: TrainingRecipe,
    where: Where,
    *,
    kept: Path,
    training: str,
) -> Examples:
    """From `kept` if they were read for this very training, else from the pictures.

    Raises EngineError: "bad_picture", "not_finite".
    """
    found = checkpoint.get(kept, recipe=training)
    if found is None:
        fresh = _encode(family, base, given, recipe, where)
        checkpoint.put(kept, _flat(fresh), {"recipe": training})
        return fresh
    # Of a file, tensors lie where its header ends; multiplications round by where they lie.
    tensors = {name: x.clone() for name, x in found[0].items()}
    words = {name[6:]: x for name, x in tensors.items() if name.startswith("words.")}
    rest = {name: x for name, x in tensors.items() if not name.startswith("words.")}
    return Examples(own=len(given.references), words=words, **rest)


def _flat(examples: Examples) -> dict[str, Tensor]:
    named = {name: getattr(examples, name) for name in ("mean", "spread", "focus", "prompt")}
    return named | {f"words.{name}": x.contiguous() for name, x in examples.words.items()}


def _encode(
    family: Family, base: Path, given: Given, recipe: TrainingRecipe, where: Where
) -> Examples:
    pixels = torch.cat(
        [_pixels(data, recipe.size_px) for data in (*given.references, *given.prior)]
    )
    captions = list(recipe.captions or [recipe.prompt] * len(given.references))
    captions += [recipe.prior_prompt] * len(given.prior)
    prompts = list(dict.fromkeys(captions))
    shown = pictures.read(given.references[0])
    square = ImageOps.fit(shown, (min(shown.size),) * 2)
    read = family.words(base, prompts, square, recipe, where)
    words = {name: x.cpu() for name, x in read.items()}
    mean, spread = (x.float().cpu() for x in family.posterior(base, pixels, where))
    if family.context and recipe.context:
        side, beside = family.context_px(recipe), mean[:1]
        if side != recipe.size_px:
            larger = _pixels(given.references[0], side)
            beside = family.posterior(base, larger, where)[0].float().cpu()
        words["context"] = family.context(beside).repeat(len(prompts), 1, 1)
    for values in (mean, spread, *words.values()):
        if not torch.isfinite(values).all():
            raise EngineError("not_finite", "The base model reads numbers that are none.")
    masks = [*given.masks, *[None] * (len(mean) - len(given.masks))]
    focus = [_focus(mask, mean.shape[2:], recipe) for mask in masks]
    which = torch.tensor([prompts.index(caption) for caption in captions])
    return Examples(
        own=len(given.references),
        mean=mean.contiguous(),
        spread=spread.contiguous(),
        focus=torch.cat(focus),
        prompt=which,
        words=words,
    )


def _pixels(data: bytes, size_px: int) -> Tensor:
    """(1, 3, size, size) in [-1, 1]; the middle of a picture that is not square."""
    image = pictures.read(data)
    return pictures.as_tensor(ImageOps.fit(image, (size_px, size_px), Image.Resampling.LANCZOS))


def _focus(mask: bytes | None, size: Sequence[int], recipe: TrainingRecipe) -> Tensor:
    """(1, 1, h, w), mean 1."""
    if mask is None:
        return torch.ones(1, 1, *size)
    try:
        image = Image.open(io.BytesIO(mask), formats=("PNG", "JPEG", "WEBP")).convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise EngineError("bad_mask", "A mask could not be read.") from error
    image = ImageOps.fit(image, (recipe.size_px, recipe.size_px), Image.Resampling.BILINEAR)
    levels = torch.from_numpy(np.array(image, dtype=np.float32))[None, None] / 255
    weights = recipe.background + (1 - recipe.background) * F.adaptive_avg_pool2d(
        levels, tuple(size)
    )
    if weights.mean() <= 0:
        raise EngineError("bad_mask", "A mask shows nothing to learn.")
    return weights / weights.mean()
