"""Styles to pick from, and complete sets: several generations in one click at one price."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from accounts.access import person, sign_in_required
from billing import ledger
from billing.refusals import Refusal
from generator.jobs import services as jobs
from generator.jobs.models import Generation
from generator.jobs.requests import price
from generator.portraits.models import PortraitModel
from generator.styles import catalogue
from generator.workstation import composer
from generator.workstation.forms import as_uuid
from generator.workstation.views import answer_made, refused


@require_GET
@sign_in_required
def styles(request: HttpRequest) -> HttpResponse:
    """The catalogue of one gender, and its sets for the model that is picked."""
    gender = request.GET.get("gender", "")
    gender = gender if gender in catalogue.GENDERS else catalogue.GENDERS[0]
    shown = {
        "genders": catalogue.GENDERS,
        "gender": gender,
        "styles": catalogue.of(gender),
        "model": _model(request, request.GET.get("model", "")),
        "sets": [
            {"set": one, "styles": one.of(gender), "price": len(one.styles) * price("image")}
            for one in catalogue.sets().values()
        ],
    }
    template = "_styles" if request.headers.get("HX-Request") else "styles"
    return render(request, f"generator/{template}.html", shown)


@require_POST
@sign_in_required
def set_create(request: HttpRequest, name: str) -> HttpResponse:
    """Every picture of a set, or none of them: one transaction, each with its own charge."""
    found, gender = catalogue.sets().get(name), request.POST.get("gender", "")
    if found is None or gender not in catalogue.GENDERS:
        raise Http404
    model = _model(request, request.POST.get("model", ""))
    id = as_uuid(request.POST.get("id", "")) or uuid.uuid4()
    try:
        made = _submit(request, found, gender, model, id)
    except Refusal as refusal:
        return refused(request, refusal)
    return trigger_client_event(answer_made(request, made), "close-dialog")


def _submit(
    request: HttpRequest,
    wanted: catalogue.StyleSet,
    gender: str,
    model: PortraitModel | None,
    id: uuid.UUID,
) -> list[Generation]:
    if model is None:
        raise Refusal("no_model", "Please choose a portrait model first.")
    user = person(request)
    with transaction.atomic():
        subscription = ledger.locked(user)
        known = list(Generation.objects.filter(set_id=id, owner=user).order_by("created_at"))
        if known:  # sent twice
            return known
        return [
            jobs.submit_locked(
                subscription,
                id=uuid.uuid5(id, style.id),
                kind=Generation.Kind.IMAGE,
                prompt="",
                picked=[model],
                style=style.id,
                set_id=id,
                set_name=wanted.title,
            )
            for style in wanted.of(gender)
        ]


def _model(request: HttpRequest, sent: str) -> PortraitModel | None:
    """The one that was picked, else the one picked last, else any that is ready."""
    usable = PortraitModel.objects.usable_by(person(request)).exclude(weights="")
    for wanted in (as_uuid(sent), as_uuid(request.session.get(composer.LAST_MODEL, ""))):
        found = usable.filter(id=wanted).first() if wanted else None
        if found:
            return found
    return usable.filter(owner=person(request)).first()
