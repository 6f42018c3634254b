"""Neck, shoulders and ten outfits in one plain color each."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from generator.engine.miniature.painter.canvas import (
    Brush,
    Color,
    Point,
    blob,
    box,
    dark,
    light,
    line,
    mirrored,
    mix,
    oval,
    patch,
)
from generator.engine.miniature.painter.head import MIDDLE, Head

_COLORS: Final[dict[str, Color]] = {
    "white": (244, 244, 246), "black": (44, 44, 52), "grey": (142, 146, 156),
    "red": (214, 48, 52), "orange": (244, 130, 40), "yellow": (250, 206, 56),
    "green": (56, 158, 82), "teal": (24, 164, 166), "blue": (48, 98, 214),
    "purple": (126, 70, 182), "pink": (244, 130, 174), "beige": (222, 196, 156),
}  # fmt: skip
_LEAN: Final = {"slim": -7.0, "average": 0.0, "athletic": 4.0, "curvy": 1.0, "muscular": 11.0,
                "heavy": 7.0}  # fmt: skip


class Torso:
    """Neck and shoulders in units."""

    def __init__(self, head: Head) -> None:
        person = head.person
        tall = (person.height_cm - 172) / 30
        self.head = head
        self.neck = 21.5 + 2.6 * head.manly + 4.5 * head.full
        self.neck += 4.0 if person.build == "muscular" else 0.0
        self.reach = 87 + 6.0 * head.manly + 13.0 * head.full + _LEAN[person.build]
        self.line = 209 + 6.5 * tall  # where the shoulders begin; tall people have longer necks
        self.rise = 5.0 if person.build == "muscular" else 0.0
        self.color = _COLORS[head.shot.outfit_color]

    def edge(self, grow: float = 0.0) -> list[Point]:
        """The left contour from the neck to the picture's foot."""
        neck, reach, y = self.neck, self.reach + grow, self.line - grow
        return [
            (MIDDLE - neck - 2, y - 15), (MIDDLE - neck - 10, y - 4 - self.rise),
            (MIDDLE - reach * 0.62, y + 5 - self.rise), (MIDDLE - reach * 0.92, y + 17),
            (MIDDLE - reach - 5, y + 40), (MIDDLE - reach - 8, 270),
        ]  # fmt: skip


def paint_hood(brush: Brush, head: Head) -> None:
    """The hood of a hoodie stands behind the neck."""
    if head.shot.outfit == "hoodie":
        torso = Torso(head)
        y = torso.line
        brush.fill(blob([(MIDDLE - 62, y + 8), (MIDDLE - 58, y - 22), (MIDDLE, y - 40),
                         (MIDDLE + 58, y - 22), (MIDDLE + 62, y + 8), (MIDDLE, y + 30)]),
                   dark(torso.color, 0.3))  # fmt: skip


def paint_body(brush: Brush, head: Head) -> None:
    """Skin first, then the outfit."""
    torso = Torso(head)
    edge = torso.edge(-1.5)
    skin = mix(head.skin, dark(head.skin, 0.3), 0.2)
    brush.fill(patch(edge, mirrored(edge, MIDDLE)), skin)
    _neck(brush, torso, skin)
    if head.person.suntan:
        with brush.inside(patch(edge, mirrored(edge, MIDDLE))):
            _tan_line(brush, torso)
    _OUTFITS[head.shot.outfit](brush, torso)


def _neck(brush: Brush, torso: Torso, skin: Color) -> None:
    head = torso.head
    lean = head.shift(head.chin) * 0.6
    top = head.chin - 26
    path = patch([(MIDDLE - torso.neck + lean, top), (MIDDLE - torso.neck, torso.line - 18),
                  (MIDDLE - torso.neck - 8, torso.line + 2)],
                 [(MIDDLE + torso.neck + 8, torso.line + 2), (MIDDLE + torso.neck, torso.line - 18),
                  (MIDDLE + torso.neck + lean, top)])  # fmt: skip
    brush.fade(path, dark(skin, 0.34), skin, start=(0, head.chin + 2), end=(0, torso.line + 4))
    for side in (-1, 1):
        bone = [(MIDDLE + side * 8, torso.line + 11), (MIDDLE + side * 40, torso.line + 8)]
        brush.stroke(line(bone), dark(skin, 0.3), 1.8, 0.5)


