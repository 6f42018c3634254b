"""What the trainer needs to know of a base model: how it reads, and what it is asked for.

A family is a row of functions. `words` and `posterior` load one part of the model, use it and
let it go, so that text encoder, VAE and denoiser are never in memory together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from generator.engine.production.training.recipe import TrainingRecipe

HERE: dict[str, Any] = {"local_files_only": True}  # a training asks no network
Words = dict[str, Tensor]  # everything of a prompt, first dimension the prompts'


@dataclass(frozen=True)
class Where:
    """On what and how precisely to compute."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Batch:
    """One forward pass: latents and noise (B, C, h, w), `level` (B,) as the family counts it.

    Words are of B pictures, or of one where all have the same.
    """

    latents: Tensor
    noise: Tensor
    level: Tensor
    words: Words


def as_learnt(recipe: TrainingRecipe) -> int:
    return recipe.size_px


@dataclass(frozen=True)
class Family:
    """What the trainer needs of a base."""

    name: str
    prefix: str  # of the denoiser's keys in an adapter
    multiple_px: int  # of a picture's side
    targets: re.Pattern[str]  # layers that learn
    words: Callable[[Path, Sequence[str], Image.Image, TrainingRecipe, Where], Words]
    posterior: Callable[[Path, Tensor, Where], tuple[Tensor, Tensor]]  # mean and spread
    denoiser: Callable[[Path, Where], nn.Module]
    noises: Callable[[Path, Where], Tensor]  # what `wrong` reads levels with; any shape
    level: Callable[[Tensor, bool], Tensor]  # of chances in [0, 1), weighted or even
    wrong: Callable[[nn.Module, Batch, Tensor], Tensor]  # guess - target, (B, C, h, w) float32
    weight: Callable[[Tensor, Tensor, TrainingRecipe], Tensor]  # (B,) of levels
    context: Callable[[Tensor], Tensor] | None = None  # (1, tokens, C) of a reference's latents
    context_px: Callable[[TrainingRecipe], int] = as_learnt  # side of a reference in context
    always_in_context: bool = False  # draws nothing without a picture to look at

    def layers(self, denoiser: nn.Module) -> list[str]:
        """Names of all linear layers that learn."""
        return [
            name
            for name, layer in denoiser.named_modules()
            if isinstance(layer, nn.Linear) and self.targets.fullmatch(name)
        ]


def part(kind: Any, base: Path, folder: str, where: Where) -> Any:
    """One component of a checkpoint, frozen; nothing is fetched."""
    model = kind.from_pretrained(base, subfolder=folder, torch_dtype=where.dtype, **HERE)
    return model.to(where.device).eval().requires_grad_(False)


# What models that flow from noise to picture share


def no_noises(base: Path, where: Where) -> Tensor:
    return torch.empty(0)  # the level is the share of the noise itself


def flow_level(chances: Tensor, weighted: bool) -> Tensor:
    """Weighted: more often where picture and noise are even (logit-normal, arXiv 2403.03206)."""
    if not weighted:
        return 1 - (chances * 1000).floor() / 1000  # as the scheduler's thousand steps
    return torch.special.ndtri(chances.clamp(1e-4, 1 - 1e-4)).sigmoid()


def between(batch: Batch) -> Tensor:
    """As far from picture to noise as the level says."""
    return torch.lerp(batch.latents, batch.noise, batch.level[:, None, None, None])


def even(level: Tensor, noises: Tensor, recipe: TrainingRecipe) -> Tensor:
    return torch.ones_like(level)  # by how often a level is drawn instead


flowing = partial(Family, noises=no_noises, level=flow_level, weight=even)


def still(vae: Any, pixels: Tensor, where: Where) -> tuple[Tensor, Tensor]:
    """By a VAE of clips: each picture is one of a single frame. Its mean, as pipelines encode."""
    pixels = pixels.to(where.device, vae.dtype)
    found = torch.cat([vae.encode(one[None, :, None]).latent_dist.mode() for one in pixels])
    config = vae.config
    centre, spread = (
        torch.tensor(x, device=where.device).view(1, -1, 1, 1)
        for x in (config.latents_mean, config.latents_std)
    )
    mean = (found[:, :, 0].float() - centre) / spread
    return mean, torch.zeros_like(mean)
