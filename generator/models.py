"""The generator's tables, each defined with its noun."""

from generator.api.tryiton.models import Slot
from generator.assets.models import Asset, Folder, Share
from generator.explore.models import Report
from generator.jobs.models import Appearance, Generation, Job, Training
from generator.portraits.models import PortraitModel

__all__ = [
    "Appearance", "Asset", "Folder", "Generation", "Job", "PortraitModel", "Report", "Share",
    "Slot", "Training",
]  # fmt: skip
