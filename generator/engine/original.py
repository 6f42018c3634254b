"""The picture an edit starts from, its mask, and how a change is laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from generator.engine import crowd, framing, pictures
from generator.engine.framing import Framing
from generator.engine.interface import EngineError, GenerateRequest
from generator.engine.likeness import READ_PX

EDITED_PX = 2048  # larger pictures are shrunk first
BLACK = 16  # of 255: a mask saved as JPEG is not quite black where it should be
DIFFERENT = (10.0, 30.0)  # levels of 255 between two drawings: grain, and a change

Share = NDArray[np.float32]
"""(H, W, 1) in 0..1: how much of the new picture shows"""


@dataclass(frozen=True)
class Original:
    """A picture to edit, and the canvas of it that the base model can draw."""

    picture: Image.Image
    framing: Framing
    mask: Image.Image | None  # L, of the canvas' size

    @property
    def people(self) -> int:
        return self.framing.people

    @cached_property
    def canvas(self) -> Image.Image:
        return Image.fromarray(self.framing.undone(np.asarray(self.picture)))

    @cached_property
    def squares(self) -> list[tuple[int, int, int]]:
        """Where faces are looked for: (left, top, side) of the canvas, from left to right."""
        side = self.canvas.height
        return [(round(left * side / 8), 0, side) for left in crowd.lefts(self.people, 8)]

    @cached_property
    def pixels(self) -> Tensor:
        """(1, 3, 128, W)"""
        width = READ_PX * crowd.columns(self.people, 8) // 8
        return pictures.as_tensor(self.canvas.resize((width, READ_PX), Image.Resampling.BOX))

    def shown(self, canvas: Image.Image) -> Image.Image:
        """A new canvas in the shape of the picture."""
        return Image.fromarray(self.framing.shown(np.asarray(canvas)))

    def laid(self, drawn: Image.Image, share: Share) -> Image.Image:
        """`drawn` (a canvas) over the picture where `share` (of any size) says so.

        Where it is 0 every pixel stays.
        """
        own = np.asarray(self.picture)
        wide = cv2.resize(share, self.framing.canvas, interpolation=cv2.INTER_LINEAR)
        share = self.framing.shown(wide)[..., None]
        top = self.framing.shown(np.asarray(drawn, dtype=np.float32))
        mixed = np.where(share > 0, (own + (top - own) * share).round(), own)
        return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def read(request: GenerateRequest) -> Original:
    """Raises EngineError: "bad_request", "bad_picture", "bad_mask"."""
    if request.image is None:
        raise EngineError("bad_request", "Choose a picture to edit.")
    picture = pictures.read(request.image)
    if picture.height > EDITED_PX:
        picture = picture.resize((EDITED_PX * picture.width // picture.height, EDITED_PX))
    found = framing.of_picture(*picture.size, request.people_shown)
    if found is None:
        raise EngineError("bad_picture", "Choose a square picture, or cut it to a square first.")
    return Original(picture, found, _mask(request.mask_image, found))


def _mask(data: bytes | None, shape: Framing) -> Image.Image | None:
    if data is None:
        return None
    size = (shape.width, shape.height)
    try:
        mask = pictures.read(data).convert("L").resize(size, Image.Resampling.BILINEAR)
    except EngineError:
        raise EngineError("bad_mask", "The mask could not be read.") from None
    levels = np.asarray(mask)
    levels = np.where(levels < BLACK, 0, levels).astype(np.uint8)
    if not levels.any():
        raise EngineError("bad_mask", "The mask is black everywhere: nothing may change.")
    return Image.fromarray(shape.undone(levels))


def cells(mask: Image.Image, latents: Tensor) -> Tensor:
    """1 where any of a latent's pixels may change, (1, 1, h, w)."""
    levels = torch.from_numpy(np.array(mask, dtype=np.float32))[None, None]
    found: Tensor = (F.adaptive_max_pool2d(levels, latents.shape[-2:]) > BLACK).to(latents)
    return found


def soft(mask: Image.Image) -> Share:
    """Feathered inwards: black pixels stay exactly 0."""
    levels = np.asarray(mask, dtype=np.float32) / 255
    radius = max(1, mask.height // 128)
    inner = cv2.erode(levels, np.ones((2 * radius + 1,) * 2, np.uint8))
    feathered = cv2.GaussianBlur(inner, (0, 0), radius / 2)
    return np.minimum(feathered, levels)[..., None].astype(np.float32)


def difference(same: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> Share:
    """Where the picture as drawn and as wanted differ, softened, (h, w, 1)."""
    size = np.abs(same.astype(np.float32) - wanted).max(2)
    size = cv2.GaussianBlur(size, (0, 0), 2.5)
    share = np.clip((size - DIFFERENT[0]) / (DIFFERENT[1] - DIFFERENT[0]), 0, 1)
    wide = cv2.dilate(share, np.ones((9, 9), np.uint8))
    softened: Share = cv2.GaussianBlur(wide, (0, 0), 2.0)[..., None].astype(np.float32)
    return np.where(softened < 0.01, np.float32(0), softened)
