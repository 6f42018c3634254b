"""SDXL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from generator.engine.production.training import attention
from generator.engine.production.training.families.base import (
    HERE,
    Batch,
    Family,
    Where,
    Words,
    part,
)
from generator.engine.production.training.recipe import TrainingRecipe


@torch.no_grad()
def _words(
    base: Path, prompts: Sequence[str], shown: Image.Image, recipe: TrainingRecipe, where: Where
) -> Words:
    hidden = []
    pooled = torch.empty(0)
    for kind, end in ((CLIPTextModel, ""), (CLIPTextModelWithProjection, "_2")):
        tokenizer = CLIPTokenizer.from_pretrained(base, subfolder=f"tokenizer{end}", **HERE)
        encoder = part(kind, base, f"text_encoder{end}", where)
        ids = tokenizer(
            list(prompts),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        found = encoder(ids.to(where.device), output_hidden_states=True)
        hidden.append(found.hidden_states[-2])  # the last but one, as SDXL was trained
        pooled = found[0]
    side = float(recipe.size_px)
    sizes = torch.tensor([[side, side, 0.0, 0.0, side, side]])  # original, cut at, wanted
    return {
        "embeds": torch.cat(hidden, dim=-1),
        "pooled": pooled,
        "sizes": sizes.repeat(len(prompts), 1).to(where.device, where.dtype),
    }


@torch.no_grad()
def _posterior(base: Path, pixels: Tensor, where: Where) -> tuple[Tensor, Tensor]:
    """In float32: SDXL's VAE overflows in half precision."""
    exact = Where(where.device, torch.float32)
    vae = part(AutoencoderKL, base, "vae", exact)
    found = [vae.encode(one[None].to(where.device)).latent_dist for one in pixels]
    scale = vae.config.scaling_factor
    mean, spread = (torch.cat(x) for x in zip(*((p.mean, p.std) for p in found), strict=True))
    return mean * scale, spread * scale


def _denoiser(base: Path, where: Where) -> nn.Module:
    unet = part(UNet2DConditionModel, base, "unet", where)
    unet.set_attn_processor(attention.Crossed())
    return unet


def _noises(base: Path, where: Where) -> Tensor:
    """(T, 3): share of the picture, share of the noise, whether v is asked for."""
    scheduler = DDPMScheduler.from_pretrained(base, subfolder="scheduler", **HERE)
    kept = scheduler.alphas_cumprod.to(where.device)
    asks_v = float(scheduler.config.prediction_type == "v_prediction")
    return torch.stack([kept.sqrt(), (1 - kept).sqrt(), torch.full_like(kept, asks_v)], dim=1)


def _level(chances: Tensor, weighted: bool) -> Tensor:
    return (chances * 1000).long()


def _wrong(unet: nn.Module, batch: Batch, noises: Tensor) -> Tensor:
    keep, spoil, asks_v = (x[:, None, None, None] for x in noises[batch.level].unbind(1))
    noisy = keep * batch.latents + spoil * batch.noise
    words = batch.words
    guess = unet(
        noisy.to(words["embeds"].dtype),
        batch.level,
        words["embeds"],
        added_cond_kwargs={"time_ids": words["sizes"], "text_embeds": words["pooled"]},
        return_dict=False,
    )[0]
    velocity = keep * batch.noise - spoil * batch.latents
    return guess.float() - torch.where(asks_v > 0, velocity, batch.noise)


def _weight(level: Tensor, noises: Tensor, recipe: TrainingRecipe) -> Tensor:
    """Min-SNR: levels with little noise would else count for almost everything."""
    keep, spoil, asks_v = noises[level].unbind(1)
    snr = (keep / spoil) ** 2
    return snr.clamp(max=recipe.min_snr) / (snr + asks_v)


ROW = Family(
    name="sdxl",
    prefix="unet",
    multiple_px=8,
    targets=re.compile(r".*\.(to_q|to_k|to_v|to_out\.0)"),
    words=_words,
    posterior=_posterior,
    denoiser=_denoiser,
    noises=_noises,
    level=_level,
    wrong=_wrong,
    weight=_weight,
)