def _tan_line(brush: Brush, torso: Torso) -> None:
    """Below the usual neckline the skin stays pale."""
    y, pale = torso.line, light(torso.head.skin, 0.38)
    brush.fill(
        blob(
            [
                (MIDDLE - 38, y + 6),
                (MIDDLE, y + 16),
                (MIDDLE + 38, y + 6),
                (MIDDLE + 40, y + 50),
                (MIDDLE - 40, y + 50),
            ]
        ),
        pale,
        0.9,
    )
    for side in (-1, 1):
        strap = [(MIDDLE + side * 36, y + 20), (MIDDLE + side * 44, y - 4)]
        brush.stroke(line(strap), pale, 7, 0.9)


def _garment(brush: Brush, torso: Torso, neckline: list[Point], color: Color | None = None) -> None:
    """Shoulders in cloth, cut out along `neckline` (left half, from the shoulder to the middle)."""
    edge = [point for point in torso.edge() if point[0] < neckline[0][0]]
    cut = neckline + mirrored(neckline, MIDDLE)[1:]
    tone = color or torso.color
    left = [neckline[0], *edge]
    path = patch(left, mirrored(left, MIDDLE), list(reversed(cut)))
    brush.fade(path, light(tone, 0.1), dark(tone, 0.16), start=(0, torso.line - 10), end=(0, 262))
    for side in (-1, 1):
        seam = [
            (MIDDLE + side * (torso.reach - 16), 266),
            (MIDDLE + side * (torso.reach - 19), torso.line + 36),
        ]
        brush.stroke(line(seam), dark(tone, 0.4), 2, 0.5)


def _crew(torso: Torso, wide: float, deep: float) -> list[Point]:
    y = torso.line
    return [
        (MIDDLE - wide, y - 5 - torso.rise * 0.4),
        (MIDDLE - wide * 0.72, y + deep * 0.6),
        (MIDDLE, y + deep),
    ]


def _collar(brush: Brush, torso: Torso, neckline: list[Point], color: Color, width: float) -> None:
    brush.stroke(line(neckline + mirrored(neckline, MIDDLE)[1:]), color, width)


def _t_shirt(brush: Brush, torso: Torso) -> None:
    neckline = _crew(torso, torso.neck + 9, 12)
    _garment(brush, torso, neckline)
    _collar(brush, torso, neckline, dark(torso.color, 0.22), 4)


def _sweater(brush: Brush, torso: Torso) -> None:
    neckline = _crew(torso, torso.neck + 7, 8)
    _garment(brush, torso, neckline)
    tone = light(torso.color, 0.5) if sum(torso.color) < 560 else dark(torso.color, 0.35)
    for y in (torso.line + 17, torso.line + 29):
        wide = torso.reach - 24
        brush.stroke(
            line([(MIDDLE - wide, y + 3), (MIDDLE, y), (MIDDLE + wide, y + 3)]), tone, 4.5, 0.8
        )
    _collar(brush, torso, neckline, dark(torso.color, 0.25), 8)


def _hoodie(brush: Brush, torso: Torso) -> None:
    neckline = _crew(torso, torso.neck + 12, 16)
    _garment(brush, torso, neckline)
    _collar(brush, torso, neckline, dark(torso.color, 0.14), 13)
    _collar(brush, torso, [(x, y - 5) for x, y in neckline], dark(torso.color, 0.34), 3)
    cord = light(torso.color, 0.75) if sum(torso.color) < 640 else dark(torso.color, 0.4)
    for side in (-1, 1):
        brush.stroke(
            line([(MIDDLE + side * 13, torso.line + 17), (MIDDLE + side * 15, 252)]), cord, 3.2
        )


