"""What tests of the trainer share: pictures, small recipes, and what stock diffusers says."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from generator.engine.production.training import FAMILIES, TrainingRecipe, train
from generator.engine.production.training.examples import Examples, Given, _encode
from generator.engine.production.training.families import Batch, Where
from tests import tiny_checkpoints

CPU = Where(torch.device("cpu"), torch.float32)
NAMES = sorted(FAMILIES)
PROMPT = "a photo of the person"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {name: getattr(tiny_checkpoints, name)(folder / name) for name in NAMES}


def picture(seed: int, side: int = 64) -> bytes:
    """Light (odd numbers) or dark, with blobs: as good as a face to a model of random weights."""
    random = np.random.default_rng(seed)
    blobs = 25 + 205 * (seed % 2) + random.integers(-25, 25, (4, 4, 3))
    image = Image.fromarray(blobs.astype(np.uint8))
    out = io.BytesIO()
    image.resize((side, side), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


def small(**changes: Any) -> TrainingRecipe:
    usual: dict[str, Any] = {
        "prompt": PROMPT, "steps": 12, "size_px": 32, "rank": 4, "prompt_tokens": 24,
        "learning_rate": 1e-3, "checkpoint_every_s": 1e9,
    }  # fmt: skip
    return TrainingRecipe(**(usual | changes))


def learn(
    family: Any,
    base: Path,
    folder: Path,
    recipe: TrainingRecipe,
    *,
    references: tuple[int, ...] = (1,),
    should_cancel: Callable[[], bool] = lambda: False,
    told: list[Any] | None = None,
    **more: Any,
) -> Path:
    """An adapter of the pictures of these numbers."""
    return train(
        family,
        base,
        [picture(number) for number in references],
        recipe,
        work_dir=folder,
        on_progress=(told if told is not None else []).append,
        should_cancel=should_cancel,
        **more,
    )


def stock(base: Path, adapter: Path | None = None) -> Any:
    """The pipeline as diffusers alone makes it."""
    pipe = DiffusionPipeline.from_pretrained(base, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    if adapter:
        pipe.load_lora_weights(adapter)
    return pipe


def denoiser_of(pipe: Any) -> Any:
    return pipe.unet if hasattr(pipe, "unet") else pipe.transformer


def held_out(name: str, base: Path, recipe: TrainingRecipe, seed: int) -> tuple[Batch, Examples]:
    """One picture, its prompt, and 16 noises and levels that no training has drawn."""
    family = FAMILIES[name]
    given = Given([picture(seed)], [None], [])
    found = _encode(family, base, given, recipe, CPU)
    generator = torch.Generator().manual_seed(999)
    rows = torch.zeros(16, dtype=torch.long)
    noise = torch.randn(16, *found.mean.shape[1:], generator=generator)
    level = family.level((torch.arange(16) + 0.5) / 16, False)
    return Batch(found.mean[rows], noise, level, found.asked(rows)), found


@torch.no_grad()
def loss(name: str, base: Path, denoiser: Any, batch: Batch) -> float:
    family = FAMILIES[name]
    return float(family.wrong(denoiser, batch, family.noises(base, CPU)).square().mean())


def drawn(name: str, pipe: Any, prompt: str, recipe: TrainingRecipe) -> Tensor:
    """Latents of two pictures by the stock pipeline, as the trainer has them."""
    more = {"max_sequence_length": recipe.prompt_tokens} if name == "klein" else {}
    found = pipe(
        prompt=[prompt] * 2,
        height=recipe.size_px,
        width=recipe.size_px,
        num_inference_steps=8,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
        **more,
    ).images
    if name == "klein":
        found = pipe._patchify_latents(found)
        centre, spread = pipe.vae.bn.running_mean, pipe.vae.bn.running_var
        scale = (spread + pipe.vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1)
        found = (found - centre.view(1, -1, 1, 1)) / scale
    return found
