"""Products with weights that do not learn: large ones by oneDNN where it is the faster one.

torch leaves single precision on a CPU to MKL. On AMD's processors MKL knows nothing of AVX-512 and
reaches half of oneDNN's pace (one core of a Zen 5, 128 rows, 384 to 384: 105 against 217 GFLOP/s; a
call costs oneDNN 10 µs more). Without AVX-512 it is MKL that is ahead (Zen 3: 73 against 67), and
on Intel's they are the same. The two round differently, so whatever has to be the stock pipeline's
bit for bit goes without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode

LARGE = 1 << 20  # multiplications from which on a call to oneDNN pays
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_CHIP = torch.cpu.get_capabilities()
IS_FASTER = HAS_ONEDNN and bool(_CHIP.get("avx512_f")) and "AMD" in str(_CHIP.get("cpu_name"))


def times(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., I) times weight (O, I) transposed, plus bias (O,). Has no gradient of its own."""
    if not _pays(x, weight):
        return F.linear(x, weight, bias)
    if get_proxy_mode() is not None:
        found: Tensor = torch.ops.likeness.times(x, weight, bias)
        return found
    return _by_onednn(x, weight, bias)


def times_into(out: Tensor, x: Tensor, weight: Tensor) -> None:
    """x (N, I) times weight (O, I) transposed, written to out (N, O)."""
    if _pays(x, weight):
        out.copy_(times(x, weight))
    else:
        torch.mm(x, weight.T, out=out)


def times_back(grad: Tensor, weight: Tensor) -> Tensor:
    """The way back of `times`: grad (N, O) times weight (O, I)."""
    return times(grad, weight.T) if _pays(grad, weight.T) else torch.mm(grad, weight)


def add_times_back(out: Tensor, grad: Tensor, weight: Tensor) -> None:
    """The same, added to out (N, I)."""
    if _pays(grad, weight.T):
        out += times(grad, weight.T)
    else:
        out.addmm_(grad, weight)


def _pays(x: Tensor, weight: Tensor) -> bool:
    if not IS_FASTER:
        return False
    is_single = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    return is_single and x.numel() * len(weight) >= LARGE


# Hidden from inductor, which takes torch's own name for it only where the weight is a constant.
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
        if not (self.is_on and _pays(x, self.weight)):
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
