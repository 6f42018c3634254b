"""Who a set of photos is about: the person who is in most of them, group shots included.

Faces are found by `photo`, told apart by the base model's reader and gathered into people. Nobody
is twice in one photo, so faces of one photo are never one person. A face in which two eyes show is
certain. Haar also takes patterns for faces and misses many: what it found without eyes, and the
place where the base model itself would have put a face, count as somebody who is known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.engine import crowd, facing, photo
from generator.engine.interface import EngineError, Sighting
from generator.engine.likeness import Square

# Cosines of the embedded base model's reader: the same person 0.89 or more in portraits, and 0.69
# at least where small faces of groups are badly framed; two people 0.67 at most.
SAME = 0.7
FACES_MAX = 8  # of one photo, the largest ones
# Measured on 90 painted pictures: two eyes show in 42 of the 43 faces Haar finds, and in 6 of the
# 22 patterns it takes for faces.
GUESSED, FOUND, CERTAIN = range(3)
BYSTANDER = 1 / 3  # of the other's size: smaller is nobody to mistake for the subject

Embed = Callable[[Image.Image, list[Square]], NDArray[np.float32]]
"""Unit vectors (N, E) of the faces in these squares."""


@dataclass(frozen=True)
class Face:
    place: int  # number of its photo
    square: Square
    size: float  # of the photo's width
    vector: NDArray[np.float32]
    trust: int = CERTAIN


@dataclass
class Person:
    """Faces that are one person's, at most one of each photo."""

    faces: list[Face] = field(default_factory=list)

    @property
    def is_certain(self) -> bool:
        return any(face.trust == CERTAIN for face in self.faces)

    @property
    def is_likely(self) -> bool:
        """Found in two photos without eyes: sunglasses, rather than a pattern."""
        return sum(face.trust == FOUND for face in self.faces) > 1

    @property
    def size(self) -> float:
        return sum(face.size for face in self.faces) / len(self.faces)


def find(
    images: Sequence[Image.Image], embed: Embed, tell: Callable[[int], None]
) -> list[Sighting]:
    """Where the subject is in each picture, or why not. `tell`: pictures looked at.

    Raises EngineError: "no_face", "multiple_faces".
    """
    faces: list[Face] = []
    for place, image in enumerate(images):
        faces += _faces(place, image, embed)
        tell(place + 1)
    groups = gathered(faces)
    people = [one for one in groups if one.is_certain] or [one for one in groups if one.is_likely]
    if not people:
        raise EngineError("no_face", "No face was found in these photos.")
    subject = _most_frequent(people, len({face.place for p in people for face in p.faces}))
    seen = {face.place: face for face in subject.faces}
    others = {face.place for person in people for face in person.faces}
    return [_sighting(image, seen.get(at), at in others) for at, image in enumerate(images)]


def gathered(faces: Sequence[Face]) -> list[Person]:
    """The most alike pair of groups becomes one, again and again, while they are alike enough."""
    if not faces:
        return []
    groups = [[face] for face in faces]
    vectors = np.stack([face.vector for face in faces])
    alike = vectors @ vectors.T  # between groups: the mean over their pairs
    places = np.array([face.place for face in faces])
    alike[places[:, None] == places[None, :]] = -np.inf  # itself, and nobody is twice in a photo
    while True:
        one, other = np.unravel_index(int(alike.argmax()), alike.shape)
        if alike[one, other] < SAME:
            return [Person(group) for group in groups if group]
        sizes = len(groups[one]), len(groups[other])
        # The mean of what both have in common with each other group; -inf stays -inf.
        alike[one] = np.average(alike[[one, other]], axis=0, weights=sizes)
        alike[:, one] = alike[one]
        alike[other] = alike[:, other] = alike[one, one] = -np.inf
        groups[one] += groups[other]
        groups[other] = []


def _most_frequent(people: list[Person], photos: int) -> Person:
    """In most photos; of equals the largest. Two who are in every photo cannot be told apart."""
    ranked = sorted(people, key=lambda person: (len(person.faces), person.size), reverse=True)
    first, *others = ranked
    rivals = [
        person
        for person in others
        if len(person.faces) == len(first.faces) == photos and person.size >= BYSTANDER * first.size
    ]
    if rivals:
        raise EngineError(
            "multiple_faces",
            "Every photo shows the same people, so it cannot be told whom to learn. "
            "Add a photo that shows only one of them.",
        )
    return first


def _faces(place: int, image: Image.Image, embed: Embed) -> list[Face]:
    boxes = photo.find_every_face(image)[:FACES_MAX]
    trust = [FOUND if facing.tilt(image, box) is None else CERTAIN for box in boxes]
    framed = [photo.frame_face(box, *image.size) for box in boxes]
    squares = [(one.left, one.top, one.side) for one in framed]
    sizes = [box[2] for box in boxes]
    for square in crowd.squares(*image.size):
        if not any(
            sure == CERTAIN and _overlap(square, one)
            for one, sure in zip(squares, trust, strict=False)
        ):
            squares.append(square)
            sizes.append(photo.FACE_W * square[2] / image.width)
            trust.append(GUESSED)
    vectors = embed(image, squares)
    return [Face(place, *one) for one in zip(squares, sizes, vectors, trust, strict=True)]


def _overlap(one: Square, other: Square) -> bool:
    """Whether the middle of either lies in the other."""
    return any(
        a[0] < b[0] + b[2] / 2 < a[0] + a[2] and a[1] < b[1] + b[2] / 2 < a[1] + a[2]
        for a, b in ((one, other), (other, one))
    )


def _sighting(image: Image.Image, face: Face | None, shows_others: bool) -> Sighting:
    if face is None:
        return Sighting(reason="somebody_else" if shows_others else "no_face")
    left, top, side = face.square
    width, height = image.size
    return Sighting((left / width, top / height, side / width), face.size)
