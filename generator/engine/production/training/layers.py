"""A LoRA of chosen linear layers whose weights are views of one flat buffer.

One buffer is one optimiser step, one average, one clip and one tensor of a checkpoint,
whatever the number of layers. All A lie before all B, since B learns faster. Knows nothing
of diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoRALinear(nn.Module):
    """`base` with the product of B (out, r) and A (r, in) added: as peft with alpha = rank."""

    def __init__(self, base: nn.Linear, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(a)
        self.b = nn.Parameter(b)

    def forward(self, x: Tensor) -> Tensor:
        is_plain = self.base.weight.dtype == x.dtype and not torch.compiler.is_compiling()
        if is_plain and torch.is_grad_enabled():
            return _Sum.apply(x, self.base.weight, self.base.bias, self.a, self.b)
        return self.base(x) + F.linear(F.linear(x, self.a), self.b)


class _Sum(torch.autograd.Function):
    """The same in half as many operations; a fifth of a step where layers are small.

    The gradients of A and B are added to those the parameters have, within the multiplication.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        inner = rows @ a.T
        out = F.linear(rows, weight, bias).addmm_(inner, b.T)
        ctx.save_for_backward(rows, inner, weight, a, b)
        ctx.flat, ctx.shape = (a.grad, b.grad), x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        rows, inner, weight, a, b = ctx.saved_tensors
        a_grad, b_grad = ctx.flat
        grad = grad.reshape(-1, grad.shape[-1])
        inner_grad = grad @ b
        b_grad.addmm_(grad.T, inner)
        a_grad.addmm_(inner_grad.T, rows)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        back = (grad @ weight).addmm_(inner_grad, a)
        return back.view(ctx.shape), None, None, None, None


class FlatLora:
    """Installed in `denoiser` from its making until `remove`.

    `weights` (P,) are float32, whatever the denoiser computes in; layers see `live`, a copy
    in its precision (the same storage for float32), and leave their gradients in `grads`.
    """

    def __init__(self, denoiser: nn.Module, targets: list[str], rank: int) -> None:
        self.rank = rank
        self._denoiser = denoiser
        plain = {name: denoiser.get_submodule(name) for name in targets}
        where = next(denoiser.parameters())
        shapes = {name: (layer.in_features, layer.out_features) for name, layer in plain.items()}
        self.middle = rank * sum(inside for inside, _ in shapes.values())  # where B begins
        total = self.middle + rank * sum(outside for _, outside in shapes.values())
        self.weights = torch.zeros(total, device=where.device)
        is_exact = where.dtype == torch.float32
        self.live = self.weights if is_exact else torch.zeros_like(self.weights, dtype=where.dtype)
        self.grads = torch.zeros_like(self.live)
        self.layers: dict[str, LoRALinear] = {}
        a_views, b_views = self._views(self.live, shapes), self._views(self.grads, shapes)
        for name, layer in plain.items():
            wrapped = LoRALinear(layer, *a_views[name])
            wrapped.a.grad, wrapped.b.grad = b_views[name]
            _put(denoiser, name, wrapped)
            self.layers[name] = wrapped
        self._shapes = shapes

    def _views(
        self, flat: Tensor, shapes: dict[str, tuple[int, int]]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        found, start, middle = {}, 0, self.middle
        for name, (inside, outside) in shapes.items():
            a = flat[start : start + self.rank * inside].view(self.rank, inside)
            b = flat[middle : middle + self.rank * outside].view(outside, self.rank)
            found[name] = (a, b)
            start, middle = start + a.numel(), middle + b.numel()
        return found

    def begin(self, generator: torch.Generator) -> None:
        """A uniform as in the LoRA paper's code, B zero: the first output is the base's own."""
        self.weights.zero_()
        for a, _ in self._views(self.weights, self._shapes).values():
            bound = 1 / math.sqrt(a.shape[1])
            a.copy_((torch.rand(a.shape, generator=generator) * 2 - 1) * bound)
        self.publish()

    def publish(self) -> None:
        """Layers see the weights as they are now."""
        if self.live is not self.weights:
            self.live.copy_(self.weights)

    def named(self, flat: Tensor) -> Iterator[tuple[str, Tensor]]:
        """`flat` in the keys of diffusers, without the denoiser's own prefix."""
        for name, (a, b) in self._views(flat, self._shapes).items():
            yield f"{name}.lora_A.weight", a
            yield f"{name}.lora_B.weight", b

    def remove(self) -> None:
        """Leaves the plain layers, bit for bit."""
        for name, layer in self.layers.items():
            _put(self._denoiser, name, layer.base)
        self.layers.clear()


def _put(root: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    place: Any = root.get_submodule(parent)
    if last.isdigit():
        place[int(last)] = module
    else:
        setattr(place, last, module)
