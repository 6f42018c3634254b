"""What a person made, newest first, a screenful at a time."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.db.models import Prefetch, Q, QuerySet
from django.utils.dateparse import parse_datetime

from generator.assets.models import Asset
from generator.jobs import turns
from generator.jobs.models import Appearance, Generation

if TYPE_CHECKING:
    from accounts.models import User
    from generator.library.shelves import Tile
    from generator.webhooks.models import Delivery

Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")

PAGE = 8  # generations; about four screens of a phone
UNFINISHED = ("queued", "running")


@dataclass(frozen=True)
class Page:
    generations: list[Generation]
    before: str  # the cursor of the next page, blank on the last one


def engine() -> str:
    """The engine that pictures are asked of."""
    return str(settings.ENGINE_IMAGE)


def rows(user: User) -> QuerySet[Generation]:
    """A person's generations with all that a fragment shows, in three queries for any number."""
    own = Generation.objects.filter(owner=user, deleted_at__isnull=True)
    return own.select_related("portrait_model").prefetch_related(
        Prefetch("assets", Asset.objects.filter(deleted_at__isnull=True)),
        Prefetch("appearances", Appearance.objects.select_related("portrait_model")),
    )


def page(user: User, *, before: str = "", kind: str = "") -> Page:
    """The generations older than the cursor `before`; a broken cursor is the first page.

    Of one `kind`, or of all that the workstation makes.
    """
    made = rows(user)
    wanted = made.filter(kind=kind) if kind else made.exclude(kind=Generation.Kind.FACE)
    found = list(older(wanted, before).order_by("-created_at", "-id")[: PAGE + 1])
    more = len(found) > PAGE
    _place_in_line(found)
    return Page(found[:PAGE], cursor_of(found[PAGE - 1]) if more else "")


def _place_in_line(generations: list[Generation]) -> None:
    """Sets `jobs_ahead`, which a single fragment would count by itself."""
    places: dict[uuid.UUID, int] = {}
    if any(generation.state == "queued" for generation in generations):
        waiting = turns.in_turn(Generation.objects.filter(state__in=UNFINISHED))
        places = {pk: place for place, pk in enumerate(waiting.values_list("pk", flat=True))}
    for generation in generations:
        generation.jobs_ahead = places.get(generation.pk, 0)  # type: ignore[attr-defined]


def cursor_of(row: Generation | Asset | Delivery | Tile) -> str:
    return f"{row.created_at.isoformat()}_{row.id}"


def older(rows: Rows, before: str, *, by: str = "created_at") -> Rows:
    """Those after the one that the cursor `before` names, newest first; without one, all.

    The first condition says nothing new, but an index can be entered by it and not by the second.
    """
    cursor = read_cursor(before)
    if not cursor:
        return rows
    moment, last_id = cursor
    earlier = Q(**{f"{by}__lt": moment}) | Q(id__lt=last_id)
    return rows.filter(earlier, **{f"{by}__lte": moment})


def read_cursor(cursor: str) -> tuple[datetime, uuid.UUID] | None:
    moment, _, last_id = cursor.rpartition("_")
    try:
        parsed = parse_datetime(moment)
        return (parsed.astimezone(UTC), uuid.UUID(last_id)) if parsed else None
    except (ValueError, OverflowError):  # the year 1 in the east is no moment in UTC
        return None
