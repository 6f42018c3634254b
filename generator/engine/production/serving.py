"""One warm base for many people: adapters swapped in place, several people in one batch.

A batch draws faster and not quite the same: in float32 pixels differ in the last bit, in bfloat16
a third of the 8-bit values by up to 5. A picture that must come out again bit for bit is drawn
alone, which is what an engine does for its own requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.engine.interface import Canceled, EngineError
from generator.engine.production.families import Asked, Family, Tell, Wan
from generator.engine.production.lora_slots import Garment, Wardrobe
from generator.engine.production.person import Person
from generator.engine.production.products import quick, quicken
from generator.engine.production.regions import Layout

RANK = 32  # widest adapter that is worn; slots of this rank are made where one is first needed


@dataclass(frozen=True)
class Request:
    """One picture, and whose adapter draws it."""

    asked: Asked
    person: Person | None = None
    is_canceled: Callable[[], bool] = lambda: False


class Server:
    """A family with its wardrobe. One thread at a time."""

    def __init__(self, family: Family, *, rank: int = RANK) -> None:
        self.family = family
        self._layers = quicken(family.denoiser)
        self.wardrobe = Wardrobe(
            family.denoiser, rank=rank, device=family.device, dtype=family.dtype
        )

    def garment(self, person: Person | None) -> Garment | None:
        """Raises EngineError where an adapter does not fit this base."""
        if person is None or not person.lora:
            return None
        return self.wardrobe.garment(person.sha256, person.lora)

    def alone(self, asked: Asked, person: Person | None, tell: Tell) -> Image.Image:
        """One picture, the same whatever else is asked for."""
        with self.wardrobe.wearing([self.garment(person)]):
            return self.family.draw([asked], tell)[0]

    def filmed(
        self, asked: Asked, person: Person | None, *, frames: int, tell: Tell
    ) -> NDArray[np.uint8]:
        """(frames, H, W, 3), by a family of clips."""
        assert isinstance(self.family, Wan)
        with self.wardrobe.wearing([self.garment(person)]):
            return self.family.film(asked, frames=frames, tell=tell)

    def together(
        self, asked: Asked, people: Sequence[Person], layout: Layout, tell: Tell
    ) -> Image.Image:
        """One picture of several, each worn where `layout` says."""
        with self.wardrobe.wearing_apart([self.garment(person) for person in people], layout):
            return self.family.draw([asked], tell)[0]

    def render(
        self, requests: Sequence[Request], tell: Tell = lambda done, total: None
    ) -> list[Image.Image | None]:
        """All of them, in their order, in as few batches as the plan and their sizes allow.

        None for one that was canceled, or whose adapter does not fit: the others are drawn.
        """
        drawn: list[Image.Image | None] = [None] * len(requests)
        for batch in self._batches(requests):
            rows = [row for row in batch if not requests[row].is_canceled()]
            if not rows:
                continue
            garments = [self.garment(requests[row].person) for row in rows]

            def told(done: int, total: int, rows: list[int] = rows) -> None:
                tell(done, total)
                if all(requests[row].is_canceled() for row in rows):
                    raise Canceled

            hurry = quick(self._layers if len(rows) > 1 else [])
            try:
                with hurry, self.wardrobe.wearing(garments):
                    found = self.family.draw([requests[row].asked for row in rows], told)
            except Canceled:
                if not all(requests[row].is_canceled() for row in rows):
                    raise
                continue
            for row, picture in zip(rows, found, strict=True):
                drawn[row] = None if requests[row].is_canceled() else picture
        return drawn

    def _batches(self, requests: Sequence[Request]) -> Iterator[list[int]]:
        """Numbers of requests that go together, at most as many as the plan has room for."""
        left = [row for row, request in enumerate(requests) if self._fits(request)]
        most = self.family.plan.batch if self.family.batches else 1
        while left:
            first = requests[left[0]].asked
            batch = [row for row in left if first.goes_with(requests[row].asked)][:most]
            left = [row for row in left if row not in batch]
            yield batch

    def _fits(self, request: Request) -> bool:
        try:
            self.garment(request.person)
        except EngineError:
            return False
        return True
