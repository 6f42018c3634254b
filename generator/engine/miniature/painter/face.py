"""Head, eyes, brows, nose, mouth, and what age and sun leave on a face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from generator.engine.miniature.painter.canvas import (
    Brush,
    Color,
    Point,
    blob,
    dark,
    light,
    line,
    mix,
    oval,
    patch,
)
from generator.engine.miniature.painter.head import EYE_Y, MIDDLE, Head, lips_color

_IRIS: Final[dict[str, Color]] = {
    "dark brown": (62, 34, 24), "brown": (132, 78, 40), "hazel": (150, 130, 58),
    "amber": (222, 150, 40), "green": (62, 160, 88), "blue": (58, 140, 226),
    "grey": (146, 164, 176),
}  # fmt: skip
_BLUSH: Final[Color] = (236, 96, 92)


@dataclass(frozen=True)
class Mood:
    """How an expression moves a neutral face, in units; lids are factors of openness."""

    brow_lift: float
    brow_inner: float  # lifts the inner ends
    lid: float
    lower_lid: float
    mouth: str
    curve: float = 0.0  # corners up
    opening: float = 0.0


MOODS: Final = {
    "neutral": Mood(1.0, 1.6, 1.0, 0.94, "closed", 3.6),
    "smiling": Mood(2.0, 2.0, 0.97, 0.8, "open", 5.0, 9.5),
    "laughing": Mood(4.0, 2.2, 0.84, 0.62, "open", 6.5, 18.0),
    "surprised": Mood(8.0, 2.5, 1.2, 1.1, "round", 0.0, 9.0),
    "serious": Mood(-2.5, -1.8, 0.82, 0.94, "closed", -0.8),
    "sad": Mood(0.5, 5.5, 0.86, 1.0, "closed", -5.0),
}


def paint_ears(brush: Brush, head: Head) -> None:
    """Both, or only the near one when the head is turned. Before the head."""
    for side in (-1, 1):
        if side * head.yaw > 0.15:
            continue
        inward = 5.0 if abs(head.yaw) > 0.15 else 0.0
        x = MIDDLE + side * (head.width + 2.5 - inward)
        brush.fill(oval(x, EYE_Y + 8, 8.5, 13.5), mix(head.skin, (196, 88, 70), 0.12))
        brush.fill(oval(x - side, EYE_Y + 9, 4.5, 8.5), mix(dark(head.skin, 0.1), _BLUSH, 0.2))


def paint_head(brush: Brush, head: Head) -> None:
    """The skin of the face with its soft relief."""
    shape = blob(head.outline())
    skin, x = head.skin, head.at(0, EYE_Y)
    brush.fade(shape, light(skin, 0.1), mix(dark(skin, 0.07), (200, 90, 80), 0.05),
               start=(0, head.top + 20), end=(0, head.chin))  # fmt: skip
    with brush.inside(shape):
        brush.glow(x, EYE_Y - 34, 44, light(skin, 0.3), 0.5, 0.6)
        for side in (-1, 1):
            strength = 0.3 if head.manly < 0 else 0.2
            brush.glow(head.at(0.6 * side, 146), EYE_Y + 30, 17, _BLUSH, strength, 0.75)
        if head.person.suntan:
            _suntan(brush, head)
        if head.full > 0.35:
            chin = head.chin - 3
            fold = [(-14.0, -4.0), (0.0, 0.0), (14.0, -4.0)]
            fold = [(head.at(0, chin) + dx, chin + dy) for dx, dy in fold]
            brush.stroke(line(fold), dark(skin, 0.3), 1.6, 0.5 * head.full)
        _age(brush, head)
        if head.person.freckles:
            _freckles(brush, head)


def _suntan(brush: Brush, head: Head) -> None:
    """A bronzed band over cheeks and nose, paler round the eyes."""
    bronze = mix(dark(head.skin, 0.22), (196, 76, 26), 0.5)
    for across in (-0.62, 0.0, 0.62):
        brush.glow(head.at(across, 140), EYE_Y + 19, 25, bronze, 0.75, 0.62)
    brush.glow(head.at(0, 70), EYE_Y - 44, 34, bronze, 0.45, 0.5)


def _freckles(brush: Brush, head: Head) -> None:
    spot = mix(dark(head.skin, 0.3), (150, 76, 40), 0.5)
    places = ((0.2, 20), (0.32, 26), (0.44, 20), (0.56, 27), (0.4, 32), (0.67, 21), (0.24, 30))
    for across, down in places:
        for side in (-1, 1):
            brush.fill(oval(head.at(side * across, 140), EYE_Y + down, 1.7, 1.5), spot, 0.85)
    brush.fill(oval(head.at(0, 130), EYE_Y + 15, 1.6, 1.4), spot, 0.8)


def _age(brush: Brush, head: Head) -> None:
    """Lines that begin in the thirties and deepen."""
    if head.old <= 0.02:
        return
    ink, alpha = mix(dark(head.skin, 0.32), (150, 70, 60), 0.2), 0.15 + 0.6 * head.old
    for side in (-1, 1):
        fold = ((0.25, head.nose_y + 1), (0.38, head.nose_y + 9), (0.42, head.mouth_y + 1))
        brush.stroke(line([(head.at(side * u, y), y) for u, y in fold]), ink, 1.7, alpha)
        bag = ((0.3, EYE_Y + 13), (0.46, EYE_Y + 16.5), (0.62, EYE_Y + 13))
        brush.stroke(line([(head.at(side * u, y), y) for u, y in bag]), ink, 1.5, alpha * 0.9)
    if head.old > 0.3:
        for row, width in ((EYE_Y - 36, 0.34), (EYE_Y - 44, 0.28)):
            wave = [(head.at(u * width, row), row + dy) for u, dy in ((-1, 1), (0, -1), (1, 1))]
            brush.stroke(line(wave), ink, 1.5, alpha * (head.old - 0.2) * 1.2)
        for side in (-1, 1):
            for dy in (-3.0, 2.5):
                x, y = head.at(side * 0.84, EYE_Y), EYE_Y + dy
                crow = line([(x, y + 1), (x + side * 5 * head.squeeze(0.6), y + dy)])
                brush.stroke(crow, ink, 1.4, alpha * 0.8)


def paint_eyes(brush: Brush, head: Head) -> None:
    """Two eyes with large irises, then the brows."""
    for side in (-1, 1):
        across = side * (0.47 + 0.04 * head.person.eye_gap)
        canvas = brush.canvas
        canvas.save()
        canvas.translate(head.at(across, EYE_Y), EYE_Y)
        canvas.scale(side * min(1.1, head.squeeze(across)), 1.0)
        _eye(brush, head, gaze=side * head.yaw * 4)
        _brow(brush, head)
        canvas.restore()


def _eye(brush: Brush, head: Head, gaze: float) -> None:
    """In a frame where x grows outwards."""
    person, mood = head.person, MOODS[head.shot.expression]
    wide = 14.4 + 1.5 * person.eye_size
    tall = (9.6 + 0.9 * person.eye_size + 1.8 * person.eye_openness - 1.2 * head.old) * mood.lid
    low = (7.4 + 0.5 * person.eye_size) * mood.lower_lid
    tilt = 3.2 * person.eye_tilt + (-2.0 if head.shot.expression == "sad" else 0.0)
    upper: list[Point] = [
        (-wide, 2.5),
        (-0.5 * wide, -0.78 * tall),
        (0.2 * wide, -tall),
        (0.72 * wide, -0.62 * tall - 0.5 * tilt),
        (wide, -0.5 - tilt),
    ]
    lower: list[Point] = [
        (wide, -0.5 - tilt),
        (0.45 * wide, 0.86 * low - 0.3 * tilt),
        (-0.2 * wide, low),
        (-0.7 * wide, 0.7 * low),
        (-wide, 2.5),
    ]
    shape = patch(upper, lower)
    brush.fill(shape, (252, 252, 252))
    with brush.inside(shape):
        _iris(brush, head, gaze)
        brush.stroke(line(upper), (60, 40, 60), 5.0, 0.18)
    lash = mix((30, 20, 24), head.hair, 0.15)
    brush.stroke(line(upper), lash, 2.9 if head.manly < 0 else 2.2)
    if head.manly < 0:
        wing = [
            (0.7 * wide, -0.62 * tall - 0.5 * tilt),
            (wide + 1, -1.5 - tilt),
            (wide + 4.5, -5 - tilt),
        ]
        brush.stroke(line(wing), lash, 2.4)
    brush.stroke(line(lower[1:4]), dark(head.skin, 0.35), 1.2, 0.5)
    crease = [(x * 0.92, y - 4.0) for x, y in upper[1:4]]
    brush.stroke(
        line(crease), dark(head.skin, 0.35), 1.4, 0.25 + 0.3 * (1 + person.eye_openness) / 2
    )


def _iris(brush: Brush, head: Head, gaze: float) -> None:
    color, radius = _IRIS[head.person.eye_color], 7.6 + 0.4 * head.person.eye_size
    x, y = gaze - 0.3, -0.6
    brush.fill(oval(x, y, radius, radius), dark(color, 0.45))
    brush.fade(oval(x, y, radius - 1.1, radius - 1.1), dark(color, 0.12), light(color, 0.22),
               start=(0, y - radius), end=(0, y + radius))  # fmt: skip
    brush.fill(oval(x, y, 3.1, 3.1), (18, 12, 16))
    brush.fill(oval(x - 2.2, y - 2.9, 2.3, 2.3), (255, 255, 255))
    brush.fill(oval(x + 2.6, y + 2.8, 1.2, 1.2), (255, 255, 255), 0.75)


def _brow(brush: Brush, head: Head) -> None:
    person, mood = head.person, MOODS[head.shot.expression]
    thick = 2.5 + 1.0 * person.brow_thickness
    base = -19.0 - mood.brow_lift - (1.0 if head.manly < 0 else -0.5)
    arch = 3.4 + 2.4 * person.brow_arch
    inner, outer = base + 1.0 - mood.brow_inner, base + 2.0 + 0.45 * mood.brow_inner
    peak = base - arch + 0.15 * mood.brow_inner
    above: list[Point] = [
        (-14, inner - thick * 0.55),
        (-2, peak - thick + 1.5),
        (8, peak - thick + 1),
        (17, outer),
    ]
    below: list[Point] = [
        (17, outer),
        (8, peak + thick * 0.8),
        (-2, peak + thick + 1.5),
        (-14, inner + thick * 0.75),
    ]
    color = mix(dark(head.hair, 0.25), (70, 46, 36), 0.25)
    brush.fill(patch(above, below), color, 0.95)


def paint_nose(brush: Brush, head: Head) -> None:
    """A soft bridge, a lit tip, two nostrils."""
    y, x = head.nose_y, head.at(0, head.nose_y) + 7.5 * head.yaw
    wide = 8.2 + 2.5 * head.person.nose_width + 0.5 * head.manly
    shade = mix(dark(head.skin, 0.26), (176, 70, 60), 0.22)
    away = 1.0 if head.yaw >= -0.15 else -1.0
    bridge = [
        (head.at(0, EYE_Y) + 6.5 * away, EYE_Y - 4),
        (x + 4 * away, y - 13),
        (x + wide * away, y - 3),
    ]
    brush.stroke(line(bridge), shade, 2.4, 0.28)
    brush.glow(x, y - 4, wide + 5, shade, 0.4, 0.72)
    brush.glow(x - 1.5, y - 6.5, 5.5, light(head.skin, 0.5), 0.6)
    curve = [(x - wide, y - 2.5), (x - wide * 0.78, y + 1.5), (x - 2.5, y + 1.2), (x, y + 2.6),
             (x + 2.5, y + 1.2), (x + wide * 0.78, y + 1.5), (x + wide, y - 2.5)]  # fmt: skip
    brush.stroke(line(curve), shade, 1.9, 0.85)


def paint_mouth(brush: Brush, head: Head) -> None:
    """Lips and what they show; dimples."""
    mood, canvas = MOODS[head.shot.expression], brush.canvas
    x, y = head.at(0, head.mouth_y), head.mouth_y
    if head.person.dimple:
        _dimples(brush, head, mood)
    canvas.save()
    canvas.translate(x, y)
    canvas.scale(head.squeeze(0) ** 0.7, 1.0)
    wide = 17.0 + 2.8 * head.person.mouth_width
    thick = 4.3 + 1.7 * head.person.lips - 0.8 * head.old
    if mood.mouth == "closed":
        _closed(brush, head, wide - (2 if mood.curve < 0 else 0), thick, mood.curve)
    elif mood.mouth == "open":
        _open(brush, head, wide + 3.5, thick, mood)
    else:
        _round(brush, head, thick)
    canvas.restore()


def _closed(brush: Brush, head: Head, wide: float, thick: float, curve: float) -> None:
    color = lips_color(head)
    seam: list[Point] = [(-wide, -curve), (-wide * 0.5, curve * 0.3), (0, curve * 0.45),
                         (wide * 0.5, curve * 0.3), (wide, -curve)]  # fmt: skip
    upper = [
        (-wide, -curve),
        (-wide * 0.34, -thick + curve * 0.2),
        (0, -thick * 0.62 + curve * 0.2),
        (wide * 0.34, -thick + curve * 0.2),
        (wide, -curve),
    ]
    lower = [
        (wide, -curve),
        (wide * 0.5, thick * 1.2 + curve * 0.3),
        (0, thick * 1.55 + curve * 0.45),
        (-wide * 0.5, thick * 1.2 + curve * 0.3),
        (-wide, -curve),
    ]
    brush.fill(patch(upper, lower), color)
    brush.glow(0, thick * 0.85 + curve * 0.4, wide * 0.4, light(color, 0.5), 0.5, 0.35)
    brush.stroke(line(seam), dark(color, 0.55), 1.9)


def _open(brush: Brush, head: Head, wide: float, thick: float, mood: Mood) -> None:
    color, rise, depth = lips_color(head), mood.curve, mood.opening
    top: list[Point] = [
        (-wide, -rise),
        (-wide * 0.5, -0.6),
        (0, 0.4),
        (wide * 0.5, -0.6),
        (wide, -rise),
    ]
    bottom: list[Point] = [
        (wide, -rise),
        (wide * 0.62, depth * 0.72),
        (0, depth),
        (-wide * 0.62, depth * 0.72),
        (-wide, -rise),
    ]
    shape = patch(top, bottom)
    brush.stroke(shape, color, max(2.2, thick * 0.85))
    brush.fill(shape, (122, 30, 40))
    with brush.inside(shape):
        if depth > 12:
            brush.fill(oval(0, depth + 1, wide * 0.5, 8), (232, 104, 112))
        teeth = 8.5 if depth > 12 else 7.4
        brush.fill(
            patch([(-wide, -12), (wide, -12)], [(wide, teeth - 5), (0, teeth), (-wide, teeth - 5)]),
            (255, 255, 252),
        )


def _round(brush: Brush, head: Head, thick: float) -> None:
    color = lips_color(head)
    brush.fill(oval(0, 2.5, 9.0 + thick * 0.4, 11.5 + thick * 0.4), color)
    brush.fill(oval(0, 2.5, 7.2, 9.6), (112, 26, 36))
    brush.fill(oval(0, 8.6, 5.2, 3.6), (226, 98, 106))


def _dimples(brush: Brush, head: Head, mood: Mood) -> None:
    ink = mix(dark(head.skin, 0.42), (150, 60, 50), 0.2)
    for side in (-1, 1):
        x = head.at(0.5 * side, head.mouth_y) + 3 * side * head.squeeze(0.5 * side)
        y = head.mouth_y - 2 - mood.curve * 0.5
        curve = [(x - 0.8 * side, y - 5), (x + 1.6 * side, y), (x - 0.8 * side, y + 5)]
        brush.stroke(line(curve), ink, 2.1, 0.65)
