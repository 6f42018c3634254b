"""Qwen-Image-Edit: a person is learnt beside the picture that it is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKLQwenImage, QwenImageEditPlusPipeline, QwenImageTransformer2DModel
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as pipeline
from PIL import Image
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration

from generator.engine.production.reader import Reader
from generator.engine.production.training.families.base import (
    Batch,
    Where,
    Words,
    between,
    flowing,
    part,
    still,
)
from generator.engine.production.training.recipe import TrainingRecipe


@torch.no_grad()
def _words(
    base: Path, prompts: Sequence[str], shown: Image.Image, recipe: TrainingRecipe, where: Where
) -> Words:
    """Its text encoder looks at the person as well, so words are the pipeline's own."""
    pipe = QwenImageEditPlusPipeline(
        text_encoder=part(Qwen2_5_VLForConditionalGeneration, base, "text_encoder", where),
        processor=Reader(base / "processor"),
        **dict.fromkeys(("scheduler", "vae", "tokenizer", "transformer")),
    )
    side = _side(pipeline.CONDITION_IMAGE_SIZE)
    seen = [pipe.image_processor.resize(shown, side, side)]
    found = [pipe._get_qwen_prompt_embeds(prompt, seen, where.device) for prompt in prompts]
    embeds, masks = (_padded(parts) for parts in zip(*found, strict=True))
    return {"embeds": embeds} | ({} if masks.all() else {"mask": masks})


def _padded(parts: Sequence[Tensor]) -> Tensor:
    """(n, longest, ...) of (1, length, ...)."""
    return nn.utils.rnn.pad_sequence([part[0] for part in parts], batch_first=True)


@torch.no_grad()
def _posterior(base: Path, pixels: Tensor, where: Where) -> tuple[Tensor, Tensor]:
    return still(part(AutoencoderKLQwenImage, base, "vae", where), pixels, where)


def _denoiser(base: Path, where: Where) -> nn.Module:
    return part(QwenImageTransformer2DModel, base, "transformer", where)


def _context_px(recipe: TrainingRecipe) -> int:
    """The pipeline enlarges whatever it is shown."""
    return _side(pipeline.VAE_IMAGE_SIZE)


def _side(area: int) -> int:
    """Of a square of that many pixels, as the pipeline rounds it."""
    return int(pipeline.calculate_dimensions(area, 1.0)[0])


def _tokens(latents: Tensor) -> Tensor:
    """Two by two places are a token."""
    count, channels, height, width = latents.shape
    found: Tensor = QwenImageEditPlusPipeline._pack_latents(latents, count, channels, height, width)
    return found


def _wrong(transformer: nn.Module, batch: Batch, noises: Tensor) -> Tensor:
    noisy = between(batch)
    size, _, height, width = noisy.shape
    embeds, beside = (batch.words[name].expand(size, -1, -1) for name in ("embeds", "context"))
    mask = batch.words.get("mask")
    shape, aside = (1, height // 2, width // 2), math.isqrt(beside.shape[1])
    guess = transformer(
        hidden_states=torch.cat([_tokens(noisy).to(embeds.dtype), beside], dim=1),
        timestep=batch.level.to(embeds.dtype),
        encoder_hidden_states=embeds,
        encoder_hidden_states_mask=None if mask is None else mask.bool().expand(size, -1),
        img_shapes=[[shape, (1, aside, aside)]] * size,
        return_dict=False,
    )[0][:, : shape[1] * shape[2]]
    side = QwenImageEditPlusPipeline._unpack_latents(guess, height, width, 1)
    return side[:, :, 0].float() - (batch.noise - batch.latents)


ROW = flowing(
    name="qwen_edit",
    prefix="transformer",
    multiple_px=16,
    targets=re.compile(r".*\.(to_q|to_k|to_v|to_out\.0|add_[qkv]_proj|to_add_out)"),
    words=_words,
    posterior=_posterior,
    denoiser=_denoiser,
    wrong=_wrong,
    context=_tokens,
    context_px=_context_px,
    always_in_context=True,
)
