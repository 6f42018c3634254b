"""A clip: key pictures drawn from one noise, and everything between them (`motion`).

One batch draws all keys, so that they share noise, scene and person. A clip of an existing
picture begins with that very picture and keeps its pixels: it is moved the way the drawn
keys move, and gets from them only what it has not, such as the teeth of a smile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generator.engine import draw, film, framing, look, motion, pictures, wording
from generator.engine.adapter import Adapter
from generator.engine.draw import Draftsman, Settings
from generator.engine.enlarger import Enlarger
from generator.engine.framing import Framing
from generator.engine.interface import (
    AnimateRequest,
    Clip,
    EngineError,
    FaceScore,
    OnStep,
    Step,
)
from generator.engine.likeness import READ_PX, Judge
from generator.engine.motion import Frame, Key

KEYS_MAX = 8  # drawn at once
START = 0.5  # of the steps: keys keep the picture's layout, heads can still turn
SCENE = ("outfit_color", "outfit", "background", "light")
PREVIEW_EVERY = 6  # frames
EXAMINED = 8  # frames the reader looks at together


@dataclass(frozen=True)
class Subject:
    """Who is filmed, and where it starts."""

    person: Adapter | None
    tokens: Tensor | None  # (1, K, D)
    picture: Image.Image | None  # the canvas of the given one: a square
    framing: Framing  # the shape of the clip


def subject(
    request: AnimateRequest,
    person: Adapter | None,
    tokens_of: Callable[[Image.Image], Tensor],
    size_px: int,
) -> Subject:
    """Who is filmed, from what picture, in what shape. Raises EngineError("bad_picture")."""
    own = person.tokens[None] if person else None
    if request.image is None:
        return Subject(person, own, None, framing.framing(request.aspect_ratio, 1, size_px))
    given = pictures.read(request.image)
    found = framing.of_picture(*given.size)
    if found is None or found.people > 1:
        raise EngineError("bad_picture", "Choose a picture of one person in a usual shape.")
    canvas = Image.fromarray(found.undone(np.asarray(given)))
    shape = framing.framing(framing.ratio_of(found), 1, size_px)
    return Subject(person, tokens_of(canvas) if own is None else own, canvas, shape)


class Animator:
    """Makes clips with one warm base model. Same request and seed, same frames."""

    def __init__(self, draftsman: Draftsman, judge: Judge, enlarger: Enlarger) -> None:
        self.draftsman = draftsman
        self.enlarger = enlarger
        self.judge = judge

    def animate(
        self,
        request: AnimateRequest,
        subject: Subject,
        settings: Settings,
        *,
        seed: int,
        on_step: OnStep | None,
    ) -> Clip:
        """The whole clip; keys and frames are told as steps of one phase."""
        count = round(request.seconds * request.fps)
        told = _Telling(on_step, settings.steps, count)
        keys = self.keys(request, subject, settings, seed, told.draw)
        seen = _Watch(self.judge, subject, told)
        moving = seen.through(motion.frames(keys, count, request.fps))
        shape = subject.framing

        def shown(frame: Frame) -> Frame:
            return look.laid(request.look, np.ascontiguousarray(shape.shown(frame)))

        mp4, webm = film.encode(
            map(shown, moving), width=shape.width, height=shape.height, fps=request.fps
        )
        mean, worst, worst_frame = seen.faces()
        return Clip(
            mp4=mp4,
            webm=webm,
            poster=pictures.to_png(Image.fromarray(shown(keys[0].picture))),
            seed=seed,
            frames=count,
            fps=request.fps,
            width=shape.width,
            height=shape.height,
            faces=mean,
            worst=worst,
            worst_frame=worst_frame,
            worst_picture=pictures.to_png(Image.fromarray(shown(seen.worst))) if worst else b"",
            flicker=seen.steady.flicker,
            motion=seen.steady.motion,
        )

    @torch.no_grad()
    def keys(
        self,
        request: AnimateRequest,
        subject: Subject,
        settings: Settings,
        seed: int,
        on_step: OnStep,
    ) -> list[Key]:
        """The key pictures in the order of the clip, at full size, eyes found."""
        scene, path = self._script(request, subject)
        different = list(dict.fromkeys(path))
        prompts = [", ".join(part for part in (scene, *key) if part) for key in different]
        words = self.draftsman.encode(prompts, subject.tokens)
        negative = self.draftsman.encode([request.negative_prompt])
        noise = self.draftsman.noise(seed).expand(len(prompts), -1, -1, -1)
        latents, start = noise, 0
        if subject.picture:
            given = self.draftsman.to_latents(pictures.to_tensor(subject.picture, 2 * READ_PX))
            start = round(START * settings.steps)
            sigma = self.draftsman.sigmas(settings.steps)[start]
            latents = (1 - sigma) * given + sigma * noise
        unet = self.draftsman.pipe.unet

        def predict(noisy: Tensor, timestep: Tensor) -> Tensor:
            return draw.guided(unet, noisy, timestep, words, negative, settings.guidance)

        drawn = self.draftsman.denoise(
            latents, predict, steps=settings.steps, start=start, on_step=on_step
        )
        frames = self._pixels(drawn, different, subject)
        made = {
            key: Key(frame, motion.find_eyes(frame, _yaw(key)))
            for key, frame in zip(different, frames, strict=True)
        }
        return [made[key] for key in path]

    def _script(
        self, request: AnimateRequest, subject: Subject
    ) -> tuple[str, list[tuple[str, str]]]:
        """What stays, in words, and the expression and pose of each key."""
        scene, said = wording.moves(wording.clean(request.prompt))
        wished = request.moves or said or wording.USUAL_MOVES
        start = wording.AT_EASE
        if subject.picture:
            pixels = pictures.to_tensor(subject.picture, READ_PX)
            (read,) = self.judge.describe(pixels, (*SCENE, "expression", "pose"))
            start = (read.get("expression", start[0]), read.get("pose", start[1]))
            about = {name: word for name, word in read.items() if name in SCENE}
            scene = ", ".join([*wording.circumstances(about), *([scene] if scene else [])])
        path = wording.path(wished, start)[:KEYS_MAX]
        return scene, path

    def _pixels(self, drawn: Tensor, keys: list[tuple[str, str]], subject: Subject) -> list[Frame]:
        """Keys as canvases: as drawn, or the given picture moved the way these move."""
        small = [pictures.to_image(image) for image in self.draftsman.decode(drawn)]
        side = subject.framing.canvas[1]
        frames = [np.asarray(large) for large in self.enlarger.same(small, side)]
        if subject.picture is None:
            return frames
        given = subject.picture
        own = np.asarray(given if given.height == side else self.enlarger.enlarged(given, side))
        moved = [
            motion.likewise(own, frames[0], frame, _yaw(key))
            for frame, key in zip(frames[1:], keys[1:], strict=True)
        ]
        return [own, *moved]


def _yaw(key: tuple[str, str]) -> float:
    return {"turned left": -0.4, "turned right": 0.4}.get(key[1], 0.0)


class _Telling:
    """Steps of the keys and frames as one count."""

    def __init__(self, on_step: OnStep | None, steps: int, frames: int) -> None:
        self.tell = on_step or (lambda step: None)
        self.steps, self.total = steps, steps + frames

    def draw(self, step: Step) -> None:
        done = self.steps - step.total + step.done
        self.tell(Step("draw", done, self.total, 0, step.preview))

    def frame(self, number: int, frame: Frame) -> None:
        preview = None
        if number % PREVIEW_EVERY == 0:
            preview = pictures.to_preview(Image.fromarray(frame))
        self.tell(Step("draw", self.steps + number, self.total, 0, preview))


class _Watch:
    """Looks at every frame on its way into the file."""

    def __init__(self, judge: Judge, subject: Subject, told: _Telling) -> None:
        self.judge, self.person, self.told = judge, subject.person, told
        self.framing = subject.framing
        self.steady = motion.Steadiness()
        self.worst: Frame = np.zeros((2, 2, 3), np.uint8)  # the frame least like the person
        self._waiting: list[Frame] = []
        self._scores: list[int] = []
        self._yaws: list[float] = []

    def through(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for number, frame in enumerate(frames, 1):
            self.steady.see(frame)
            if self.person:
                self._waiting.append(frame)
            if len(self._waiting) == EXAMINED:
                self._examine()
            self.told.frame(number, frame)
            yield frame

    def _examine(self) -> None:
        if self.person and self._waiting:
            pixels = torch.cat(
                [pictures.to_tensor(Image.fromarray(frame), READ_PX) for frame in self._waiting]
            )
            scores = self.judge.score(pixels, self.person.yardstick)
            if min(scores) < min(self._scores, default=101):
                self.worst = self._waiting[scores.index(min(scores))]
            self._scores += scores
            self._yaws += self.judge.yaws(pixels)
        self._waiting = []

    def faces(self) -> tuple[tuple[FaceScore, ...], tuple[FaceScore, ...], int]:
        """Mean and worst likeness, each with the face's place, and the worst frame."""
        self._examine()
        if not self._scores or self.person is None:
            return (), (), 0
        worst = int(np.argmin(self._scores))
        mean, yardstick = round(float(np.mean(self._scores))), self.person.yardstick
        turned = max(self._yaws, key=lambda yaw: abs(yaw - yardstick.yaw))  # it copies no pose
        return (
            (self._placed(self.judge.at_usual_place(mean, turned, yardstick)),),
            (
                self._placed(
                    self.judge.at_usual_place(self._scores[worst], self._yaws[worst], yardstick)
                ),
            ),
            worst,
        )

    def _placed(self, face: FaceScore) -> FaceScore:
        return replace(face, box=self.framing.box(face.box))
