"""The square that is cut from a photo. Pure arithmetic: the web and the door's child share it."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_CROP = 128  # px; less than this is too little to learn from
ANGLE_MAX = 45  # degrees; what leans further is turned by quarters


@dataclass(frozen=True)
class Square:
    """A square of a picture, in px of the original, turned clockwise around its own middle."""

    x: int
    y: int
    size: int
    angle: int = 0  # degrees

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.size / 2, self.y + self.size / 2

    @property
    def reach(self) -> float:
        """Px from the middle to the side of the upright square around it."""
        return self.size * _spread(self.angle) / 2

    def holds(self, x: float, y: float) -> bool:
        """Whether a point of the picture lies inside."""
        turn = math.radians(-self.angle)
        across, down = x - self.middle[0], y - self.middle[1]
        return (
            max(
                abs(across * math.cos(turn) - down * math.sin(turn)),
                abs(across * math.sin(turn) + down * math.cos(turn)),
            )
            <= self.size / 2
        )


def fitted(wanted: Square, width: int, height: int) -> Square:
    """The same square, moved and made smaller until it lies inside the picture."""
    spread = _spread(wanted.angle)
    size = min(wanted.size, int(min(width, height) / spread))
    reach = size * spread / 2
    across = min(max(wanted.middle[0], reach), width - reach)
    down = min(max(wanted.middle[1], reach), height - reach)
    x, y = round(across - size / 2), round(down - size / 2)
    return Square(max(0, x), max(0, y), size, wanted.angle)


def _spread(angle: int) -> float:
    """How much wider an upright square around a turned one is."""
    turn = math.radians(angle)
    return abs(math.cos(turn)) + abs(math.sin(turn))
