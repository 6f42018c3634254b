"""Photos for the browser's tests: a painted person somewhere in a larger picture."""

from __future__ import annotations

import io
import random
from pathlib import Path

from PIL import Image

from generator.engine.miniature.painter import Person, Shot, paint

SEEN_BY_HAAR = 0  # the seed of a painted face that the face search recognises
PLAIN = Shot("studio", "shirt", "blue", "smiling", "daylight", "facing the camera")


def portrait(size: tuple[int, int] = (1600, 1100), face_px: int = 700) -> Image.Image:
    """The person stands right of the middle, so that a frame around the face is no centre cut."""
    person = Person.random(random.Random(SEEN_BY_HAAR))
    picture = Image.new("RGB", size, (150, 152, 178))
    picture.paste(Image.fromarray(paint(person, PLAIN, face_px)), (size[0] - face_px - 60, 120))
    return picture


def two_people() -> Image.Image:
    """The same person twice, side by side, close enough for one frame."""
    picture = Image.new("RGB", (1600, 900), (150, 152, 178))
    person = Person.random(random.Random(SEEN_BY_HAAR))
    face = Image.fromarray(paint(person, PLAIN, 700))
    picture.paste(face.resize((620, 620)), (90, 140))
    picture.paste(face, (850, 100))
    return picture


def leaning(degrees: int) -> Image.Image:
    """The portrait, leaning clockwise."""
    return portrait().rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=(150, 152, 178))


def lying() -> Image.Image:
    """On its side without saying so: a quarter turn clockwise sets it upright."""
    return portrait().transpose(Image.Transpose.ROTATE_90)


def saved(folder: Path, name: str = "me.jpg") -> Path:
    path = folder / name
    portrait().save(path, quality=92)
    return path


def sideways(folder: Path) -> Path:
    """Lies on its side and says so, as phones write it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = folder / "sideways.jpg"
    portrait().transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=92)
    return path


def of_24_megapixels(folder: Path) -> Path:
    path = folder / "large.jpg"
    portrait().resize((6000, 4000)).save(path, quality=85)
    return path


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size
