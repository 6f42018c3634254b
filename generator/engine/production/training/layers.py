"""A LoRA of chosen linear layers whose weights are views of one flat buffer.

One buffer is one optimiser step, one average, one clip and one tensor of a checkpoint,
whatever the number of layers. All A lie before all B, since B learns faster. Knows nothing
of diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.engine.production.products import (
    add_times_back,
    times,
    times_back,
    times_into,
)


class LoRALinear(nn.Module):
    """`base` with the product of B (out, r) and A (r, in) added: as peft with alpha = rank."""

    def __init__(self, base: nn.Linear, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.base = base
        self.a = a
        self.b = b
        self.group: Group | None = None  # of those beside it, see `together`

    def is_plain(self, x: Tensor) -> bool:
        """Whether the gradient may be worked out by hand, into the buffer."""
        is_wanted = torch.is_grad_enabled() and self.a.is_leaf
        return is_wanted and self.base.weight.dtype == x.dtype

    def forward(self, x: Tensor) -> Tensor:
        if self.is_plain(x):
            return _Sum.apply(x, self.base.weight, self.base.bias, self.a, self.b)
        return self.base(x) + F.linear(F.linear(x, self.a), self.b)


class _Sum(torch.autograd.Function):
    """The same in half as many operations; a fifth of a step where layers are small.

    The gradients of A and B are added to those the parameters have, within the multiplication.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        inner = torch.mm(rows, a.T)
        out = times(rows, weight, bias).addmm_(inner, b.T)
        ctx.save_for_backward(rows, inner, weight, a, b)
        ctx.flat, ctx.shape = (a.grad, b.grad), x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        rows, inner, weight, a, b = ctx.saved_tensors
        a_grad, b_grad = ctx.flat
        grad = grad.reshape(-1, grad.shape[-1])
        inner_grad = torch.mm(grad, b)
        b_grad.addmm_(grad.T, inner)
        a_grad.addmm_(inner_grad.T, rows)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        back = times_back(grad, weight).addmm_(inner_grad, a)
        return back.view(ctx.shape), None, None, None, None


def together(
    layers: Sequence[nn.Module], x: Tensor, heads: int, *, is_steady: bool = False
) -> tuple[Tensor, ...]:
    """(B, heads, S, D) of (B, S, C) for each of the layers, of one size and without bias.

    In one go where they learn side by side in one buffer, else one after the other. `is_steady`
    says that `x` may well be the very tensor of the last step.
    """
    first = layers[0]
    if isinstance(first, LoRALinear) and first.is_plain(x):
        first.group = first.group or Group(layers)
        found: tuple[Tensor, ...] = _Joined.apply(x, first.a, first.group, heads, is_steady)
        return found
    return tuple(layer(x).unflatten(-1, (heads, -1)).transpose(1, 2) for layer in layers)


class Group:
    """Layers that read the same: what they learn, as one of each."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self.weights = [layer.base.weight for layer in layers]
        self.size = len(layers)
        a, b = layers[0].a, layers[0].b
        self.a, self.a_grad = (_beside(x, self.size).flatten(0, 1) for x in (a, a.grad))
        self.b, self.b_grad = (_beside(x, self.size) for x in (b, b.grad))
        self._seen: tuple[Tensor, Tensor] | None = None

    def frozen(self, rows: Tensor) -> Tensor:
        """(n, rows, out) without what is learnt."""
        out = rows.new_empty(self.size, len(rows), len(self.weights[0]))
        for part, weight in zip(out.unbind(), self.weights, strict=True):
            times_into(part, rows, weight)
        return out

    def remembered(self, x: Tensor, rows: Tensor) -> Tensor:
        """The same, worked out once for one tensor."""
        if self._seen is None or self._seen[0] is not x:
            self._seen = x, self.frozen(rows)
        return self._seen[1].clone()


def _beside(first: Tensor, count: int) -> Tensor:
    """(count, *) of a view and its neighbours of the same size in the buffer."""
    found = first.detach()
    return found.as_strided((count, *found.shape), (found.numel(), *found.stride()))


class _Joined(torch.autograd.Function):
    """As `_Sum`, of a group."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, learns: Tensor, group: Group, heads: int, is_steady: bool
    ) -> tuple[Tensor, ...]:
        rows = x.reshape(-1, x.shape[-1])
        inner = torch.mm(rows, group.a.T).unflatten(1, (group.size, -1)).transpose(0, 1)
        out = group.remembered(x, rows) if is_steady else group.frozen(rows)
        out.baddbmm_(inner, group.b.transpose(1, 2))
        ctx.save_for_backward(rows, inner)
        ctx.group, ctx.shape = group, x.shape
        apart = out.view(group.size, *x.shape[:2], heads, -1).transpose(2, 3)
        return apart.unbind()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        rows, inner = ctx.saved_tensors
        group = ctx.group
        grad = torch.stack([x.transpose(1, 2) for x in grads]).view(group.size, len(rows), -1)
        group.b_grad.baddbmm_(grad.transpose(1, 2), inner)
        inner_grad = torch.bmm(grad, group.b).transpose(0, 1).flatten(1)
        group.a_grad.addmm_(inner_grad.T, rows)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        back = torch.mm(inner_grad, group.a)
        for part, weight in zip(grad.unbind(), group.weights, strict=True):
            add_times_back(back, part, weight)
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
            wrapped = LoRALinear(layer, *(x.detach().requires_grad_() for x in a_views[name]))
            wrapped.a.grad, wrapped.b.grad = b_views[name]
            _put(denoiser, name, wrapped)
            self.layers[name] = wrapped
        self._shapes = shapes

    def _views(
        self, flat: Tensor, shapes: dict[str, tuple[int, int]]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """A (r, in) and B (out, r) of each layer."""
        sizes = [self.rank * size for side in zip(*shapes.values(), strict=True) for size in side]
        parts = flat.split(sizes)
        pairs = zip(parts[: len(shapes)], parts[len(shapes) :], strict=True)
        return {
            name: (a.view(self.rank, -1), b.view(-1, self.rank))
            for name, (a, b) in zip(shapes, pairs, strict=True)
        }

    @contextmanager
    def reading(self, live: Tensor) -> Iterator[None]:
        """Layers see these weights (P,) meanwhile, of which a gradient may be asked."""
        own = [(layer, layer.a, layer.b) for layer in self.layers.values()]
        for name, pair in self._views(live, self._shapes).items():
            self.layers[name].a, self.layers[name].b = pair
        try:
            yield
        finally:
            for layer, a, b in own:
                layer.a, layer.b = a, b

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
