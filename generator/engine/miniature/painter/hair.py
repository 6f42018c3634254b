"""Hair: a layer behind the head, a cap over it, tresses in front of the shoulders."""

from __future__ import annotations

import math
from typing import Final

from generator.engine.miniature.painter.canvas import (
    Brush,
    Color,
    Point,
    blob,
    dark,
    light,
    line,
    oval,
    patch,
    ring,
)
from generator.engine.miniature.painter.head import EYE_Y, MIDDLE, Head

_Half = tuple[tuple[float, float], ...]  # (across, y) of the right half of a hairline, from the ear
_ROUND: Final[_Half] = ((0.97, 120), (0.91, 96), (0.6, 75), (0.0, 68))
_HIGH: Final[_Half] = ((0.97, 116), (0.9, 90), (0.6, 69), (0.0, 64))
_PART: Final[_Half] = ((0.97, 132), (0.93, 108), (0.62, 82), (0.02, 58))
_BANGS: Final[_Half] = ((0.98, 134), (0.93, 112), (0.78, 97), (0.4, 93), (0.0, 92))
_CROP: Final[_Half] = ((0.97, 120), (0.92, 98), (0.74, 80), (0.5, 86), (0.25, 78), (0.0, 85))
_SWEEP: Final = (
    (-0.97, 122),
    (-0.9, 96),
    (-0.66, 78),
    (-0.42, 60),
    (0.0, 76),
    (0.45, 88),
    (0.84, 96),
    (0.97, 122),
)
_PIXIE: Final = ((-0.99, 138), (-0.9, 124), (-0.88, 100), (-0.62, 78), (-0.42, 60), (0.0, 84),
                 (0.5, 96), (0.86, 102), (0.9, 124), (0.99, 138))  # fmt: skip
_HAIRLINES: Final = {
    "buzz cut": _ROUND, "short crop": _CROP, "slicked back": _HIGH, "short curls": _ROUND,
    "afro": _ROUND, "mohawk": _ROUND, "bob": _PART, "bob with bangs": _BANGS,
    "long straight": _PART, "long curly": _ROUND, "long with bangs": _BANGS,
    "ponytail": _HIGH, "bun": _HIGH, "braids": _PART,
}  # fmt: skip
_VOLUME: Final = {
    "buzz cut": 1.5, "short crop": 8.0, "side part": 10.0, "slicked back": 7.0,
    "short curls": 11.0, "afro": 20.0, "mohawk": 1.0, "pixie cut": 9.0, "ponytail": 5.5,
    "bun": 5.5, "braids": 6.0, "long curly": 13.0,
}  # fmt: skip
_LONG: Final = {"bob": 176.0, "bob with bangs": 176.0, "long straight": 246.0, "long wavy": 246.0,
                "long curly": 240.0, "long with bangs": 246.0}  # fmt: skip
_CURLS: Final = ("short curls", "afro", "long curly")


def _volume(head: Head) -> float:
    return _VOLUME.get(head.person.hair_style, 9.5)


def _rim(head: Head, grow: float, first: float = -96, last: float = 96) -> list[Point]:
    """The outer edge of the hair from the left ear over the crown to the right, in degrees."""
    points = []
    style = head.person.hair_style
    taper = 0.0 if style in _LONG or style == "braids" else 0.8  # short hair ends close to the skin
    for step in range(13):
        angle = math.radians(first + (last - first) * step / 12)
        depth = grow * (1 - taper * (step / 6 - 1) ** 4)
        y = EYE_Y - (EYE_Y - head.top + depth) * math.cos(angle)
        points.append((MIDDLE + head.shift(y) + (head.width + depth) * math.sin(angle), y))
    return points


def _hairline(head: Head) -> list[Point]:
    """From the right ear over the forehead to the left."""
    style = head.person.hair_style
    if style in ("side part", "long wavy"):
        points: list[tuple[float, float]] = list(_SWEEP)
    elif style == "pixie cut":
        points = list(_PIXIE)
    else:
        half = _HAIRLINES[style]
        points = [(-across, y) for across, y in half] + list(reversed(half[:-1]))
    line_points = [(_on_skull(head, head.at(across, y), y), y) for across, y in reversed(points)]
    if style in _CURLS:
        return [(x, y + (5 if index % 2 else -2)) for index, (x, y) in enumerate(line_points)]
    return line_points


def _on_skull(head: Head, x: float, y: float) -> float:
    """Keeps a hairline of a turned head from leaving the forehead."""
    rise = max(0.0, EYE_Y - y) / (EYE_Y - head.top)
    reach = head.width * math.sqrt(1 - rise * rise) - 1.0
    middle = MIDDLE + head.shift(y)
    return min(middle + reach, max(middle - reach, x))


