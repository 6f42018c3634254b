"""Pictures of other shapes than the base model draws, and the way back. No torch.

The base model knows squares (and, of two people, canvases of 7:4; see `crowd`). Drawn on other
canvases it sees ghosts: a second head beside the first, a body that dissolves. So it draws what
it knows, and a picture gets its shape afterwards: edges that hold nothing of the person are cut,
and what is missing is background, continued by mirroring a narrow strip of its edge over and
over. Nothing of the person is moved, so likeness stays what it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[Any]
"""(H, W) or (H, W, C)"""
Box = tuple[float, float, float, float]
"""x, y, width, height as fractions"""

AUTO = "auto"
RATIOS = {"1:1": (1, 1), "3:4": (3, 4), "4:3": (4, 3), "9:16": (9, 16), "16:9": (16, 9)}
PAIR_RATIOS = ("4:3", "16:9")  # two heads beside each other leave nothing to cut
CANVAS = {1: 1.0, 2: 1.75}  # width of what is drawn of that many people, in heights
# Measured on drawn pictures: hair and shoulders reach this far.
KEPT_ROWS = 0.9  # below are sleeves and hems
KEPT_COLUMNS = {1: 0.68, 2: 0.9}
SIDE_STRIP, TOP_STRIP = 0.10, 0.07  # of the height: background in nearly every picture
SAME_SHAPE = 0.015  # relative; 7:4 and 16:9 are 0.016 apart


@dataclass(frozen=True)
class Framing:
    """How a picture of `width` by `height` pixels shows the canvas of `people`."""

    people: int
    width: int
    height: int

    @cached_property
    def canvas(self) -> tuple[int, int]:
        """Width and height of the canvas in pixels of the picture."""
        shape, ratio = CANVAS[self.people], self.width / self.height
        if self.is_native:
            return self.width, self.height
        if ratio > shape:
            height = round(self.height / max(KEPT_ROWS, shape / ratio))
            return round(height * shape), height
        width = round(self.width / max(KEPT_COLUMNS[self.people], ratio / shape))
        return width, round(width / shape)

    @property
    def is_native(self) -> bool:
        return _is_near(self.width / self.height, CANVAS[self.people])

    @property
    def left(self) -> int:
        """Columns added before the canvas; cut from it where negative."""
        return (self.width - self.canvas[0]) // 2

    @property
    def top(self) -> int:
        """Rows added above the canvas. Never cut: hair begins there."""
        return max(0, self.height - self.canvas[1])

    def shown(self, canvas: Picture) -> Picture:
        """The picture of a canvas that has the size of `canvas`."""
        side = self.canvas[1]
        rows = canvas[: self.height]
        if self.left < 0:
            rows = rows[:, -self.left : -self.left + self.width]
        elif self.left:
            strip = max(1, round(SIDE_STRIP * side))
            after = self.width - self.canvas[0] - self.left
            rows = np.concatenate(
                [
                    _mirrored(rows[:, :strip][:, ::-1], self.left)[:, ::-1],
                    rows,
                    _mirrored(rows[:, -strip:], after),
                ],
                axis=1,
            )
        if not self.top:
            return rows
        strip = max(1, round(TOP_STRIP * side))
        above = _mirrored(rows[:strip][::-1].swapaxes(0, 1), self.top).swapaxes(0, 1)[::-1]
        return np.concatenate([above, rows], axis=0)

    def undone(self, picture: Picture) -> Picture:
        """The canvas that a picture shows; what was cut is mirrored in from beside it."""
        width, height = self.canvas
        inner = picture[self.top :, max(0, self.left) :][:height, :width]
        left = max(0, -self.left)
        below, right = height - inner.shape[0], width - inner.shape[1] - left
        missing = [(0, below), (left, right), (0, 0)][: inner.ndim]
        return np.pad(inner, missing, mode="symmetric")

    def box(self, box: Box) -> Box:
        """A box of the canvas as one of the picture, cut to it."""
        x, y, w, h = box
        width, height = self.canvas
        left, top = x * width + self.left, y * height + self.top
        right, bottom = min(left + w * width, self.width), min(top + h * height, self.height)
        left, top = max(left, 0.0), max(top, 0.0)
        return (
            left / self.width, top / self.height,
            (right - left) / self.width, (bottom - top) / self.height,
        )  # fmt: skip


def framing(ratio: str, people: int, side_px: int) -> Framing:
    """For a picture of about `side_px` squared for each person. Both sides are even.

    Raises KeyError for a ratio that is none.
    """
    shape = CANVAS[people]
    if ratio == AUTO:
        return Framing(people, round(side_px * shape), side_px)
    across, down = RATIOS[ratio]
    unit = 2 * round(side_px * math.sqrt(shape / (across * down)) / 2)
    return Framing(people, across * unit, down * unit)


def ratio_of(found: Framing) -> str:
    """The name of a picture's shape, so that another size of it can be made."""
    if found.is_native:
        return AUTO
    shape = found.width / found.height
    return min(RATIOS, key=lambda name: abs(RATIOS[name][0] / RATIOS[name][1] - shape))


def of_picture(width: int, height: int, people: int | None = None) -> Framing | None:
    """How a picture of that size was framed; None where it has no shape of ours.

    Not told how many `people` it shows, 7:4 is two and everything else is one.
    """
    ratio = width / height
    if people is None:
        people = 2 if _is_near(ratio, CANVAS[2]) else 1
    known = [CANVAS[people], *(across / down for across, down in RATIOS.values())]
    if any(_is_near(ratio, shape) for shape in known):
        return Framing(people, width, height)
    return None


def _is_near(ratio: float, shape: float) -> bool:
    return abs(ratio / shape - 1) < SAME_SHAPE


def _mirrored(strip: Picture, columns: int) -> Picture:
    """`columns` that go on from the right end of `strip`: it is turned over again and again."""
    parts: list[Picture] = []
    count = 0
    while count < columns:
        parts.append(strip[:, ::-1] if len(parts) % 2 == 0 else strip)
        count += strip.shape[1]
    empty = strip[:, :0]
    return np.concatenate([*parts, empty], axis=1)[:, :columns]
