"""Several drawings for one picture: the one most like its people is kept.

Every candidate has a seed of its own that draws it again alone, so a picture that was chosen can
be recreated without the others. Knows nothing of how anything is drawn or judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from generator.engine.interface import GeneratedImage, OnStep, Step

STRIDE = 2_654_435_761  # odd, so that seeds of candidates and of neighbours never meet
SEEDS = 2**32

Draw = Callable[[int, int, OnStep | None], GeneratedImage]
"""(seed, number in the request, on_step) -> one picture with its likenesses."""


def best(
    draw: Draw, seed: int, index: int, *, of: int, floor: int, on_step: OnStep | None
) -> GeneratedImage:
    """The best of `of` candidates; under `floor`, of as many again. Equals: the first."""
    chosen = _round(draw, seed, index, range(of), on_step)
    if not chosen.faces or chosen.likeness >= floor:
        return chosen
    again = _round(draw, seed, index, range(of, 2 * of), on_step)
    chosen = max(chosen, again, key=lambda image: image.likeness)
    return replace(chosen, below_floor=chosen.likeness < floor)


def _round(
    draw: Draw, seed: int, index: int, numbers: range, on_step: OnStep | None
) -> GeneratedImage:
    drawn = []
    for place, number in enumerate(numbers):
        tell = within(on_step, place, len(numbers), index)
        drawn.append(draw(seed_of(seed, number), index, tell))
    return max(drawn, key=lambda image: image.likeness)


def seed_of(seed: int, number: int) -> int:
    """The seed of the candidate of that number; the first one has the picture's own."""
    return seed if number == 0 else (seed + number * STRIDE) % SEEDS


def within(on_step: OnStep | None, number: int, parts: int, index: int) -> OnStep:
    """Steps of one of `parts` drawings as steps of the whole picture."""

    def tell(step: Step) -> None:
        if on_step and (step.done or not number):
            done, total = step.done + number * step.total, step.total * parts
            on_step(Step(step.phase, done, total, index, step.preview))

    return tell
