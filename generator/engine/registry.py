"""Which engines there are, what they may be used for, and how one is loaded.

Reads `engines.toml`. Imports no torch: a factory is looked up by name when an
engine is loaded, which happens in the engine process only.
"""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from generator.engine.interface import Description, Engine, EngineError, Quality

CATALOGUE = Path(__file__).with_name("engines.toml")
LISTS = ("tiers", "clip_s", "clip_fps", "enhance_px", "aspect_ratios", "pair_ratios")


@dataclass(frozen=True)
class Row:
    """One row of the catalogue."""

    description: Description
    factory: str  # "module:function", called with the weights folder or None


@cache
def rows(catalogue: Path = CATALOGUE) -> dict[str, Row]:
    """The catalogue by name, in file order."""
    table = tomllib.loads(catalogue.read_text(encoding="utf-8"))
    return {name: _row(name, values) for name, values in table.items()}


def _row(name: str, values: dict[str, Any]) -> Row:
    fields = dict(values)
    factory = fields.pop("factory")
    fields["kinds"] = tuple(fields["kinds"])
    for name_of_list in LISTS:
        if name_of_list in fields:
            fields[name_of_list] = tuple(fields[name_of_list])
    fields["qualities"] = tuple(Quality(**one) for one in fields.get("qualities", ()))
    return Row(Description(name=name, **fields), factory)


def describe(name: str) -> Description:
    """Raises EngineError("engine_unknown")."""
    return _find(name).description


def load(
    name: str,
    *,
    weights: Path | None = None,
    commercial_only: bool = False,
    catalogue: Path = CATALOGUE,
) -> Engine:
    """Load the engine `name`. Slow: reads weights, imports torch.

    Raises EngineError: "engine_unknown", or "licence_refused" when
    `commercial_only` and the licence forbids it.
    """
    row = _find(name, catalogue)
    if commercial_only and not row.description.commercial:
        raise EngineError(
            "licence_refused",
            f"{row.description.title} may not be used commercially ({row.description.licence}).",
        )
    module, function = row.factory.split(":")
    return cast(Engine, getattr(importlib.import_module(module), function)(weights))


def _find(name: str, catalogue: Path = CATALOGUE) -> Row:
    try:
        return rows(catalogue)[name]
    except KeyError:
        known = ", ".join(rows(catalogue))
        raise EngineError("engine_unknown", f"No engine “{name}”. There are: {known}.") from None
