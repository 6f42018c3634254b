"""Load the base model from its folder of weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor

from generator.engine.miniature.autoencoder import PatchAutoencoder
from generator.engine.miniature.denoiser import Denoiser
from generator.engine.miniature.encoders import AttributeReader, IdentityEncoder

WEIGHTS = Path(__file__).parent / "weights"
SIZE_PX = 256  # side of the pictures it draws
STEPS = 12  # num_inference_steps: more of them add mottle, not detail
GUIDANCE = 2.5  # guidance_scale between 2 and 3 follows the prompt without burning colours


@dataclass(frozen=True)
class Base:
    """Everything that one folder of weights holds."""

    pipe: StableDiffusionPipeline
    identity_encoder: IdentityEncoder
    reader: AttributeReader


def load_base(
    folder: Path = WEIGHTS,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Base:
    """The base model, ready to draw. Stored in half precision, computed in `dtype`.

    OSError where the folder is not complete.
    """
    # Diffusers names the modules of our own classes but will not import them by itself.
    vae = PatchAutoencoder.from_pretrained(folder, subfolder="vae", dtype=dtype)
    unet = Denoiser.from_pretrained(folder, subfolder="unet", dtype=dtype)
    pipe = StableDiffusionPipeline.from_pretrained(
        folder, vae=vae, unet=unet, dtype=dtype, local_files_only=True
    )
    pipe.unet.set_attn_processor(AttnProcessor())  # measured faster than SDPA at 64 tokens
    pipe.set_progress_bar_config(disable=True)
    identity = IdentityEncoder.from_pretrained(folder, subfolder="identity_encoder", dtype=dtype)
    reader = AttributeReader.from_pretrained(folder, subfolder="reader", dtype=dtype)
    pipe.to(device)
    return Base(pipe, identity.to(device).eval(), reader.to(device).eval())