def paint_hair_behind(brush: Brush, head: Head) -> None:
    """What hangs behind neck and shoulders, and what stands round the head."""
    style, deep = head.person.hair_style, dark(head.hair, 0.32)
    if style in _LONG:
        _fall(brush, head, deep)
    elif style == "afro":
        brush.fill(blob(ring(MIDDLE + head.shift(80), 88, 76, 72, 13, 5)), dark(head.hair, 0.15))
    elif style == "bun":
        _bun(brush, head)
    elif style == "ponytail":
        _tail(brush, head)
    elif style == "braids":
        brush.fill(blob(_rim(head, 5, -120, 120)), deep)
    elif style == "pixie cut":
        brush.fill(blob(_rim(head, 7, -118, 118)), deep)


def _fall(brush: Brush, head: Head, color: Color) -> None:
    end, wide = _LONG[head.person.hair_style], head.width + _volume(head)
    left = MIDDLE - wide
    edge: list[Point] = [
        (left, EYE_Y),
        (left - 3, 150),
        (left - 4, min(end, 200) - 6),
        (left + 4, end),
    ]
    right = [(2 * MIDDLE - x, y) for x, y in reversed(edge)]
    brush.fill(patch(edge, right), color)


def _bun(brush: Brush, head: Head) -> None:
    x = MIDDLE + head.shift(28)
    brush.canvas.save()
    brush.canvas.translate(0, 6)
    brush.fade(
        oval(x, 28, 24, 21), light(head.hair, 0.1), dark(head.hair, 0.2), start=(0, 6), end=(0, 50)
    )
    swirl = [(x - 15, 32), (x - 8, 17), (x + 9, 16), (x + 13, 29), (x, 33), (x - 5, 26)]
    brush.stroke(line(swirl), dark(head.hair, 0.4), 2.2, 0.6)
    brush.canvas.restore()


def _tail(brush: Brush, head: Head) -> None:
    side = -1.0 if head.yaw > 0.15 else 1.0
    outer = [(30, 52), (62, 44), (88, 78), (90, 140), (82, 196), (66, 232)]
    inner = [(66, 232), (58, 190), (60, 140), (54, 100)]
    path = patch(
        [(MIDDLE + side * x, y) for x, y in outer], [(MIDDLE + side * x, y) for x, y in inner]
    )
    brush.fade(path, head.hair, dark(head.hair, 0.28), start=(0, 50), end=(0, 230))
    lock = line([(MIDDLE + side * x, y) for x, y in ((62, 58), (76, 96), (76, 150), (68, 212))])
    brush.stroke(lock, light(head.hair, 0.25), 3.0, 0.45)


def paint_tresses(brush: Brush, head: Head) -> None:
    """Long hair in front of the shoulders, beside the face. After head and clothes."""
    style = head.person.hair_style
    if style in _LONG:
        for side in (-1.0, 1.0):
            _tress(brush, head, side)
    if style == "braids":
        for side in (-1.0, 1.0):
            _braid(brush, head, side)


def _tress(brush: Brush, head: Head, side: float) -> None:
    style, end = head.person.hair_style, _LONG[head.person.hair_style]
    wide = head.width + _volume(head)
    ys = [EYE_Y - 6 + (end - EYE_Y + 6) * step / 8 for step in range(9)]
    swing = {"long wavy": 5.0, "long curly": 6.0}.get(style, 0.0)
    outer = [(MIDDLE + side * (wide + 3 * math.sin((y - EYE_Y) / 50) + swing * (index % 2)), y)
             for index, y in enumerate(ys)]  # fmt: skip
    inner = []
    for index, y in enumerate(reversed(ys)):
        hang = MIDDLE + side * (head.width * 0.72 - swing * (index % 2))
        near = head.at(side * 0.95, y)
        share = max(0.0, min(1.0, (y - 128) / 60))
        inner.append((near + (hang - near) * share, y))
    path = patch(outer, inner)
    brush.fade(path, dark(head.hair, 0.13), dark(head.hair, 0.26), start=(0, EYE_Y), end=(0, end))
    with brush.inside(path):
        for share, alpha in ((0.3, 0.4), (0.65, 0.28)):
            middle = [
                (a[0] + (b[0] - a[0]) * share, a[1])
                for a, b in zip(outer, reversed(inner), strict=True)
            ]
            brush.stroke(line(middle[2:]), light(head.hair, 0.28), 3.0, alpha)
        brush.stroke(line(inner), dark(head.hair, 0.45), 3.0, 0.5)


def _braid(brush: Brush, head: Head, side: float) -> None:
    x = MIDDLE + side * (head.width + 2)
    for step in range(7):
        y = 138 + 16.5 * step
        tone = dark(head.hair, 0.08 + 0.03 * step)
        brush.fill(oval(x + side * min(step, 3), y, 11 - 0.3 * step, 11.5), dark(tone, 0.35))
        brush.fill(oval(x + side * min(step, 3), y - 1.5, 9.6 - 0.3 * step, 9.5), light(tone, 0.06))
    brush.fill(oval(x + side * 3, 246, 6, 4), (236, 92, 110))


