"""Several people's adapters at once, each where its person stands: shares by token.

The third way of several people, after references alone and the repair of each face: it needs no
face files, and what it leaves is that attention still carries something of each to the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Box = tuple[float, float, float, float]
"""left, top, width, height as fractions of the picture"""

OF_TEXT = re.compile(r"add_[qkv]_proj|to_add_out|context")  # layers of the text's own side
OF_WORDS = 0.25  # of each adapter on the prompt's tokens, which are everybody's


@dataclass(frozen=True)
class Layout:
    """How much each of P adapters counts at each token, as one family's layers see them."""

    words: Tensor  # (P, tokens of the prompt)
    picture: Tensor  # (P, tokens of the picture and of the references after it)

    def of(self, layer: str, tokens: int) -> Tensor:
        """(P, tokens, 1): a layer sees words, pictures, or both, words first. Names tell which,
        since a small picture has as many tokens as a prompt."""
        both = torch.cat([self.words, self.picture], dim=1)
        for part in (self.words,) if OF_TEXT.search(layer) else (self.picture, both):
            if part.shape[1] == tokens:
                return part[..., None]
        return torch.full((len(both), 1, 1), 1 / len(both))  # of all of them at once


def side_by_side(people: int) -> tuple[Box, ...]:
    """In the prompt's order, from left to right."""
    return tuple((place / people, 0.0, 1 / people, 1.0) for place in range(people))


def layout(
    boxes: Sequence[Box],
    *,
    words: int,
    size: tuple[int, int],
    references: Sequence[tuple[int | None, int]],
) -> Layout:
    """`size`: the picture's tokens across and down. `references`: whose each is, if anybody's, and
    how many tokens it has. Where boxes meet, all of them share."""
    across, down = size
    x = (torch.arange(across) + 0.5) / across
    y = (torch.arange(down) + 0.5) / down
    inside = []
    for left, top, width, height in boxes:
        columns = (x >= left) & (x < left + width)
        rows = (y >= top) & (y < top + height)
        inside.append((rows[:, None] & columns[None]).flatten().float())
    shares = torch.stack(inside)
    shares = shares / shares.sum(dim=0).clamp(min=1)
    own = [
        torch.tensor([[float(owner == place)] * count for place in range(len(boxes))])
        for owner, count in references
    ]
    return Layout(torch.full((len(boxes), words), OF_WORDS), torch.cat([shares, *own], dim=1))
