"""What the trainer needs to know of a base model: how it reads, and what it is asked for.

A family is a row of functions. `words` and `posterior` load one part of the model, use it and
let it go, so that text encoder, VAE and denoiser are never in memory together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDPMScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    UNet2DConditionModel,
)
from torch import Tensor, nn
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3ForCausalLM,
)

from generator.engine.production.training import attention
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


@dataclass(frozen=True)
class Family:
    """What the trainer needs of a base."""

    name: str
    prefix: str  # of the denoiser's keys in an adapter
    multiple_px: int  # of a picture's side
    targets: re.Pattern[str]  # layers that learn
    words: Callable[[Path, Sequence[str], TrainingRecipe, Where], Words]
    posterior: Callable[[Path, Tensor, Where], tuple[Tensor, Tensor]]  # mean and spread
    denoiser: Callable[[Path, Where], nn.Module]
    noises: Callable[[Path, Where], Tensor]  # what `wrong` reads levels with; any shape
    level: Callable[[Tensor, bool], Tensor]  # of chances in [0, 1), weighted or even
    wrong: Callable[[nn.Module, Batch, Tensor], Tensor]  # guess - target, (B, C, h, w) float32
    weight: Callable[[Tensor, Tensor, TrainingRecipe], Tensor]  # (B,) of levels
    context: Callable[[Tensor], Tensor] | None = None  # (1, tokens, C) of a reference's latents

    def layers(self, denoiser: nn.Module) -> list[str]:
        """Names of all linear layers that learn."""
        return [
            name
            for name, layer in denoiser.named_modules()
            if isinstance(layer, nn.Linear) and self.targets.fullmatch(name)
        ]


def _part(kind: Any, base: Path, folder: str, where: Where) -> Any:
    """One component of a checkpoint, frozen; nothing is fetched."""
    model = kind.from_pretrained(base, subfolder=folder, torch_dtype=where.dtype, **HERE)
    return model.to(where.device).eval().requires_grad_(False)


# SDXL


@torch.no_grad()
def _sdxl_words(base: Path, prompts: Sequence[str], recipe: TrainingRecipe, where: Where) -> Words:
    hidden = []
    pooled = torch.empty(0)
    for kind, end in ((CLIPTextModel, ""), (CLIPTextModelWithProjection, "_2")):
        tokenizer = CLIPTokenizer.from_pretrained(base, subfolder=f"tokenizer{end}", **HERE)
        encoder = _part(kind, base, f"text_encoder{end}", where)
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
def _sdxl_posterior(base: Path, pixels: Tensor, where: Where) -> tuple[Tensor, Tensor]:
    """In float32: SDXL's VAE overflows in half precision."""
    exact = Where(where.device, torch.float32)
    vae = _part(AutoencoderKL, base, "vae", exact)
    found = [vae.encode(one[None].to(where.device)).latent_dist for one in pixels]
    scale = vae.config.scaling_factor
    mean, spread = (torch.cat(x) for x in zip(*((p.mean, p.std) for p in found), strict=True))
    return mean * scale, spread * scale


def _sdxl_denoiser(base: Path, where: Where) -> nn.Module:
    unet = _part(UNet2DConditionModel, base, "unet", where)
    unet.set_attn_processor(attention.Crossed())
    return unet


def _sdxl_noises(base: Path, where: Where) -> Tensor:
    """(T, 3): share of the picture, share of the noise, whether v is asked for."""
    scheduler = DDPMScheduler.from_pretrained(base, subfolder="scheduler", **HERE)
    kept = scheduler.alphas_cumprod.to(where.device)
    asks_v = float(scheduler.config.prediction_type == "v_prediction")
    return torch.stack([kept.sqrt(), (1 - kept).sqrt(), torch.full_like(kept, asks_v)], dim=1)


def _sdxl_level(chances: Tensor, weighted: bool) -> Tensor:
    return (chances * 1000).long()


def _sdxl_wrong(unet: nn.Module, batch: Batch, noises: Tensor) -> Tensor:
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


