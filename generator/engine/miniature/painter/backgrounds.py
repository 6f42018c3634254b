"""Where the picture is taken: large calm shapes at fixed places, painted once and kept."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import skia

from generator.engine.miniature.painter.canvas import (
    SIDE,
    Brush,
    Color,
    Point,
    box,
    line,
    oval,
    patch,
)

_BLUR: Final = 1.6  # units: behind the person, slightly out of focus
_ALL: Final = box(-8, -8, SIDE + 8, SIDE + 8)


@functools.lru_cache(maxsize=64)
def background(scene: str, size_px: int) -> skia.Image:
    """The scene without light, `size_px` square."""
    sharp = _surface(size_px)
    with sharp as canvas:
        canvas.scale(size_px / SIDE, size_px / SIDE)
        _SCENES[scene](Brush(canvas))
    soft = _surface(size_px)
    sigma = _BLUR * size_px / SIDE
    blur = skia.ImageFilters.Blur(sigma, sigma, skia.TileMode.kClamp)
    with soft as canvas:
        canvas.drawImage(
            sharp.makeImageSnapshot(), 0, 0, skia.SamplingOptions(), skia.Paint(ImageFilter=blur)
        )
    return soft.makeImageSnapshot()


def _surface(size_px: int) -> skia.Surface:
    return skia.Surface.MakeRaster(
        skia.ImageInfo.Make(size_px, size_px, skia.kRGBA_8888_ColorType, skia.kOpaque_AlphaType)
    )


def _sky(brush: Brush, top: Color, bottom: Color, to: float = SIDE) -> None:
    brush.fade(_ALL, top, bottom, start=(0, 0), end=(0, to))


def _ridge(brush: Brush, points: list[Point], color: Color, foot: Color) -> None:
    path = skia.Path()
    path.moveTo(-10, SIDE + 10)
    for x, y in points:
        path.lineTo(x, y)
    path.lineTo(SIDE + 10, SIDE + 10)
    path.close()
    brush.fade(path, color, foot, start=(0, 60), end=(0, SIDE))


def _hill(brush: Brush, points: list[Point], color: Color, foot: Color) -> None:
    path = patch(points, [(points[-1][0], SIDE + 10), (points[0][0], SIDE + 10)])
    brush.fade(path, color, foot, start=(0, min(y for _, y in points)), end=(0, SIDE))


def _studio(brush: Brush) -> None:
    _sky(brush, (150, 156, 184), (118, 122, 152))
    brush.glow(128, 110, 170, (206, 208, 228), 0.8)


def _beach(brush: Brush) -> None:
    _sky(brush, (92, 186, 240), (206, 238, 250), 130)
    brush.glow(212, 40, 60, (255, 250, 214), 0.9)
    brush.fill(oval(212, 40, 20, 20), (255, 246, 196))
    brush.fade(box(-9, 128, 265, 190), (20, 146, 190), (94, 206, 212), start=(0, 128), end=(0, 185))
    _hill(brush, [(-10, 178), (60, 170), (140, 182), (266, 168)], (248, 226, 170), (238, 202, 136))
    brush.stroke(line([(-10, 177), (60, 169), (140, 181), (266, 167)]), (255, 255, 255), 4, 0.9)


def _houses(brush: Brush, color: Color, window: Color, *, lit: bool) -> None:
    towers = ((-6, 96, 44), (40, 58, 38), (180, 70, 36), (218, 40, 46), (80, 104, 46),
              (128, 90, 50))  # fmt: skip
    for number, (left, top, width) in enumerate(towers):
        tone = (
            color[0] + 9 * (number % 3),
            color[1] + 9 * (number % 3),
            color[2] + 9 * (number % 3),
        )
        brush.fill(box(left, top, left + width, 266), tone)
        for row in range(9):
            for column in range(3):
                if lit and (row + 2 * column + number) % 3 == 0:
                    continue
                x, y = left + 6 + column * (width - 8) / 3, top + 10 + row * 18
                brush.fill(box(x, y, x + 7, y + 10), window, 0.95 if lit else 0.7)


def _city(brush: Brush) -> None:
    _sky(brush, (150, 196, 234), (226, 236, 244), 200)
    _houses(brush, (136, 150, 174), (206, 222, 236), lit=False)


def _city_night(brush: Brush) -> None:
    _sky(brush, (22, 18, 56), (74, 44, 106))
    brush.fill(oval(40, 34, 15, 15), (250, 244, 214))
    _houses(brush, (30, 28, 62), (255, 208, 104), lit=True)


def _forest(brush: Brush) -> None:
    _sky(brush, (186, 220, 150), (70, 128, 74))
    for x, width in ((-4, 18), (30, 24), (72, 14), (168, 16), (198, 26), (240, 20)):
        brush.fade(
            box(x, -8, x + width, 266), (92, 72, 52), (62, 50, 40), start=(0, 0), end=(0, 256)
        )
    for x, y, r in ((10, 12, 52), (74, -2, 46), (140, -6, 48), (204, 4, 50), (256, 22, 44)):
        brush.fill(oval(x, y, r, r * 0.8), (52, 122, 62))
    _hill(brush, [(-10, 206), (70, 194), (180, 200), (266, 190)], (52, 108, 54), (34, 80, 44))


def _office(brush: Brush) -> None:
    _sky(brush, (238, 236, 230), (216, 212, 204))
    brush.fade(
        box(16, 22, 112, 138, 3), (150, 206, 244), (220, 240, 250), start=(0, 22), end=(0, 138)
    )
    brush.fade(
        box(146, 22, 242, 138, 3), (150, 206, 244), (220, 240, 250), start=(0, 22), end=(0, 138)
    )
    for x in (64, 194):
        brush.stroke(line([(x, 22), (x, 138)]), (246, 246, 246), 5)
    brush.fill(box(-9, 178, 265, 265), (184, 134, 92))
    brush.fill(box(-9, 178, 265, 186), (206, 158, 112))
    for x, y in ((226, 140), (238, 150), (214, 150)):
        brush.fill(oval(x, y, 12, 15), (74, 150, 88))
    brush.fill(box(214, 158, 238, 180, 3), (240, 240, 236))


def _library(brush: Brush) -> None:
    _sky(brush, (94, 60, 40), (70, 44, 30))
    tones: tuple[Color, ...] = ((176, 62, 54), (206, 160, 84), (56, 96, 120), (78, 120, 84),
                                (224, 206, 170), (120, 70, 110))  # fmt: skip
    for shelf in range(5):
        y = 6 + shelf * 52
        for book in range(18):
            x, tone = -4 + book * 15, tones[(book * 5 + shelf * 2) % 6]
            brush.fill(box(x, y + 4 * ((book + shelf) % 3), x + 13, y + 44), tone)
        brush.fill(box(-9, y + 44, 265, y + 51), (142, 96, 62))


def _cafe(brush: Brush) -> None:
    _sky(brush, (150, 96, 62), (96, 60, 42))
    brush.fill(box(-9, 150, 265, 265), (74, 46, 34))
    brush.fill(box(-9, 146, 265, 156), (190, 132, 84))
    for x in (30, 226):
        brush.stroke(line([(x, -8), (x, 34)]), (40, 28, 24), 3)
        brush.glow(x, 54, 60, (255, 206, 120), 0.85)
        brush.fill(patch([(x - 20, 52), (x - 12, 34), (x + 12, 34), (x + 20, 52)]), (44, 70, 66))
        brush.fill(oval(x, 54, 11, 7), (255, 240, 196))


def _mountains(brush: Brush) -> None:
    _sky(brush, (118, 172, 226), (222, 236, 246), 190)
    _ridge(brush, [(-10, 150), (48, 62), (96, 132), (140, 104), (206, 44), (266, 140)],
           (122, 142, 178), (150, 166, 194))  # fmt: skip
    for x, y in ((48, 62), (206, 44)):
        brush.fill(patch([(x, y), (x + 17, y + 26)], [(x + 5, y + 20), (x - 3, y + 30)],
                         [(x - 9, y + 20), (x - 17, y + 28)]), (252, 253, 255))  # fmt: skip
    _hill(brush, [(-10, 176), (60, 150), (150, 178), (266, 150)], (78, 118, 98), (48, 84, 70))


def _sunset(brush: Brush) -> None:
    _sky(brush, (96, 54, 132), (255, 128, 84), 150)
    brush.fade(box(-9, 90, 265, 190), (255, 120, 90), (255, 206, 110), start=(0, 100), end=(0, 180),
               alphas=(0.0, 1.0))  # fmt: skip
    brush.glow(52, 150, 90, (255, 240, 170), 0.9)
    brush.fill(oval(52, 150, 27, 27), (255, 236, 150))
    _hill(brush, [(-10, 180), (80, 166), (170, 184), (266, 164)], (92, 40, 88), (56, 26, 66))


def _garden(brush: Brush) -> None:
    _sky(brush, (176, 224, 240), (228, 244, 214), 150)
    for x, y, r in ((6, 130, 46), (58, 150, 40), (214, 144, 42), (252, 118, 50), (130, 160, 46)):
        brush.fill(oval(x, y, r, r), (112, 188, 96))
    _hill(brush, [(-10, 172), (80, 160), (170, 168), (266, 158)], (86, 168, 82), (66, 140, 70))
    tones: tuple[Color, ...] = ((240, 96, 130), (255, 214, 92), (250, 246, 250), (176, 110, 214))
    for number, (x, y) in enumerate(((14, 106), (36, 140), (16, 172), (48, 190), (226, 120),
                                     (246, 146), (214, 160), (242, 188)), 1):  # fmt: skip
        brush.fill(oval(x, y, 8, 8), tones[number % 4])
        brush.fill(oval(x, y, 3, 3), (255, 236, 160))


def _snow(brush: Brush) -> None:
    _sky(brush, (164, 190, 216), (232, 240, 248), 180)
    for x, y, s in ((22, 66, 1.1), (66, 104, 0.8), (196, 98, 0.85), (236, 58, 1.15)):
        for step in range(3):
            top, half = y + step * 28 * s, (18 + 9 * step) * s
            tree = patch([(x - half, top + 44 * s), (x, top)], [(x, top), (x + half, top + 44 * s)])
            brush.fill(tree, (104, 138, 146))
            cap = patch(
                [(x - half * 0.5, top + 22 * s), (x, top)], [(x + half * 0.5, top + 22 * s)]
            )
            brush.fill(cap, (246, 250, 253))
    _hill(brush, [(-10, 190), (80, 176), (170, 188), (266, 174)], (252, 253, 255), (222, 232, 244))


def _desert(brush: Brush) -> None:
    _sky(brush, (104, 190, 222), (250, 224, 180), 150)
    _hill(brush, [(-10, 140), (50, 118), (130, 150), (266, 122)], (222, 142, 84), (210, 120, 66))
    _hill(brush, [(-10, 176), (90, 186), (180, 158), (266, 178)], (236, 164, 96), (214, 128, 72))
    for x, y in ((34, 84), (224, 96)):
        brush.stroke(line([(x, y), (x, y + 86)]), (60, 122, 76), 13)
        brush.stroke(line([(x - 18, y + 20), (x - 17, y + 42), (x, y + 46)]), (60, 122, 76), 9)
        brush.stroke(line([(x + 18, y + 10), (x + 17, y + 30), (x, y + 34)]), (60, 122, 76), 9)


def _pool(brush: Brush) -> None:
    _sky(brush, (250, 214, 226), (250, 236, 226), 120)
    for x in (24, 232):
        brush.stroke(line([(x, 130), (x + 4, 90), (x, 48)]), (170, 122, 92), 8)
        for end in ((-34, 60), (-26, 36), (0, 22), (26, 36), (34, 60)):
            leaf = line([(x, 48), (x + end[0] * 0.6, end[1] - 10), (x + end[0], end[1] + 6)])
            brush.stroke(leaf, (64, 160, 110), 8)
    brush.fill(box(-9, 126, 265, 142), (246, 246, 240))
    brush.fade(box(-9, 140, 265, 265), (64, 214, 222), (20, 160, 204), start=(0, 140), end=(0, 256))
    for y in (158, 182, 208):
        wave = line([(-10, y), (40, y + 5), (90, y), (150, y + 5), (210, y), (266, y + 5)])
        brush.stroke(wave, (214, 250, 250), 3, 0.7)


_SCENES: Final[dict[str, Callable[[Brush], None]]] = {
    "studio": _studio, "beach": _beach, "city": _city, "city night": _city_night,
    "forest": _forest, "office": _office, "library": _library, "cafe": _cafe,
    "mountains": _mountains, "sunset": _sunset, "garden": _garden, "snow": _snow,
    "desert": _desert, "pool": _pool,
}  # fmt: skip
