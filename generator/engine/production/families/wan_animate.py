"""Wan 2.2 Animate: somebody takes the place of a person in a clip, with that person's movements.

The clip comes prepared: skeletons, faces and masks frame by frame, as the model's own preparation
makes them. Finding those takes models of its own, none of which is fetched here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from generator.engine.interface import EngineError
from generator.engine.production.families.base import Asked, Tell, generators, telling
from generator.engine.production.families.wan import EVERY, Wan

SEGMENT = 77  # frames that are drawn at once; the next begin with the last of them

Pictures = Sequence[Image.Image]


@dataclass(frozen=True)
class Moving:
    """A clip, and what was found in it: as many pictures of each as it has frames."""

    frames: Pictures
    poses: Pictures  # skeletons
    faces: Pictures  # square, the face alone
    masks: Pictures  # white where the person is; what is black stays as it is

    def check(self) -> None:
        """Raises EngineError("bad_request")."""
        counts = {len(part) for part in (self.frames, self.poses, self.faces, self.masks)}
        if len(counts) != 1:
            raise EngineError("bad_request", "Give a skeleton, a face and a mask for each frame.")
        if max(counts) < 2:
            raise EngineError("bad_request", "A clip has at least two frames.")


class WanAnimate(Wan):
    """WanAnimatePipeline, mode "replace"."""

    multiple_px = 16

    def replaced(self, asked: Asked, moving: Moving, *, tell: Tell) -> NDArray[np.uint8]:
        """(frames, H, W, 3): whoever is in `asked.image`, where the masks are white."""
        assert asked.image is not None
        moving.check()
        size, count = (asked.width, asked.height), len(moving.frames)
        segment = min(SEGMENT, 1 + EVERY * max(1, -(-(count - 1) // EVERY)))
        segments = max(1, -(-(count - 1) // (segment - 1)))
        total, done = segments * asked.steps, iter(range(1, segments * asked.steps + 1))
        frames = _fitted(moving.frames, size)
        masks = [mask.convert("L") for mask in _fitted(moving.masks, size)]
        try:
            with torch.no_grad():
                found = self.pipe(
                    image=asked.image.resize(size, Image.Resampling.LANCZOS),
                    pose_video=_fitted(moving.poses, size),
                    face_video=list(moving.faces),
                    background_video=frames,
                    mask_video=masks,
                    mode="replace",
                    prompt=asked.prompt,
                    negative_prompt=asked.negative_prompt,
                    width=asked.width,
                    height=asked.height,
                    segment_frame_length=segment,
                    num_inference_steps=asked.steps,
                    guidance_scale=asked.guidance,
                    generator=generators([asked])[0],
                    callback_on_step_end=telling(lambda step, of: tell(next(done), total), total),
                    output_type="np",
                ).frames[0]
        finally:
            self.pipe.maybe_free_model_hooks()
        drawn = (np.clip(found[:count], 0, 1) * 255).round().astype(np.uint8)
        share = np.stack([np.asarray(mask, np.float32) for mask in masks])[..., None] / 255
        kept = np.stack([np.asarray(frame) for frame in frames])
        return np.ascontiguousarray((drawn * share + kept * (1 - share)).round().astype(np.uint8))


def _fitted(given: Pictures, size: tuple[int, int]) -> list[Image.Image]:
    return [one.convert("RGB").resize(size, Image.Resampling.LANCZOS) for one in given]
