"""Qwen-Image-Edit and its kin: pictures from pictures, by words. Best of one to three people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from transformers import AutoTokenizer, BatchFeature, Qwen2VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

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


class Reader(Qwen2VLProcessor):
    """Words and pictures as Qwen2VLProcessor reads them. Its other half, for videos, would need
    torchvision, which nothing else here does."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.image_processor = Qwen2VLImageProcessorPil.from_pretrained(
            folder, local_files_only=True
        )
        self.image_token = "<|image_pad|>"  # noqa: S105  a token of a tokenizer

    def __call__(
        self, *, text: Sequence[str], images: Any, padding: bool, return_tensors: str
    ) -> BatchFeature:
        """Each place of a picture becomes as many tokens as the picture has patches."""
        seen = dict(self.image_processor(images=images, return_tensors=return_tensors))
        grids = iter(seen["image_grid_thw"])
        merged = self.image_processor.merge_size**2
        whole = []
        for words in text:
            first, *others = words.split(self.image_token)
            tokens = [self.image_token * int(next(grids).prod() // merged) for _ in others]
            pairs = zip(tokens, others, strict=True)
            whole.append(first + "".join(token + rest for token, rest in pairs))
        read = self.tokenizer(whole, padding=padding, return_tensors=return_tensors)
        return BatchFeature({**read, **seen})


class QwenEdit(Family):
    """QwenImageEditPlusPipeline: one row a call, and never without a picture to look at."""

    batches: ClassVar[bool] = False

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
