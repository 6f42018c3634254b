"""How Qwen-Image-Edit reads words and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, BatchFeature, Qwen2VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil


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
