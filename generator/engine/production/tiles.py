"""A picture made larger tile by tile, each tile looked at together with who is in it.

Knows nothing of models: `improve` is given. Seams do not show because tiles overlap and fade into
each other, and because large forms and colours stay those of the picture that was given: of a tile
only what is finer is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Improve = Callable[[Image.Image, int, int], Image.Image]
"""(tile, its number, of how many) -> the same tile with more in it, in the same size."""
Levels = NDArray[np.float32]

OVERLAP = 1 / 8  # of a tile's side
COARSE = 1 / 24  # of a tile's side: forms larger than this stay as they were


def enlarged(
    picture: Image.Image, longest_px: int, *, tile_px: int, multiple_px: int, improve: Improve
) -> Image.Image:
    """`picture` with a longest side of `longest_px`, rounded down to what models draw."""
    scale = longest_px / max(picture.size)
    size = tuple(max(multiple_px, round(s * scale) // multiple_px * multiple_px)
                 for s in picture.size)  # fmt: skip
    large = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    side = tile_px // multiple_px * multiple_px
    boxes = list(_boxes(large.size, side))
    total = np.zeros((large.height, large.width, 3), np.float32)
    weight = np.zeros((large.height, large.width, 1), np.float32)
    for number, box in enumerate(boxes):
        left, top, right, bottom = box
        given = large.crop(box)
        made = improve(given, number, len(boxes)).resize(given.size, Image.Resampling.LANCZOS)
        fade = _fade(given.width, given.height)
        total[top:bottom, left:right] += _finer(given, made) * fade
        weight[top:bottom, left:right] += fade
    return Image.fromarray((total / weight).clip(0, 255).round().astype(np.uint8))


def _boxes(size: tuple[int, int], side: int) -> Iterator[tuple[int, int, int, int]]:
    """left, top, right, bottom of tiles that cover everything, the same size where they can."""
    for top in _starts(size[1], side):
        for left in _starts(size[0], side):
            yield left, top, min(left + side, size[0]), min(top + side, size[1])


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    step = side - round(side * OVERLAP)
    count = -(-(length - side) // step) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _finer(given: Image.Image, made: Image.Image) -> Levels:
    """What is large of `given`, what is fine of `made`."""
    before, after = (np.asarray(image, dtype=np.float32) for image in (given, made))
    sigma = max(1.0, max(given.size) * COARSE)
    found: Levels = (
        after + cv2.GaussianBlur(before, (0, 0), sigma) - cv2.GaussianBlur(after, (0, 0), sigma)
    )
    return found


def _fade(width: int, height: int) -> Levels:
    """(H, W, 1): 1 in the middle, towards 0 at every edge; nowhere quite 0."""
    across, down = (
        np.minimum(1.0, (np.minimum(np.arange(n), np.arange(n)[::-1]) + 1) / max(1, n * OVERLAP))
        for n in (width, height)
    )
    return np.minimum(down[:, None], across[None, :])[..., None].astype(np.float32)
