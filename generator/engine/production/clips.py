"""A still set in motion, and what is measured of the clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.engine import film, look, pictures
from generator.engine.interface import AnimateRequest, Clip, FaceScore, OnStep
from generator.engine.production import words
from generator.engine.production.drawing import telling
from generator.engine.production.families import Asked, Wan
from generator.engine.production.likeness import Faces, Known
from generator.engine.production.person import Person
from generator.engine.production.warm import Warm
from generator.engine.wording import clean

Frames = NDArray[np.uint8]
"""(frames, H, W, 3)"""

STILL_SHARE = 0.3  # of the progress, where the still is drawn first
WATCHED = 12  # frames of a clip whose faces are measured
FILM_PX = 704  # the shorter side Wan was trained with
EVERY_PX = 4  # of rows and columns, for flicker and motion


def filmed(
    warm: Warm,
    request: AnimateRequest,
    still: Image.Image,
    person: Person | None,
    *,
    seed: int,
    on_step: OnStep | None,
) -> Frames:
    """The frames. Steps of a request are those of its still; a clip takes its own engine's, and
    whoever was learnt by that engine is worn there."""
    weights = warm.filmed
    side = FILM_PX if warm.weights.video else warm.description.size_px
    width, height = fitting(still, side, step=Wan.multiple_px)
    is_own = not warm.weights.video
    said = ", ".join(part for part in (request.prompt, *request.moves) if part)
    asked = Asked(
        prompt=words.named(said, [words.TRAINED] if is_own and person else []),
        seed=seed,
        width=width,
        height=height,
        steps=_steps(warm, request),
        guidance=weights.guidance,
        negative_prompt=clean(request.negative_prompt),
        image=still,
    )
    count = round(request.seconds * request.fps)
    start = 0.0 if request.image else STILL_SHARE
    tell = telling(on_step, 0, start=start)
    if is_own:
        return warm.server.filmed(asked, person, frames=count, tell=tell)
    return warm.film.film(asked, frames=count, tell=tell)


def _steps(warm: Warm, request: AnimateRequest) -> int:
    own = request.num_inference_steps
    return own if own and not warm.weights.video else warm.filmed.steps


def fitting(still: Image.Image, side: int, *, step: int) -> tuple[int, int]:
    """The still's shape with a shorter side of at most `side`, both divided by `step`."""
    scale = min(1.0, side / min(still.size))
    width, height = (max(step, round(s * scale / step) * step) for s in still.size)
    return width, height


def clip(
    request: AnimateRequest, frames: Frames, seed: int, faces: Faces | None, known: Sequence[Known]
) -> Clip:
    """Encoded, laid over with a look, measured before that."""
    height, width = frames.shape[1:3]
    mean, worst, at = _faces(frames, faces, known)
    flicker, motion = _steadiness(frames)

    def shown(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return look.laid(request.look, np.ascontiguousarray(frame))

    mp4, webm = film.encode(map(shown, frames), width=width, height=height, fps=request.fps)
    return Clip(
        mp4=mp4,
        webm=webm,
        poster=pictures.to_png(Image.fromarray(shown(frames[0]))),
        seed=seed,
        frames=len(frames),
        fps=request.fps,
        width=width,
        height=height,
        faces=mean,
        worst=worst,
        worst_frame=at,
        worst_picture=pictures.to_png(Image.fromarray(shown(frames[at]))) if worst else b"",
        flicker=flicker,
        motion=motion,
    )


def _steadiness(frames: Frames) -> tuple[float, float]:
    """Mean |frame - mean of its neighbours| and |frame - frame before|, of 255 levels."""
    small = frames[:, ::EVERY_PX, ::EVERY_PX].astype(np.float32)
    motion = np.abs(np.diff(small, axis=0)).mean() if len(small) > 1 else 0.0
    between = small[1:-1] - (small[:-2] + small[2:]) / 2
    return float(np.abs(between).mean()) if len(small) > 2 else 0.0, float(motion)


def _faces(
    frames: Frames, faces: Faces | None, known: Sequence[Known]
) -> tuple[tuple[FaceScore, ...], tuple[FaceScore, ...], int]:
    """Mean and worst of some frames, and which was the worst; nothing without face files."""
    if not faces or not known:
        return (), (), 0
    numbers = np.unique(np.linspace(0, len(frames) - 1, min(WATCHED, len(frames))).round())
    seen = [(int(n), faces.scores(Image.fromarray(frames[int(n)]), known)[0]) for n in numbers]
    at, worst = min(seen, key=lambda each: each[1].likeness)
    mean = round(sum(score.likeness for _, score in seen) / len(seen))
    first = seen[0][1]
    usual = FaceScore(mean, first.box, first.yaw, all(s.missing for _, s in seen), first.turned)
    return (usual,), (worst,), at
