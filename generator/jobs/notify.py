"""Say that a row changed, and draw the row as every page draws it.

A message carries only what changed, never how it looks now: whoever hears it reads the row.
With Redis the writer sends; without, the pump of the web process (see pump.py) notices.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from channels.layers import get_channel_layer
from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse

from billing import ledger
from generator.jobs.models import Generation, Job, Training
from generator.portraits.models import PortraitModel

if TYPE_CHECKING:
    from accounts.models import User

log = logging.getLogger(__name__)

AnyJob = Training | Generation
NOUNS: dict[str, type[Training] | type[Generation]] = {
    "training": Training,
    "generation": Generation,
}
TIMEOUT_S = 5.0  # a Redis that hangs must not gather messages
RECENT = timedelta(minutes=10)  # finished jobs a page may not have heard of
SNAPSHOT_MAX = 50  # rows of each noun


def group(user_id: int) -> str:
    return f"user.{user_id}"


def message(noun: str, job_id: str) -> dict[str, str]:
    return {"type": "job.changed", "noun": noun, "id": job_id}


# --- saying it ---------------------------------------------------------------
def changed(job: Job) -> None:
    """Tell the owner's open pages to look. Never raises, never waits."""
    if not settings.REDIS_URL:
        return  # the pump sees `updated_at` move
    send = _send(group(job.owner_id), message(job._meta.model_name or "", str(job.pk)))
    asyncio.run_coroutine_threadsafe(send, _loop())


async def _send(to: str, what: dict[str, str]) -> None:
    layer = get_channel_layer()
    try:
        await asyncio.wait_for(layer.group_send(to, what), TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  pages poll as well: this is a delay
        log.warning("a page was not told: %s", error)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop for all threads: the Redis layer keeps connections per loop."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="notify", daemon=True).start()
    return loop


# --- drawing it --------------------------------------------------------------
def fragment(job: AnyJob) -> str:
    """The partial of a job, told to replace itself wherever it stands on the page."""
    noun = job._meta.model_name or ""
    return render_to_string(template(job), {noun: job, "oob": True})


def template(job: AnyJob) -> str:
    """The partial every page includes for this job."""
    if isinstance(job, Training):
        return "generator/_training.html"
    if job.kind == Generation.Kind.FACE:
        return "generator/_face_generation.html"
    return "generator/_generation.html"


def portrait_model_fragment(portrait_model: PortraitModel) -> str:
    context = {"portrait_model": portrait_model, "oob": True}
    return render_to_string("generator/_portrait_model.html", context)


def notice(job: AnyJob) -> str:
    """One sentence in the corner of the page about a job that ended, or nothing."""
    text, kind = _sentence(job)
    if not text:
        return ""
    context = {"kind": kind, "text": text, "notice": _way_on(job), "oob": True}
    return render_to_string("components/_notice.html", context)


def balance_fragment(user: User) -> str:
    context = {"balance": ledger.balance(user), "oob": True}
    return render_to_string("components/_balance.html", context)


def _way_on(job: AnyJob) -> dict[str, str]:
    """The link of a notice about a training: its model is somewhere else in the studio."""
    if not isinstance(job, Training):
        return {}
    if job.state == Job.State.SUCCEEDED:
        address = f"{reverse('workstation')}?model={job.portrait_model_id}"
        return {"href": address, "link": "Create with it"}
    return {"href": reverse("portrait_model", args=[job.portrait_model_id]), "link": "Train again"}


def _sentence(job: AnyJob) -> tuple[str, str]:
    if job.state == Job.State.FAILED and isinstance(job, Training):
        name = job.portrait_model.name
        return f"{name} was not trained. {job.error_message} Your credits were returned.", "bad"
    if job.state == Job.State.FAILED:
        return f"{job.error_message} Your credits were returned.", "bad"
    if job.state == Job.State.SUCCEEDED and isinstance(job, Training):
        return f"{job.portrait_model.name} is ready.", "good"
    return "", ""


def snapshot(user: User) -> list[AnyJob]:
    """What is unfinished or ended lately, so that a page that was away catches up."""
    lately = Q(state__in=["queued", "running"]) | Q(finished_at__gte=Now() - RECENT)
    return [
        *rows_of("training").filter(lately, owner=user)[:SNAPSHOT_MAX],
        *rows_of("generation").filter(lately, owner=user)[:SNAPSHOT_MAX],
    ]


def rows_of(noun: str) -> QuerySet[Any]:
    """The rows of a noun with all that their partial shows."""
    if noun == "training":
        return Training.objects.select_related("owner", "portrait_model__reference")
    rows = Generation.objects.filter(deleted_at__isnull=True)
    return rows.select_related("owner", "portrait_model").prefetch_related("assets")
