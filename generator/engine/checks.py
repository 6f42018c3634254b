"""What may be asked for, in words for whoever asked for something else. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from generator.engine.framing import AUTO, RATIOS, Box
from generator.engine.interface import (
    AnimateRequest,
    Description,
    EngineError,
    GenerateRequest,
)
from generator.engine.looks import LOOKS

STEPS_ALLOWED = (4, 50)
GUIDANCE_ALLOWED = (1.0, 10.0)
BEST_OF_MAX = 8
MOVES_MAX = 8  # more movements than that do not fit four seconds
LARGEST_PX = 2048
SMALLEST = 0.1  # of a picture's width and height: what is less holds no face
ALIKE = 0.7  # of the area that two boxes cover together
ROUNDING = 1e-6  # 0.7 + 0.1 + 0.2 is more than 1


def generate(request: GenerateRequest, engine: Description) -> None:
    """Raises EngineError("bad_request")."""
    if request.num_images < 1:
        raise _bad("Ask for at least one picture.")
    if not 1 <= request.best_of <= BEST_OF_MAX:
        raise _bad(f"Choose the best of 1 to {BEST_OF_MAX}.")
    if not 0 <= request.likeness_floor <= 100:
        raise _bad("A likeness lies between 0 and 100.")
    if request.size_px is not None and not 64 <= request.size_px <= LARGEST_PX:
        raise _bad(f"Choose a size of at most {LARGEST_PX} pixels.")
    _look(request.look)
    shape(request.aspect_ratio, 1, engine)


def animate(request: AnimateRequest, engine: Description) -> None:
    """Raises EngineError("bad_request") for a clip out of bounds."""
    seconds, fps = engine.clip_s, engine.clip_fps
    if not seconds[0] <= request.seconds <= seconds[1]:
        raise _bad(f"A clip lasts {seconds[0]:g} to {seconds[1]:g} seconds.")
    if not fps[0] <= request.fps <= fps[1]:
        raise _bad(f"A clip has {fps[0]} to {fps[1]} frames a second.")
    if len(request.moves) > MOVES_MAX:
        raise _bad(f"A clip passes at most {MOVES_MAX} movements.")
    _look(request.look)
    shape(request.aspect_ratio, 1, engine)


def drawing(steps: int, guidance: float) -> None:
    """Raises EngineError("bad_request")."""
    if not STEPS_ALLOWED[0] <= steps <= STEPS_ALLOWED[1]:
        raise _bad("Choose from 4 to 50 inference steps.")
    if not GUIDANCE_ALLOWED[0] <= guidance <= GUIDANCE_ALLOWED[1]:
        raise _bad("Choose a guidance scale from 1 to 10.")


def shape(ratio: str, people: int, engine: Description) -> None:
    """Whether that many people fit into pictures of that shape. Raises EngineError."""
    if ratio != AUTO and (ratio not in RATIOS or ratio not in engine.aspect_ratios):
        raise _bad(f"Choose an aspect ratio: {', '.join(engine.aspect_ratios)}.")
    if people > 1 and ratio not in engine.pair_ratios:
        raise _bad(f"Several people fit into pictures of {_either(engine.pair_ratios)}.")


def regions(boxes: Sequence[Box], people: int, engine: Description) -> None:
    """One for each person, within the picture, large enough, and apart.

    Raises EngineError: "boxes_unsupported", "bad_request".
    """
    if not boxes:
        return
    if people < 2:
        raise EngineError("boxes_unsupported", "Boxes say where two people or more stand.")
    if not engine.boxes:
        raise EngineError("boxes_unsupported", f"{engine.title} does not place people by boxes.")
    if len(boxes) != people:
        raise _bad("Give each person one box, or leave all boxes out.")
    for box in boxes:
        _within(box)
    if any(_shared(*pair) > ALIKE for pair in itertools.combinations(boxes, 2)):
        raise _bad("Two boxes lie nearly on one another. Move them apart.")


def _within(box: Box) -> None:
    left, top, width, height = box
    if not all(math.isfinite(number) for number in box):
        raise _bad("A box is four numbers from 0 to 1: x, y, width and height.")
    if left < 0 or top < 0 or max(left + width, top + height) > 1 + ROUNDING:
        raise _bad("A box has to lie within the picture.")
    if min(width, height) < SMALLEST - ROUNDING:
        raise _bad(f"A box is at least {SMALLEST:.0%} of the picture wide and high.")


def _shared(one: Box, other: Box) -> float:
    """What two boxes have in common, as a share of what they cover together."""
    across, down = (
        min(one[at] + one[at + 2], other[at] + other[at + 2]) - max(one[at], other[at])
        for at in (0, 1)
    )
    common = max(0.0, across) * max(0.0, down)
    return common / (one[2] * one[3] + other[2] * other[3] - common)


def _look(name: str) -> None:
    if name and name not in LOOKS:
        raise _bad(f"There is no look “{name[:20]}”.")


def _either(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _bad(message: str) -> EngineError:
    return EngineError("bad_request", message)
