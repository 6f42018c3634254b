"""A step that is compiled as one does what the step does, whatever it is given next."""

from __future__ import annotations

import gc
import shutil
import sysconfig
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.engine.production import products
from generator.engine.production.products import HAS_ONEDNN, quick, quicken
from generator.engine.production.training import FAMILIES
from generator.engine.production.training.families import Batch
from generator.engine.production.training.joint import Joint
from generator.engine.production.training.ladder import Rung
from generator.engine.production.training.layers import FlatLora
from generator.engine.production.training.loop import Course, Trainer
from tests import trainer_parts
from tests.trainer_parts import CPU, NAMES, learn, small

pytestmark = pytest.mark.engine
bases = trainer_parts.bases
HAS_COMPILER = shutil.which("g++") and Path(sysconfig.get_path("include"), "Python.h").exists()
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no g++, or no headers of Python")


class Toy:
    """Two layers that learn and a table that a level is looked up in."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4))
        self.model.requires_grad_(False)
        self.lora = FlatLora(self.model, ["0", "2"], 2)
        self.lora.weights.normal_()
        table = torch.randn(3, 8)

        def loss(batch: Batch, focus: Tensor) -> Tensor:
            guess = self.model(batch.latents + table[batch.level] + batch.words["embeds"])
            return ((guess - batch.noise).square() * focus).sum()

        self.loss = loss
        self.joint = Joint(self.lora, loss)

    def agrees(self, batch: Batch, focus: Tensor) -> bool:
        found, found_grad = self.joint(batch, focus)
        self.lora.grads.zero_()
        wanted = self.loss(batch, focus)
        wanted.backward()  # type: ignore[no-untyped-call]
        pairs = ((found, wanted.detach()), (found_grad, self.lora.grads))
        return all(torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in pairs)


def given(levels: list[int]) -> tuple[Batch, Tensor]:
    count = len(levels)
    words = {"embeds": torch.randn(1, 8)}
    drawn = Batch(torch.randn(count, 8), torch.randn(count, 4), torch.tensor(levels), words)
    return drawn, torch.rand(count, 1)


@needs_compiler
def test_a_compiled_step_reads_what_it_is_given_and_the_weights_as_they_are() -> None:
    toy = Toy()
    assert toy.agrees(*given([0, 2, 1]))
    assert toy.agrees(*given([1, 1, 0]))
    toy.lora.weights.normal_()
    assert toy.agrees(*given([2, 0, 0]))
    assert toy.agrees(*given([2]))  # the rest of a batch, in a function of its own
    kept = [weakref.ref(x) for x in (toy.model, toy.model[0].base.weight, toy.lora.weights)]
    del toy
    gc.collect()
    assert not any(one() is not None for one in kept)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_in_one_is_that_of_its_parts(name: str, bases: dict[str, Path]) -> None:
    """As it is traced; nothing of the first batch, its level or its weights is left in it."""
    family, recipe = FAMILIES[name], small()
    batch, _ = trainer_parts.held_out(name, bases[name], recipe, 1)
    noises = family.noises(bases[name], CPU)
    denoiser = family.denoiser(bases[name], CPU)
    lora = FlatLora(denoiser, family.layers(denoiser), recipe.rank)
    lora.weights.normal_(std=0.1)
    own = [layer.a for layer in lora.layers.values()]

    def loss(batch: Batch, focus: Tensor) -> Tensor:
        return (family.wrong(denoiser, batch, noises).square() * focus).mean()

    names = sorted(batch.words)

    def inputs(batch: Batch, focus: Tensor) -> list[Tensor]:
        words = [batch.words[name] for name in names]
        return [lora.live, batch.latents, batch.noise, batch.level, focus, *words]

    focus = torch.ones_like(batch.latents[:, :1])
    graph = Joint(lora, loss)._traced(names, inputs(batch, focus))
    assert all(layer.a is a for layer, a in zip(lora.layers.values(), own, strict=True))
    lora.weights.normal_(std=0.1)
    batch = replace(batch, latents=batch.noise, noise=batch.latents, level=batch.level.flip(0))
    focus = torch.rand(focus.shape)
    found, grad = graph(*inputs(batch, focus))
    lora.grads.zero_()
    wanted = loss(batch, focus)
    wanted.backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(found, wanted.detach(), rtol=1e-4)
    assert (grad - lora.grads).norm() / lora.grads.norm() <= 1e-4


@pytest.mark.skipif(not HAS_ONEDNN, reason="this torch is built without oneDNN")
def test_large_products_are_one_operation_that_the_compiler_leaves_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "IS_FASTER", True)
    monkeypatch.setattr(products, "LARGE", 1)
    toy = Toy()
    with quick(quicken(toy.model)):
        batch, focus = given([0, 2, 1])
        inputs = [toy.lora.live, batch.latents, batch.noise, batch.level, focus]
        graph = toy.joint._traced(["embeds"], [*inputs, batch.words["embeds"]])
    asked = [node.target for node in graph.graph.nodes]
    assert asked.count(torch.ops.likeness.times.default) == 3  # of four, the first has no way back


@needs_compiler
def test_a_compiled_training_learns_what_a_plain_one_does(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    real = torch._inductor.compile

    def counted(*given: Any) -> Any:
        made.append(given)
        return real(*given)

    monkeypatch.setattr(torch._inductor, "compile", counted)
    recipe = small(steps=4, batch=2, learning_rate=0.01)
    plain, compiled = (
        load_file(learn("wan", bases["wan"], tmp_path / str(how), recipe, compiled=how))
        for how in (False, True)
    )
    for key, x in plain.items():
        assert (compiled[key] - x).norm() <= 1e-2 * x.norm(), key
    assert len(made) == 1  # for the compiled one, and once for all of its steps


def test_what_is_done_for_memory_is_not_compiled(bases: dict[str, Path], tmp_path: Path) -> None:
    family, recipe = FAMILIES["sdxl"], small()
    denoiser = family.denoiser(bases["sdxl"], CPU)
    lora = FlatLora(denoiser, family.layers(denoiser), recipe.rank)
    examples = trainer_parts.held_out("sdxl", bases["sdxl"], recipe, 1)[1]
    course = Course(family, recipe, "test", tmp_path)
    for rung in (Rung(1), Rung(1, checkpointing=True), Rung(1, checkpointing=True, fp8=True)):
        trainer = Trainer(course, denoiser, lora, examples, torch.empty(0), rung, compiled=True)
        assert (trainer._joint is None) is rung.is_tight
