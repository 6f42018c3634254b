"""Where the person is in what is learnt, so that clothes and places are learnt less.

A soft disc around the face, hair and chin within it: the very place that a repair repaints.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from generator.engine import pictures
from generator.engine.production.drawing import around
from generator.engine.production.likeness import LOOKED_AT_PX, Face, Faces, Known


def of(faces: Faces | None, known: Known | None, shown: Sequence[bytes]) -> list[bytes | None]:
    """For each picture a PNG of its shape, white on the face; None where there is none to find,
    so that all of it counts. Pictures that are shown again are looked at once."""
    if faces is None:
        return [None] * len(shown)
    found = {data: _mask(faces, known, data) for data in dict.fromkeys(shown)}
    return [found[data] for data in shown]


def _mask(faces: Faces, known: Known | None, data: bytes) -> bytes | None:
    picture = pictures.read(data)
    picture.thumbnail((LOOKED_AT_PX, LOOKED_AT_PX))  # what is learnt is no larger
    face = _theirs(faces, known, picture)
    return pictures.to_png(around(picture, face)[1]) if face else None


def _theirs(faces: Faces, known: Known | None, picture: Image.Image) -> Face | None:
    """Of several the one most like them, then the largest."""

    def worth(face: Face) -> tuple[int, float]:
        likeness = known.likeness(faces.embed(picture, face)) if known else 0
        return likeness, face.box[2] * face.box[3]

    return max(faces.find(picture), key=worth, default=None)
