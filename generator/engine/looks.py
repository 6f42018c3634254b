"""The looks there are, by name, as numbers. `look` lays them over pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """Numbers around 0 (nothing) or 1 (as it was)."""

    saturation: float = 1.0
    contrast: float = 1.0
    warmth: float = 0.0  # levels of 255 from blue to red
    fade: float = 0.0  # levels of 255 that black is lifted by
    vignette: float = 0.0  # share of light lost in the corners
    shadows: tuple[float, float, float] = (0.0, 0.0, 0.0)  # levels added where it is dark
    lights: tuple[float, float, float] = (0.0, 0.0, 0.0)  # and where it is bright


LOOKS = {
    "film": Look(0.88, 0.96, 6, 14, 0.16, (0, 4, 8), (8, 4, -6)),
    "noir": Look(0.0, 1.22, 0, 4, 0.3),
    "sepia": Look(0.12, 1.02, 0, 12, 0.24, (18, 6, -8), (16, 8, -12)),
    "vivid": Look(1.32, 1.08, 2, 0, 0.06),
    "pastel": Look(0.72, 0.82, 2, 34, 0.0, (10, 4, 12), (4, 2, 4)),
    "dusk": Look(0.95, 1.04, -8, 6, 0.22, (-4, 2, 18), (14, 2, -8)),
    "cold": Look(0.8, 1.08, -14, 4, 0.14, (-4, 2, 10), (-4, 0, 6)),
}
