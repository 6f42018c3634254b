"""How much a face is a person: cosine of two embeddings, on a scale of our own making.

100 is what the person's own references reach among themselves, 0 what strangers reach.
The reader that measures never takes part in drawing, so a base model cannot flatter it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor, nn
from torch.nn import functional as F

from generator.engine import crowd, framing, photo, pictures
from generator.engine.adapter import Yardstick
from generator.engine.crowd import Cast
from generator.engine.interface import FaceScore

READ_PX = 128
SURE = 0.6  # a caption that says nothing about a shirt is better than one that says wrong
MISSING = 25  # likeness: nobody in the picture is like them (strangers have 0 on average)
TURNS = {"turned left": -0.4, "turned right": 0.4}  # radians, as the painter turns heads
MAX_SHIFT = 0.04  # of a side: how far a crop of the same face may wander

Square = tuple[int, int, int]
"""left, top, side in pixels"""


def views(references: Sequence[Image.Image], count: int, rng: random.Random) -> Tensor:
    """`count` (at least one per reference) variations (N, 3, 128, 128) in [-1, 1].

    Each reference as it is, then small crops with slightly other colours. Never mirrored:
    from a mirrored ponytail a model learns half a ponytail on either side.
    """
    more = [_varied(references[i % len(references)], rng) for i in range(count - len(references))]
    return torch.cat([pictures.to_tensor(image, READ_PX) for image in (*references, *more)])


def _varied(image: Image.Image, rng: random.Random) -> Image.Image:
    side = image.width
    cut = side * rng.uniform(1 - 2 * MAX_SHIFT, 1.0)
    left, top = (rng.uniform(0, side - cut) for _ in range(2))
    square = image.resize(
        (side, side), Image.Resampling.BILINEAR, (left, top, left + cut, top + cut)
    )
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast):
        square = enhance(square).enhance(rng.uniform(0.92, 1.08))
    return square


def cut(image: Image.Image, square: tuple[int, int, int]) -> Tensor:
    """A square (left, top, side) as (1, 3, 128, 128)."""
    left, top, side = square
    part = image.crop((left, top, left + side, top + side))
    return pictures.to_tensor(part, READ_PX)


def _box(square: tuple[int, int, int], size: tuple[int, int]) -> photo.Box:
    """The usual face of a square, in fractions of the whole picture."""
    left, top, side = square
    x, y, w, h = photo.USUAL_FACE
    return (
        (left + x * side) / size[0], (top + y * side) / size[1],
        w * side / size[0], h * side / size[1],
    )  # fmt: skip


def _assigned(scores: list[list[int]], places: int) -> list[int]:
    """A place for each person; no place twice while there are enough of them."""
    if len(scores) > places:
        return [max(range(places), key=own.__getitem__) for own in scores]
    orders = itertools.permutations(range(places), len(scores))
    return list(max(orders, key=lambda o: sum(own[at] for own, at in zip(scores, o, strict=True))))


def _score(likeness: int, yaw: float, yardstick: Yardstick, box: photo.Box) -> FaceScore:
    turned = round(abs(yaw - yardstick.yaw), 3)
    return FaceScore(likeness, box, yaw, missing=likeness < MISSING, turned=turned)


class Judge:
    """Scores faces with the base model's reader."""

    def __init__(self, reader: nn.Module, device: torch.device) -> None:
        self.reader: Any = reader  # nn.Module hides `embed` and `words`
        self.device = device

    @torch.no_grad()
    def embed(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) in [-1, 1] to unit vectors (B, E), on the CPU."""
        vectors: Tensor = self.reader.embed(pixels.to(self.device)).float().cpu()
        return vectors

    def people(
        self, image: Image.Image, squares: list[tuple[int, int, int]]
    ) -> NDArray[np.float32]:
        """Unit vectors (N, E) of whoever is in these squares."""
        vectors = self.embed(torch.cat([cut(image, square) for square in squares]))
        return np.asarray(vectors.numpy(), dtype=np.float32)

    def yardstick(self, own: Tensor, strangers: Tensor) -> Yardstick:
        """`own` (N, 3, S, S): views of the references; `strangers` (M, E): embeddings."""
        vectors = self.embed(own)
        face = F.normalize(vectors.mean(0), dim=0)
        same, stranger = float((vectors @ face).mean()), float((strangers @ face).mean())
        yaws = self.yaws(own)
        return Yardstick(face, same, stranger, round(sum(yaws) / len(yaws), 3))

    def score(self, pixels: Tensor, yardstick: Yardstick) -> list[int]:
        """0..100 for each picture (B, 3, S, S)."""
        cosines = self.embed(pixels) @ yardstick.face
        span = max(1e-3, yardstick.same - yardstick.stranger)
        shares = (cosines - yardstick.stranger) / span
        return [round(100 * min(1.0, max(0.0, float(share)))) for share in shares]

    def faces(self, image: Image.Image, yardsticks: Sequence[Yardstick]) -> tuple[FaceScore, ...]:
        """For each yardstick the face in `image` that is theirs, by the best assignment.

        Faces are looked for where this base model draws them: Haar misses 4 in 10 painted ones.
        """
        squares = crowd.squares(*image.size)
        pixels = torch.cat([cut(image, square) for square in squares])
        scores = [self.score(pixels, yardstick) for yardstick in yardsticks]
        yaws = self.yaws(pixels)
        found = []
        places = _assigned(scores, len(squares))
        for own, place, yardstick in zip(scores, places, yardsticks, strict=True):
            likeness, box = own[place], _box(squares[place], image.size)
            found.append(_score(likeness, yaws[place], yardstick, box))
        return tuple(found)

    def shown(
        self, picture: Image.Image, yardsticks: Sequence[Yardstick], *, people: int | None
    ) -> tuple[FaceScore, ...]:
        """`faces` of a picture in any shape of `framing` that shows `people` (None: guessed)."""
        if not yardsticks:
            return ()
        found = framing.of_picture(*picture.size, people)
        if found is None:
            return self.faces(picture, yardsticks)
        canvas = Image.fromarray(found.undone(np.asarray(picture)))
        return tuple(
            replace(face, box=found.box(face.box)) for face in self.faces(canvas, yardsticks)
        )

    def recognised(self, image: Image.Image, yardsticks: Sequence[Yardstick]) -> Cast:
        """For each face of `image` from left to right whom of these people it shows, if anybody."""
        squares = crowd.squares(*image.size)
        pixels = torch.cat([cut(image, square) for square in squares])
        scores = [self.score(pixels, yardstick) for yardstick in yardsticks]
        cast: list[int | None] = [None] * len(squares)
        pairs = [
            (own[place], who, place) for who, own in enumerate(scores) for place in range(len(own))
        ]
        for likeness, who, place in sorted(pairs, reverse=True):
            if likeness >= MISSING and cast[place] is None and who not in cast:
                cast[place] = who
        return tuple(cast)

    def each(self, image: Image.Image, yardstick: Yardstick) -> list[FaceScore]:
        """Every face of `image`, from left to right, measured with one yardstick."""
        squares = crowd.squares(*image.size)
        pixels = torch.cat([cut(image, square) for square in squares])
        parts = zip(squares, self.score(pixels, yardstick), self.yaws(pixels), strict=True)
        return [FaceScore(score, _box(square, image.size), yaw) for square, score, yaw in parts]

    def at_usual_place(self, likeness: int, yaw: float, yardstick: Yardstick) -> FaceScore:
        """The one face of a square, measured elsewhere."""
        return _score(likeness, yaw, yardstick, photo.USUAL_FACE)

    @torch.no_grad()
    def yaws(self, pixels: Tensor) -> list[float]:
        """How far each head (B, 3, S, S) is turned, in radians, as expected from its pose."""
        answers = self.reader(pixels.to(self.device))
        words = self.reader.words("pose") if "pose" in answers else None
        if not words:
            return [0.0] * len(pixels)
        turns = torch.tensor([TURNS.get(word, 0.0) for word in words])
        shares = answers["pose"].float().softmax(-1).cpu()
        return [round(float(turn), 3) for turn in shares @ turns]

    @torch.no_grad()
    def describe(self, pixels: Tensor, names: Sequence[str]) -> list[dict[str, str]]:
        """For each picture the words of those attributes in `names` that are read for sure."""
        answers = self.reader(pixels.to(self.device))
        found: list[dict[str, str]] = [{} for _ in range(len(pixels))]
        for name in names:
            words = self.reader.words(name) if name in answers else None
            if not words:
                continue
            chances, best = answers[name].float().softmax(-1).max(-1)
            for row, (chance, word) in enumerate(zip(chances.tolist(), best.tolist(), strict=True)):
                if chance >= SURE:
                    found[row][name] = words[word]
        return found
