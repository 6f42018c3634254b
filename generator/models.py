"""The generator's tables, each defined with its noun."""

from generator.api.phota.models import Callback
from generator.api.tryiton.models import Slot
from generator.assets.models import Asset, Folder, Share
from generator.explore.models import Report
from generator.jobs.models import Appearance, Generation, Job, Training
from generator.photos.models import Photo, PhotoSet
from generator.portraits.models import PortraitModel, Reference
from generator.webhooks.models import Delivery, WebhookEndpoint, WebhookSecret

__all__ = [
    "Appearance", "Asset", "Callback", "Delivery", "Folder", "Generation", "Job", "Photo",
    "PhotoSet", "PortraitModel", "Reference", "Report", "Share", "Slot", "Training",
    "WebhookEndpoint", "WebhookSecret",
]  # fmt: skip
