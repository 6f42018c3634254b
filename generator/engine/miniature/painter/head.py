"""Where everything of a head lies, in units, for one person in one pose."""

from __future__ import annotations

import math
from typing import Final

from generator.engine.miniature.painter.canvas import Color, Point, dark, mix
from generator.engine.miniature.painter.identity import Person
from generator.engine.miniature.painter.shot import Shot

MIDDLE: Final = 128.0
EYE_Y: Final = 117.0
_TOP: Final = 42.0
_TURN_SHARE: Final = 0.74  # of the yaw that moves features; the outline only leans

_SKIN: Final[tuple[Color, ...]] = (
    (255, 226, 208), (248, 208, 178), (236, 184, 144), (214, 154, 110), (178, 118, 78),
    (134, 84, 56), (96, 60, 44),
)  # fmt: skip
_HAIR: Final[dict[str, Color]] = {
    "black": (38, 32, 40), "dark brown": (82, 52, 38), "light brown": (152, 100, 62),
    "blonde": (228, 180, 92), "platinum": (244, 230, 196), "red": (204, 84, 36),
    "grey": (142, 144, 152), "white": (232, 234, 240), "pink": (240, 120, 176),
    "blue": (58, 112, 214), "purple": (138, 76, 190),
}  # fmt: skip
_NATURAL: Final = ("black", "dark brown", "light brown", "red")


class Head:
    """Geometry and colors shared by the parts. x grows to the right, y downwards, in units."""

    def __init__(self, person: Person, shot: Shot) -> None:
        self.person, self.shot = person, shot
        self.yaw = shot.yaw
        self.manly = 1.0 if person.gender == "man" else -1.0
        self.full = person.fullness
        self.old = min(1.0, max(0.0, (person.age - 32) / 45))
        self.width = 54.0 + 3.8 * person.face_width + 5.0 * self.full + 0.8 * self.manly
        self.top = _TOP
        self.chin = 181 + 4.2 * person.face_height + 1.5 * self.full + 0.8 * self.manly
        self.mouth_y = self.chin - 28.5
        self.nose_y = EYE_Y + 22.5 + 2.8 * person.nose_length
        self.skin = _skin(person)
        self.hair = _hair(person)

    def shift(self, y: float) -> float:
        """How far the outline leans at a height."""
        return self.yaw * 17 * (y - EYE_Y) / 65

    def at(self, across: float, y: float) -> float:
        """x of a point `across` the face (-1 left ear, 0 nose, 1 right ear) after the turn."""
        angle = math.asin(max(-1.0, min(1.0, across))) + _TURN_SHARE * self.yaw
        return MIDDLE + 0.6 * self.shift(y) + self.width * math.sin(angle)

    def squeeze(self, across: float) -> float:
        """Foreshortening of a feature's width there; 1 when facing the camera."""
        angle = math.asin(across)
        return math.cos(angle + _TURN_SHARE * self.yaw) / math.cos(angle)

    def outline(self) -> list[Point]:
        """The closed contour of the face, clockwise from the crown."""
        half = self._half()
        right = [(MIDDLE + x + self.shift(y), y) for x, y in half]
        left = [(MIDDLE - x + self.shift(y), y) for x, y in reversed(half[1:-1])]
        return right + left

    def lower(self, grow: float, drop: float, start: float = EYE_Y + 12) -> list[Point]:
        """The jaw line from the right side round the chin to the left, grown outwards."""
        half = [(x, y) for x, y in self._half() if y > start]
        points = []
        for x, y in half:
            y2 = y + drop * max(0.0, (y - self.mouth_y) / (self.chin - self.mouth_y))
            points.append((x + grow if x else 0.0, y2))
        right = [(MIDDLE + x + self.shift(y), y) for x, y in points]
        return right + [(MIDDLE - x + self.shift(y), y) for x, y in reversed(points[:-1])]

    def _half(self) -> list[Point]:
        """The right half facing the camera: (distance from the middle, y), crown to chin."""
        person, width = self.person, self.width
        jaw = 0.765 + 0.06 * person.jaw + 0.06 * self.full
        chin = 0.37 + 0.07 * person.chin + 0.05 * self.full
        return [
            (0.0, self.top), (0.6 * width, self.top + 12), (0.94 * width, self.top + 42),
            (width, EYE_Y + 2), (0.965 * width, EYE_Y + 20),
            (jaw * width, self.mouth_y + 2), (chin * width, self.chin - 6.5), (0.0, self.chin),
        ]  # fmt: skip


def _skin(person: Person) -> Color:
    place = person.skin_tone * (len(_SKIN) - 1)
    index = min(len(_SKIN) - 2, int(place))
    color = mix(_SKIN[index], _SKIN[index + 1], place - index)
    warm = 5.0 * person.undertone
    color = (color[0] + warm * 0.3, color[1], color[2] - warm)
    return mix(color, (206, 122, 66), 0.3) if person.suntan else color


def _hair(person: Person) -> Color:
    color = _HAIR[person.hair_color]
    if person.hair_color in _NATURAL:  # a little grey mixes in with the years
        return mix(color, (150, 148, 152), 0.3 * max(0.0, min(1.0, (person.age - 45) / 35)))
    return color


def lips_color(head: Head) -> Color:
    """Rosier on women; never far from the skin."""
    rose: Color = (206, 72, 88) if head.manly < 0 else (186, 92, 84)
    return mix(dark(head.skin, 0.12), rose, 0.62 if head.manly < 0 else 0.36)