def _sdxl_weight(level: Tensor, noises: Tensor, recipe: TrainingRecipe) -> Tensor:
    """Min-SNR: levels with little noise would else count for almost everything."""
    keep, spoil, asks_v = noises[level].unbind(1)
    snr = (keep / spoil) ** 2
    return snr.clamp(max=recipe.min_snr) / (snr + asks_v)


# FLUX.2 klein


@torch.no_grad()
def _klein_words(base: Path, prompts: Sequence[str], recipe: TrainingRecipe, where: Where) -> Words:
    """By the pipeline's own function, so with the layers it reads (9, 18, 27): others, as the
    well-known script takes them, make an adapter that does nothing."""
    embeds = Flux2KleinPipeline._get_qwen3_prompt_embeds(
        text_encoder=_part(Qwen3ForCausalLM, base, "text_encoder", where),
        tokenizer=Qwen2Tokenizer.from_pretrained(base, subfolder="tokenizer", **HERE),
        prompt=list(prompts),
        max_sequence_length=recipe.prompt_tokens,
    )
    return {"embeds": embeds}


@torch.no_grad()
def _klein_posterior(base: Path, pixels: Tensor, where: Where) -> tuple[Tensor, Tensor]:
    """Its mean alone: the pipeline encodes references so, and the family was trained so."""
    vae = _part(AutoencoderKLFlux2, base, "vae", where)
    pixels = pixels.to(where.device, where.dtype)
    found = torch.cat([vae.encode(one[None]).latent_dist.mode() for one in pixels])
    mean = Flux2KleinPipeline._patchify_latents(found.float())
    centre = vae.bn.running_mean.float().view(1, -1, 1, 1)
    spread = (vae.bn.running_var.float() + vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1)
    mean = (mean - centre) / spread
    return mean, torch.zeros_like(mean)


def _klein_denoiser(base: Path, where: Where) -> nn.Module:
    transformer = _part(Flux2Transformer2DModel, base, "transformer", where)
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


def _klein_noises(base: Path, where: Where) -> Tensor:
    return torch.empty(0)  # the level is the share of the noise itself


def _klein_level(chances: Tensor, weighted: bool) -> Tensor:
    """Weighted: more often where picture and noise are even (logit-normal, arXiv 2403.03206)."""
    if not weighted:
        return 1 - (chances * 1000).floor() / 1000  # as the scheduler's thousand steps
    return torch.special.ndtri(chances.clamp(1e-4, 1 - 1e-4)).sigmoid()


def _klein_wrong(transformer: nn.Module, batch: Batch, noises: Tensor) -> Tensor:
    share = batch.level[:, None, None, None]
    noisy = (1 - share) * batch.latents + share * batch.noise
    size, _, height, width = noisy.shape
    embeds = batch.words["embeds"].expand(size, -1, -1)
    tokens, beside = _klein_tokens(noisy).to(embeds.dtype), batch.words.get("context")
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


def _klein_tokens(latents: Tensor) -> Tensor:
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


def _klein_weight(level: Tensor, noises: Tensor, recipe: TrainingRecipe) -> Tensor:
    return torch.ones_like(level)  # by how often a level is drawn instead


FAMILIES = {
    "sdxl": Family(
        name="sdxl",
        prefix="unet",
        multiple_px=8,
        targets=re.compile(r".*\.(to_q|to_k|to_v|to_out\.0)"),
        words=_sdxl_words,
        posterior=_sdxl_posterior,
        denoiser=_sdxl_denoiser,
        noises=_sdxl_noises,
        level=_sdxl_level,
        wrong=_sdxl_wrong,
        weight=_sdxl_weight,
    ),
    "klein": Family(
        name="klein",
        prefix="transformer",
        multiple_px=16,
        targets=re.compile(
            # double blocks with the text's own side, single blocks
            r".*\.(to_q|to_k|to_v|to_out\.0|add_[qkv]_proj|to_add_out)"
            r"|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)"
        ),
        words=_klein_words,
        posterior=_klein_posterior,
        denoiser=_klein_denoiser,
        noises=_klein_noises,
        level=_klein_level,
        wrong=_klein_wrong,
        weight=_klein_weight,
        context=_klein_tokens,
    ),
}
