"""What is in the library: filters from the address, a page at a time, by keyset.

A page asks for its rows by the moment and the id of the last one shown, so the ten thousandth
picture costs what the first one does.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date

from generator.assets.models import MADE, Asset, AssetQuerySet
from generator.portraits.models import PortraitModel
from generator.workstation.history import cursor_of, older

if TYPE_CHECKING:
    from accounts.models import User

PAGE = 30  # pictures; more than a screen of a desk, two or three of a phone
WORDS_MAX = 200


@dataclass(frozen=True)
class Filters:
    """What is looked for. Broken values look for everything."""

    model: uuid.UUID | None = None
    kind: str = ""
    folder: uuid.UUID | None = None
    is_favourite: bool = False
    likeness: int = 0  # at least
    words: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def read(cls, sent: QueryDict) -> Filters:
        likeness = sent.get("likeness", "")
        kind = sent.get("kind", "")
        return cls(
            model=_as_uuid(sent.get("model", "")),
            kind=kind if kind in MADE else "",
            folder=_as_uuid(sent.get("folder", "")),
            is_favourite=sent.get("favourite") == "1",
            likeness=min(100, int(likeness)) if likeness.isascii() and likeness.isdigit() else 0,
            words=sent.get("q", "").replace("\x00", "").strip()[:WORDS_MAX],
            since=_as_date(sent.get("since", "")),
            until=_as_date(sent.get("until", "")),
        )

    @property
    def query(self) -> str:
        """The same filters as an address carries them."""
        values = {
            "model": self.model, "kind": self.kind, "folder": self.folder,
            "favourite": "1" if self.is_favourite else "", "likeness": self.likeness or "",
            "q": self.words, "since": self.since, "until": self.until,
        }  # fmt: skip
        return urlencode({name: value for name, value in values.items() if value})

    def apply(self, pictures: AssetQuerySet) -> AssetQuerySet:
        if self.model:
            pictures = pictures.filter(generation__appearances__portrait_model=self.model)
        if self.kind:
            pictures = pictures.filter(kind=self.kind)
        if self.folder:
            pictures = pictures.filter(folder=self.folder)
        if self.is_favourite:
            pictures = pictures.filter(is_favourite=True)
        if self.likeness:
            pictures = pictures.filter(likeness__gte=self.likeness)
        if self.words:
            said = Q(generation__prompt__icontains=self.words)
            pictures = pictures.filter(said | Q(generation__style__icontains=self.words))
        if self.since:
            pictures = pictures.filter(created_at__gte=_midnight(self.since))
        if self.until:
            pictures = pictures.filter(created_at__lt=_midnight(self.until + timedelta(days=1)))
        return pictures


class Tile(NamedTuple):
    """What a small picture shows: a row of COLUMNS. A whole Asset takes five times as long."""

    id: uuid.UUID
    created_at: datetime
    kind: str
    likeness: int | None
    color: str
    is_favourite: bool
    prompt: str | None


COLUMNS = (
    "id", "created_at", "kind", "likeness", "color", "is_favourite", "generation__prompt",
)  # fmt: skip


@dataclass(frozen=True)
class Shelf:
    tiles: list[Tile]
    before: str  # the cursor of the next page, blank on the last one


def shelf(
    user: User, filters: Filters, *, before: str = "", among: AssetQuerySet | None = None
) -> Shelf:
    """One page of what this person made (`among` some), newest first. One query."""
    everything = Asset.objects.all() if among is None else among
    own: AssetQuerySet = everything.made().filter(owner=user)
    found = older(filters.apply(own), before)
    rows = found.order_by("-created_at", "-id").values_list(*COLUMNS)
    tiles = [Tile(*row) for row in rows[: PAGE + 1]]
    more = len(tiles) > PAGE
    return Shelf(tiles[:PAGE], cursor_of(tiles[PAGE - 1]) if more else "")


def models_of(user: User, filters: Filters) -> list[tuple[uuid.UUID, str]]:
    """Id and name of whom a person can look for: their own models, and whom they look for now.

    All whom they ever used would be read from every picture they ever made.
    """
    own = PortraitModel.objects.filter(owner=user).order_by("name", "id")
    found = list(own.values_list("id", "name"))
    if filters.model and filters.model not in dict(found):
        used = PortraitModel.objects.filter(appearances__generation__owner=user)
        found += used.filter(id=filters.model).values_list("id", "name")[:1]
    return found


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _as_date(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, datetime.min.time()))
