"""What fits into which card: numbers only."""

from __future__ import annotations

import pytest

from generator.engine import registry
from generator.engine.production import memory
from generator.engine.production.memory import Plan

ENGINES = [name for name, row in registry.rows().items() if row.weights]
TABLE: dict[str, list[str]] = {  # for 8, 12, 16, 24, 48 and 80 GB, one megapixel
    "klein": [
        "nf4, model offload, tiled VAE ×4",
        "bfloat16, model offload, tiled VAE ×2",
        "bfloat16, model offload, tiled VAE ×5",
        "bfloat16 ×3",
        "bfloat16 ×8",
        "bfloat16 ×8",
    ],
    "qwen-edit": [
        "fp8, group offload, tiled VAE ×1",
        "bfloat16, group offload, tiled VAE ×2",
        "nf4, model offload, tiled VAE ×1",
        "fp8, model offload, tiled VAE ×1",
        "bfloat16, model offload, tiled VAE ×2",
        "bfloat16 ×5",
    ],
    "wan": [
        "",
        "nf4, model offload, tiled VAE ×1",
        "nf4, model offload, tiled VAE ×2",
        "bfloat16, model offload, tiled VAE ×2",
        "bfloat16 ×2",
        "bfloat16 ×6",
    ],
    "sdxl": [
        "fp8, model offload, tiled VAE ×1",
        "bfloat16, model offload, tiled VAE ×2",
        "bfloat16 ×1",
        "bfloat16 ×4",
        "bfloat16 ×8",
        "bfloat16 ×8",
    ],
}


def of(name: str) -> registry.Weights:
    found = registry.weights_of(name)
    assert found
    return found


def words(plan: Plan | None) -> str:
    return f"{plan.words} ×{plan.batch}" if plan else ""


@pytest.mark.parametrize("name", TABLE)
def test_every_card_gets_its_rung(name: str) -> None:
    assert [words(memory.plan(of(name), size)) for size in memory.SIZES_GB] == TABLE[name]


@pytest.mark.parametrize("name", ENGINES)
def test_a_plan_fits_its_card_and_one_more_picture_would_not(name: str) -> None:
    for size in range(4, 100):
        plan = memory.plan(of(name), size, megapixels=1.5)
        if plan is None:
            continue
        assert memory.need_gb(of(name), plan, megapixels=1.5) <= size
        if plan.batch < memory.BATCH_MAX:
            more = memory.working_gb(of(name), plan) * 1.5
            assert memory.need_gb(of(name), plan, megapixels=1.5) + more > size


@pytest.mark.parametrize("name", ENGINES)
def test_a_larger_card_never_gets_a_lower_rung(name: str) -> None:
    plans = [memory.plan(of(name), size) for size in range(4, 100)]
    rungs = [(rung.quantise, rung.offload, rung.tiling) for rung in memory.RUNGS]
    places = [rungs.index((p.quantise, p.offload, p.tiling)) if p else 99 for p in plans]
    assert places == sorted(places, reverse=True)


def test_an_adapter_of_pictures_is_never_put_into_four_bits() -> None:
    assert of("sdxl").ip_adapter
    plans = [memory.plan(of("sdxl"), size) for size in range(3, 100)]
    assert {plan.quantise for plan in plans if plan} == {"", "fp8"}
    plan = memory.plan(of("sdxl"), 8)
    while plan:
        assert plan.quantise != "nf4"
        plan = memory.lower(plan, of("sdxl"))


def test_larger_pictures_take_a_lower_rung() -> None:
    small, large = (memory.plan(of("klein"), 24, megapixels=each) for each in (1.0, 4.0))
    assert small and large and small.batch > large.batch
    assert large.tiling and not small.tiling


def test_out_of_memory_goes_down_rung_by_rung_to_an_end() -> None:
    plan = memory.plan(of("klein"), 24)
    seen = []
    while plan:
        seen.append(words(plan))
        plan = memory.lower(plan, of("klein"))
    assert seen[:3] == ["bfloat16 ×3", "bfloat16 ×1", "bfloat16, tiled VAE ×1"]
    assert seen[-2:] == [
        "bfloat16, group offload, tiled VAE ×1",
        "fp8, group offload, tiled VAE ×1",
    ]
    assert len(seen) == len(set(seen))
