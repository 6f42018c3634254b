"""Paints friendly portraits of invented people: the miniature model's whole world.

Everything that varies is identity (Person), a word a caption can say (Shot), or a tiny jitter, so
that a very small model can learn it. Deterministic: same person, shot and size, same pixels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import skia

from generator.engine.miniature.painter.backgrounds import background
from generator.engine.miniature.painter.body import paint_body, paint_hood
from generator.engine.miniature.painter.canvas import SIDE, Brush, Color
from generator.engine.miniature.painter.extras import paint_beard, paint_earrings, paint_glasses
from generator.engine.miniature.painter.face import (
    paint_ears,
    paint_eyes,
    paint_head,
    paint_mouth,
    paint_nose,
)
from generator.engine.miniature.painter.hair import paint_cap, paint_hair_behind, paint_tresses
from generator.engine.miniature.painter.head import Head
from generator.engine.miniature.painter.identity import Person as Person
from generator.engine.miniature.painter.shot import Shot as Shot

__all__ = ["Person", "Shot", "paint"]
_CLOSE: Final = 1.075  # the head with its hair fills three fifths of the height
_SOFT: Final = skia.BlendMode.kSoftLight
_MULTIPLY: Final = skia.BlendMode.kMultiply
# light -> passes of (blend, left-top color, right-bottom color, their alphas, from, to)
_Pass = tuple[
    skia.BlendMode, Color, Color, tuple[float, float], tuple[float, float], tuple[float, float]
]
_LIGHTS: Final[dict[str, tuple[_Pass, ...]]] = {
    "daylight": ((_SOFT, (255, 255, 255), (120, 124, 140), (0.3, 0.15), (40, 0), (220, 256)),),
    "golden": (
        (_MULTIPLY, (255, 236, 180), (255, 200, 124), (0.5, 0.65), (0, 0), (256, 200)),
        (_SOFT, (255, 226, 140), (150, 70, 30), (0.5, 0.35), (10, 40), (250, 220)),
    ),
    "cool": (
        (_MULTIPLY, (226, 236, 255), (174, 200, 252), (0.5, 0.6), (0, 0), (256, 200)),
        (_SOFT, (226, 242, 255), (70, 110, 190), (0.35, 0.35), (40, 0), (220, 256)),
    ),
    "dramatic": (
        (_MULTIPLY, (255, 250, 240), (66, 60, 92), (0.0, 0.75), (96, 90), (226, 136)),
        (_MULTIPLY, (200, 196, 206), (200, 196, 206), (0.5, 0.5), (0, 0), (0, 256)),
        (_SOFT, (255, 244, 224), (0, 0, 10), (0.6, 0.5), (30, 60), (230, 160)),
    ),
    "neon": (
        (_MULTIPLY, (255, 96, 216), (80, 190, 255), (0.5, 0.55), (64, 110), (196, 140)),
        (_SOFT, (255, 70, 200), (40, 150, 255), (0.3, 0.3), (64, 110), (196, 140)),
    ),
}


def paint(person: Person, shot: Shot, size_px: int = 256) -> npt.NDArray[np.uint8]:
    """The picture, (size_px, size_px, 3) in [0, 255]."""
    pixels = np.empty((size_px, size_px, 4), dtype=np.uint8)
    info = skia.ImageInfo.Make(size_px, size_px, skia.kRGBA_8888_ColorType, skia.kOpaque_AlphaType)
    canvas = skia.Surface.MakeRasterDirect(info, pixels).getCanvas()
    canvas.drawImage(background(shot.scene, size_px), 0, 0)
    canvas.scale(size_px / SIDE, size_px / SIDE)
    brush = Brush(canvas)
    canvas.save()
    canvas.translate(shot.shift_x * SIDE, shot.shift_y * SIDE)
    canvas.translate(128, 150)
    canvas.scale(_CLOSE, _CLOSE)
    canvas.translate(-128, -150)
    _paint_person(brush, Head(person, shot))
    canvas.restore()
    for mode, first, second, alphas, start, end in _LIGHTS[shot.light]:
        brush.grade(first, second, start=start, end=end, mode=mode, alphas=alphas)
    return np.ascontiguousarray(pixels[..., :3])


def _paint_person(brush: Brush, head: Head) -> None:
    """Back to front."""
    paint_hood(brush, head)
    paint_hair_behind(brush, head)
    paint_body(brush, head)
    paint_ears(brush, head)
    paint_head(brush, head)
    paint_beard(brush, head)
    paint_nose(brush, head)
    paint_mouth(brush, head)
    paint_cap(brush, head)
    paint_tresses(brush, head)
    paint_eyes(brush, head)
    paint_glasses(brush, head)
    paint_earrings(brush, head)
