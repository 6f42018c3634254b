"""Captions to token ids, and the accidents that teach a model to survive unknown words."""

from __future__ import annotations

import random
import string

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTokenizer

from generator.engine.miniature.make.pictures import CAPTIONS, PEOPLE, Store
from generator.engine.miniature.make.recipe import TEXT_TOKENS, Folder
from generator.engine.miniature.make.tokens import to_ids, train_tokenizer

STRANGE_WORDS = 4_000


def make_tokens(folder: Folder) -> CLIPTokenizer:
    """Learn the tokenizer, unless it is there, and write the ids of every caption."""
    store = Store(folder, PEOPLE)
    full, scene = store.captions()
    flat = [text for texts in full for text in texts]
    if folder.path("tokenizer").exists():
        tokenizer = load_tokenizer(folder)
    else:
        tokenizer = train_tokenizer(flat[::4] + scene[::4])
        tokenizer.save_pretrained(folder.path("tokenizer"))
    store.save("full_ids", to_ids(tokenizer, flat).reshape(-1, CAPTIONS, TEXT_TOKENS))
    store.save("scene_ids", to_ids(tokenizer, scene))
    return tokenizer


def load_tokenizer(folder: Folder) -> CLIPTokenizer:
    """The tokenizer of `make_tokens`."""
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder.path("tokenizer"))
    return tokenizer


def empty_ids(tokenizer: CLIPTokenizer) -> Tensor:
    """The ids (T,) of no words at all."""
    return torch.from_numpy(to_ids(tokenizer, [""]).astype(np.int64))[0]


class StrangeWords:
    """Puts words nobody knows between those of a caption."""

    def __init__(self, tokenizer: CLIPTokenizer, seed: int = 0) -> None:
        rng = random.Random(seed)
        words = [
            "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9)))
            for _ in range(STRANGE_WORDS)
        ]
        self.ids = [ids[1:-1] for ids in tokenizer(words).input_ids]
        self.end = tokenizer.eos_token_id
        self.rng = np.random.default_rng(seed)

    def disturb(self, ids: NDArray[np.int64], share: float) -> NDArray[np.int64]:
        """Insert one to three unknown words in `share` of the rows (B, T), in place."""
        for row in np.flatnonzero(self.rng.random(len(ids)) < share):
            for _ in range(int(self.rng.integers(1, 4))):
                self._insert(ids[row])
        return ids

    def _insert(self, row: NDArray[np.int64]) -> None:
        length = int(np.argmax(row == self.end)) or len(row) - 1
        place = int(self.rng.integers(1, length + 1))
        strange = self.ids[int(self.rng.integers(len(self.ids)))]
        tail = row[place:-1].copy()
        line = np.concatenate([strange, tail])[: len(row) - 1 - place]
        row[place : place + len(line)] = line
        row[-1] = self.end
