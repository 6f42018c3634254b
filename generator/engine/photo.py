"""From any photo to the square that the engine learns from. No torch.

The face is looked for with OpenCV's Haar cascades and the square is laid so that it
comes to sit where the base model's own pictures have it. No face found is a legal
answer: the centre square is suggested and the person may overrule it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from generator.engine.interface import EngineError

try:
    from pi_heif import register_heif_opener
except ImportError:  # no wheel for this platform: everything but HEIC works
    FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP")
else:
    register_heif_opener()
    FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")

MAX_PIXELS = 50_000_000
SEARCH_PX = 640  # faces smaller than a twelfth of the long side are not looked for
SQUARE_PX = 512
# Haar's box in the base model's pictures, as fractions of the side: centre x, centre y, width.
# Measured on 35 painted faces that Haar recognises (it misses 4 in 10 of them).
FACE_X, FACE_Y, FACE_W = 0.5, 0.47, 0.44

Box = tuple[float, float, float, float]
"""x, y, width, height as fractions of the picture's width and height."""

USUAL_FACE: Box = (FACE_X - FACE_W / 2, FACE_Y - FACE_W / 2, FACE_W, FACE_W)


@dataclass(frozen=True)
class Suggestion:
    """Faces, largest first, and the square in pixels (left, top, side)."""

    faces: tuple[Box, ...]
    left: int
    top: int
    side: int


def open_photo(data: bytes) -> Image.Image:
    """JPEG, PNG, WebP or HEIC, upright, RGB. Raises EngineError("bad_picture")."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise EngineError("bad_picture", "This photo has more than 50 megapixels.")
        return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise EngineError("bad_picture", "This photo could not be read.") from error


@cache
def _cascades() -> tuple[cv2.CascadeClassifier, ...]:
    folder = Path(cv2.__file__).parent / "data"
    names = ("haarcascade_frontalface_default.xml", "haarcascade_frontalface_alt2.xml")
    return tuple(cv2.CascadeClassifier(str(folder / name)) for name in names)


def find_faces(image: Image.Image) -> tuple[Box, ...]:
    """Frontal faces, largest first; empty when there is none or it is not recognised."""
    return next((found for found in _looks(image) if found), ())


def find_every_face(image: Image.Image) -> tuple[Box, ...]:
    """`find_faces` with all that any of the cascades sees: of a group, one alone misses some."""
    faces: list[Box] = []
    for box in sorted((box for found in _looks(image) for box in found), key=lambda box: -box[2]):
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        if not any(left < x < left + w and top < y < top + h for left, top, w, h in faces):
            faces.append(box)
    return tuple(faces)


def _looks(image: Image.Image) -> Iterator[tuple[Box, ...]]:
    """What each cascade finds, largest first."""
    small = image.convert("L")
    small.thumbnail((SEARCH_PX, SEARCH_PX))
    grey = cv2.equalizeHist(np.asarray(small))
    least = max(24, max(small.size) // 12)
    for cascade in _cascades():
        found = cascade.detectMultiScale(grey, 1.1, 6, minSize=(least, least))
        boxes = sorted(np.asarray(found).reshape(-1, 4).tolist(), key=lambda box: -box[2])
        yield tuple(
            (x / small.width, y / small.height, w / small.width, h / small.height)
            for x, y, w, h in boxes
        )


def suggest_square(image: Image.Image) -> Suggestion:
    """The square inside the photo that puts the largest face in its usual place."""
    faces = find_faces(image)
    width, height = image.size
    if not faces:
        side = min(width, height)
        return Suggestion((), (width - side) // 2, (height - side) // 2, side)
    return replace(frame_face(faces[0], width, height), faces=faces)


def frame_face(face: Box, width: int, height: int) -> Suggestion:
    """The square of a picture of `width` × `height` px that puts this face in its usual place."""
    x, y, w, h = face
    side = min(width, height, round(w * width / FACE_W))
    left = round((x + w / 2) * width - FACE_X * side)
    top = round((y + h / 2) * height - FACE_Y * side)
    left, top = min(max(left, 0), width - side), min(max(top, 0), height - side)
    return Suggestion((face,), left, top, side)


def cut(image: Image.Image, suggestion: Suggestion, size_px: int = SQUARE_PX) -> Image.Image:
    """The square of a suggestion, `size_px` a side."""
    left, top, side = suggestion.left, suggestion.top, suggestion.side
    box = (left, top, left + side, top + side)
    return image.resize((size_px, size_px), Image.Resampling.LANCZOS, box)


def to_reference(data: bytes) -> bytes:
    """A photo's bytes to the PNG square that `Engine.train` takes."""
    image = open_photo(data)
    out = io.BytesIO()
    cut(image, suggest_square(image)).save(out, "PNG")
    return out.getvalue()
