"""What people show each other: public pictures and models, and a way to say that one is wrong."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import trigger_client_event

from accounts.access import person, sign_in_required
from accounts.limits import limited
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.explore.models import WORDS_MAX, Report
from generator.jobs.services import clean_text
from generator.portraits.models import PortraitModel
from generator.workstation.history import older

PAGE = 30


@dataclass(frozen=True)
class Wall:
    pictures: list[Asset]
    before: str


@require_GET
def explore(request: HttpRequest) -> HttpResponse:
    """Public pictures, newest first, and above the first of them public models."""
    before = request.GET.get("before", "")
    shown: dict[str, object] = {"wall": _wall(before)}
    if request.headers.get("HX-Request") and before:
        return render(request, "generator/_wall.html", shown)
    models = PortraitModel.objects.filter(is_public=True).exclude(weights="")
    shown["models"] = models.select_related("reference").order_by("-created_at")[:PAGE]
    return render(request, "generator/explore.html", shown)


def _wall(before: str) -> Wall:
    shown = Asset.objects.live().filter(published_at__isnull=False, is_public=True)
    rows = (
        older(shown, before, by="published_at")
        .select_related("generation__portrait_model")
        .order_by("-published_at", "-id")
    )
    found = list(rows[: PAGE + 1])
    more = found[PAGE - 1] if len(found) > PAGE else None
    cursor_on = f"{more.published_at.isoformat()}_{more.id}" if more and more.published_at else ""
    return Wall(found[:PAGE], cursor_on)


@require_http_methods(["GET", "POST"])
@sign_in_required
@limited("report", "20/h")
def report_picture(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    public = Asset.objects.live().filter(is_public=True)
    return _report(request, asset=get_object_or_404(public, id=id))


@require_http_methods(["GET", "POST"])
@sign_in_required
@limited("report", "20/h")
def report_model(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    public = PortraitModel.objects.filter(is_public=True)
    return _report(request, portrait_model=get_object_or_404(public, id=id))


def _report(request: HttpRequest, **about: Asset | PortraitModel) -> HttpResponse:
    is_htmx = request.headers.get("HX-Request")
    if request.method == "GET":
        template = "_report" if is_htmx else "report"
        shown = {"reasons": Report.Reason.choices, "words_max": WORDS_MAX}
        return render(request, f"generator/{template}.html", shown)
    reason = request.POST.get("reason", "")
    if reason not in Report.Reason.values:
        raise Refusal("bad_reason", "Please say what is wrong.")
    words = clean_text(request.POST.get("words", ""), "text")[:WORDS_MAX]
    Report.objects.create(reporter=person(request), reason=reason, words=words, **about)
    if not is_htmx:
        messages.success(request, "Thank you. Somebody will look at it.")
        return redirect("explore")
    response = render(request, "generator/_reported.html")
    return trigger_client_event(response, "close-dialog")