def paint_cap(brush: Brush, head: Head) -> None:
    """Hair over skull and forehead."""
    style = head.person.hair_style
    if style == "bald":
        shine = head.at(-0.25, 56)
        brush.glow(shine, 60, 20, (255, 255, 255), 0.4, 0.5)
        return
    alpha = {"buzz cut": 0.78, "mohawk": 0.5}.get(style, 1.0)
    rim = _rim(head, _volume(head))
    if style in _CURLS:
        rim = [
            (x + (x - MIDDLE) * 0.05 * (i % 2), y - 3.5 * (i % 2)) for i, (x, y) in enumerate(rim)
        ]
    hairline = _hairline(head)
    path = patch(rim, hairline)
    if style not in ("buzz cut", "mohawk"):
        with brush.inside(blob(head.outline())):
            brush.stroke(line([(x, y + 2.5) for x, y in hairline]), dark(head.skin, 0.4), 5, 0.3)
    brush.fade(
        path,
        light(head.hair, 0.06),
        dark(head.hair, 0.16),
        start=(0, head.top),
        end=(0, 130),
        alphas=(alpha, alpha),
    )
    with brush.inside(path):
        _shine(brush, head, alpha)
    if style == "mohawk":
        _mohawk(brush, head)


def _shine(brush: Brush, head: Head, alpha: float) -> None:
    """A soft band of light and a few large locks."""
    style, volume = head.person.hair_style, _volume(head)
    band = _rim(head, volume - 13, -62, 40)
    brush.stroke(line(band), light(head.hair, 0.4), 8.0, 0.24 * alpha)
    brush.stroke(line(band[2:9]), light(head.hair, 0.55), 3.2, 0.4 * alpha)
    if style in _CURLS:
        for across, down in (
            (-38, 66),
            (-22, 52),
            (0, 46),
            (22, 52),
            (38, 66),
            (-46, 88),
            (46, 88),
        ):
            spot = ring(
                MIDDLE + across + head.shift(down), down - volume * 0.4, 6.5, 6, 4, 0, 0.4, 4.6
            )
            brush.stroke(line(spot), dark(head.hair, 0.5), 2.0, 0.5)
        return
    if style in ("buzz cut", "mohawk"):
        return
    root = {"side part": -0.42, "long wavy": -0.42, "pixie cut": -0.42}.get(style, 0.0)
    rim = _rim(head, volume - 1)
    ends = (rim[2], rim[4], rim[8], rim[10])
    if style in ("slicked back", "ponytail", "bun"):
        _locks_back(brush, head, rim)
        return
    x, y = head.at(root, 62), 44.0 - volume * 0.5
    for end in ends:
        middle = ((x + end[0]) / 2, (y + end[1]) / 2 - 9)
        brush.stroke(line([(x, y + 8), middle, end]), dark(head.hair, 0.5), 1.9, 0.42)
    if style in ("bob with bangs", "long with bangs"):
        for part in (-0.5, -0.18, 0.18, 0.5):
            lock = line([(head.at(part * 0.5, 60), 62), (head.at(part, 92), 95)])
            brush.stroke(lock, dark(head.hair, 0.5), 1.9, 0.42)


def _locks_back(brush: Brush, head: Head, rim: list[Point]) -> None:
    for across, target in ((-0.6, 4), (-0.25, 5), (0.25, 7), (0.6, 8)):
        start = (head.at(across, 72), 74.0 - 6 * (1 - abs(across)))
        end = rim[target]
        middle = ((start[0] + end[0]) / 2 + 3 * across, (start[1] + end[1]) / 2)
        brush.stroke(line([start, middle, end]), dark(head.hair, 0.5), 1.9, 0.42)


def _mohawk(brush: Brush, head: Head) -> None:
    x, foot = head.at(0, 70), 72.0
    crest = [
        (x - 17, foot),
        (x - 22, 40),
        (x - 16, 22),
        (x - 6, 26),
        (x, 15),
        (x + 6, 26),
        (x + 16, 22),
        (x + 22, 40),
        (x + 17, foot),
    ]
    path = patch(crest, [(x + 17, foot), (x, foot + 5), (x - 17, foot)])
    brush.fade(path, light(head.hair, 0.12), dark(head.hair, 0.2), start=(0, 8), end=(0, foot))
    for dx in (-8, 8):
        brush.stroke(
            line([(x + dx, foot - 4), (x + dx * 1.3, 30)]), dark(head.hair, 0.5), 2.0, 0.45
        )
