"""Weights that move between card and memory, on a processor as far as that goes.

What moves where and when is diffusers' own; here every block is moved by its hooks from memory to
memory, so that nothing of ours may depend on where it lies. Speed and room are a card's to show.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diffusers.hooks import HookRegistry

from generator.engine.production.engine import ProductionEngine
from generator.engine.production.memory import Plan
from tests import production_parts as parts
from tests.production_parts import short_prompts, small_pictures  # noqa: F401  fixtures

pytestmark = pytest.mark.engine


def shown(engine: ProductionEngine, who: list[bytes]) -> bytes:
    """A picture, or the first frame of a clip."""
    if engine.describe().name == "wan":
        return engine.animate(parts.clip(), seed=2).poster
    return parts.drawn(engine, parts.wanted(), who)


def on(engine: ProductionEngine, plan: Plan) -> None:
    engine.unload()
    engine.warm.plan = plan


def moved(engine: ProductionEngine) -> int:
    """Blocks of the denoiser with a hook that moves them."""
    registries = [
        module._diffusers_hook
        for module in engine.warm.base.denoiser.modules()
        if isinstance(getattr(module, "_diffusers_hook", None), HookRegistry)
    ]
    return sum("group_offloading" in each.hooks for each in registries)


@pytest.mark.parametrize("name", parts.ENGINES)
def test_block_by_block_the_same_pictures_are_drawn(name: str, tmp_path: Path) -> None:
    engine = parts.load(name, parts.make(name, tmp_path))
    tiers = engine.describe().tiers
    who = [parts.learnt(engine, 1, tier=tiers[0])] if tiers else []
    if "trained" in tiers:  # swapped in place, whatever is moved
        who = [parts.learnt(engine, 1)]
    before = shown(engine, who)
    on(engine, Plan("float32", offload="group"))
    assert shown(engine, who) == before
    assert moved(engine) >= 2
    assert shown(engine, who) == before
    engine.unload()
    assert shown(engine, who) == before


@pytest.mark.parametrize("name", ["klein", "sdxl"])
def test_the_last_rung_stores_blocks_in_eight_bits_as_well(name: str, tmp_path: Path) -> None:
    engine = parts.load(name, parts.make(name, tmp_path))
    before = parts.pixels(parts.drawn(engine, parts.wanted()))
    on(engine, Plan("float32", quantise="fp8", offload="group"))
    after = parts.pixels(parts.drawn(engine, parts.wanted()))
    stored = {str(values.dtype) for values in engine.warm.base.denoiser.parameters()}
    assert "torch.float8_e4m3fn" in stored and moved(engine) >= 2
    assert 0 < np.abs(after - before).mean() < 16
