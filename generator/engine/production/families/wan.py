"""Wan 2.2 TI2V: a still picture set in motion, and stills by words of whoever it has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanPipeline
from numpy.typing import NDArray
from PIL import Image

from generator.engine.interface import Description, EngineError
from generator.engine.production.families.base import Asked, Family, Tell, generators, telling
from generator.engine.production.memory import Plan

EVERY = 4  # frames that its VAE keeps as one, after the first
Frames = NDArray[np.uint8]
"""(frames, H, W, 3)"""


class Wan(Family):
    """WanImageToVideoPipeline, and WanPipeline over the same parts."""

    multiple_px: ClassVar[int] = 32
    batches: ClassVar[bool] = False
    is_instructed: ClassVar[bool] = False
    looks = False

    @classmethod
    def options(cls, folder: Path, plan: Plan) -> dict[str, Any]:
        """Its VAE needs float32: frames of bfloat16 show bands (the model card says so too)."""
        vae = AutoencoderKLWan.from_pretrained(
            folder, subfolder="vae", dtype=torch.float32, use_safetensors=True,
            local_files_only=True,
        )  # fmt: skip
        return super().options(folder, plan) | {"vae": vae}

    def check_looks(self, engine: Description) -> None:
        raise EngineError(
            "bad_request", f"{engine.title} knows people by a training alone. Train them first."
        )

    @cached_property
    def by_words(self) -> Any:
        parts = {name: part for name, part in self.pipe.components.items() if "image" not in name}
        made = WanPipeline(**parts, expand_timesteps=self.pipe.config.expand_timesteps)
        made.set_progress_bar_config(disable=True)
        return made

    def unload(self) -> None:
        self.__dict__.pop("by_words", None)
        super().unload()

    def film(self, asked: Asked, *, frames: int, tell: Tell) -> Frames:
        """Of a given picture; drawn a few more where the VAE's rhythm wants them, then cut."""
        assert asked.image is not None
        drawn = 1 + EVERY * -(-(frames - 1) // EVERY)
        first = asked.image.resize((asked.width, asked.height), Image.Resampling.LANCZOS)
        try:
            with torch.no_grad():
                return self._frames(self.pipe, asked, drawn, tell, image=first)[:frames]
        finally:
            self.pipe.maybe_free_model_hooks()

    def _draw(self, asked: Sequence[Asked], tell: Tell) -> list[Image.Image]:
        """Clips of one frame, as it learns people."""
        return [Image.fromarray(self._frames(self.by_words, one, 1, tell)[0]) for one in asked]

    def _frames(self, pipe: Any, asked: Asked, count: int, tell: Tell, **more: Any) -> Frames:
        found = pipe(
            prompt=asked.prompt,
            negative_prompt=asked.negative_prompt,
            width=asked.width,
            height=asked.height,
            num_frames=count,
            num_inference_steps=asked.steps,
            guidance_scale=asked.guidance,
            generator=generators([asked])[0],
            callback_on_step_end=telling(tell, asked.steps),
            output_type="np",
            **more,
        ).frames[0]
        levels = (np.clip(found, 0, 1) * 255).round()
        return np.ascontiguousarray(levels.astype(np.uint8))
