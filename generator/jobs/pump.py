"""Turns row changes into socket messages, in the web process of a studio without Redis.

Workers write rows from another process; the in-memory channel layer lives in this one. So a
cursor over `updated_at` moves along the rows for as long as a socket is open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField
from django.db.models.functions import Now

from accounts.models import User
from generator.jobs import notify

log = logging.getLogger(__name__)

EVERY_S = 0.25  # as often as a worker reports progress
# A row becomes visible when its transaction commits, a little after its `updated_at`.
OVERLAP = timedelta(seconds=2)
ROWS_MAX = 500  # of each noun in one look

Seen = dict[Hashable, datetime]
Change = tuple[str, str, int]  # noun, job id, owner id


class Pump:
    """One per event loop; runs while somebody listens."""

    def __init__(self) -> None:
        self.listeners = 0
        self.cursor: datetime | None = None
        self.seen: Seen = {}
        self.task: asyncio.Task[None] | None = None

    def join(self) -> None:
        self.listeners += 1
        if self.task is None or self.task.done():
            self.cursor = None
            self.task = asyncio.create_task(self._run())

    def leave(self) -> None:
        self.listeners -= 1
        if self.listeners <= 0 and self.task:
            self.task.cancel()

    async def _run(self) -> None:
        while self.listeners > 0:
            try:
                for noun, job_id, owner_id in await database_sync_to_async(self.look)():
                    layer = get_channel_layer()
                    await layer.group_send(notify.group(owner_id), notify.message(noun, job_id))
            except Exception:
                log.exception("a look at the jobs failed; the next one is in a moment")
            await asyncio.sleep(EVERY_S)

    def look(self) -> list[Change]:
        """Rows that changed since the last look, each change once."""
        if self.cursor is None:
            self.cursor = database_now()
        since = self.cursor - OVERLAP
        changes = [change for noun in notify.NOUNS for change in self._changes(noun, since)]
        self.seen = {mark: at for mark, at in self.seen.items() if at >= since}
        return changes

    def _changes(self, noun: str, since: datetime) -> list[Change]:
        rows = (
            notify.NOUNS[noun]
            ._default_manager.filter(updated_at__gte=since)
            .order_by("updated_at")
            .values_list("pk", "owner_id", "updated_at", "state", "done", "phase", "attempt")
        )
        changes = []
        for row in rows[:ROWS_MAX]:
            # SQLite counts milliseconds: two changes within one differ in what they changed.
            if row not in self.seen:
                self.seen[row] = row[2]
                changes.append((noun, str(row[0]), row[1]))
            self.cursor = max(self.cursor or row[2], row[2])
        return changes


_pumps: WeakKeyDictionary[asyncio.AbstractEventLoop, Pump] = WeakKeyDictionary()


def pump() -> Pump:
    return _pumps.setdefault(asyncio.get_running_loop(), Pump())


def is_needed() -> bool:
    return not settings.REDIS_URL


def database_now() -> datetime:
    """The database's clock, which is the one rows are stamped with."""
    one = User.objects.annotate(now=Now(output_field=DateTimeField())).values_list("now")
    row = one.first()
    if row:
        return row[0]
    raise RuntimeError(f"nobody has signed up with {connection.alias}, so nobody listens")
