"""Colours laid over a finished drawing: named looks, and those of another picture.

The base model knows five kinds of light and nothing of film, so a style's colouring is done
here, on pixels. It never enters a likeness: that is measured on what was drawn. No torch.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.engine.looks import LOOKS

Pixels = NDArray[np.uint8]
"""(H, W, 3)"""
Levels = NDArray[np.float32]

MATCHED = 0.65  # of the way to the other picture's colours: skin has to stay skin
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of light, ITU-R BT.601


def laid(name: str, pixels: Pixels) -> Pixels:
    """`pixels` in a look of `LOOKS`; unchanged without a name. Raises KeyError."""
    if not name:
        return pixels
    look = LOOKS[name]
    levels: NDArray[np.floating] = pixels.astype(np.float32)
    grey = (levels @ GREY)[..., None]
    levels = grey + (levels - grey) * look.saturation
    levels = 127.5 + (levels - 127.5) * look.contrast
    levels += np.array([look.warmth, 0, -look.warmth], np.float32)
    share = grey / 255
    levels += (1 - share) * np.array(look.shadows, np.float32)
    levels += share * np.array(look.lights, np.float32)
    levels = look.fade + levels * (1 - look.fade / 255)
    levels = levels * (1 - look.vignette * _corners(pixels.shape[0], pixels.shape[1]))
    return levels.clip(0, 255).round().astype(np.uint8)


def matched(pixels: Pixels, other: Pixels) -> Pixels:
    """`pixels` in the colours of `other`: mean and spread of each channel of CIELAB.

    Reinhard et al., "Color Transfer between Images", 2001.
    """
    own, wanted = (
        cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for p in (pixels, other)
    )
    spread = (wanted.std((0, 1)) + 1.0) / (own.std((0, 1)) + 1.0)
    moved = (own - own.mean((0, 1))) * spread.clip(0.6, 1.6) + wanted.mean((0, 1))
    mixed = (own + (moved - own) * MATCHED).astype(np.float32)
    back = cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB)
    return (back * 255).clip(0, 255).round().astype(np.uint8)


def _corners(height: int, width: int) -> Levels:
    """0 in the middle, 1 in the corners, (H, W, 1)."""
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    distance = np.clip((xs**2 + ys**2) / 2, 0, 1) ** 1.5
    return distance[..., None].astype(np.float32)
