"""Pictures at the size people see: restored and enlarged, by a network where there is one."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import nn

from generator.engine import pictures
from generator.engine.interface import OnStep, Step

HOLDS = 1.0  # mean levels lost by halving a picture that has no finer detail
# Mean levels lost by halving 128 px: 1.2 to 3.3 of pictures, 0.5 to 1.15 of ones of 64 px or less.
BLURRED = 1.2
LEAST_PX = 128  # what the base model's latents hold


class Enlarger:
    """`upscaler` doubles (B, 3, H, W) in [-1, 1]; without one pictures are only resampled."""

    def __init__(self, upscaler: nn.Module | None, device: torch.device) -> None:
        self.upscaler = upscaler
        self.device = device

    def same(self, drawn: list[Image.Image], height_px: int) -> list[Image.Image]:
        """Pictures that belong together: treated alike, as the first one needs it."""
        times = halvings(drawn[0], height_px)
        return [self.enlarged(picture, height_px, halved=times) for picture in drawn]

    @torch.no_grad()
    def enlarged(
        self,
        picture: Image.Image,
        height_px: int,
        *,
        halved: int | None = None,
        index: int = 0,
        on_step: OnStep | None = None,
    ) -> Image.Image:
        """`picture` at `height_px`, doubled as often as it takes.

        Starts from the smallest picture that holds as much: one that somebody has enlarged
        or blurred already, or that was drawn softly, is best enlarged from there. `halved`
        says how often instead.
        """
        if self.upscaler is None:
            return pictures.enlarge(picture, height_px)
        size = (round(picture.width * height_px / picture.height), height_px)
        for _ in range(halvings(picture, height_px) if halved is None else halved):
            picture = _half(picture)
        rounds = 1
        while picture.height * 2**rounds < height_px:
            rounds += 1
        tell = on_step or (lambda step: None)
        tell(Step("draw", 0, rounds, index))
        for number in range(rounds):
            pixels = pictures.as_tensor(_even(picture)).to(self.device)
            picture = pictures.to_image(self.upscaler(pixels)[0])
            tell(Step("draw", number + 1, rounds, index, pictures.to_preview(picture)))
        return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def halvings(picture: Image.Image, height_px: int) -> int:
    """How often `picture` can be halved without loss, or has to be to fit `height_px`."""
    count = 0
    while picture.height >= 2 * LEAST_PX:
        half = _half(picture)
        back = half.resize(picture.size, Image.Resampling.BICUBIC)
        lost = np.abs(np.asarray(picture, dtype=np.float32) - np.asarray(back)).mean()
        if lost > HOLDS and picture.height <= height_px:
            break
        picture, count = half, count + 1
    return count


def is_blurred(picture: Image.Image) -> bool:
    """Whether there is hardly more detail in it than 64 px hold."""
    size = (LEAST_PX, LEAST_PX * picture.height // picture.width)
    small = picture.resize(size, Image.Resampling.BOX)
    back = _half(small).resize(size, Image.Resampling.BICUBIC)
    return bool(np.abs(np.asarray(small, dtype=np.float32) - np.asarray(back)).mean() < BLURRED)


def _half(picture: Image.Image) -> Image.Image:
    size = (max(1, picture.width // 2), max(1, picture.height // 2))
    return picture.resize(size, Image.Resampling.BOX)


def _even(picture: Image.Image) -> Image.Image:
    size = (picture.width + picture.width % 2, picture.height + picture.height % 2)
    return picture if size == picture.size else picture.resize(size)
