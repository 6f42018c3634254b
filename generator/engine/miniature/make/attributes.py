"""Attribute heads that pretrain the encoders: cross-entropy on words, squares on numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from generator.engine.miniature.captions import LABELS
from generator.engine.miniature.make.pictures import Store

NAMES = tuple(LABELS)


def number_scales(labels: NDArray[np.generic]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and deviation of every attribute that is a number."""
    columns = {name: np.asarray(labels[::7, NAMES.index(name)], np.float64) for name in NAMES}
    numbers = {name: column for name, column in columns.items() if LABELS[name] is None}
    means = {name: float(np.nanmean(column)) for name, column in numbers.items()}
    stds = {name: float(np.nanstd(column)) + 1e-6 for name, column in numbers.items()}
    return means, stds


class Targets:
    """The labels of a set as tensors, numbers normalised."""

    def __init__(self, store: Store) -> None:
        self.labels = np.asarray(store.open("labels"))
        self.means, self.stds = number_scales(self.labels)

    def rows(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Class numbers (B,), -100 where unlabelled, and normalised numbers (B,), nan likewise."""
        part = torch.from_numpy(self.labels[rows])
        found: dict[str, Tensor] = {}
        for column, name in enumerate(NAMES):
            values = part[:, column]
            if LABELS[name] is None:
                found[name] = (values - self.means[name]) / self.stds[name]
            else:
                found[name] = torch.where(values.isnan(), -100, values).long()
        return found


class Heads(nn.Module):
    """Linear answers from a summary (B, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, len(words) if words else 1) for name, words in LABELS.items()}
        )

    def forward(self, summary: Tensor) -> dict[str, Tensor]:
        """Logits (B, n) or numbers (B,)."""
        return self.each([summary] * len(self.heads))

    def each(self, summaries: Sequence[Tensor]) -> dict[str, Tensor]:
        """The same from one summary per attribute, in the order of `NAMES`."""
        pairs = zip(NAMES, summaries, strict=True)
        raw = {name: self.heads[name](summary) for name, summary in pairs}
        return {name: out if LABELS[name] else out[:, 0] for name, out in raw.items()}


def attribute_loss(answers: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """Mean over the attributes; what has no label costs nothing."""
    losses = []
    for name, answer in answers.items():
        target = targets[name].to(answer.device)
        if LABELS[name] is None:
            known = ~target.isnan()
            losses.append(F.mse_loss(answer.float()[known], target[known]))
        else:
            known = target >= 0
            losses.append(F.cross_entropy(answer.float()[known], target[known]))
    finite = [loss for loss in losses if not loss.isnan()]  # an attribute absent from the batch
    return torch.stack(finite).mean()


@torch.no_grad()
def attribute_scores(answers: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, float]:
    """Share read right for words, correlation for numbers."""
    scores: dict[str, float] = {}
    for name, answer in answers.items():
        target, answer = targets[name].cpu(), answer.float().cpu()
        known = ~target.isnan() if LABELS[name] is None else target >= 0
        if int(known.sum()) < 2:
            continue
        if LABELS[name] is None:
            pair = torch.stack([answer[known], target[known].float()])
            scores[name] = float(torch.corrcoef(pair)[0, 1])
        else:
            scores[name] = float((answer[known].argmax(-1) == target[known]).float().mean())
    return {name: round(score, 3) for name, score in scores.items()}


def same_person_loss(embeddings: Tensor, pairs: int, temperature: float = 0.1) -> Tensor:
    """InfoNCE: rows i and i + pairs of the unit vectors (2 * pairs, E) are one person."""
    logits = embeddings[:pairs].float() @ embeddings[pairs:].float().T / temperature
    targets = torch.arange(pairs, device=logits.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
