"""One module for each shape of base model. Imported when an engine is loaded."""

from __future__ import annotations

from generator.engine.production.families.base import Asked, Family, Tell
from generator.engine.production.families.klein import Klein
from generator.engine.production.families.qwen_edit import QwenEdit
from generator.engine.production.families.sdxl import Sdxl
from generator.engine.production.families.wan import Wan
from generator.engine.production.families.wan_animate import Moving, WanAnimate

FAMILIES: dict[str, type[Family]] = {
    "klein": Klein,
    "qwen_edit": QwenEdit,
    "sdxl": Sdxl,
    "wan": Wan,
    "wan_animate": WanAnimate,
}

__all__ = [
    "FAMILIES",
    "Asked",
    "Family",
    "Klein",
    "Moving",
    "QwenEdit",
    "Sdxl",
    "Tell",
    "Wan",
    "WanAnimate",
]
