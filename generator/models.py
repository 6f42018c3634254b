"""The generator's tables, each defined with its noun."""

from generator.assets.models import Asset
from generator.jobs.models import Generation, Job, Training
from generator.portraits.models import PortraitModel

__all__ = ["Asset", "Generation", "Job", "PortraitModel", "Training"]
