"""One job as a fragment, and the buttons on it. Unknown and foreign ids give the same 404."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.access import sign_in_required
from generator.jobs import notify, services
from generator.jobs.models import Generation, Training

# Polled more often than anything else: no join and no prefetch that an unfinished job does without.
ROWS: dict[str, QuerySet[Any]] = {
    "training": Training.objects.all(),
    "generation": Generation.objects.filter(deleted_at__isnull=True).select_related(
        "portrait_model"
    ),
}


def _job(request: HttpRequest, noun: str, id: uuid.UUID) -> Any:
    """The person's own job with all that its partial always shows."""
    return get_object_or_404(ROWS[noun], id=id, owner=request.user)


def _fragment(request: HttpRequest, noun: str, id: uuid.UUID) -> HttpResponse:
    job = _job(request, noun, id)
    return render(request, notify.template(job), {noun: job})


@require_safe
@sign_in_required
def fragment(request: HttpRequest, noun: str, id: uuid.UUID) -> HttpResponseBase:
    return _fragment(request, noun, id)


@require_POST
@sign_in_required
def cancel(request: HttpRequest, noun: str, id: uuid.UUID) -> HttpResponseBase:
    services.cancel(_job(request, noun, id))
    if noun == "training" and not request.headers.get("HX-Request"):
        return redirect("portrait_models")  # from the menu of a card, without JavaScript
    return _fragment(request, noun, id)


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
