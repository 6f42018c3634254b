"""What a picture shows beside the person: scene, clothes, mood, light, pose, framing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from generator.engine import attributes as words

_CATEGORIES: Final = {
    "background": ("scene", words.SCENES), "outfit": ("outfit", words.OUTFITS),
    "outfit_color": ("outfit_color", words.OUTFIT_COLORS),
    "expression": ("expression", words.EXPRESSIONS), "light": ("light", words.LIGHTS),
    "pose": ("pose", words.POSES),
}  # fmt: skip
TURN: Final = 0.4  # radians of a turned head
POSE_TURNS: Final = dict(zip(words.POSES, (0, -1, 1), strict=True))  # in units of TURN
_JITTER: Final = 0.012  # of the picture's side
_NOISE: Final = 0.03  # radians


@dataclass(frozen=True)
class Shot:
    """A picture without its person. `yaw` in radians, negative towards the picture's left;
    `shift_x`, `shift_y` in fractions of the side."""

    scene: str
    outfit: str
    outfit_color: str
    expression: str
    light: str
    pose: str
    yaw: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0

    @classmethod
    def random(cls, rng: random.Random) -> Shot:
        """Any shot; half of them face the camera."""
        pose = rng.choices(words.POSES, (2, 1, 1))[0]
        return cls(
            scene=rng.choice(words.SCENES),
            outfit=rng.choice(words.OUTFITS),
            outfit_color=rng.choice(words.OUTFIT_COLORS),
            expression=rng.choice(words.EXPRESSIONS),
            light=rng.choice(words.LIGHTS),
            pose=pose,
            yaw=TURN * POSE_TURNS[pose] + rng.uniform(-_NOISE, _NOISE),
            shift_x=rng.uniform(-_JITTER, _JITTER),
            shift_y=rng.uniform(-_JITTER, _JITTER),
        )

    def labels(self) -> dict[str, int | float]:
        """Indices into captions.LABELS."""
        return {
            name: choices.index(getattr(self, field))
            for name, (field, choices) in _CATEGORIES.items()
        }
