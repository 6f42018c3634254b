"""FLUX.2 klein."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel
from PIL import Image
from torch import Tensor, nn
from transformers import Qwen2Tokenizer, Qwen3ForCausalLM

from generator.engine.production.training import attention
from generator.engine.production.training.families.base import (
    HERE,
    Batch,
    Where,
    Words,
    between,
    flowing,
    part,
)
from generator.engine.production.training.recipe import TrainingRecipe


@torch.no_grad()
def _words(
    base: Path, prompts: Sequence[str], shown: Image.Image, recipe: TrainingRecipe, where: Where
) -> Words:
    """By the pipeline's own function, so with the layers it reads (9, 18, 27): others, as the
    well-known script takes them, make an adapter that does nothing."""
    embeds = Flux2KleinPipeline._get_qwen3_prompt_embeds(
        text_encoder=part(Qwen3ForCausalLM, base, "text_encoder", where),
        tokenizer=Qwen2Tokenizer.from_pretrained(base, subfolder="tokenizer", **HERE),
        prompt=list(prompts),
        max_sequence_length=recipe.prompt_tokens,
    )
    return {"embeds": embeds}


@torch.no_grad()
def _posterior(base: Path, pixels: Tensor, where: Where) -> tuple[Tensor, Tensor]:
    """Its mean alone: the pipeline encodes references so, and the family was trained so."""
    vae = part(AutoencoderKLFlux2, base, "vae", where)
    pixels = pixels.to(where.device, where.dtype)
    found = torch.cat([vae.encode(one[None]).latent_dist.mode() for one in pixels])
    mean = Flux2KleinPipeline._patchify_latents(found.float())
    centre = vae.bn.running_mean.float().view(1, -1, 1, 1)
    spread = (vae.bn.running_var.float() + vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1)
    mean = (mean - centre) / spread
    return mean, torch.zeros_like(mean)


def _denoiser(base: Path, where: Where) -> nn.Module:
    transformer = part(Flux2Transformer2DModel, base, "transformer", where)
    transformer.pos_embed = _Remembered(transformer.pos_embed)
    attention.install(transformer)
    return transformer


class _Remembered(nn.Module):
    """Positions are the same at each step: their angles are worked out once."""

    def __init__(self, angles: nn.Module) -> None:
        super().__init__()
        self.angles = angles
        self._known: dict[int, tuple[Tensor, Any]] = {}  # by address: what is kept keeps its own

    def forward(self, ids: Tensor) -> Any:
        if ids.data_ptr() not in self._known:
            self._known[ids.data_ptr()] = (ids, self.angles(ids))
        return self._known[ids.data_ptr()][1]


def _wrong(transformer: nn.Module, batch: Batch, noises: Tensor) -> Tensor:
    noisy = between(batch)
    size, _, height, width = noisy.shape
    embeds = batch.words["embeds"].expand(size, -1, -1)
    tokens, beside = _tokens(noisy).to(embeds.dtype), batch.words.get("context")
    if beside is not None:
        tokens = torch.cat([tokens, beside.expand(size, -1, -1)], dim=1)
    guess = transformer(
        hidden_states=tokens,
        timestep=batch.level.to(embeds.dtype),
        guidance=None,
        encoder_hidden_states=embeds,
        txt_ids=_text_ids(size, embeds.shape[1], embeds.device),
        img_ids=_image_ids(size, height, width, beside is not None, embeds.device),
        return_dict=False,
    )[0][:, : height * width]
    flow = batch.noise - batch.latents
    return guess.float().transpose(1, 2).reshape(flow.shape) - flow


def _tokens(latents: Tensor) -> Tensor:
    return latents.flatten(2).transpose(1, 2)


@lru_cache(maxsize=4)
def _image_ids(
    size: int, height: int, width: int, with_context: bool, device: torch.device
) -> Tensor:
    """A reference is as large as what is learnt and stands where the pipeline puts its first."""
    ids = Flux2KleinPipeline._prepare_latent_ids(torch.empty(size, 1, height, width))
    if with_context:
        beside = Flux2KleinPipeline._prepare_image_ids([torch.empty(1, 1, height, width)])
        ids = torch.cat([ids, beside.repeat(size, 1, 1)], dim=1)
    return ids.to(device)


@lru_cache(maxsize=4)
def _text_ids(size: int, length: int, device: torch.device) -> Tensor:
    return Flux2KleinPipeline._prepare_text_ids(torch.empty(size, length, 1)).to(device)


ROW = flowing(
    name="klein",
    prefix="transformer",
    multiple_px=16,
    targets=re.compile(
        # double blocks with the text's own side, single blocks
        r".*\.(to_q|to_k|to_v|to_out\.0|add_[qkv]_proj|to_add_out)"
        r"|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)"
    ),
    words=_words,
    posterior=_posterior,
    denoiser=_denoiser,
    wrong=_wrong,
    context=_tokens,
)
