"""Trainings and generations: how far they are, as an answer or as a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from ninja.responses import NinjaJSONEncoder

from generator.api import asking, shown
from generator.api.auth import owner
from generator.api.base import with_headers
from generator.api.own import GENERATE, READ, Page, answers, page_of
from generator.api.shown import Job, JobOut
from generator.jobs import services
from generator.jobs.models import Generation, Training
from generator.library import services as library
from generator.workstation import history

router = Router(tags=["jobs"])
_JOB = (
    "owner", "state", "phase", "done", "total", "charged", "error_code", "error_message", "seed",
    "created_at", "started_at", "finished_at",
)  # fmt: skip
_LIVE = Generation.objects.filter(deleted_at__isnull=True).order_by()
_GENERATIONS = _LIVE.only(*_JOB, "kind", "prompt", "count")
_TRAININGS = Training.objects.order_by().only(*_JOB, "portrait_model")
LOOK_S, QUIET_S, STREAM_S = 0.7, 15.0, 15 * 60  # how often a stream looks, speaks, and how long
EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["progress", "end"]},
        "data": {"type": "string", "description": "The job as JSON."},
    },
}


class JobPage(Page):
    items: list[JobOut]


@router.get("/jobs", auth=READ, response=answers(JobPage, 422), summary="Generations, newest first")
def job_list(
    request: HttpRequest,
    state: str = "",
    before: str = "",
) -> Any:
    found = history.rows(owner(request))
    if state:
        found = found.filter(state=state[:9])
    rows = list(history.older(found, before).order_by("-created_at", "-id")[: history.PAGE + 1])
    more = history.cursor_of(rows[history.PAGE - 1]) if len(rows) > history.PAGE else ""
    return page_of([shown.job(row) for row in rows[: history.PAGE]], more)


@router.get("/jobs/{id}", auth=READ, response=answers(JobOut, 404, 422), summary="One of them")
def job_detail(request: HttpRequest, id: UUID) -> Any:
    return shown.job(_own(request, id))


@router.get(
    "/jobs/{id}/events",
    auth=READ,
    response=answers(None, 404, 422),
    openapi_extra={
        "responses": {
            200: {
                "description": "Server-sent events `progress` and, at the end, `end`",
                "content": {"text/event-stream": {"schema": EVENT}},
            }
        }
    },
    summary="Its progress as a stream",
)
def job_events(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """Every event's data is the job as `GET /jobs/{id}` shows it."""
    _own(request, id)
    answer = StreamingHttpResponse(_events(request, id), content_type="text/event-stream")
    answer["X-Accel-Buffering"] = "no"
    return with_headers(request, answer)


async def _events(request: HttpRequest, id: UUID) -> AsyncIterator[str]:
    told, silent_s, looks = "", 0.0, round(STREAM_S / LOOK_S)
    for _ in range(looks):
        found = await sync_to_async(_shown)(request, id)
        if found is None:  # deleted
            return
        data = json.dumps(found, cls=NinjaJSONEncoder)
        is_over = found["state"] in ("succeeded", "failed", "canceled")
        if data != told:
            told, silent_s = data, 0.0
            yield f"event: {'end' if is_over else 'progress'}\ndata: {data}\n\n"
        elif silent_s >= QUIET_S:
            silent_s = 0.0
            yield ": still there\n\n"
        if is_over:
            return
        await asyncio.sleep(LOOK_S)
        silent_s += LOOK_S


def _shown(request: HttpRequest, id: UUID) -> dict[str, Any] | None:
    """With addresses that do not change: a stream tells what is new."""
    try:
        row = _own(request, id)
    except Http404:
        return None
    return shown.job(row)


@router.post(
    "/jobs/{id}/cancel",
    auth=GENERATE,
    response=answers(JobOut, 404, 422),
    summary="Stop it; its credits come back",
)
def job_cancel(request: HttpRequest, id: UUID) -> Any:
    services.cancel(_own(request, id))
    return shown.job(_own(request, id))


@router.post(
    "/jobs/{id}/recreate",
    auth=GENERATE,
    response=answers(JobOut, 402, 404, 409, 422, status=202),
    summary="The same request with the same seed",
)
def job_recreate(request: HttpRequest, id: UUID) -> Any:
    source, made = _generation(request, id), asking.new_id(request)
    trial = asking.is_trial(request)
    return Status(
        202,
        asking.perform(
            request,
            lambda: services.recreate(source, id=made),
            lambda row: shown.job(row, is_trial=trial),
        ),
    )


@router.delete(
    "/jobs/{id}",
    auth=GENERATE,
    response=answers(None, 404, 422, status=204),
    summary="Delete a generation with its pictures",
)
def job_delete(request: HttpRequest, id: UUID) -> Any:
    library.delete_generation(_generation(request, id))
    return Status(204, None)


def _own(request: HttpRequest, id: UUID) -> Job:
    """Asked for again and again: with what an answer shows, and no more."""
    mine = {"owner": owner(request), "id": id}
    try:
        return _GENERATIONS.get(**mine)
    except Generation.DoesNotExist:
        return get_object_or_404(_TRAININGS, **mine)


def _generation(request: HttpRequest, id: UUID) -> Generation:
    return get_object_or_404(_LIVE, owner=owner(request), id=id)
