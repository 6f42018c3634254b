"""Wan 2.2 TI2V: a still picture set in motion. The likeness is the first frame's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from PIL import Image

from generator.engine.production.families.base import Asked, Family, Tell, generators, telling
from generator.engine.production.memory import Plan

EVERY = 4  # frames that its VAE keeps as one, after the first


class Wan(Family):
    """WanImageToVideoPipeline."""

    multiple_px: ClassVar[int] = 32
    batches: ClassVar[bool] = False

    @classmethod
    def options(cls, folder: Path, plan: Plan) -> dict[str, Any]:
        """Its VAE needs float32: frames of bfloat16 show bands (the model card says so too)."""
        vae = AutoencoderKLWan.from_pretrained(
            folder, subfolder="vae", dtype=torch.float32, use_safetensors=True,
            local_files_only=True,
        )  # fmt: skip
        return super().options(folder, plan) | {"vae": vae}

    def film(self, asked: Asked, *, frames: int, tell: Tell) -> NDArray[np.uint8]:
        """(frames, H, W, 3); drawn a few more where the VAE's rhythm wants them, then cut."""
        assert asked.image is not None
        drawn = 1 + EVERY * -(-(frames - 1) // EVERY)
        size = (asked.width, asked.height)
        try:
            with torch.no_grad():
                found = self.pipe(
                    image=asked.image.resize(size, Image.Resampling.LANCZOS),
                    prompt=asked.prompt,
                    negative_prompt=asked.negative_prompt,
                    width=asked.width,
                    height=asked.height,
                    num_frames=drawn,
                    num_inference_steps=asked.steps,
                    guidance_scale=asked.guidance,
                    generator=generators([asked])[0],
                    callback_on_step_end=telling(tell, asked.steps),
                    output_type="np",
                ).frames[0]
        finally:
            self.pipe.maybe_free_model_hooks()
        levels = (np.clip(found[:frames], 0, 1) * 255).round()
        return np.ascontiguousarray(levels.astype(np.uint8))