def _dress(brush: Brush, torso: Torso) -> None:
    y = torso.line
    top = [
        (MIDDLE - torso.reach + 14, y + 36),
        (MIDDLE - 42, y + 22),
        (MIDDLE - 20, y + 18),
        (MIDDLE, y + 30),
    ]
    path = patch(
        top,
        mirrored(top, MIDDLE),
        [(MIDDLE + torso.reach - 10, 270), (MIDDLE - torso.reach + 10, 270)],
    )
    brush.fade(path, light(torso.color, 0.1), dark(torso.color, 0.16), start=(0, y), end=(0, 262))
    for side in (-1, 1):
        strap = [(MIDDLE + side * 42, y + 24), (MIDDLE + side * 46, y - 1 - torso.rise)]
        brush.stroke(line(strap), torso.color, 5.5)


def _tank_top(brush: Brush, torso: Torso) -> None:
    y, wide = torso.line, torso.neck
    left: list[Point] = [
        (MIDDLE - wide - 34, y + 3 - torso.rise),
        (MIDDLE - wide - 36, y + 26),
        (MIDDLE - torso.reach + 6, 270),
    ]
    neckline: list[Point] = [
        (MIDDLE - wide - 14, y - 3 - torso.rise),
        (MIDDLE - wide - 6, y + 16),
        (MIDDLE, y + 29),
    ]
    cut = neckline + mirrored(neckline, MIDDLE)[1:]
    path = patch(left, mirrored(left, MIDDLE), list(reversed(cut)))
    brush.fade(path, light(torso.color, 0.1), dark(torso.color, 0.16), start=(0, y), end=(0, 262))
    _collar(brush, torso, neckline, dark(torso.color, 0.25), 3)


def _turtleneck(brush: Brush, torso: Torso) -> None:
    _garment(brush, torso, _crew(torso, torso.neck + 5, 0))
    wide, y = torso.neck + 5, torso.line
    path = patch(
        [(MIDDLE - wide + 1, y - 21), (MIDDLE, y - 15), (MIDDLE + wide - 1, y - 21)],
        [(MIDDLE + wide + 5, y + 3), (MIDDLE, y + 9), (MIDDLE - wide - 5, y + 3)],
    )
    brush.fade(
        path, dark(torso.color, 0.2), light(torso.color, 0.06), start=(0, y - 22), end=(0, y + 8)
    )
    brush.stroke(path, dark(torso.color, 0.34), 1.8, 0.7)


def _shirt(brush: Brush, torso: Torso) -> None:
    y, tone = torso.line, torso.color
    _garment(
        brush, torso, [(MIDDLE - torso.neck - 7, y - 7), (MIDDLE - 13, y + 10), (MIDDLE, y + 24)]
    )
    brush.stroke(line([(MIDDLE, y + 24), (MIDDLE, 268)]), dark(tone, 0.35), 2)
    for row in (y + 31, y + 45):
        brush.fill(
            oval(MIDDLE + 5, row, 2.2, 2.2),
            light(tone, 0.8) if sum(tone) < 640 else dark(tone, 0.5),
        )
    _flaps(brush, torso, light(tone, 0.22), dark(tone, 0.4))


def _flaps(brush: Brush, torso: Torso, color: Color, edge: Color) -> None:
    """The two points of a shirt's collar."""
    y, wide = torso.line, torso.neck + 6
    for side in (-1, 1):
        points = ((wide, y - 18), (0.5, y + 13), (15, y + 25), (wide + 12, y + 1))
        path = patch(*[[(MIDDLE + side * a, b), (MIDDLE + side * c, d)]
                       for (a, b), (c, d) in itertools.pairwise(points)])  # fmt: skip
        brush.fill(path, color)
        brush.stroke(path, edge, 1.5, 0.6)


