"""Plans: every number that a painted picture of the set follows from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generator.engine.miniature.captions import LABELS
from generator.engine.miniature.make.pictures import Store

SHOWN = ("background", "outfit", "outfit_color", "expression", "light", "pose")  # by the shot


def plans(store: Store) -> NDArray[np.float32]:
    """(N, P): a person's parameters, then what the shot shows, one-hot."""
    vectors, labels = np.asarray(store.open("vectors")), np.asarray(store.open("labels"))
    parts = [vectors[np.arange(len(labels)) // store.spec.shots]]
    for name in SHOWN:
        column, words = labels[:, list(LABELS).index(name)].astype(int), LABELS[name]
        assert words is not None
        parts.append(np.eye(len(words), dtype=np.float32)[column])
    return np.concatenate(parts, axis=1)
