"""What the denoiser is told: the words of a prompt and, behind them, who to draw."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

# What a prompt that is too long can do without.
FILLERS = (",", ".", "a", "an", "the", "of", "and", "from", "with", "old", "year", "in", "on", "at")
IDENTITY_TOKENS = 8  # K: rows behind the text, zero where nobody is meant


def encode_prompts(
    tokenizer: CLIPTokenizer,
    text_encoder: CLIPTextModel,
    prompts: list[str],
    identity_tokens: Tensor | None,
) -> Tensor:
    """Prompts and identity tokens (B, K, D) or None to `prompt_embeds` (B, T + K, D).

    Without identity the last K rows are zero, which is what training showed the denoiser.
    Prompts of more than T tokens are read in parts; the rows that say most are kept.
    """
    words = _states(tokenizer, text_encoder, prompts)
    for row, prompt in enumerate(prompts):
        parts = _parts(tokenizer, prompt)
        if len(parts) > 1:
            words[row] = _gathered(tokenizer, text_encoder, parts)
    return append_identity(words, identity_tokens)


def _states(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, prompts: list[str]) -> Tensor:
    """Text states (B, T, D); words beyond T tokens are cut off."""
    ids = _ids(tokenizer, prompts)
    return text_encoder(ids.to(text_encoder.device)).last_hidden_state


def _ids(tokenizer: CLIPTokenizer, prompts: list[str]) -> Tensor:
    return tokenizer(
        prompts,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids


def _parts(tokenizer: CLIPTokenizer, prompt: str) -> list[str]:
    """The prompt cut between clauses into parts of at most T tokens each."""
    if len(tokenizer.tokenize(prompt)) + 2 <= tokenizer.model_max_length:  # with start and end
        return [prompt]
    parts: list[str] = []
    for clause in prompt.split(", "):
        longer = f"{parts[-1]}, {clause}" if parts else clause
        if parts and len(tokenizer.tokenize(longer)) + 2 <= tokenizer.model_max_length:
            parts[-1] = longer
        else:
            parts.append(clause)
    return parts


def _gathered(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, parts: list[str]) -> Tensor:
    """One (T, D) for all parts: their words in order, fillers left out first."""
    most = tokenizer.model_max_length - 1  # the last row says that the prompt ends
    fillers = set(tokenizer.convert_tokens_to_ids([f"{word}</w>" for word in FILLERS]))
    rows: list[tuple[bool, Tensor]] = []
    ids, states = _ids(tokenizer, parts), _states(tokenizer, text_encoder, parts)
    for part, (line, state) in enumerate(zip(ids.tolist(), states, strict=True)):
        end = line.index(tokenizer.eos_token_id, 1)
        rows += [(line[at] in fillers, state[at]) for at in range(min(part, 1), end)]
    spare = max(0, len(rows) - most)
    kept: list[Tensor] = []
    for is_filler, row in rows:
        if is_filler and spare:
            spare -= 1
        else:
            kept.append(row)
    kept = kept[:most]
    ending = states[-1, -1].expand(tokenizer.model_max_length - len(kept), -1)
    return torch.cat([torch.stack(kept), ending])


def append_identity(words: Tensor, identity_tokens: Tensor | None) -> Tensor:
    """Text states (B, T, D) and identity tokens (B or 1, K, D) to (B, T + K, D)."""
    if identity_tokens is None:
        identity_tokens = words.new_zeros(1, IDENTITY_TOKENS, words.shape[-1])
    rows = identity_tokens.to(words).expand(words.shape[0], -1, -1)
    return torch.cat([words, rows], dim=1)
