"""The tokenizer: CLIP's byte-level BPE, its entries learnt from captions."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers, trainers
from transformers import CLIPTokenizer

from generator.engine.miniature.make.recipe import TEXT_TOKENS, VOCABULARY

START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(captions: Iterable[str]) -> CLIPTokenizer:
    """A tokenizer of at most `VOCABULARY` entries. Never fails on a word it does not know."""
    backend = CLIPTokenizer().backend_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    backend.train_from_iterator(captions, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return CLIPTokenizer(vocab=model["vocab"], merges=merges, model_max_length=TEXT_TOKENS)


def to_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> NDArray[np.uint16]:
    """Captions to padded token ids (N, T)."""
    ids = tokenizer(
        captions, padding="max_length", max_length=TEXT_TOKENS, truncation=True
    ).input_ids
    return np.asarray(ids, dtype=np.uint16)
