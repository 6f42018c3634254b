"""Wan 2.2 TI2V: a person is learnt from stills, each a clip of one frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanImageToVideoPipeline, WanTransformer3DModel
from PIL import Image
from torch import Tensor, nn
from transformers import AutoTokenizer, UMT5EncoderModel

from generator.engine.production.training.families.base import (
    HERE,
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
    pipe = WanImageToVideoPipeline(
        text_encoder=part(UMT5EncoderModel, base, "text_encoder", where),
        tokenizer=AutoTokenizer.from_pretrained(base, subfolder="tokenizer", **HERE),
        **dict.fromkeys(("vae", "scheduler")),
    )
    return {
        "embeds": pipe._get_t5_prompt_embeds(
            list(prompts), max_sequence_length=recipe.prompt_tokens, device=where.device
        )
    }


@torch.no_grad()
def _posterior(base: Path, pixels: Tensor, where: Where) -> tuple[Tensor, Tensor]:
    """In float32, as the pipeline has it."""
    exact = Where(where.device, torch.float32)
    return still(part(AutoencoderKLWan, base, "vae", exact), pixels, where)


def _denoiser(base: Path, where: Where) -> nn.Module:
    return part(WanTransformer3DModel, base, "transformer", where)


def _wrong(transformer: nn.Module, batch: Batch, noises: Tensor) -> Tensor:
    noisy, embeds = between(batch), batch.words["embeds"]
    guess = transformer(
        hidden_states=noisy[:, :, None].to(embeds.dtype),
        timestep=batch.level * 1000,
        encoder_hidden_states=embeds.expand(len(noisy), -1, -1),
        return_dict=False,
    )[0]
    return guess[:, :, 0].float() - (batch.noise - batch.latents)


ROW = flowing(
    name="wan",
    prefix="transformer",
    multiple_px=32,
    targets=re.compile(r".*\.(to_q|to_k|to_v|to_out\.0)"),
    words=_words,
    posterior=_posterior,
    denoiser=_denoiser,
    wrong=_wrong,
)
