"""The views that a portrait model was learnt from: its owner looks at them and rejects some."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.access import ask_to_sign_in, sign_in_required
from billing import resume
from billing.refusals import Refusal
from generator import upgrade
from generator.assets import links
from generator.assets.views import closed
from generator.engine.production.card import View
from generator.jobs.models import Training
from generator.portraits import sheets, surplus
from generator.portraits.models import PortraitModel
from generator.portraits.views import own_model, sent_id
from generator.templatetags.studio_tags import latest_training


@require_http_methods(["GET", "POST"])
@sign_in_required
def portrait_model_views(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """The sheet; posted, other views for those that were chosen. Not there without views."""
    found = own_model(request, id)
    views = sheets.views(found)
    if not views:
        raise Http404
    if request.method == "GET":
        resumed = resume.take(request, request.path)
        chosen = resumed.values.getlist("view") if resumed else []
        return _page(request, found, views, chosen, is_sent=bool(resumed and resumed.is_sent))
    chosen = request.POST.getlist("view")
    try:
        training = sheets.reject_views(found, chosen, training_id=sent_id(request))
    except Refusal as refusal:
        if upgrade.concerns(refusal) and request.headers.get("HX-Request"):
            return upgrade.dialog(request, refusal, path=request.path)
        return _page(request, found, views, chosen, refusal=refusal)
    return _asked(request, found, training)


@require_safe
def portrait_model_view(request: HttpRequest, id: uuid.UUID, name: str) -> HttpResponseBase:
    """One view as the engine encoded it: a JPEG of some tens of kilobytes.

    Unknown and foreign ones give the same 404. `?signature=` opens what a program handed on.
    """
    if links.opens(f"{id}/{name}", request.GET.get("signature", "")):
        found = get_object_or_404(PortraitModel, id=id)
    elif request.user.is_authenticated:
        found = own_model(request, id)
    else:
        return ask_to_sign_in(request)
    view = sheets.view(found, name)
    if view is None:
        raise Http404
    stored = f"{view.name}.jpg"
    if request.headers.get("If-None-Match") == f'"{stored}"':
        return closed(HttpResponseNotModified(), stored)
    return closed(HttpResponse(view.jpeg, content_type="image/jpeg"), stored)


def signed(portrait_model: PortraitModel, view: View) -> str:
    """The whole address of a view, which opens without signing in for as long as an asset's."""
    path = reverse("portrait_model_view", args=[portrait_model.pk, view.name])
    signature = links.signature(f"{portrait_model.pk}/{view.name}")
    return f"{settings.SITE_URL}{path}?signature={signature}"


def _page(
    request: HttpRequest,
    found: PortraitModel,
    views: Sequence[View],
    chosen: Sequence[str],
    *,
    refusal: Refusal | None = None,
    is_sent: bool = False,
) -> HttpResponse:
    """For HTMX what stands below the title alone. What was chosen survives every refusal."""
    training: Training | None = latest_training(found)
    is_read_only, are_made_here = surplus.is_surplus(found), sheets.are_made_here()
    is_idle = training is None or training.is_finished
    shown = {
        "portrait_model": found,
        "training": training,
        "views": [(view, *sheets.asked(view), view.name in chosen) for view in views],
        "is_measured": any(view.likeness is not None for view in views),
        "further": found.further_references.all(),
        "is_read_only": is_read_only,
        "are_made_here": are_made_here,
        "can_choose": is_idle and are_made_here and not is_read_only,
        "refusal": refusal,
        "has_offers": bool(refusal and upgrade.concerns(refusal)),
        "is_sent": is_sent,
    }
    template = "_model_sheet.html" if request.headers.get("HX-Request") else "model_sheet.html"
    status = refusal.status if refusal else 200
    return render(request, f"generator/{template}", shown, status=status)


def _asked(request: HttpRequest, found: PortraitModel, training: Training) -> HttpResponse:
    """To the model's page, which shows how far it is."""
    if training.is_finished:  # a form from before, sent once more
        messages.info(request, "These views were rejected before. Look at those there are now.")
    else:
        messages.success(
            request, f"Other views are being made. {found.name} stays in use as it is meanwhile."
        )
    if request.headers.get("HX-Request"):
        return HttpResponseClientRedirect(reverse("portrait_model", args=[found.pk]))
    return redirect("portrait_model", id=found.pk)
