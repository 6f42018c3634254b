"""Likeness of real faces: found by YuNet, told apart by AuraFace, or by files in their formats.

Both are ONNX files the operator points to (FACE_DETECTOR, FACE_EMBEDDER); nothing is fetched and
nothing is guessed: without them there is no scorer, and no number. Neither takes part in drawing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.engine.interface import EngineError, FaceScore

Vector = NDArray[np.float32]

LOOKED_AT_PX = 640  # YuNet finds faces of 10 to 300 px, so larger pictures are made smaller
SURE = 0.7  # of a detection; its own example says 0.9 and misses turned heads
OVERLAP = 0.3
FACE_PX = 112  # what embedders of ArcFace's kind read
# Eyes, nose and corners of the mouth in those 112 px (insightface's arcface_dst, MIT).
POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]], np.float32,
)  # fmt: skip
# The scale, ours: ArcFace's kind of vectors put strangers around a cosine of 0 to 0.1 and two good
# photos of one person around 0.7. Several references say it of that person themselves.
STRANGER, SAME = 0.1, 0.7
SAME_LEAST = 0.45  # references that disagree more are no yardstick
MISSING = 25  # likeness below which a face is somebody else's


@dataclass(frozen=True)
class Face:
    """One face of a picture, in its pixels."""

    box: tuple[float, float, float, float]
    points: Vector  # (5, 2) as POINTS

    @property
    def yaw(self) -> float:
        """Turn of the head in radians, positive to the picture's right; 0 faces us."""
        left, right, nose = self.points[0], self.points[1], self.points[2]
        across = max(float(np.linalg.norm(right - left)), 1e-6)
        middle = (left + right) / 2
        return math.asin(max(-1.0, min(1.0, 2 * float(nose[0] - middle[0]) / across)))


@dataclass(frozen=True)
class Known:
    """One person to look for."""

    vectors: Vector  # (references, E), unit vectors
    yaw: float

    @property
    def same(self) -> float:
        """The cosine that counts as 100."""
        if len(self.vectors) < 2:
            return SAME
        pairs = (self.vectors @ self.vectors.T)[np.triu_indices(len(self.vectors), 1)]
        return max(SAME_LEAST, float(pairs.mean()))

    def likeness(self, vector: Vector) -> int:
        cosine = float((self.vectors @ vector).mean())
        return round(100 * min(1.0, max(0.0, (cosine - STRANGER) / (self.same - STRANGER))))


class Faces:
    """Finds and measures faces. Runs on the processor, some 30 ms a picture."""

    def __init__(self, detector: Path, embedder: Path) -> None:
        """Raises EngineError("no_face_files")."""
        try:
            self._detector = cv2.FaceDetectorYN.create(
                str(detector), "", (LOOKED_AT_PX, LOOKED_AT_PX), SURE, OVERLAP
            )
            self._embedder = cv2.dnn.readNetFromONNX(str(embedder))
        except (cv2.error, OSError) as error:
            raise EngineError(
                "no_face_files",
                "FACE_DETECTOR or FACE_EMBEDDER is no ONNX file that can be read: "
                f"{detector.name}, {embedder.name}.",
            ) from error

    @classmethod
    def of(cls, detector: Path | None, embedder: Path | None) -> Faces | None:
        """None unless both are there: half of them measures nothing."""
        return cls(detector, embedder) if detector and embedder else None

    def find(self, picture: Image.Image) -> list[Face]:
        """From left to right."""
        small = picture.copy()
        small.thumbnail((LOOKED_AT_PX, LOOKED_AT_PX))
        scale = picture.width / small.width
        self._detector.setInputSize(small.size)
        _, rows = self._detector.detect(np.asarray(small)[..., ::-1].copy())
        found = [
            Face(tuple(float(x) for x in row[:4] * scale), row[4:14].reshape(5, 2) * scale)  # type: ignore[arg-type]
            for row in (rows if rows is not None else [])
        ]
        return sorted(found, key=lambda face: face.box[0])

    def embed(self, picture: Image.Image, face: Face) -> Vector:
        """(E,) unit vector."""
        turned = cv2.warpAffine(np.asarray(picture), _onto(face.points), (FACE_PX, FACE_PX))
        blob = cv2.dnn.blobFromImage(turned, 1 / 127.5, (FACE_PX, FACE_PX), (127.5,) * 3)
        self._embedder.setInput(blob)
        vector = np.asarray(self._embedder.forward()).reshape(-1).astype(np.float32)
        unit: Vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return unit

    def know(self, references: Sequence[Image.Image]) -> Known | None:
        """Somebody by the largest face of each reference; None where there is none at all."""
        vectors, yaws = [], []
        for picture in references:
            if faces := self.find(picture):
                face = max(faces, key=lambda each: each.box[2] * each.box[3])
                vectors.append(self.embed(picture, face))
                yaws.append(face.yaw)
        return Known(np.stack(vectors), float(np.mean(yaws))) if vectors else None

    def scores(self, picture: Image.Image, people: Sequence[Known | None]) -> tuple[FaceScore, ...]:
        """One for each person, each face given to one of them so that likeness is highest."""
        faces = self.find(picture)
        vectors = [self.embed(picture, face) for face in faces]
        table = [[one.likeness(v) if one else 0 for v in vectors] for one in people]
        who = assigned(table, len(faces))
        return tuple(
            _score(picture, faces[place], person, table[row][place])
            if place is not None and person and table[row][place] >= MISSING
            else FaceScore(0, missing=True)
            for row, (place, person) in enumerate(zip(who, people, strict=True))
        )


def _score(picture: Image.Image, face: Face, person: Known, likeness: int) -> FaceScore:
    x, y, w, h = face.box
    width, height = picture.size
    left, top = max(0.0, x / width), max(0.0, y / height)
    box = (left, top, min(1.0, (x + w) / width) - left, min(1.0, (y + h) / height) - top)
    return FaceScore(likeness, box, face.yaw, turned=abs(face.yaw - person.yaw))


def assigned(table: Sequence[Sequence[int]], faces: int) -> list[int | None]:
    """For each person the face that is theirs, highest sum; None where faces are too few."""
    people = len(table)
    places: list[int | None] = [*range(faces), *([None] * max(0, people - faces))]
    if people > 6 or len(places) > 8:  # far beyond what engines draw: each their best in turn
        return _greedy(table, faces)

    def worth(order: Iterable[int | None]) -> int:
        return sum(table[row][at] for row, at in enumerate(order) if at is not None)

    return list(max(itertools.permutations(places, people), key=worth, default=()))


def _greedy(table: Sequence[Sequence[int]], faces: int) -> list[int | None]:
    found: list[int | None] = [None] * len(table)
    pairs = sorted(
        ((value, row, at) for row, values in enumerate(table) for at, value in enumerate(values)),
        reverse=True,
    )
    for _, row, at in pairs:
        if found[row] is None and at not in found:
            found[row] = at
    return found


def _onto(points: Vector) -> NDArray[np.float64]:
    """(2, 3): turn, size and shift that bring `points` nearest to POINTS, by least squares."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(points, POINTS, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        wanted += [u, v]
    a, b, right, down = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    return np.array([[a, -b, right], [b, a, down]])
