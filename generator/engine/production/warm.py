"""What is in memory: one base model with its wardrobe, and the one that makes its clips.

Loads weights when they are first needed, and goes down a rung of memory's ladder where a card
runs out of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from generator.engine import registry
from generator.engine.interface import EngineError
from generator.engine.production import memory, weights
from generator.engine.production.families import FAMILIES, Family, Wan
from generator.engine.production.memory import Plan
from generator.engine.production.serving import Server
from generator.engine.registry import Installation, Source, Weights

Result = TypeVar("Result")
VIDEO, TRAIN, IP_ADAPTER = "video", "train", "ip_adapter"  # may lie in weights of one's own

log = logging.getLogger(__name__)


class Warm:
    """Everything here is loaded by asking for it. One thread at a time."""

    def __init__(self, place: Installation) -> None:
        self.place = place
        self.description = registry.describe(place.engine)
        self.weights = weights_of(place.engine)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.plan = self.fitting(self.weights)
        self._family: Family | None = None
        self._server: Server | None = None
        self._film: Wan | None = None

    @property
    def base(self) -> Family:
        if self._family is None:
            folder = self.folder(self.weights.render)
            kind = FAMILIES[self.weights.family]
            self._family = kind.load(folder, self.plan, self.device, self._beside())
        return self._family

    def _beside(self) -> Path | None:
        """What looks at people for a base that cannot; None where it was not fetched."""
        source = self.weights.ip_adapter
        if source is None:
            return None
        own = self.place.weights / IP_ADAPTER if self.place.weights else None
        folder = own if own and own.is_dir() else weights.folder_of(source)
        if folder is None or not all((folder / name).is_file() for name in source.files):
            return None
        if wrong := weights.check(folder, source.files, hashes=False):
            raise EngineError("no_weights", wrong[0].message)
        return folder

    @property
    def server(self) -> Server:
        if self._server is None or self._server.family is not self.base:
            self._server = Server(self.base)
        return self._server

    @property
    def filmed(self) -> Weights:
        """What makes clips: another row's weights, or these."""
        return weights_of(self.weights.video) if self.weights.video else self.weights

    @property
    def film(self) -> Wan:
        """Another row's; both stay where both fit, else the pictures' weights make room."""
        if self._film is None:
            folder = self.folder(self.filmed.render, VIDEO)
            if self.device.type == "cuda" and self._crowded():
                self.unload()
            self._film = Wan.load(folder, self.fitting(self.filmed), self.device)
        return self._film

    def _crowded(self) -> bool:
        plan = memory.plan(self.filmed, _free_gb())
        return plan is None or bool(plan.offload)

    def folder(self, source: Source, part: str = "") -> Path:
        """A folder of one's own, or where `engines pull` put it. Raises "no_weights"."""
        own = self.place.weights / part if self.place.weights else None
        if own and (not part or own.is_dir()):
            folder: Path | None = own
        else:
            folder = weights.folder_of(source)
        if folder is None:
            name = self.weights.video if part == VIDEO else self.description.name
            raise EngineError(
                "no_weights",
                f"The weights of “{name}” are not here. Fetch them with: "
                f"python manage.py engines pull {name}",
            )
        if wrong := weights.check(folder, hashes=False):
            raise EngineError("no_weights", wrong[0].message)
        return folder

    def fitting(self, found: Weights) -> Plan:
        """The plan for what is free now. Raises EngineError("no_room")."""
        if self.device.type == "cpu":
            return memory.CPU
        free = _free_gb()
        if plan := memory.plan(found, free):
            return plan
        raise EngineError("no_room", f"The graphics card has only {free:.1f} GB of memory free.")

    def unload(self) -> None:
        """Give all memory back; the next request loads again."""
        for family in (self._family, self._film):
            if family is not None:
                family.unload()
        self._family = self._film = self._server = None

    def with_room(self, call: Callable[[], Result]) -> Result:
        """`call`, and once more for every rung down where memory runs out."""
        while True:
            try:
                return call()
            except torch.OutOfMemoryError as error:
                lower = memory.lower(self.plan, self.weights)
                if lower is None:
                    raise EngineError(
                        "out_of_memory",
                        "The graphics card has too little memory for this picture. "
                        "Choose a smaller one.",
                    ) from error
                log.warning("out of memory with %s: going on with %s", self.plan, lower)
            self.unload()
            self.plan = lower


def weights_of(name: str) -> Weights:
    found = registry.weights_of(name)
    assert found is not None, f"{name} has no weights of its own"
    return found


def _free_gb() -> float:
    return float(torch.cuda.mem_get_info()[0]) / 1e9
