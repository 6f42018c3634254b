"""Qwen-Image-Edit and its kin: pictures from pictures, by words. Best of one to three people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from generator.engine.interface import EngineError
from generator.engine.production.families.base import (
    Asked,
    Family,
    Tell,
    generators,
    kept_outside,
    telling,
)
from generator.engine.production.memory import Plan
from generator.engine.production.reader import Reader


class QwenEdit(Family):
    """QwenImageEditPlusPipeline: one row a call, and never without a picture to look at."""

    batches: ClassVar[bool] = False
    starts_from_nothing: ClassVar[bool] = False

    @classmethod
    def options(cls, folder: Path, plan: Plan) -> dict[str, Any]:
        return super().options(folder, plan) | {"processor": Reader(folder / "processor")}

    def _draw(self, asked: Sequence[Asked], tell: Tell) -> list[Image.Image]:
        return [self._one(each, tell) for each in asked]

    def _one(self, asked: Asked, tell: Tell) -> Image.Image:
        images = ([asked.image] if asked.image else []) + list(asked.references)
        if not images:
            raise EngineError(
                "bad_request", "This engine starts from a person or a picture. Choose one of them."
            )
        # The words look at the pictures as well, so they cannot be encoded beforehand.
        guidance: dict[str, Any] = {"true_cfg_scale": asked.guidance}
        if asked.guidance > 1:
            guidance["negative_prompt"] = asked.negative_prompt or " "
        drawn = self.pipe(
            image=images,
            prompt=asked.prompt or " ",
            width=asked.width,
            height=asked.height,
            num_inference_steps=asked.steps,
            generator=generators([asked]),
            callback_on_step_end=telling(tell, asked.steps),
            **guidance,
        ).images[0]
        return kept_outside(drawn, asked)
