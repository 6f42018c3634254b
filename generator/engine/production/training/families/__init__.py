"""Base models that can be trained, each in a module of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from generator.engine.production.training.families.base import Batch, Family, Where, Words

__all__ = ["FAMILIES", "Batch", "Family", "Where", "Words"]
NAMES = ("klein", "qwen_edit", "sdxl", "wan")


class _Rows(Mapping[str, Family]):
    """Imported when asked for: a training needs the classes of one model."""

    def __getitem__(self, name: str) -> Family:
        if name not in NAMES:
            raise KeyError(name)
        row: Family = import_module(f"{__name__}.{name}").ROW
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


FAMILIES = _Rows()
