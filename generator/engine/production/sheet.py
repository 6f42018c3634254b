"""An identity sheet: views of one person that the engine makes from their references.

Poses, expressions, lights and clothes in turn, each drawn with the references at 512 px. A view is
kept if it shows one face that is this person's, and is no copy of another. Without face files
likeness is not looked at, and a view says so. Every view that was tried is on the disk, so that
whoever was killed goes on with the next one and ends with the very same sheet.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.engine import pictures
from generator.engine.interface import EngineError, OnStep, Step
from generator.engine.production import card, drawn
from generator.engine.production.card import View
from generator.engine.production.likeness import Faces, Known

NAME = "sheet.json"
USUAL = 24  # views that are wanted; half of them are enough
ROUNDS = 2  # how often as many views as are wanted are tried
LIKE = 50  # likeness: a cosine of 0.4, where embedders of ArcFace's kind say "the same"
TURN = 0.3  # radians of the head that are one pose
ALIKE = 6.0  # mean difference of 255 levels in 16 by 16 pixels: below it is the same picture
POSES = ("facing the camera", "head turned to the left", "head turned to the right", "in profile")
FACES = ("with a calm face", "smiling", "talking")
SCENES = (
    "close-up in soft window light, at home, in a grey sweater",
    "half body in the evening sun, in a park, in a white shirt",
    "close-up under an overcast sky, in a street, in a dark coat",
    "half body in studio light before a plain wall, in a blue jacket",
    "half body by lamplight, in a cafe, in a green dress shirt",
)

Draw = Callable[[str, int], Image.Image]
"""(words, number) -> the picture, always the same one."""


@dataclass
class Sheet:
    """Grows view by view."""

    whose: str  # a hash of all that decides the outcome
    views: list[View] = field(default_factory=list)
    tried: int = 0


def words(number: int) -> str:
    pose, face = POSES[number % len(POSES)], FACES[number // len(POSES) % len(FACES)]
    return f"{pose}, {face}, {SCENES[number % len(SCENES)]}"


def made(
    draw: Draw,
    references: Sequence[Image.Image],
    gate: Gate,
    *,
    wanted: int,
    start: Sequence[View],
    whose: str,
    folder: Path,
    tell: OnStep,
) -> list[View]:
    """`wanted` views, those of `start` among them. Raises EngineError("too_few_views")."""
    sheet = _read(folder, whose) or Sheet(whose, list(start))
    gate.remember([*references, *(pictures.read(view.jpeg) for view in sheet.views)])
    while len(sheet.views) < wanted and sheet.tried < ROUNDS * wanted:
        tell(Step("views", min(len(sheet.views), wanted), wanted))
        asked = words(sheet.tried)
        picture = draw(asked, sheet.tried)
        sheet.tried += 1
        if (likeness := gate.judged(picture)) != REFUSED:
            sheet.views.append(View(_jpeg(picture), asked, likeness))
        _write(folder, sheet)
    if len(sheet.views) < max(1, wanted // 2):
        raise EngineError(
            "too_few_views",
            f"Of {sheet.tried} views only {len(sheet.views)} show this person. "
            "Choose a sharper photo of the face, or add photos of your own.",
        )
    return sheet.views


REFUSED = -1


class Gate:
    """Which views are kept."""

    def __init__(self, faces: Faces | None, known: Known | None, wanted: int) -> None:
        self.faces = faces if known else None
        self.known = known
        self.most = max(1, wanted // 2)  # of one pose: half of a sheet shows others
        self._small: list[NDArray[np.float32]] = []
        self._poses: list[int] = []

    def remember(self, kept: Sequence[Image.Image]) -> None:
        for picture in kept:
            self._small.append(_small(picture))
            found = self.faces.find(picture) if self.faces else []
            self._poses += [round(face.yaw / TURN) for face in found[:1]]

    def judged(self, picture: Image.Image) -> int | None:
        """Likeness, None where it cannot be measured, REFUSED."""
        if any(np.abs(_small(picture) - other).mean() < ALIKE for other in self._small):
            return REFUSED
        likeness: int | None = None
        if self.faces and self.known:
            found = self.faces.find(picture)
            if len(found) != 1:
                return REFUSED
            likeness = self.known.likeness(self.faces.embed(picture, found[0]))
            pose = round(found[0].yaw / TURN)
            if likeness < LIKE or self._poses.count(pose) >= self.most:
                return REFUSED
        self.remember([picture])
        return likeness


def _small(picture: Image.Image) -> NDArray[np.float32]:
    small = picture.convert("L").resize((16, 16), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()


def _read(folder: Path, whose: str) -> Sheet | None:
    """None: nothing was begun, or it is another one's, or damaged."""
    kept = drawn.read(folder / NAME, whose)
    try:
        return Sheet(whose, list(card.views_of(kept)), int(kept["tried"])) if kept else None
    except (ValueError, KeyError, TypeError, EngineError):
        return None


def _write(folder: Path, sheet: Sheet) -> None:
    views = [card.packed(view) for view in sheet.views]
    drawn.write(folder / NAME, sheet.whose, {"tried": sheet.tried, "views": views})
