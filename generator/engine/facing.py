"""How a found face sits in its photo: tilted, or the whole photo on its side. No torch.

The eyes are looked for with OpenCV's Haar cascades; the line between them is the tilt. No pair of
eyes is a legal answer: then nothing is said about the tilt. Measured on a photographed and a
painted face leaning by up to 20 degrees: within 4 degrees where the eyes were found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from generator.engine import photo

EYES_PX = 240  # the face is looked at in this width
MARGIN = 1.2  # of the face's box: a tilted face leaves it
STEEPEST = 45.0  # degrees; beyond, two eyes are not one face's
TURNED_PX = 400  # a photo on its side is searched more coarsely
QUARTERS = (90, 270, 180)  # clockwise turns that may set a photo upright
LEANINGS = (30, -30)  # further than Haar sees a face by itself

Grey = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Turned:
    """A face that shows only once the photo is turned: by how much, and where it is then."""

    degrees: int  # clockwise
    box: photo.Box  # in the photo as it lies
    tilt: float


@cache
def _eyes() -> tuple[cv2.CascadeClassifier, ...]:
    folder = Path(cv2.__file__).parent / "data"
    names = ("haarcascade_eye_tree_eyeglasses.xml", "haarcascade_eye.xml")
    return tuple(cv2.CascadeClassifier(str(folder / name)) for name in names)


def tilt(image: Image.Image, box: photo.Box, *, is_strict: bool = False) -> float | None:
    """Degrees a face leans clockwise; None where no pair of eyes shows.

    `is_strict` asks only the cascade that rarely takes something else for an eye.
    """
    x, y, w, h = box
    width, height = image.size
    side = MARGIN * w * width
    left, top = (x + w / 2) * width - side / 2, (y + h / 2) * height - side / 2
    face = image.convert("L").transform(
        (EYES_PX, EYES_PX), Image.Transform.EXTENT, (left, top, left + side, top + side),
        Image.Resampling.BILINEAR,
    )  # fmt: skip
    for cascade in _eyes()[: 1 if is_strict else None]:
        found = cascade.detectMultiScale(
            np.asarray(face), 1.05, 4, minSize=(EYES_PX // 9,) * 2, maxSize=(EYES_PX // 3,) * 2
        )
        boxes = np.asarray(found).reshape(-1, 4).tolist()
        angle = _leaning([(x + w / 2, y + h / 2) for x, y, w, h in boxes])
        if angle is not None:
            return angle
    return None


def _leaning(eyes: list[tuple[float, float]]) -> float | None:
    """Of the pair that lies highest: mouths and chins pass for eyes, but below them."""
    pairs = [
        (left[1] + right[1], math.degrees(math.atan2(right[1] - left[1], right[0] - left[0])))
        for left in eyes
        for right in eyes
        if right[0] - left[0] > EYES_PX / 6 and left[1] + right[1] < 1.2 * EYES_PX
    ]
    level = [(height, angle) for height, angle in pairs if abs(angle) < STEEPEST]
    return round(min(level)[1], 1) if level else None


def find_turned(image: Image.Image) -> Turned | None:
    """For a photo without a face: the turn that shows one with two eyes, or None.

    Without the eyes a shirt upside down passes for a face.
    """
    small = image.convert("L")
    small.thumbnail((TURNED_PX, TURNED_PX))
    for degrees in (*QUARTERS, *LEANINGS):
        turned = small.rotate(-degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=128)
        for box in photo.find_faces(turned)[:1]:
            angle = tilt(turned, box, is_strict=True)
            if angle is not None:
                whole = _back(box, turned.size, small.size, degrees)
                return Turned(degrees % 360, whole, angle)
    return None


def _back(
    box: photo.Box, turned: tuple[int, int], size: tuple[int, int], degrees: int
) -> photo.Box:
    """A box of the turned picture, centred on the same face in the picture as it lies."""
    x, y, w, h = box
    across, down = (x + w / 2 - 0.5) * turned[0], (y + h / 2 - 0.5) * turned[1]
    angle = math.radians(-degrees)
    middle_x = across * math.cos(angle) - down * math.sin(angle) + size[0] / 2
    middle_y = across * math.sin(angle) + down * math.cos(angle) + size[1] / 2
    width, height = w * turned[0] / size[0], h * turned[1] / size[1]
    return middle_x / size[0] - width / 2, middle_y / size[1] - height / 2, width, height
