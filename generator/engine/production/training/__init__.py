"""Learning one person on a base model of diffusers: a LoRA, from some pictures.

path = train("klein", base, [png], TrainingRecipe(), work_dir=folder,
             on_progress=print, should_cancel=lambda: False, device="cuda")
"""

from __future__ import annotations

from generator.engine.production.training.families import FAMILIES, Family
from generator.engine.production.training.recipe import Progress, TrainingRecipe
from generator.engine.production.training.training import kept_name, train

__all__ = ["FAMILIES", "Family", "Progress", "TrainingRecipe", "kept_name", "train"]
