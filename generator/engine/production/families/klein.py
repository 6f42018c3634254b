"""FLUX.2 klein: pictures, edits by words with references, inpainting with a reference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from diffusers import Flux2KleinInpaintPipeline
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
from generator.engine.production.regions import Box, Layout, layout

MASKED_STRENGTH = 0.95  # of an inpainting that says nothing else: 1 would forget the picture
LEAST_STEPS = 2  # an inpainting keeps at least that many of a distilled model's four


class Klein(Family):
    """Flux2KleinPipeline; reads the layers (9, 18, 27) of its text encoder, the pipeline's own."""

    first_reference: ClassVar[int] = 1  # an inpainting looks at nothing else

    @cached_property
    def inpainting(self) -> Any:
        config = self.pipe.config
        made = Flux2KleinInpaintPipeline(**self.pipe.components, is_distilled=config.is_distilled)
        made.set_progress_bar_config(disable=True)
        return made

    def unload(self) -> None:
        self.__dict__.pop("inpainting", None)
        super().unload()

    def words(self, prompt: str) -> Tensor:
        """prompt_embeds (1, L, D)"""

        def make() -> tuple[Tensor, ...]:
            embeds, _ = self.pipe.encode_prompt(
                prompt,
                device=self.pipe._execution_device,
                max_sequence_length=self.prompt_tokens,
            )
            return (embeds,)

        found: Tensor = self.remembered((prompt,), make)[0]
        return found

    def layout(
        self, asked: Asked, boxes: Sequence[Box], owners: Sequence[int | None]
    ) -> Layout | None:
        step = self.multiple_px
        counts = [(one.width // step) * (one.height // step) for one in asked.references]
        return layout(
            boxes,
            words=self.prompt_tokens,
            size=(asked.width // step, asked.height // step),
            references=list(zip(owners, counts, strict=True)),
        )

    def _draw(self, asked: Sequence[Asked], tell: Tell) -> list[Image.Image]:
        first = asked[0]
        shared: dict[str, Any] = {
            "prompt_embeds": torch.cat([self.words(one.prompt) for one in asked]),
            "generator": generators(asked),
            "num_inference_steps": first.steps,
            "guidance_scale": first.guidance,
        }
        if first.guidance > 1 and not self.pipe.config.is_distilled:
            negative = [self.words(one.negative_prompt) for one in asked]
            shared["negative_prompt_embeds"] = torch.cat(negative)
        if first.mask is not None:
            return [self._inpainted(one, {**shared}, tell) for one in asked]
        images = ([first.image] if first.image else []) + list(first.references)
        found = self.pipe(
            image=images or None,
            width=first.width,
            height=first.height,
            callback_on_step_end=telling(tell, first.steps),
            **shared,
        ).images
        return list(found)

    def _inpainted(self, asked: Asked, shared: dict[str, Any], tell: Tell) -> Image.Image:
        strength = MASKED_STRENGTH if asked.strength is None else asked.strength
        strength = max(strength, min(1.0, LEAST_STEPS / asked.steps))
        taken = max(1, int(asked.steps * strength))
        drawn = self.inpainting(
            image=asked.image,
            mask_image=asked.mask,
            image_reference=asked.references[0] if asked.references else None,
            strength=strength,
            callback_on_step_end=telling(tell, taken),
            **shared,
        ).images[0]
        return kept_outside(drawn, asked)