def _open_front(torso: Torso, wide: float) -> list[Point]:
    y = torso.line
    return [(MIDDLE - torso.neck - 7, y - 9), (MIDDLE - wide, y + 14), (MIDDLE - wide * 0.3, 268)]


def _inner(brush: Brush, torso: Torso, color: Color) -> None:
    y = torso.line
    brush.fill(box(MIDDLE - 42, y + 4, MIDDLE + 42, 270), color)
    brush.fill(
        oval(MIDDLE, y + 3, torso.neck + 4, 9),
        mix(torso.head.skin, dark(torso.head.skin, 0.3), 0.2),
    )


def _lapels(brush: Brush, torso: Torso, wide: float) -> None:
    y, tone = torso.line, torso.color
    for side in (-1, 1):
        points = ((torso.neck + 6, y - 12), (wide - 2, y + 14), (wide * 0.3, 268), (wide + 18, 236),
                  (wide + 16, y + 12), (torso.neck + 14, y - 6))  # fmt: skip
        path = patch(*[[(MIDDLE + side * a, b), (MIDDLE + side * c, d)]
                       for (a, b), (c, d) in itertools.pairwise(points)])  # fmt: skip
        brush.fill(path, light(tone, 0.14))
        brush.stroke(path, dark(tone, 0.45), 1.8, 0.7)


def _suit(brush: Brush, torso: Torso) -> None:
    y = torso.line
    _inner(brush, torso, (250, 250, 252))
    tie: Color = (
        (150, 34, 52) if torso.head.shot.outfit_color not in ("red", "pink") else (44, 56, 110)
    )
    path = patch(
        [(MIDDLE - 6, y + 10), (MIDDLE + 6, y + 10)], [(MIDDLE + 10, 268), (MIDDLE - 10, 268)]
    )
    brush.fill(path, tie)
    brush.fill(box(MIDDLE - 7, y + 8, MIDDLE + 7, y + 19, 3), dark(tie, 0.2))
    _garment(brush, torso, _open_front(torso, 28))
    _flaps(brush, torso, (255, 255, 255), (150, 150, 164))
    _lapels(brush, torso, 28)


def _blazer(brush: Brush, torso: Torso) -> None:
    dark_inside = sum(torso.color) > 420
    _inner(brush, torso, (52, 52, 60) if dark_inside else (246, 244, 240))
    _garment(brush, torso, _open_front(torso, 34))
    _lapels(brush, torso, 34)


def _jacket(brush: Brush, torso: Torso) -> None:
    y, tone = torso.line, torso.color
    _garment(
        brush, torso, [(MIDDLE - torso.neck - 7, y - 7), (MIDDLE - 12, y + 8), (MIDDLE, y + 16)]
    )
    for side in (-1, 1):
        collar = blob(
            [
                (MIDDLE + side * (torso.neck + 1), y - 20),
                (MIDDLE + side * (torso.neck + 12), y - 12),
                (MIDDLE + side * 22, y + 16),
                (MIDDLE + side * 2, y + 22),
            ]
        )
        brush.fill(collar, dark(tone, 0.3))
        pocket = [(MIDDLE + side * 34, y + 34), (MIDDLE + side * 60, y + 32)]
        brush.stroke(line(pocket), dark(tone, 0.5), 3, 0.8)
    brush.stroke(line([(MIDDLE, y + 18), (MIDDLE, 268)]), dark(tone, 0.5), 6)
    brush.stroke(line([(MIDDLE, y + 18), (MIDDLE, 268)]), (222, 224, 230), 2.6)


_OUTFITS: Final[dict[str, Callable[[Brush, Torso], None]]] = {
    "t-shirt": _t_shirt, "hoodie": _hoodie, "suit": _suit, "blazer": _blazer, "dress": _dress,
    "turtleneck": _turtleneck, "shirt": _shirt, "jacket": _jacket, "sweater": _sweater,
    "tank top": _tank_top,
}  # fmt: skip
