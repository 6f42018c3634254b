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

from generator.engine.production.training.layers import together

Angles = tuple[Tensor, Tensor]


class Crossed:
    """For the blocks of a UNet: to itself, or to words that may be the same for the batch."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        q, k, v = attn.to_q, attn.to_k, attn.to_v
        if encoder_hidden_states is None:
            query, key, value = together((q, k, v), hidden_states, attn.heads)
        else:
            (query,) = together((q,), hidden_states, attn.heads)
            read = together((k, v), encoder_hidden_states, attn.heads, is_steady=True)
            key, value = (x.expand(len(query), -1, -1, -1) for x in read)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        return attn.to_out[1](attn.to_out[0](found.transpose(1, 2).flatten(2)))


class Single:
    """For the blocks in which text and picture are one sequence."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Angles | None = None,
    ) -> Tensor:
        wide, thought = attn.inner_dim, attn.mlp_hidden_dim
        pair, value, gate, thoughts = attn.to_qkv_mlp_proj(hidden_states).split(
            [2 * wide, wide, thought, thought], dim=-1
        )
        pair = pair.unflatten(-1, (2, -1, attn.head_dim))
        pair = _ready(pair, _weights(attn.norm_q, attn.norm_k), attn.norm_q.eps, image_rotary_emb)
        found = _attended(pair, value.unflatten(-1, (-1, attn.head_dim)), attention_mask)
        return attn.to_out(torch.cat([found, F.silu(gate) * thoughts], dim=-1))


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
        asked = torch.stack([attn.add_q_proj(words), attn.add_k_proj(words)], 2)
        pair = torch.stack([attn.to_q(hidden_states), attn.to_k(hidden_states)], 2)
        value = torch.cat([attn.add_v_proj(words), attn.to_v(hidden_states)], 1)
        weights = (
            _weights(attn.norm_added_q, attn.norm_added_k).expand(words.shape[1], -1, -1, -1),
            _weights(attn.norm_q, attn.norm_k).expand(hidden_states.shape[1], -1, -1, -1),
        )
        both = torch.cat([asked, pair], 1).unflatten(-1, shape)
        pair = _ready(both, torch.cat(weights), attn.norm_q.eps, image_rotary_emb)
        found = _attended(pair, value.unflatten(-1, shape), attention_mask)
        of_words, of_picture = found.split([words.shape[1], hidden_states.shape[1]], dim=1)
        return attn.to_out[1](attn.to_out[0](of_picture)), attn.to_add_out(of_words)


class Gate(nn.Module):
    """Flux2SwiGLU, whose two slices fill a whole tensor with zeros each on the way back."""

    def forward(self, x: Tensor) -> Tensor:
        gate, thoughts = x.chunk(2, dim=-1)
        return F.silu(gate) * thoughts


def install(transformer: nn.Module) -> None:
    """Into every block; adapters of its layers go on working."""
    for name, module in list(transformer.named_modules()):
        if name.endswith(".attn"):
            is_single = name.startswith("single_")
            module.set_processor(Single() if is_single else Double())  # type: ignore[operator]
        elif name.endswith((".ff", ".ff_context")):
            module.act_fn = Gate()


def _weights(q_norm: Any, k_norm: Any) -> Tensor:
    """(2, 1, D)"""
    return torch.stack([q_norm.weight, k_norm.weight])[:, None]


def _ready(pair: Tensor, weights: Tensor, eps: float, angles: Angles | None) -> Tensor:
    """(B, S, 2, H, D) normed and turned by rotary positions, cosines and sines (S, D)."""
    turn = None
    if angles is not None:  # each stands there twice
        turn = torch.complex(*(x[:, None, None, ::2].float() for x in angles))
    found: Tensor = _Ready.apply(pair, weights, turn, eps)
    return found


def _normed(
    pair: Tensor, weights: Tensor, turn: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    scale = (pair.float().square().mean(-1, keepdim=True) + eps).rsqrt()
    return _turned(pair * scale * weights, turn).to(pair.dtype), scale


class _Ready(torch.autograd.Function):
    """`_normed`, with half as many operations on the way back."""

    @staticmethod
    def forward(ctx: Any, pair: Tensor, weights: Tensor, turn: Tensor | None, eps: float) -> Tensor:
        found, scale = _normed(pair, weights, turn, eps)
        ctx.save_for_backward(pair, scale, weights, turn)
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        pair, scale, weights, turn = ctx.saved_tensors
        grad = _turned(grad.float(), None if turn is None else turn.conj()) * weights
        share = (grad * pair).mean(-1, keepdim=True) * scale.square()
        found = torch.addcmul(grad, pair.float(), share, value=-1).mul_(scale)
        return found.to(pair.dtype), None, None, None


def _turned(pair: Tensor, turn: Tensor | None) -> Tensor:
    if turn is None:
        return pair
    plane = torch.view_as_complex(pair.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(plane * turn).flatten(-2)


def _attended(pair: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    query, key = pair.unbind(2)
    return dispatch_attention_fn(query, key, value, attn_mask=mask).flatten(2)
