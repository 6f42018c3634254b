"""What the upload door can tell about a photo: its faces, a square, its sharpness and light.

Runs in the door's child only: OpenCV reads pixels that a stranger sent. Haar cascades find faces
that look at the camera; they miss turned, covered and small ones and now and then take a pattern
for a face. So nothing here refuses a picture: it is measured, and the person decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from generator.assets.frames import ANGLE_MAX, MIN_CROP, Square, fitted
from generator.engine import facing, photo

LOOK_PX = 160  # a face is judged in this width: about what the model learns from
LOOK_SIDE = 800  # px, longest side of a picture without a face
FACES_MAX = 6  # in one photo; a crowd is no better for being counted
BURNT = 250  # of 255; above, skin has no detail left
OTHER_FACE = 1 / 3  # of the largest face's width; smaller ones are bystanders or patterns


@dataclass(frozen=True)
class Light:
    """Measured on the grey picture of a face, or of everything where no face was found."""

    sharpness: float  # variance of the Laplacian over the variance of the greys: 0 is a blur
    brightness: int  # 0..255, mean
    burnt: float  # 0..1, the part that is as good as white


@dataclass(frozen=True)
class Face:
    """In px of the picture."""

    x: int
    y: int
    width: int
    height: int
    tilt: float | None  # degrees clockwise; None where the eyes were not found
    light: Light
    crop: Square  # upright


@dataclass(frozen=True)
class Findings:
    faces: list[Face]  # the one to learn from first
    turn: int  # degrees clockwise that would set the picture upright: 0, 90, 180, 270
    crop: Square
    light: Light


def look(picture: Image.Image) -> Findings:
    """What the door can tell about an RGB picture without knowing anybody."""
    faces, turn = _faces(picture)
    grey = picture.convert("L")
    grey.thumbnail((LOOK_SIDE, LOOK_SIDE))
    crop = faces[0].crop if faces else _middle(picture)
    return Findings(faces, turn, crop, faces[0].light if faces else light(grey))


def _faces(picture: Image.Image) -> tuple[list[Face], int]:
    """The faces, and the turn that would show one where none looks up.

    A face with two eyes counts more than a larger one without: that is often a pattern.
    """
    boxes = photo.find_faces(picture)[:FACES_MAX]
    faces = [_face(picture, box, facing.tilt(picture, box)) for box in boxes]
    certain = [face for face in faces if face.tilt is not None]
    if not certain and (turned := facing.find_turned(picture)):
        if turned.degrees in facing.QUARTERS:
            return [], turned.degrees
        lean = turned.tilt - (turned.degrees + 180) % 360 + 180
        return [_face(picture, turned.box, lean)], 0
    first = certain or faces[:1]
    least = OTHER_FACE * first[0].width if first else 0
    return [face for face in first if face.width >= least], 0


def _face(picture: Image.Image, box: photo.Box, tilt: float | None) -> Face:
    x, y, w, h = box
    left, top = round(x * picture.width), round(y * picture.height)
    width, height = round(w * picture.width), round(h * picture.height)
    skin = picture.convert("L").crop((left, top, left + width, top + height))
    skin.thumbnail((LOOK_PX, LOOK_PX), Image.Resampling.LANCZOS)
    return Face(left, top, width, height, tilt, light(skin), _around(picture, box))


def _around(picture: Image.Image, box: photo.Box) -> Square:
    """The square that puts this face where the base model's own pictures have it."""
    suggested = photo.frame_face(box, *picture.size)
    square = Square(suggested.left, suggested.top, suggested.side)
    size = max(square.size, min(MIN_CROP, *picture.size))
    return fitted(replace(square, size=size), *picture.size)


def _middle(picture: Image.Image) -> Square:
    side = min(picture.size)
    return Square((picture.width - side) // 2, (picture.height - side) // 2, side)


def light(grey: Image.Image) -> Light:
    """Sharpness does not depend on contrast: a dim sharp face is as sharp as a bright one."""
    pixels = np.asarray(grey).astype(np.float64)
    laplacian = float(cv2.Laplacian(pixels, cv2.CV_64F).var())
    return Light(
        sharpness=round(laplacian / max(float(pixels.var()), 1.0), 4),
        brightness=int(pixels.mean()),
        burnt=round(float((pixels > BURNT).mean()), 2),
    )


def straightening(tilt: float) -> int:
    """The frame's angle that sets a leaning face upright, in whole degrees."""
    return max(-ANGLE_MAX, min(ANGLE_MAX, round(tilt)))
