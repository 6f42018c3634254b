"""What a person should know about the photo they gave, and the button that mends it.

Arithmetic over what the door's child measured (see faces.Findings); no picture is opened here.
A verdict warns and never refuses: only what is no image or too small is turned away, at the door.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.urls import reverse

from generator.assets.frames import ANGLE_MAX, Square, fitted
from generator.assets.models import Asset

FACE_SMALL = 160  # px across; below, the learnt face stays soft
BLURRED = 0.01  # faces.Light.sharpness; a face of 48 px, enlarged, has as little
DARK, BRIGHT = 55, 215  # mean grey of the face, 0..255
BURNT = 0.3  # part of the face that is as good as white
SEVERAL = "several_faces"  # in the photo, one of them in the frame
LEANS = 10  # degrees; people hold their heads at less than that all day
FINDER = "The studio finds faces that look at the camera; it misses turned, covered and small ones."

IN_SHORT = {
    "face": "No face found, used anyway",
    "one_face": "Several faces, used anyway",
    SEVERAL: "One face chosen",
    "frame": "No face in the frame, used anyway",
    "size": "Small face, used anyway",
    "sharpness": "Blurred, used anyway",
    "light": "Poor light, used anyway",
    "tilt": "Leaning, used anyway",
}


@dataclass(frozen=True)
class Fix:
    """One button: a POST to `url` with `values`, which answers with the preview."""

    words: str
    url: str
    values: str = "{}"  # JSON, for hx-vals
    face: tuple[int, int, int, int] | None = None  # px of the photo: shown on the button


@dataclass(frozen=True)
class Reason:
    code: str  # face, one_face, several_faces, frame, size, sharpness, light, tilt
    is_good: bool | None  # None: it could not be told
    words: str
    fixes: tuple[Fix, ...] = ()

    @property
    def in_short(self) -> str:
        """What is left to say once the person has decided."""
        return self.words if self.is_good is not False else IN_SHORT[self.code]


@dataclass(frozen=True)
class Verdict:
    reasons: list[Reason]
    accepted: list[str]  # codes the person wants to hear no more of
    accept_url: str
    photo: Asset  # what the reference was cut from

    @property
    def problems(self) -> list[Reason]:
        return [r for r in self.reasons if r.is_good is False and r.code not in self.accepted]

    @property
    def others(self) -> list[Reason]:
        return [reason for reason in self.reasons if reason not in self.problems]

    @property
    def words(self) -> str:
        count = len(self.problems)
        if not count:
            return "This photo is used as it is." if self.accepted else "A good photo."
        return f"You can use this photo. {_things(count)} could be better."


def verdict(reference: Asset | None) -> Verdict | None:
    """About the photo a reference was cut from; None for a drawn face."""
    photo = reference.source if reference else None
    if reference is None or photo is None or "light" not in photo.findings:
        return None
    frame = Square(**reference.findings["frame"])
    look = _Look(photo, photo.findings, frame)
    return Verdict(
        reasons=list(look.reasons()),
        accepted=photo.findings.get("accepted", []),
        accept_url=reverse("upload_accept", args=[photo.pk]),
        photo=photo,
    )


@dataclass(frozen=True)
class _Look:
    """One photo and the frame that is laid on it."""

    photo: Asset
    findings: dict[str, Any]
    frame: Square

    def reasons(self) -> Iterator[Reason]:
        faces, framed = self.findings["faces"], self._framed()
        yield self._found()
        if faces:
            yield self._in_frame(framed)
            yield self._size((framed or faces)[0])
        yield _sharpness(self._light(framed))
        yield _light(self._light(framed))
        if framed:
            yield self._tilt(framed[0])

    def _framed(self) -> list[dict[str, Any]]:
        """The faces whose middle lies in the frame."""
        return [
            face
            for face in self.findings["faces"]
            if self.frame.holds(face["x"] + face["width"] / 2, face["y"] + face["height"] / 2)
        ]

    def _light(self, framed: list[dict[str, Any]]) -> dict[str, float]:
        light: dict[str, float] = framed[0]["light"] if framed else self.findings["light"]
        return light

    def _found(self) -> Reason:
        if self.findings["faces"]:
            return Reason("face", True, "Face found")
        turn = self.findings["turn"]
        if turn:
            url = reverse("upload_turn", args=[self.photo.pk])
            fix = Fix("Rotate", url, json.dumps({"degrees": turn}))
            return Reason("face", False, "This photo seems to lie on its side.", (fix,))
        return Reason("face", False, f"No face was found. {FINDER}")

    def _in_frame(self, framed: list[dict[str, Any]]) -> Reason:
        faces = self.findings["faces"]
        if not framed:
            fix = self._crop("Use the suggested crop", Square(**self.findings["crop"]))
            return Reason("frame", False, "The frame holds no face.", (fix,))
        if len(framed) > 1:
            words = f"The frame holds {len(framed)} faces. A model learns one person."
            return Reason("one_face", False, words, self._choices())
        if len(faces) > 1:
            words = f"This photo shows {len(faces)} faces. Choose the one to learn."
            return Reason(SEVERAL, False, words, self._choices())
        return Reason("one_face", True, "One face")

    def _choices(self) -> tuple[Fix, ...]:
        """A button per face; who has chosen once is not asked again."""
        return tuple(
            replace(
                self._crop("Choose this face", self._closely(face), accept=SEVERAL),
                face=(face["x"], face["y"], face["width"], face["height"]),
            )
            for face in self.findings["faces"]
        )

    def _size(self, face: dict[str, Any]) -> Reason:
        if face["width"] >= FACE_SMALL:
            return Reason("size", True, f"Face {face['width']} px wide")
        words = f"The face is only {face['width']} px wide. A closer photo gives a sharper model."
        return Reason("size", False, words)

    def _tilt(self, face: dict[str, Any]) -> Reason:
        if face["tilt"] is None:
            return Reason("tilt", None, "Tilt unknown")
        left = round(face["tilt"]) - self.frame.angle
        if abs(left) < LEANS:
            return Reason("tilt", True, "Upright")
        angle = max(-ANGLE_MAX, min(ANGLE_MAX, round(face["tilt"])))
        fix = self._crop("Rotate", replace(self._closely(face), angle=angle))
        return Reason("tilt", False, f"The face leans by {abs(left)}°.", (fix,))

    def _closely(self, face: dict[str, Any]) -> Square:
        """The crop of this face; narrower where that would take a neighbour along."""
        crop = Square(**face["crop"])
        others = [other for other in self.findings["faces"] if other is not face]
        middles = [(o["x"] + o["width"] / 2, o["y"] + o["height"] / 2) for o in others]
        least = round(face["width"] * 1.3)
        while crop.size > least and any(crop.holds(*middle) for middle in middles):
            size = max(least, round(crop.size * 0.9))
            x = face["x"] + (face["width"] - size) // 2
            y = face["y"] + (face["height"] - size) // 2
            crop = fitted(Square(x, y, size), self.photo.width, self.photo.height)
        return crop

    def _crop(self, words: str, square: Square, **more: str) -> Fix:
        values = json.dumps(asdict(square) | more)
        return Fix(words, reverse("upload_crop", args=[self.photo.pk]), values)


def _sharpness(light: dict[str, float]) -> Reason:
    is_good = light["sharpness"] >= BLURRED
    words = "Sharp" if is_good else "It looks blurred. A sharper photo gives a better model."
    return Reason("sharpness", is_good, words)


def _light(light: dict[str, float]) -> Reason:
    if light["brightness"] < DARK:
        return Reason("light", False, "It is very dark. Good light gives a better model.")
    if light["brightness"] > BRIGHT or light["burnt"] > BURNT:
        return Reason("light", False, "It is very bright. Softer light gives a better model.")
    return Reason("light", True, "Well lit")


def _things(count: int) -> str:
    words = ("One thing", "Two things", "Three things", "Four things")
    return words[count - 1] if count <= len(words) else f"{count} things"
