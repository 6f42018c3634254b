"""Several people in one picture: each in a region of their own, kept apart.

The base model has only ever seen one person in the middle of a square. So every person
gets such a square, a window on a canvas that is wider than high, with their own words,
identity tokens and adapter; the windows overlap, and what they say about the overlap is
blended: widely while the picture is still noise, so that scene and light agree, sharply
at the end, so that nobody's hair turns into somebody else's. Windows are of one size and stand
side by side, for there is nothing else that this base model can draw: of drawn boxes it takes
who stands further left, and neither height nor size.
MultiDiffusion (arXiv:2302.08113) with masks. Knows nothing of files or pages.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generator.engine import draw
from generator.engine.framing import Box
from generator.engine.lora import Wear

OVERLAP = 2  # columns of latents: shoulders meet, hair and faces do not
WIDE, SHARP = 2.0, 0.25  # columns over which windows blend, at the first step and the last


Cast = tuple[int | None, ...]
"""For each window from left to right the number of its person's adapter; None: nobody's."""


@dataclass(frozen=True)
class Region:
    """One person's window."""

    words: Tensor  # prompt_embeds (1, L, D), identity tokens included
    left: int  # first column of latents
    who: int | None = 0  # number of the adapter to wear; None: nobody's


def columns(people: int, side: int) -> int:
    """Width of the canvas in latents for windows of `side`."""
    return side + (people - 1) * (side - OVERLAP)


def lefts(people: int, side: int) -> list[int]:
    """Where each window begins."""
    return [number * (side - OVERLAP) for number in range(people)]


def standing(boxes: Sequence[Box], people: int) -> tuple[int, ...]:
    """Numbers of people from left to right: by the middles of their boxes, else in their order."""
    numbers = range(people)
    if not boxes:
        return tuple(numbers)
    return tuple(sorted(numbers, key=lambda who: boxes[who][0] + boxes[who][2] / 2))


def regions(words: list[Tensor], side: int, cast: Cast | None = None) -> list[Region]:
    """A window for each person's prompt_embeds; `cast`: other adapters than in their order."""
    places = lefts(len(words), side)
    cast = tuple(range(len(words))) if cast is None else cast
    return [Region(w, left, who) for w, left, who in zip(words, places, cast, strict=True)]


def count(width: int, height: int) -> int | None:
    """How many people a picture of this shape was made for, None for any other shape."""
    for people in (1, 2):
        if abs(width / height - columns(people, 8) / 8) < 0.02:
            return people
    return None


def squares(width: int, height: int) -> list[tuple[int, int, int]]:
    """The windows in pixels: (left, top, side), from left to right; the middle of odd shapes."""
    people = count(width, height)
    if people is None:
        side = min(width, height)
        return [((width - side) // 2, (height - side) // 2, side)]
    return [(round(left * height / 8), 0, height) for left in lefts(people, 8)]


def masks(regions: list[Region], width: int, side: int, level: float) -> list[Tensor]:
    """Share (width,) of each region in every column, summing to 1; `level` of noise in 0..1."""
    soft = SHARP * (WIDE / SHARP) ** level
    middle = torch.arange(width) + 0.5
    rights = [
        torch.sigmoid((middle - (after.left + before.left + side) / 2) / soft)
        for before, after in itertools.pairwise(regions)
    ]
    edges = [torch.ones(width), *rights, torch.zeros(width)]
    shares = [here - after for here, after in itertools.pairwise(edges)]
    for share, region in zip(shares, regions, strict=True):
        share[: region.left] = 0.0
        share[region.left + side :] = 0.0
    total = torch.stack(shares).sum(0)
    return [share / total for share in shares]


def predictor(
    unet: nn.Module,
    regions: list[Region],
    negative: Tensor,
    *,
    guidance: float,
    wear: Wear,
) -> draw.Predict:
    """What the denoiser says about a canvas (1, C, h, w) of all regions."""

    def predict(latents: Tensor, timestep: Tensor) -> Tensor:
        side, width = latents.shape[-2:]
        shares = masks(regions, width, side, float(timestep) / 1000)
        said = torch.zeros_like(latents)
        for region, share in zip(regions, shares, strict=True):
            wear(region.who)
            place = slice(region.left, region.left + side)
            guess = draw.guided(
                unet, latents[..., place], timestep, region.words, negative, guidance
            )
            said[..., place] += guess * share[place].to(guess)
        return said

    return predict
