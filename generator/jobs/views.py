"""One job as a fragment, and the buttons on it. Unknown and foreign ids give the same 404."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from accounts.access import sign_in_required
from generator.jobs import notify, services
from generator.jobs.models import Generation, Training

# Polled more often than anything else: nothing is read that an unfinished job does without.
SHOWN = (
    "owner", "kind", "state", "cancel_requested", "phase", "done", "total", "preview",
    "preview_lengths", "charged", "uncharged", "error_message", "created_at", "started_at",
    "prompt", "count", "aspect_ratio", "likeness_floor", "set_name", "portrait_model__name",
)  # fmt: skip
_LIVE = Generation.objects.filter(deleted_at__isnull=True)
ROWS: dict[str, QuerySet[Any]] = {
    "training": Training.objects.all(),
    "generation": _LIVE.select_related("portrait_model").only(*SHOWN),
}


def _job(request: HttpRequest, noun: str, id: uuid.UUID) -> Any:
    """The person's own job with all that its partial always shows."""
    return get_object_or_404(ROWS[noun], id=id, owner=request.user.pk)


def _fragment(request: HttpRequest, noun: str, id: uuid.UUID) -> HttpResponse:
    """As the socket sends it: nothing of the request is in it."""
    job = _job(request, noun, id)
    if noun == "generation" and job.is_finished:
        prefetch_related_objects([job], "assets")
    return HttpResponse(render_to_string(notify.template(job), {noun: job}))


@require_safe
@sign_in_required
def fragment(request: HttpRequest, noun: str, id: uuid.UUID) -> HttpResponseBase:
    return _fragment(request, noun, id)


@require_POST
@sign_in_required
def cancel(request: HttpRequest, noun: str, id: uuid.UUID) -> HttpResponseBase:
    job = _job(request, noun, id)
    services.cancel(job)
    if request.headers.get("HX-Request"):
        return _fragment(request, noun, id)
    if noun == "training":  # from the menu of a card
        return redirect("portrait_models")
    return redirect("influencer" if job.kind == Generation.Kind.FACE else "workstation")


@require_safe
@sign_in_required
def preview(request: HttpRequest, noun: str, id: uuid.UUID) -> HttpResponseBase:
    """The latest look at what is being made: a JPEG of at most 128 px a side.

    Nothing (204) when there is none, or none any more: a page that still asks for the
    look of a job that ended a moment ago did nothing wrong.
    """
    job = _job(request, noun, id)
    look = _look(job, request.GET.get("place", "0"))
    if not look:
        return HttpResponse(status=204)
    response = HttpResponse(look, content_type="image/jpeg")
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _look(job: Training | Generation, place: str) -> bytes:
    """The preview of one picture of the job; a training has one only."""
    kept = bytes(job.preview or b"")
    lengths: list[int] = getattr(job, "preview_lengths", [])
    number = int(place) if place.isascii() and place.isdigit() and len(place) < 3 else 0
    if not lengths:
        return kept
    if number >= len(lengths):
        return b""
    start = sum(lengths[:number])
    return kept[start : start + lengths[number]]
