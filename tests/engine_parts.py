"""Weights for tests of the engine: the real ones, or untrained ones of the same shape."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import Tensor

from generator.engine import registry, strangers
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.miniature.base import WEIGHTS
from generator.engine.miniature.make.export import export_skeleton

LABELS: dict[str, list[str] | None] = {
    "background": ["studio", "beach"],
    "outfit": ["t-shirt", "suit"],
    "expression": ["neutral", "smiling"],
    "pose": ["facing the camera", "turned left"],
}


def are_trained() -> bool:
    return (WEIGHTS / "model_index.json").is_file()


def make_weights(folder: Path) -> Path:
    """A folder the engine loads, with its strangers already drawn."""
    weights = folder / "weights"
    if are_trained():
        shutil.copytree(WEIGHTS, weights)
    else:
        export_skeleton(weights, LABELS)
    engine = registry.load("miniature", weights=weights)
    assert isinstance(engine, DiffusersEngine)
    if strangers.load(weights, engine.version) is None:
        _draw_few_strangers(engine, weights)
    return weights


def _draw_few_strangers(engine: DiffusersEngine, weights: Path) -> None:
    negative = engine.draftsman.encode([""])

    def one(prompt: str, seed: int) -> tuple[Tensor, Tensor]:
        words = engine.draftsman.encode([prompt])
        latents = engine.draftsman.latents(words, negative, seed=seed, settings=engine.defaults)
        return latents, engine.judge.embed(engine.draftsman.decode(latents))

    strangers.keep(weights, strangers.draw(one, count=4), engine.version)
