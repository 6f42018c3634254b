"""How an engine learns a person: by keeping their pictures, and by a training on its base."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load as load_tensors

from generator.engine import pictures
from generator.engine.interface import OnStep, Recipe, Step, Tier
from generator.engine.production import person as files
from generator.engine.production.person import Person
from generator.engine.production.training import FAMILIES, TrainingRecipe, train
from generator.engine.production.warm import TRAIN, Warm

STEPS = 600  # 500 to 600 at batch 1 made a likeness in published runs; see docs of the catalogue
SMALLEST_PX = 64


def learnt(
    warm: Warm,
    references: Sequence[bytes],
    tier: Tier,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path | None,
    on_step: OnStep,
) -> Person:
    """Raises EngineError: "bad_picture", and what `training.train` raises."""
    on_step(Step("read", 0, 1))
    side = warm.weights.reference_px
    kept = tuple(files.kept(data, side) for data in references[: files.REFERENCES_MAX])
    person = Person(warm.weights.family, tier, kept)
    on_step(Step("read", 1, 1))
    if tier == "instant":
        warm.base.check_looks(warm.description)
        return person
    source = warm.weights.train or warm.weights.render
    base = warm.folder(source, TRAIN if warm.weights.train else "")
    asked = _recipe(recipe, references, FAMILIES[warm.weights.family].multiple_px, side, seed)
    asked = replace(asked, prompt_tokens=warm.base.prompt_tokens)
    warm.unload()  # text encoder, VAE and denoiser are loaded one after the other, on their own
    with ExitStack() as stack:
        work = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = train(
            warm.weights.family,
            base,
            list(references),
            asked,
            work_dir=work,
            on_progress=on_step,
            should_cancel=lambda: False,  # whoever cancels raises from `on_step`
            device=warm.device.type,
        )
        data = path.read_bytes()
    tensors = {key.partition(".")[2]: values for key, values in load_tensors(data).items()}
    name = hashlib.sha256(data).hexdigest()
    return replace(person, lora=tensors, prompt=asked.prompt, sha256=name)


def _recipe(
    recipe: Recipe, references: Sequence[bytes], multiple_px: int, side: int, seed: int
) -> TrainingRecipe:
    """The trainer's, with its own choices where nothing was said."""
    least = min(min(pictures.read(data).size) for data in references)
    size = max(SMALLEST_PX, min(side, least)) // multiple_px * multiple_px
    usual = TrainingRecipe(steps=STEPS, size_px=size, seed=seed)
    return replace(
        usual,
        steps=recipe.steps or usual.steps,
        learning_rate=recipe.learning_rate or usual.learning_rate,
        rank=recipe.rank or usual.rank,
        checkpoint_every_s=max(recipe.checkpoint_every_s, 1.0),
    )
