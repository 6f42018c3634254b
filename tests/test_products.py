"""Products with weights that do not learn are torch's own, up to rounding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from generator.engine.production import products
from generator.engine.production.products import HAS_ONEDNN, Quick, quick, quicken, times

SHAPES = [((2, 5, 7), 9), ((128, 384), 384), ((3, 64, 16), 100)]
needs_onednn = pytest.mark.skipif(not HAS_ONEDNN, reason="this torch is built without oneDNN")


@pytest.fixture(params=[True, False])
def is_faster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """As on a chip where oneDNN is the faster one, and where it is not."""
    monkeypatch.setattr(products, "IS_FASTER", HAS_ONEDNN and request.param)
    return bool(request.param)


@pytest.mark.parametrize(("shape", "out"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_product_is_that_of_linear(
    shape: tuple[int, ...], out: int, dtype: torch.dtype, is_faster: bool
) -> None:
    x, weight, bias = (torch.randn(s, dtype=dtype) for s in (shape, (out, shape[-1]), (out,)))
    for given in (None, bias):
        wanted = F.linear(x, weight, given)
        assert torch.allclose(times(x, weight, given), wanted, rtol=1e-4, atol=1e-4)
    back = torch.randn(*shape[:-1], out, dtype=dtype)
    assert torch.allclose(times(back, weight.T), back @ weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("shape", "out"), [((5, 7), 9), ((128, 384), 384)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_written_and_added_where_they_belong(
    shape: tuple[int, int], out: int, dtype: torch.dtype, is_faster: bool
) -> None:
    x, weight, grad = (
        torch.randn(s, dtype=dtype) for s in (shape, (out, shape[1]), (shape[0], out))
    )
    both = torch.full((2, shape[0], out), torch.nan, dtype=dtype)
    for part in both.unbind():
        products.times_into(part, x, weight)
    assert torch.allclose(both, (x @ weight.T).expand(2, -1, -1), rtol=1e-4, atol=1e-4)
    back = products.times_back(grad, weight)
    assert torch.allclose(back, grad @ weight, rtol=1e-4, atol=1e-4)
    products.add_times_back(back, grad, weight)
    assert torch.allclose(back, 2 * (grad @ weight), rtol=1e-4, atol=1e-4)


def test_a_quick_layer_gives_the_same_and_the_same_gradient(is_faster: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(128, 256), nn.GELU(), nn.Linear(256, 6)).requires_grad_(False)
    x = torch.randn(3, 32, 128, requires_grad=True)
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


@needs_onednn
@pytest.mark.parametrize(("rows", "is_large"), [(64, True), (63, False)])
def test_onednn_is_asked_for_what_is_large(rows: int, is_large: bool, is_faster: bool) -> None:
    x, layer = torch.randn(rows, 128), nn.Linear(128, 128)
    layers = quicken(nn.Sequential(layer))
    for act in (lambda: times(x, layer.weight), lambda: layer(x)):
        with quick(layers), torch.profiler.profile() as seen:
            act()
        keys = {event.key for event in seen.key_averages()}
        assert ("mkldnn::_linear_pointwise" in keys) is (is_large and is_faster)


@needs_onednn
def test_what_the_compiler_sees_has_the_right_shape() -> None:
    given = torch.randn(2, 5, 7), torch.randn(9, 7), torch.randn(9)
    torch.library.opcheck(torch.ops.likeness.times.default, given)
