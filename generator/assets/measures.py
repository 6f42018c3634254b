"""What is known about a drawn picture or clip, as it is kept in `Asset.measures`.

`people`: faces it was drawn with. `faces`, and for clips `worst`: for each person the likeness
(0..100), the face's box in fractions, whether they are missing, and how many degrees their head
is turned away from the reference's pose. Clips: frames, fps, seconds, worst_frame, flicker, motion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from generator.engine.interface import Clip, FaceScore, GeneratedImage
from generator.jobs import requests
from generator.portraits.mentions import REFERENCE

if TYPE_CHECKING:
    from generator.jobs.models import Appearance, Generation

SAME_POSE = 6  # degrees: closer, a likeness may be high because the pose was copied


def of_image(generation: Generation, image: GeneratedImage) -> dict[str, Any]:
    return {
        "people": _people(generation),
        "faces": _faces(generation, image.faces),
    }


def of_clip(generation: Generation, clip: Clip) -> dict[str, Any]:
    return {
        "people": 1,
        "faces": _faces(generation, clip.faces),
        "worst": _faces(generation, clip.worst),
        "worst_frame": clip.worst_frame,
        "frames": clip.frames,
        "fps": clip.fps,
        "seconds": round(clip.seconds, 2),
        "flicker": clip.flicker,
        "motion": clip.motion,
    }


def lowest(measures: dict[str, Any]) -> int | None:
    """The likeness of whoever is least like themselves; None where nobody was looked for."""
    return min((face["likeness"] for face in measures["faces"]), default=None)


def _people(generation: Generation) -> int:
    if generation.source:
        return requests.people_shown(generation.source)
    return max(1, generation.appearances.count())


def _faces(generation: Generation, scores: Sequence[FaceScore]) -> list[dict[str, Any]]:
    """Those who were asked for, and of those only looked for who is there."""
    named = set(REFERENCE.findall(generation.prompt))
    is_looked_for = generation.kind in requests.RECOGNISED

    def counts(one: Appearance, score: FaceScore) -> bool:
        return not (is_looked_for and score.missing and str(one.portrait_model_id) not in named)

    pairs = zip(generation.appearances.all(), scores, strict=False)
    return [_face(one, score) for one, score in pairs if counts(one, score)]


def _face(one: Appearance, score: FaceScore) -> dict[str, Any]:
    return {
        "model": str(one.portrait_model_id),
        "likeness": score.likeness,
        "box": [round(part, 4) for part in score.box],
        "missing": score.missing,
        "turned": round(math.degrees(score.turned)),
    }
