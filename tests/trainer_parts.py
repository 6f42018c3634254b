"""What tests of the trainer share: pictures, small recipes, and what stock diffusers says."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, WanPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as qwen_pipeline
from PIL import Image
from torch import Tensor

from generator.engine import pictures
from generator.engine.production.reader import Reader
from generator.engine.production.training import FAMILIES, TrainingRecipe, train
from generator.engine.production.training.examples import Examples, Given, _encode
from generator.engine.production.training.families import Batch, Where
from tests import tiny_checkpoints, tiny_checkpoints_more

CPU = Where(torch.device("cpu"), torch.float32)
NAMES = sorted(FAMILIES)
PROMPT = "a photo of the person"
BUILD: dict[str, Callable[[Path], Path]] = {
    "klein": tiny_checkpoints.klein,
    "qwen_edit": tiny_checkpoints_more.qwen_edit,
    "sdxl": tiny_checkpoints.sdxl,
    "wan": tiny_checkpoints_more.wan,
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {name: BUILD[name](folder / name) for name in NAMES}


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


def fitting(family: Any, recipe: TrainingRecipe) -> TrainingRecipe:
    """As small as that family's pictures may be, where it asks for less."""
    row = FAMILIES[family] if isinstance(family, str) else family
    size = max(recipe.size_px, 2 * row.multiple_px)
    return replace(recipe, size_px=size, context=recipe.context or row.always_in_context)


@contextmanager
def small_pictures(side: int = 64) -> Iterator[None]:
    """Qwen's pipeline enlarges whatever it looks at to a megapixel: here, half a minute each."""
    before = qwen_pipeline.VAE_IMAGE_SIZE, qwen_pipeline.CONDITION_IMAGE_SIZE
    qwen_pipeline.VAE_IMAGE_SIZE, qwen_pipeline.CONDITION_IMAGE_SIZE = side**2, 56**2
    try:
        yield
    finally:
        qwen_pipeline.VAE_IMAGE_SIZE, qwen_pipeline.CONDITION_IMAGE_SIZE = before


@small_pictures()
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
        fitting(family, recipe),
        work_dir=folder,
        on_progress=(told if told is not None else []).append,
        should_cancel=should_cancel,
        **more,
    )


def stock(base: Path, adapter: Path | None = None) -> Any:
    """The pipeline as diffusers alone makes it; of Wan the one for words, which draws stills."""
    kind = WanPipeline if "Wan" in (base / "model_index.json").read_text() else DiffusionPipeline
    reader = base / "processor"
    more = {"processor": Reader(reader)} if reader.exists() else {}  # else it wants torchvision
    pipe = kind.from_pretrained(base, local_files_only=True, **more)
    pipe.set_progress_bar_config(disable=True)
    if adapter:
        pipe.load_lora_weights(adapter)
    return pipe


def denoiser_of(pipe: Any) -> Any:
    return pipe.unet if hasattr(pipe, "unet") else pipe.transformer


@small_pictures()
def held_out(name: str, base: Path, recipe: TrainingRecipe, seed: int) -> tuple[Batch, Examples]:
    """One picture, its prompt, and 16 noises and levels that no training has drawn."""
    family = FAMILIES[name]
    given = Given([picture(seed)], [None], [])
    found = _encode(family, base, given, fitting(family, recipe), CPU)
    generator = torch.Generator().manual_seed(999)
    rows = torch.zeros(16, dtype=torch.long)
    noise = torch.randn(16, *found.mean.shape[1:], generator=generator)
    level = family.level((torch.arange(16) + 0.5) / 16, False)
    return Batch(found.mean[rows], noise, level, found.asked(rows)), found


@torch.no_grad()
def loss(name: str, base: Path, denoiser: Any, batch: Batch) -> float:
    family = FAMILIES[name]
    return float(family.wrong(denoiser, batch, family.noises(base, CPU)).square().mean())


@small_pictures()
def drawn(name: str, pipe: Any, prompt: str, recipe: TrainingRecipe) -> Tensor:
    """Latents of two pictures by the stock pipeline, as the trainer has them."""
    side = recipe.size_px
    usual: dict[str, Any] = {
        "height": side, "width": side, "num_inference_steps": 8, "output_type": "latent",
    }  # fmt: skip
    if name == "qwen_edit":
        return torch.cat([_beside_a_picture(pipe, prompt, usual, seed) for seed in (5, 6)])
    more = {} if name == "sdxl" else {"max_sequence_length": recipe.prompt_tokens}
    more |= {"num_frames": 1} if name == "wan" else {}
    found = pipe(
        prompt=[prompt] * 2, guidance_scale=1.0, generator=torch.Generator().manual_seed(5),
        **usual, **more,
    )  # fmt: skip
    if name == "wan":
        return found.frames[:, :, 0]
    if name == "klein":
        latents = pipe._patchify_latents(found.images)
        centre, spread = pipe.vae.bn.running_mean, pipe.vae.bn.running_var
        scale = (spread + pipe.vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1)
        return (latents - centre.view(1, -1, 1, 1)) / scale
    return found.images


def _beside_a_picture(pipe: Any, prompt: str, usual: dict[str, Any], seed: int) -> Tensor:
    """Qwen draws one picture at a time, and looks at one; here at picture 1."""
    found = pipe(
        image=[pictures.read(picture(1))], prompt=prompt, true_cfg_scale=1.0,
        generator=torch.Generator().manual_seed(seed), **usual,
    )  # fmt: skip
    return pipe._unpack_latents(found.images, usual["height"], usual["width"], 8)[:, :, 0]
