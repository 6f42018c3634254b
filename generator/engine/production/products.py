"""Products with weights that do not learn: on a CPU, in single precision, large ones by oneDNN.

torch leaves them to MKL, which reaches half of oneDNN's pace on AMD's processors (one core of a
Zen 5, 128 rows, 384 to 384: 105 against 217 GFLOP/s); a call costs oneDNN 10 µs more. The two
round differently, so whatever has to be the stock pipeline's bit for bit goes without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGE = 1 << 20  # multiplications from which on oneDNN is the faster one
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def times(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., I) times weight (O, I) transposed, plus bias (O,). Has no gradient of its own."""
    is_single = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if not HAS_ONEDNN or not is_single or x.numel() * len(weight) < LARGE:
        return F.linear(x, weight, bias)
    if torch.compiler.is_compiling():
        found: Tensor = torch.ops.likeness.times(x, weight, bias)
        return found
    return _by_onednn(x, weight, bias)


# Hidden from the compiler, which takes torch's own name for it for inference only.
_library = torch.library.Library("likeness", "DEF")  # lives as long as this module
_library.define("times(Tensor x, Tensor weight, Tensor? bias) -> Tensor")


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def _shaped(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(weight))


_library.impl("times", _by_onednn, "CPU")
_library.impl("times", _shaped, "Meta")


class Quick(nn.Linear):
    """A linear layer that does not learn; with `is_on` it multiplies by `times`."""

    is_on = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_on or x.dtype != self.weight.dtype:
            return super().forward(x)
        found: Tensor = _Frozen.apply(x, self.weight, self.bias)
        return found


class _Frozen(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return times(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return times(grad, weight.T), None, None


def quicken(module: nn.Module) -> list[Quick]:
    """Its linear layers, all of them ready to be quick."""
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = Quick
    return [layer for layer in module.modules() if isinstance(layer, Quick)]


@contextmanager
def quick(layers: list[Quick]) -> Iterator[None]:
    """These multiply by oneDNN meanwhile."""
    for layer in layers:
        layer.is_on = True
    try:
        yield
    finally:
        for layer in layers:
            layer.is_on = False
