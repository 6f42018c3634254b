"""Beards, glasses, earrings."""

from __future__ import annotations

from typing import Final

import skia

from generator.engine.miniature.painter.canvas import (
    Brush,
    Color,
    Point,
    blob,
    box,
    dark,
    light,
    line,
    mix,
    oval,
    patch,
)
from generator.engine.miniature.painter.face import MOODS
from generator.engine.miniature.painter.head import EYE_Y, MIDDLE, Head

_GOLD: Final[Color] = (244, 196, 84)
_HELD: Final = {"stubble": (0.0, 0.0, 0.34), "short beard": (0.8, 2.0, 0.92),
                "full beard": (4.0, 15.0, 1.0)}  # fmt: skip


def paint_beard(brush: Brush, head: Head) -> None:
    """Between head and mouth."""
    style, color = head.person.beard, mix(dark(head.hair, 0.12), (60, 40, 32), 0.12)
    if style in _HELD:
        grow, drop, alpha = _HELD[style]
        _cheeks(brush, head, color, grow=grow, drop=drop, alpha=alpha)
    if style == "goatee":
        _goatee(brush, head, color)
    if style in ("moustache", "goatee", "full beard", "short beard"):
        _moustache(brush, head, dark(color, 0.1), big=style == "moustache")


def _cheeks(
    brush: Brush, head: Head, color: Color, *, grow: float, drop: float, alpha: float
) -> None:
    mouth = head.mouth_y
    inner: list[Point] = [
        (head.at(u, y), y)
        for u, y in (
            (-0.98, EYE_Y + 8),
            (-0.84, EYE_Y + 24),
            (-0.6, mouth - 9),
            (-0.3, mouth - 12.5),
            (0, mouth - 9.5),
            (0.3, mouth - 12.5),
            (0.6, mouth - 9),
            (0.84, EYE_Y + 24),
            (0.98, EYE_Y + 8),
        )
    ]
    path = patch(inner, head.lower(grow, drop))
    brush.fade(path, color, dark(color, 0.15), start=(0, EYE_Y), end=(0, head.chin + drop),
               alphas=(alpha, alpha))  # fmt: skip
    if alpha > 0.9:
        with brush.inside(path):
            for across in (-0.5, -0.2, 0.2, 0.5):
                lock = [
                    (head.at(across, mouth + 12), mouth + 14),
                    (head.at(across * 0.8, head.chin), head.chin + drop),
                ]
                brush.stroke(line(lock), light(color, 0.25), 2.2, 0.3)


def _moustache(brush: Brush, head: Head, color: Color, *, big: bool) -> None:
    x, y = head.at(0, head.mouth_y), head.mouth_y - 6.5
    wide, thick = (21.0, 5.6) if big else (18.0, 3.8)
    squeeze = head.squeeze(0)
    rise = MOODS[head.shot.expression].curve * 0.4
    above = [
        (-wide, 4 - rise),
        (-wide * 0.5, -thick + 1),
        (0, -thick * 0.55),
        (wide * 0.5, -thick + 1),
        (wide, 4 - rise),
    ]
    below = [
        (wide, 4 - rise),
        (wide * 0.5, thick * 0.62),
        (0, thick * 0.3),
        (-wide * 0.5, thick * 0.62),
        (-wide, 4 - rise),
    ]
    brush.fill(
        patch([(x + dx * squeeze, y + dy) for dx, dy in above],
              [(x + dx * squeeze, y + dy) for dx, dy in below]), color,
    )  # fmt: skip


def _goatee(brush: Brush, head: Head, color: Color) -> None:
    x, top, bottom = head.at(0, head.chin) + 2 * head.yaw, head.mouth_y + 9, head.chin + 6
    points = [
        (x - 15, top),
        (x, top + 3),
        (x + 15, top),
        (x + 15, bottom - 9),
        (x, bottom),
        (x - 15, bottom - 9),
    ]
    brush.fill(blob(points), color)


def paint_glasses(brush: Brush, head: Head) -> None:
    """Over eyes and hair."""
    style = head.person.glasses
    if style == "none":
        return
    color: Color = {"round": (22, 120, 140), "square": (32, 32, 40)}.get(style, (186, 40, 70))
    width = {"round": 3.0, "square": 4.2}.get(style, 3.6)
    spots = [head.at(side * 0.47, EYE_Y) for side in (-1, 1)]
    halves = [20.5 * min(1.0, head.squeeze(side * 0.47)) for side in (-1, 1)]
    for side, x, half in zip((-1, 1), spots, halves, strict=True):
        lens = _lens(style, x, half, side)
        brush.fill(lens, (214, 236, 250), 0.16)
        brush.stroke(lens, color, width)
        end = head.at(side * 0.99, EYE_Y - 6)
        if side * (end - x) > half:
            brush.stroke(line([(x + side * half, EYE_Y - 5), (end, EYE_Y - 5)]), color, width)
    bridge = [
        (spots[0] + halves[0], EYE_Y - 3),
        ((spots[0] + halves[0] + spots[1] - halves[1]) / 2, EYE_Y - 6),
        (spots[1] - halves[1], EYE_Y - 3),
    ]
    brush.stroke(line(bridge), color, width)


def _lens(style: str, x: float, half: float, side: int) -> skia.Path:
    if style == "round":
        return oval(x, EYE_Y + 1, half, 20.5)
    if style == "square":
        return box(x - half, EYE_Y - 15, x + half, EYE_Y + 18, 5)
    points = [(-21, -9), (0, -15), (15, -17), (25, -21), (21, 2), (9, 16), (-9, 16), (-20, 6)]
    return blob([(x + side * dx * half / 21.5, EYE_Y + dy) for dx, dy in points])


def paint_earrings(brush: Brush, head: Head) -> None:
    """At the lobes; last, so that hair does not hide them."""
    style = head.person.earrings
    for side in (-1, 1):
        if style == "none" or side * head.yaw > 0.15:
            continue
        inward = 4.0 if abs(head.yaw) > 0.15 else 0.0
        x, y = MIDDLE + side * (head.width + 4 - inward), EYE_Y + 21
        if style == "studs":
            brush.fill(oval(x, y, 4.2, 4.2), _GOLD)
            brush.fill(oval(x - 1.2, y - 1.2, 1.5, 1.5), (255, 250, 224))
        else:
            brush.stroke(oval(x, y + 9, 8, 9.5), _GOLD, 3.2)
