"""Products with weights that do not learn are torch's own, up to rounding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from generator.engine.production.products import HAS_ONEDNN, Quick, quick, quicken, times

SHAPES = [((2, 5, 7), 9), ((128, 384), 384), ((3, 64, 16), 100)]


@pytest.mark.parametrize(("shape", "out"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_product_is_that_of_linear(shape: tuple[int, ...], out: int, dtype: torch.dtype) -> None:
    x, weight, bias = (torch.randn(s, dtype=dtype) for s in (shape, (out, shape[-1]), (out,)))
    for given in (None, bias):
        wanted = F.linear(x, weight, given)
        assert torch.allclose(times(x, weight, given), wanted, rtol=1e-4, atol=1e-4)
    back = torch.randn(*shape[:-1], out, dtype=dtype)
    assert torch.allclose(times(back, weight.T), back @ weight, rtol=1e-4, atol=1e-4)


def test_a_quick_layer_gives_the_same_and_the_same_gradient() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 40), nn.GELU(), nn.Linear(40, 6)).requires_grad_(False)
    x = torch.randn(3, 5, 12, requires_grad=True)
    plain = model(x)
    (wanted,) = torch.autograd.grad(plain.square().sum(), x)
    layers = quicken(model)
    assert len(layers) == 2
    assert torch.equal(model(x), plain)  # nothing changes before it is asked for
    with quick(layers):
        found = model(x)
        (grad,) = torch.autograd.grad(found.square().sum(), x)
    assert torch.allclose(found, plain, atol=1e-5)
    assert torch.allclose(grad, wanted, atol=1e-5)
    assert not any(layer.is_on for layer in layers)


def test_layers_of_other_classes_stay_what_they_are() -> None:
    class Quantised(nn.Linear):  # type: ignore[misc]
        pass

    model = nn.Sequential(Quantised(2, 2), nn.Linear(2, 2))
    assert [type(layer) for layer in quicken(model)] == [Quick]
    assert type(model[0]) is Quantised


@pytest.mark.skipif(not HAS_ONEDNN, reason="this torch is built without oneDNN")
@pytest.mark.parametrize(("rows", "is_asked"), [(64, True), (63, False)])
def test_onednn_is_asked_for_what_is_large(rows: int, is_asked: bool) -> None:
    x, weight = torch.randn(rows, 128), torch.randn(128, 128)
    with torch.profiler.profile() as seen:
        times(x, weight)
    keys = {event.key for event in seen.key_averages()}
    assert ("mkldnn::_linear_pointwise" in keys) is is_asked


@pytest.mark.skipif(not HAS_ONEDNN, reason="this torch is built without oneDNN")
def test_what_the_compiler_sees_has_the_right_shape() -> None:
    given = torch.randn(2, 5, 7), torch.randn(9, 7), torch.randn(9)
    torch.library.opcheck(torch.ops.likeness.times.default, given)
