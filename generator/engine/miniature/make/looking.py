"""What both models that look at pictures are fed: pairs of one person, disturbed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from generator.engine.miniature.make.codec import to_tensor
from generator.engine.miniature.make.pictures import Store

PAIRS = 32  # people per batch, two pictures of each


class PairsOfPictures:
    """Random people of a set, two of their pictures each."""

    def __init__(self, store: Store, people: NDArray[np.int64], seed: int) -> None:
        self.small, self.people = store.open("small"), people
        self.shots, self.rng = store.spec.shots, np.random.default_rng(seed)

    def rows(self) -> NDArray[np.int64]:
        """Rows (2 * PAIRS,): i and i + PAIRS show the same person."""
        people = self.rng.choice(self.people, PAIRS, replace=False)
        first = self.rng.integers(self.shots, size=PAIRS)
        second = (first + self.rng.integers(1, self.shots, size=PAIRS)) % self.shots
        return np.concatenate([people * self.shots + first, people * self.shots + second])

    def pictures(self, rows: NDArray[np.int64]) -> Tensor:
        """Pictures (B, 3, 128, 128) in [-1, 1]."""
        order = np.argsort(rows)  # a memory map reads forwards
        found = np.empty((len(rows), *self.small.shape[1:]), np.uint8)
        found[order] = self.small[rows[order]]
        return to_tensor(found)


def spread(count: int, width: float) -> Tensor:
    """Uniform numbers (count, 1, 1, 1) in ±width."""
    return (torch.rand(count, 1, 1, 1) * 2 - 1) * width


def disturb(pictures: Tensor, *, strength: float = 1.0) -> Tensor:
    """Other framing, colours, sharpness and grain, as photographs and weak drawings have them.

    Sharpness and grain change a part of the rows each: they cost as much as the encoder.
    """
    count = len(pictures)
    pictures = move(pictures, 0.08 * strength, 0.12 * strength)
    soft, grainy = (torch.randperm(count)[: round(count * share)] for share in (0.4, 0.3))
    pictures[soft] = blur(pictures[soft])
    grain = torch.rand(len(grainy), 1, 1, 1) * 0.1 * strength
    pictures[grainy] += torch.randn(len(grainy), *pictures.shape[1:]) * grain
    gain = 1 + spread(count, 0.2 * strength)
    cast = (torch.rand(count, 3, 1, 1) * 2 - 1) * 0.08 * strength
    return pictures.mul_(gain).add_(cast + spread(count, 0.1 * strength)).clamp_(-1, 1)


def blur(pictures: Tensor) -> Tensor:
    """Half the rows at a half, the others at a quarter of their resolution."""
    half = len(pictures) // 2
    parts = [(pictures[:half], 2), (pictures[half:], 4)]
    soft = [
        F.interpolate(F.avg_pool2d(part, size), scale_factor=size, mode="bilinear")
        for part, size in parts
    ]
    share = torch.rand(len(pictures), 1, 1, 1)
    return pictures.lerp(torch.cat(soft), share)


def move(pictures: Tensor, shift: float, zoom: float) -> Tensor:
    """Shift and zoom by up to these shares of the side."""
    count = len(pictures)
    theta = torch.zeros(count, 2, 3)
    scale = 1 + spread(count, zoom)[:, :, 0, 0]
    theta[:, 0, 0:1], theta[:, 1, 1:2] = scale, scale
    theta[:, :, 2] = (torch.rand(count, 2) * 2 - 1) * 2 * shift
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


@torch.no_grad()
def top1(first: Tensor, second: Tensor) -> float:
    """Share of unit vectors (N, E) whose nearest among `second` is the same person."""
    nearest = (first.float() @ second.float().T).argmax(1).cpu()
    return float((nearest == torch.arange(len(first))).float().mean())
