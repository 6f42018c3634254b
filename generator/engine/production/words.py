"""Prompts as engines that look at pictures are to hear them. No torch.

An id never reaches a tokenizer: where a prompt names somebody, the model hears which picture shows
them, or the words their adapter was trained with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from generator.engine.wording import REFERENCE, clean

TRAINED = "the person"  # what trainings call whoever they learn
RESTYLE = "Give image 1 the surroundings, clothes and colours of image {style}."
VARY = "Another photo of the same scene and the same people as in image 1, from a new moment."
ENHANCE = (
    "Restore and sharpen this photo: natural skin, hair and cloth in fine detail. "
    "Keep everything where it is, and keep the person as they are."
)


def named(prompt: str, names: Sequence[str]) -> str:
    """The i-th "[[id]]" or "@name" is called `names[i]`; somebody not in there comes first.

    "[[a]] in a cafe" with ("the person of image 1",) is "the person of image 1 in a cafe".
    """
    said = 0

    def called(match: re.Match[str]) -> str:
        nonlocal said
        said += 1
        return f" {names[said - 1]} " if said <= len(names) else " "

    words = clean(REFERENCE.sub(called, prompt))
    if said >= len(names):
        return words
    others = " and ".join(names[said:])
    return f"{others}, {words}" if words else others


def shown(people: Sequence[int], first: int) -> list[str]:
    """What to call people who have that many reference pictures each, the first being image
    `first`: "the person of image 1", "the person of images 2 and 3", "the person"."""
    names = []
    for count in people:
        numbers = [str(first + i) for i in range(count)]
        first += count
        if not numbers:
            names.append(TRAINED)
            continue
        *others, last = numbers
        many = f"images {', '.join(others)} and {last}" if others else f"image {last}"
        names.append(f"{TRAINED} of {many}")
    return names


def with_extras(prompt: str, *, style: int | None, pose: int | None) -> str:
    """What other pictures are there for."""
    extra = [f"in the surroundings, light and colours of image {style}"] if style else []
    extra += [f"in the pose of image {pose}"] if pose else []
    return ", ".join(part for part in (prompt, *extra) if part)
