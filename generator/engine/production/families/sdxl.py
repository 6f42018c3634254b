"""Stable Diffusion XL: pictures, edits by noise, inpainting.

People by adapters, and by their pictures where IP-Adapter plus-face lies beside it: CLIP looks at
a face, no face recognition whose weights forbid business.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline
from PIL import Image
from torch import Tensor

from generator.engine.production.families.base import (
    Asked,
    Family,
    Tell,
    generators,
    kept_outside,
    telling,
)
from generator.engine.production.memory import Plan

EDIT_STRENGTH = 0.6  # of the noise: lower changes nothing, higher keeps nothing
MASKED_STRENGTH = 0.95
LOOKED_AT = 0.6  # how much a reference counts beside the words; more repeats its very picture
FACE = ("sdxl_models", "ip-adapter-plus-face_sdxl_vit-h.safetensors")
EYES = "models/image_encoder"


class Sdxl(Family):
    """StableDiffusionXLPipeline and its two siblings over the same parts."""

    denoiser_name: ClassVar[str] = "unet"
    multiple_px: ClassVar[int] = 8
    is_instructed: ClassVar[bool] = False

    def __init__(self, pipe: Any, plan: Plan, device: torch.device) -> None:
        super().__init__(pipe, plan, device)
        self.looks = False

    def add(self, beside: Path) -> None:
        """By diffusers' own loader, into the cross-attention of the denoiser."""
        folder, name = FACE
        self.pipe.load_ip_adapter(
            str(beside), subfolder=folder, weight_name=name, image_encoder_folder=EYES,
            local_files_only=True,
        )  # fmt: skip
        self.looks = True

    @cached_property
    def editing(self) -> Any:
        return self._sibling(StableDiffusionXLImg2ImgPipeline)

    @cached_property
    def inpainting(self) -> Any:
        return self._sibling(StableDiffusionXLInpaintPipeline)

    def _sibling(self, kind: Any) -> Any:
        made = kind(**self.pipe.components, add_watermarker=False)
        made.set_progress_bar_config(disable=True)
        return made

    def unload(self) -> None:
        for name in ("editing", "inpainting"):
            self.__dict__.pop(name, None)
        super().unload()

    def words(self, prompt: str, negative: str, *, guided: bool) -> tuple[Tensor, ...]:
        """prompt_embeds, its negative, pooled and its negative, first dimension 1"""

        def make() -> tuple[Tensor, ...]:
            found: tuple[Tensor, ...] = self.pipe.encode_prompt(
                prompt,
                negative_prompt=negative,
                device=self.pipe._execution_device,
                do_classifier_free_guidance=guided,
            )
            return found

        found: tuple[Tensor, ...] = self.remembered((prompt, negative, guided), make)
        return found

    def _draw(self, asked: Sequence[Asked], tell: Tell) -> list[Image.Image]:
        first = asked[0]
        guided = first.guidance > 1
        words = [self.words(one.prompt, one.negative_prompt, guided=guided) for one in asked]
        names = ("prompt", "negative_prompt", "pooled_prompt", "negative_pooled_prompt")
        shared: dict[str, Any] = {
            f"{name}_embeds": torch.cat(parts)
            for name, parts in zip(names, zip(*words, strict=True), strict=True)
            if parts[0] is not None
        }
        shared |= {
            "generator": generators(asked),
            "num_inference_steps": first.steps,
            "guidance_scale": first.guidance,
        }
        if self.looks:
            shared["ip_adapter_image_embeds"] = self._seen(first.references, guided=guided)
        if first.image is None:
            size = {"width": first.width, "height": first.height}
            called = telling(tell, first.steps)
            return list(self.pipe(callback_on_step_end=called, **size, **shared).images)
        return self._changed(asked, shared, tell)

    def _seen(self, references: Sequence[Image.Image], *, guided: bool) -> list[Tensor]:
        """[(2, pictures, tokens, D)], one without guidance. Without a reference attention leaves
        them out, and pictures are the very ones of a pipeline that has no adapter."""
        self.pipe.set_ip_adapter_scale(LOOKED_AT if references else 0.0)
        shown = list(references) or [Image.new("RGB", (8, 8))]
        found: list[Tensor] = self.pipe.prepare_ip_adapter_image_embeds(
            [shown], None, self.pipe._execution_device, 1, guided
        )
        return found

    def _changed(
        self, asked: Sequence[Asked], shared: dict[str, Any], tell: Tell
    ) -> list[Image.Image]:
        first = asked[0]
        assert first.image is not None
        usual = MASKED_STRENGTH if first.mask else EDIT_STRENGTH
        strength = usual if first.strength is None else first.strength
        strength = max(strength, 1 / first.steps)
        shared |= {
            "image": [first.image.resize((first.width, first.height))] * len(asked),
            "strength": strength,
            "callback_on_step_end": telling(tell, max(1, int(first.steps * strength))),
        }
        if first.mask is None:
            return list(self.editing(**shared).images)
        mask = first.mask.resize((first.width, first.height))
        size = {"width": first.width, "height": first.height}
        found = self.inpainting(mask_image=[mask] * len(asked), **size, **shared).images
        return [kept_outside(one, first) for one in found]
