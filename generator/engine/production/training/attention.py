"""FLUX.2's attention in fewer operations: queries and keys are normed and turned together.

The same numbers up to rounding; at most a seventh of a step less. See Flux2AttnProcessor of
diffusers, whose words these are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch import Tensor, nn

Angles = tuple[Tensor, Tensor]


class Single:
    """For the blocks in which text and picture are one sequence."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Angles | None = None,
    ) -> Tensor:
        wide = 3 * attn.inner_dim
        seen, thought = attn.to_qkv_mlp_proj(hidden_states).split(
            [wide, attn.mlp_hidden_dim * attn.mlp_mult_factor], dim=-1
        )
        pair, value = seen.unflatten(-1, (3, -1, attn.head_dim)).split([2, 1], dim=2)
        pair = _turned(_normed(pair, attn.norm_q, attn.norm_k), image_rotary_emb)
        found = _attended(pair, value.squeeze(2), attention_mask)
        return attn.to_out(torch.cat([found, attn.mlp_act_fn(thought)], dim=-1))


class Double:
    """For the blocks in which they meet in attention only."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Angles | None = None,
    ) -> tuple[Tensor, Tensor]:
        words, shape = encoder_hidden_states, (-1, attn.head_dim)
        pair = _normed(
            torch.stack([attn.to_q(hidden_states), attn.to_k(hidden_states)], 2).unflatten(
                -1, shape
            ),
            attn.norm_q,
            attn.norm_k,
        )
        asked = _normed(
            torch.stack([attn.add_q_proj(words), attn.add_k_proj(words)], 2).unflatten(-1, shape),
            attn.norm_added_q,
            attn.norm_added_k,
        )
        value = torch.cat([attn.add_v_proj(words), attn.to_v(hidden_states)], 1)
        pair = _turned(torch.cat([asked, pair], 1), image_rotary_emb)
        found = _attended(pair, value.unflatten(-1, shape), attention_mask)
        of_words, of_picture = found.split([words.shape[1], hidden_states.shape[1]], dim=1)
        return attn.to_out[1](attn.to_out[0](of_picture)), attn.to_add_out(of_words)


def install(transformer: nn.Module) -> None:
    """Into every block; adapters of its layers go on working."""
    for name, module in transformer.named_modules():
        if name.endswith(".attn"):
            is_single = name.startswith("single_")
            module.set_processor(Single() if is_single else Double())  # type: ignore[operator]


def _normed(pair: Tensor, q_norm: Any, k_norm: Any) -> Tensor:
    """(B, S, 2, H, D), each by its own weights."""
    weights = torch.stack([q_norm.weight, k_norm.weight])[:, None]
    return F.rms_norm(pair, (pair.shape[-1],), eps=q_norm.eps) * weights


def _turned(pair: Tensor, angles: Angles | None) -> Tensor:
    """By rotary positions (S, D), whose cosines and sines stand there twice each."""
    if angles is None:
        return pair
    turn = torch.complex(*(x[:, None, None, ::2].float() for x in angles))
    plane = torch.view_as_complex(pair.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(plane * turn).flatten(-2).to(pair.dtype)


def _attended(pair: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    query, key = pair.unbind(2)
    return dispatch_attention_fn(query, key, value, attn_mask=mask).flatten(2)
