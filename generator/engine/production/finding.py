"""The person who is in most of several photos, and where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from generator.engine import pictures
from generator.engine.interface import EngineError, OnStep, Sighting, Step
from generator.engine.production.likeness import Face, Faces, Vector

ALIKE = 0.35  # cosine: ArcFace's kind calls two photos of one person this and more
SQUARE = 2.2  # of a face's height: head, hair and shoulders


def subject(faces: Faces, photos: Sequence[bytes], tell: OnStep) -> list[Sighting]:
    """Raises EngineError: "no_face", "multiple_faces" (two people who are in every photo)."""
    seen: list[tuple[Image.Image, list[Face], list[Vector]]] = []
    for number, data in enumerate(photos):
        tell(Step("read", number, len(photos)))
        picture = pictures.read(data)
        found = faces.find(picture)
        seen.append((picture, found, [faces.embed(picture, face) for face in found]))
    centre = _most_seen([vectors for *_, vectors in seen])
    return [_sighting(picture, found, vectors, centre) for picture, found, vectors in seen]


def _most_seen(photos: list[list[Vector]]) -> Vector:
    """The face that most photos have one like."""
    everybody = [vector for vectors in photos for vector in vectors]
    if not everybody:
        raise EngineError("no_face", "There is no face in these photos.")
    counts = [sum(_best(one, vectors) >= ALIKE for vectors in photos) for one in everybody]
    chosen = everybody[int(np.argmax(counts))]
    others = [
        count
        for one, count in zip(everybody, counts, strict=True)
        if float(one @ chosen) < ALIKE and count == len(photos)
    ]
    if others and max(counts) == len(photos):
        raise EngineError(
            "multiple_faces", "Two people are in every photo. Add one of the person alone."
        )
    return chosen


def _best(one: Vector, vectors: Sequence[Vector]) -> float:
    return max((float(one @ each) for each in vectors), default=-1.0)


def _sighting(
    picture: Image.Image, found: list[Face], vectors: list[Vector], centre: Vector
) -> Sighting:
    if not found:
        return Sighting(reason="no_face")
    best = int(np.argmax([float(each @ centre) for each in vectors]))
    if float(vectors[best] @ centre) < ALIKE:
        return Sighting(reason="somebody_else")
    x, y, w, h = found[best].box
    side = min(SQUARE * max(w, h), picture.width, picture.height)
    left = min(max(0.0, x + w / 2 - side / 2), picture.width - side)
    top = min(max(0.0, y + h * 0.45 - side / 2), picture.height - side)
    square = (left / picture.width, top / picture.height, side / picture.width)
    return Sighting(square=square, face=w / picture.width)
