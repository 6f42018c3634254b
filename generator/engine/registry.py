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
LISTS = ("tiers", "clip_s", "clip_fps", "enhance_px", "aspect_ratios", "pair_ratios", "needs")
SOURCES = ("render", "train", "ip_adapter")


@dataclass(frozen=True)
class Source:
    """A repository of a hub at one commit. A blank revision: the one that was pulled last."""

    repo: str
    revision: str = ""
    files: tuple[str, ...] = ()  # of a repository that holds more; none: it is one pipeline


@dataclass(frozen=True)
class Weights:
    """Weights that are fetched, and what they take to run; see `production`."""

    family: str  # a module of `production.families`
    render: Source
    parts: dict[str, float]  # billions of parameters of every part
    working_gb: float  # activations for one megapixel, batch 1, bfloat16
    steps: int
    guidance: float
    train: Source | None = None  # where a distilled model is not what is trained
    ip_adapter: Source | None = None  # what looks at people for a model that cannot by itself
    video: str = ""  # the engine that sets this one's pictures in motion
    reference_px: int = 512  # side a reference is sent at: a megapixel more than doubles the work

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(one for one in (self.render, self.train, self.ip_adapter) if one)


@dataclass(frozen=True)
class Row:
    """One row of the catalogue."""

    description: Description
    factory: str  # "module:function": of a folder or None, or of an `Installation`
    weights: Weights | None = None  # None: they come with the product, and a folder is enough


@dataclass(frozen=True)
class Installation:
    """What a place gives an engine beside its row."""

    engine: str
    weights: Path | None = None  # a folder instead of the engine's own
    detector: Path | None = None  # ONNX: finds faces
    embedder: Path | None = None  # ONNX: tells faces apart
    commercial_only: bool = False


@cache
def rows(catalogue: Path = CATALOGUE) -> dict[str, Row]:
    """The catalogue by name, in file order."""
    table = tomllib.loads(catalogue.read_text(encoding="utf-8"))
    return {name: _row(name, values) for name, values in table.items()}


def _row(name: str, values: dict[str, Any]) -> Row:
    fields = dict(values)
    factory = fields.pop("factory")
    weights = fields.pop("weights", None)
    fields["kinds"] = tuple(fields["kinds"])
    for name_of_list in LISTS:
        if name_of_list in fields:
            fields[name_of_list] = tuple(fields[name_of_list])
    fields["qualities"] = tuple(Quality(**one) for one in fields.get("qualities", ()))
    return Row(Description(name=name, **fields), factory, _weights(weights) if weights else None)


def _weights(values: dict[str, Any]) -> Weights:
    sources: dict[str, Any] = {name: _source(values[name]) for name in SOURCES if name in values}
    return Weights(**values | sources)


def _source(values: dict[str, Any]) -> Source:
    return Source(**values | {"files": tuple(values.get("files", ()))})


def describe(name: str) -> Description:
    """Raises EngineError("engine_unknown")."""
    return _find(name).description


def weights_of(name: str) -> Weights | None:
    """Raises EngineError("engine_unknown")."""
    return _find(name).weights


def refusal(engine: Description, *, commercial_only: bool) -> str:
    """Why this installation may not use an engine; blank where it may."""
    if not commercial_only or (engine.commercial and engine.verified):
        return ""
    if not engine.verified:
        return f"{engine.title} may not be used commercially: its licence was not verified."
    return f"{engine.title} may not be used commercially ({engine.licence})."


def load(
    name: str,
    *,
    weights: Path | None = None,
    detector: Path | None = None,
    embedder: Path | None = None,
    commercial_only: bool = False,
    catalogue: Path = CATALOGUE,
) -> Engine:
    """Load the engine `name`. Slow: reads weights, imports torch.

    Raises EngineError: "engine_unknown", or "licence_refused" when
    `commercial_only` and the licence forbids it.
    """
    row = _find(name, catalogue)
    if why := refusal(row.description, commercial_only=commercial_only):
        raise EngineError("licence_refused", why)
    module, function = row.factory.split(":")
    factory = getattr(importlib.import_module(module), function)
    place = Installation(name, weights, detector, embedder, commercial_only)
    return cast(Engine, factory(place if row.weights else weights))


def _find(name: str, catalogue: Path = CATALOGUE) -> Row:
    try:
        return rows(catalogue)[name]
    except KeyError:
        known = ", ".join(rows(catalogue))
        raise EngineError("engine_unknown", f"No engine “{name}”. There are: {known}.") from None
