"""The workstation: pick a portrait model, say what to draw, watch it appear."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import reswap, retarget, trigger_client_event

from accounts.access import person, sign_in_required
from billing import ledger, resume
from billing.plans import cost, plan_of
from billing.refusals import Refusal
from generator import upgrade
from generator.jobs import services as jobs
from generator.jobs.models import Generation
from generator.portraits import surplus
from generator.portraits.models import PortraitModel
from generator.portraits.views import with_training
from generator.templatetags.studio_tags import pictures
from generator.workstation import history
from generator.workstation.forms import CHIPS, Wanted, as_uuid, initial, typed

LAST_MODEL = "portrait_model"  # session key: the one picked last
PUBLIC_SHOWN = 12  # public models of others in the picker


@require_GET
@sign_in_required
def workstation(request: HttpRequest) -> HttpResponse:
    own, public = _pickable(request)
    selected = _selected(request, [*own, *public])
    plan = plan_of(request.user)
    surplus.mark(own, person(request), plan)
    source = as_uuid(request.GET.get("from", ""))
    reused = history.rows(person(request)).filter(id=source).first() if source else None
    resumed = resume.take(request, reverse("generation_create"))
    return render(
        request,
        "generator/workstation.html",
        {
            "own": own,
            "public": public,
            "selected": selected,
            "plan": plan,
            "counts": range(1, min(plan.max_count, 4) + 1),
            "more_counts": range(5, plan.max_count + 1),
            "price": cost("image"),
            "chips": CHIPS,
            "values": initial(reused) | (typed(resumed.values) if resumed else {}),
            "is_sent": bool(resumed and resumed.is_sent),
            "page": history.page(person(request), before=request.GET.get("before", "")),
        },
    )


def _pickable(request: HttpRequest) -> tuple[list[PortraitModel], list[PortraitModel]]:
    own = with_training(PortraitModel.objects.filter(owner=person(request)))
    public = PortraitModel.objects.usable_by(person(request)).exclude(owner=person(request))
    asked = as_uuid(request.GET.get("model", ""))
    shown = list(public.exclude(weights="").select_related("reference")[:PUBLIC_SHOWN])
    if asked and asked not in {model.id for model in shown}:
        shown += list(public.filter(id=asked).select_related("reference"))
    return list(own), shown


def _selected(request: HttpRequest, models: list[PortraitModel]) -> PortraitModel | None:
    """The one asked for, else the one picked last, else the first that is ready."""
    by_id = {str(model.id): model for model in models}
    asked = by_id.get(request.GET.get("model", ""))
    if asked is not None:
        request.session[LAST_MODEL] = str(asked.id)
        return asked
    ready = next((model for model in models if model.is_ready), None)
    last = by_id.get(request.session.get(LAST_MODEL, ""))
    return last or ready or next(iter(models), None)


@require_GET
@sign_in_required
def model_state(request: HttpRequest) -> HttpResponse:
    """Whether the picked portrait model can be drawn with; picking is remembered."""
    models = with_training(PortraitModel.objects.usable_by(person(request)))
    selected = get_object_or_404(models, id=as_uuid(request.GET.get("model", "")))
    request.session[LAST_MODEL] = str(selected.id)
    return render(request, "generator/_model_state.html", {"selected": selected})


@require_POST
@sign_in_required
def generation_create(request: HttpRequest) -> HttpResponse:
    try:
        wanted = Wanted.read(person(request), request.POST)
        made = jobs.submit_generation(
            person(request),
            id=wanted.id,
            kind=Generation.Kind.IMAGE,
            prompt=wanted.prompt,
            negative_prompt=wanted.negative_prompt,
            portrait_model=wanted.portrait_model,
            count=wanted.count,
            seed=wanted.seed,
        )
    except Refusal as refusal:
        return _refused(request, refusal)
    request.session[LAST_MODEL] = str(wanted.portrait_model.id)
    return _made(request, made)


@require_POST
@sign_in_required
def generation_recreate(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """The same request with the same seed, as a generation of its own."""
    source = _own(request, id)
    try:
        made = jobs.recreate(source, id=as_uuid(request.POST.get("id", "")) or uuid.uuid4())
    except Refusal as refusal:
        if upgrade.concerns(refusal) and request.headers.get("HX-Request"):
            return upgrade.dialog(request, refusal)
        raise
    return _made(request, made)


def _refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        raise refusal
    if upgrade.concerns(refusal):
        chosen = {"model": request.POST.get("model", "")}
        return upgrade.dialog(request, refusal, path=reverse("workstation"), query=chosen)
    response = render(
        request, "generator/_composer_error.html", {"refusal": refusal}, status=refusal.status
    )
    return reswap(retarget(response, "#composer-error"), "outerHTML")


def _made(request: HttpRequest, made: Generation) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        return redirect(f"{reverse('workstation')}#generation-{made.id}")
    if made.kind == Generation.Kind.FACE:  # the influencer generator chooses its own place
        return render(request, "generator/_generation.html", {"generation": made})
    shown = {"generation": _own(request, made.id), "balance": ledger.balance(person(request))}
    response = render(request, "generator/_generation_made.html", shown)
    response = reswap(retarget(response, "#generations"), "afterbegin")
    return trigger_client_event(response, "generation-made")


@require_GET
@sign_in_required
def generation_history(request: HttpRequest) -> HttpResponse:
    page = history.page(person(request), before=request.GET.get("before", ""))
    return render(request, "generator/_history.html", {"page": page})


@require_GET
@sign_in_required
def generation_picture(request: HttpRequest, id: uuid.UUID, index: int) -> HttpResponse:
    """One picture, large, with what made it."""
    found = _own(request, id)
    assets = pictures(found)
    at = next((place for place, asset in enumerate(assets) if asset.index == index), None)
    if at is None:
        raise Http404
    shown: dict[str, Any] = {
        "generation": found,
        "asset": assets[at],
        "previous": assets[at - 1] if at else None,
        "next": assets[at + 1] if at + 1 < len(assets) else None,
    }
    is_htmx = request.headers.get("HX-Request")
    return render(request, f"generator/{'_picture' if is_htmx else 'picture'}.html", shown)


@require_http_methods(["GET", "POST"])
@sign_in_required
def generation_delete(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    found = _own(request, id)
    is_htmx = request.headers.get("HX-Request")
    if request.method == "GET":
        template = "_delete_generation.html" if is_htmx else "delete_generation.html"
        return render(request, f"generator/{template}", {"generation": found})
    jobs.delete_generation(found)
    if not is_htmx:
        return redirect("workstation")
    return trigger_client_event(HttpResponse(), "close-dialog")


def _own(request: HttpRequest, id: uuid.UUID) -> Generation:
    return get_object_or_404(history.rows(person(request)), id=id)
