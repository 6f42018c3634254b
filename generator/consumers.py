"""The socket is a window: it shows rows as they are now and holds nothing of its own.

Frames to the browser are HTML fragments that replace themselves by id (hx-swap-oob). Frames from
the browser mean nothing; they are counted, so that nobody can flood the process with them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.urls import path
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import User
from accounts.presence import seen
from generator.jobs import notify, pump
from generator.jobs.models import Training

log = logging.getLogger(__name__)

SIGNED_OUT = 4401  # htmx does not reconnect on this one
TOO_BIG, TOO_FAST = 1009, 1008  # RFC 6455, 7.4.1
TOO_MANY = 4429  # nor on this one; the page polls
SOCKETS_MAX = 20  # of one person in one process: more windows than anybody looks at
FRAME_MAX = 1024  # bytes
FRAMES_PER_SECOND = 20
RECHECK_S = 30.0  # how long a socket may outlive its session
EVERY_S = 0.25  # changes are gathered, so one frame carries all of a moment's changes

open_sockets: Counter[int] = Counter()  # by user id
left_at: dict[int, datetime] = {}  # by user id: when the last window closed, to catch up from
# Between two pages the old socket may be closed after the new one was opened: what ended this
# recently is told unless it was told before, and by more than a moment: a page may be gone by then.
RECENT = timedelta(seconds=30)
MOMENT_S = 2.0
told_at: dict[int, dict[str, float]] = {}  # by user id: jobs told of lately, by time.monotonic()


class StudioConsumer(AsyncWebsocketConsumer):
    """A signed-in person's jobs, from the moment the page connects."""

    user: User | None = None

    async def connect(self) -> None:
        await self.accept()  # a refusal before it would reach the browser as "try again"
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.close(code=SIGNED_OUT)
            return
        if open_sockets[user.pk] >= SOCKETS_MAX:
            await self.close(code=TOO_MANY)
            return
        self.user = user
        open_sockets[user.pk] += 1
        self.waiting: dict[tuple[str, str], None] = {}  # an ordered set: bounded by the jobs
        self.something = asyncio.Event()
        self.is_over: dict[str, bool] = {}  # of every job shown so far
        self.tasks: list[asyncio.Task[None]] = []
        self.second, self.frames = 0, 0
        await self.channel_layer.group_add(notify.group(user.pk), self.channel_name)
        if pump.is_needed():
            pump.pump().join()
        await self.send(text_data=await database_sync_to_async(self.draw_snapshot)())
        self.tasks = [asyncio.create_task(self.show()), asyncio.create_task(self.recheck())]

    async def disconnect(self, code: int) -> None:
        if self.user is None:
            return
        open_sockets[self.user.pk] -= 1
        left_at[self.user.pk] = timezone.now()
        await database_sync_to_async(seen)(self.user.pk)
        for task in self.tasks:
            task.cancel()
        if pump.is_needed():
            pump.pump().leave()
        await self.channel_layer.group_discard(notify.group(self.user.pk), self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if len(bytes_data or (text_data or "").encode()) > FRAME_MAX:
            await self.close(code=TOO_BIG)
            return
        now = int(time.monotonic())
        self.second, self.frames = now, self.frames + 1 if now == self.second else 1
        if self.frames > FRAMES_PER_SECOND:
            await self.close(code=TOO_FAST)

    async def job_changed(self, event: dict[str, str]) -> None:
        self.waiting[event["noun"], event["id"]] = None
        self.something.set()

    async def show(self) -> None:
        """Send what changed. A slow reader waits in `send`; what waits for it stays bounded."""
        while True:
            await self.something.wait()
            self.something.clear()
            changed, self.waiting = list(self.waiting), {}
            try:
                html = await database_sync_to_async(self.draw)(changed)
                if html:
                    await self.send(text_data=html)
            except Exception:
                log.exception("a change was not shown; the page asks again by itself")
            await asyncio.sleep(EVERY_S)

    async def recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            if not await database_sync_to_async(self.is_signed_in)():
                await self.close(code=SIGNED_OUT)
                return

    # --- in a thread, with the database ---------------------------------------
    def draw_snapshot(self) -> str:
        assert self.user is not None
        seen(self.user.pk)
        jobs = notify.snapshot(self.user)
        self.is_over = {str(job.pk): job.is_finished for job in jobs}
        models = {job.portrait_model for job in jobs if isinstance(job, Training)}
        parts = [notify.fragment(job) for job in jobs]
        since = left_at.pop(self.user.pk, None)
        missed = [job for job in jobs if self.missed(job, since)]
        self.tell(missed, ago_s=MOMENT_S)  # this page is the one that is here now
        return "\n".join(
            [*parts, *map(notify.portrait_model_fragment, models), *map(notify.notice, missed)]
        )

    def missed(self, job: Any, since: datetime | None) -> bool:
        """Whether the job ended while no page of the person could say so."""
        assert self.user is not None
        if not job.finished_at:
            return False
        told = told_at.get(self.user.pk, {}).get(str(job.pk))
        if told is not None:
            return time.monotonic() - told < MOMENT_S
        recently = timezone.now() - RECENT
        return bool(job.finished_at >= min(since or recently, recently))

    def tell(self, jobs: list[Any], ago_s: float = 0.0) -> None:
        """Remember that these were told of, for as long as `missed` asks."""
        assert self.user is not None
        now = time.monotonic()
        kept = {id: at for id, at in told_at.get(self.user.pk, {}).items() if now - at < 60}
        told_at[self.user.pk] = kept | {str(job.pk): now - ago_s for job in jobs}

    def draw(self, changed: list[tuple[str, str]]) -> str:
        assert self.user is not None
        parts: list[str] = []
        for noun, job_id in changed:
            # The owner is asked of the row, not of the message.
            job = notify.rows_of(noun).filter(pk=job_id, owner=self.user).first()
            if job is not None:
                parts += [notify.fragment(job), *self._consequences(job)]
        return "\n".join(parts)

    def _consequences(self, job: Any) -> list[str]:
        """What else a page shows once a job has ended; the sentence about it comes once."""
        was_over = self.is_over.get(str(job.pk), False)
        self.is_over[str(job.pk)] = job.is_finished
        if not job.is_finished:
            return []
        has_model = isinstance(job, Training)
        more = [notify.portrait_model_fragment(job.portrait_model)] if has_model else []
        if was_over:
            return more
        self.tell([job])
        return [*more, notify.notice(job), notify.balance_fragment(job.owner)]

    def is_signed_in(self) -> bool:
        """Whether the session this socket was opened with still belongs to this person."""
        old = self.scope.get("session")
        if old is None or not old.session_key or self.user is None:
            return False
        request = HttpRequest()
        request.session = import_string(f"{settings.SESSION_ENGINE}.SessionStore")(old.session_key)
        is_here = get_user(request).pk == self.user.pk
        if is_here:
            seen(self.user.pk)
        return is_here


websocket_urlpatterns = [path("ws/studio/", StudioConsumer.as_asgi())]
