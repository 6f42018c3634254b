"""The workstation: pick a portrait model, say what to draw, watch it appear."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event

from accounts.access import person, sign_in_required
from billing import ledger
from billing.refusals import Refusal
from generator import upgrade
from generator.jobs import pace
from generator.jobs import services as jobs
from generator.jobs.models import Generation
from generator.library import services as library
from generator.portraits.models import PortraitModel
from generator.portraits.views import with_training
from generator.templatetags.studio_tags import pictures
from generator.workstation import composer, history
from generator.workstation.forms import Wanted, as_uuid


@require_GET
@sign_in_required
def workstation(request: HttpRequest) -> HttpResponse:
    pace.learn()
    page = history.page(person(request), before=request.GET.get("before", ""))
    shown = {**composer.context(request), "page": page}
    shown["is_open"] = _is_open(request, shown["selected"], has_pictures=bool(page.generations))
    return render(request, "generator/workstation.html", shown)


def _is_open(request: HttpRequest, selected: PortraitModel | None, *, has_pictures: bool) -> bool:
    """Whether a phone shows the whole composer at once.

    Whoever brings a picture or an outcome along sees what comes of it; whoever comes from making a
    model watches it learn, where pictures made before wait below.
    """
    if any(name in request.GET for name in ("kind", "from", "style")):
        return True
    is_asked = not has_pictures or "model" in request.GET
    return is_asked and selected is not None and not selected.is_ready


@require_GET
@sign_in_required
def composer_form(request: HttpRequest) -> HttpResponse:
    """The composer alone, with the properties of an outcome or the picture the address names."""
    shown = composer.context(request) | {"is_open": True}
    shown["notice_properties"] = bool(request.GET.get("from"))
    if shown["selected"] is None:
        return redirect("workstation")
    response = render(request, "generator/_composer.html", shown)
    return trigger_client_event(response, "composer-filled")


@require_GET
@sign_in_required
def model_state(request: HttpRequest) -> HttpResponse:
    """Whether the picked portrait model can be drawn with; picking is remembered."""
    models = with_training(PortraitModel.objects.usable_by(person(request)))
    selected = get_object_or_404(models, id=as_uuid(request.GET.get("model", "")))
    request.session[composer.LAST_MODEL] = str(selected.id)
    return render(request, "generator/_model_state.html", {"selected": selected})


@require_POST
@sign_in_required
def generation_create(request: HttpRequest) -> HttpResponse:
    try:
        wanted = Wanted.read(person(request), request.POST)
        made = jobs.submit_generation(
            person(request),
            id=wanted.id,
            kind=wanted.kind,
            prompt=wanted.prompt,
            people=wanted.people,
            boxes=wanted.boxes,
            **wanted.fields,
        )
    except Refusal as refusal:
        return refused(request, refusal)
    request.session[composer.LAST_CHOICES] = wanted.remembered
    if wanted.people and wanted.kind in ("image", "video"):
        request.session[composer.LAST_MODEL] = str(wanted.people[0].id)
    return answer_made(request, [made])


@require_POST
@sign_in_required
def generation_recreate(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """The same request with the same seed, or `?picture=N` of it alone."""
    source = _own(request, id)
    wanted = request.POST.get("picture", "")
    picture = next((one for one in pictures(source) if str(one.index) == wanted), None)
    try:
        made = jobs.recreate(
            source, id=as_uuid(request.POST.get("id", "")) or uuid.uuid4(), picture=picture
        )
    except Refusal as refusal:
        if upgrade.concerns(refusal) and request.headers.get("HX-Request"):
            return upgrade.dialog(request, refusal)
        raise
    return answer_made(request, [made])


def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """A refusal beside the button, or the plans where one of them would allow it."""
    if not request.headers.get("HX-Request"):
        raise refusal
    if upgrade.concerns(refusal):
        chosen = {"model": request.POST.get("model", "")}
        return upgrade.dialog(request, refusal, path=reverse("workstation"), query=chosen)
    response = render(
        request, "generator/_composer_error.html", {"refusal": refusal}, status=refusal.status
    )
    return reswap(retarget(response, "#composer-error"), "outerHTML")


def answer_made(request: HttpRequest, made: list[Generation]) -> HttpResponse:
    """The new placeholders on top of the feed, and a fresh id for the next request."""
    if not request.headers.get("HX-Request"):
        return redirect(f"{reverse('workstation')}#generation-{made[0].id}")
    if made[0].kind == Generation.Kind.FACE:  # the influencer generator chooses its own place
        return render(request, "generator/_generation.html", {"generation": made[0]})
    home = reverse("workstation")
    if urlsplit(request.headers.get("HX-Current-URL", "")).path not in ("", home):
        return HttpResponseClientRedirect(f"{home}#generation-{made[0].id}")
    rows = history.rows(person(request)).filter(id__in=[one.id for one in made])
    found = {one.id: one for one in rows}
    shown = {
        "generations": [found[one.id] for one in made],
        "balance": ledger.balance(person(request)),
    }
    response = render(request, "generator/_generation_made.html", shown)
    response = reswap(retarget(response, "#generations"), "afterbegin")
    return trigger_client_event(response, "generation-made")


@require_GET
@sign_in_required
def generation_history(request: HttpRequest) -> HttpResponse:
    page = history.page(person(request), before=request.GET.get("before", ""))
    return render(request, "generator/_history.html", {"page": page})


@require_http_methods(["GET", "POST"])
@sign_in_required
def generation_delete(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Hidden at once, gone in a moment; until then it can be undone. A GET asks first."""
    found = _own(request, id)
    if request.method == "GET":
        return render(request, "generator/delete_generation.html", {"generation": found})
    library.delete_generation(found)
    if not request.headers.get("HX-Request"):
        return redirect("workstation")
    undo = reverse("generation_restore", args=[found.id])
    response = render(request, "generator/_deleted.html", {"count": found.count, "undo": undo})
    return trigger_client_event(response, "deleted", {"ids": [str(found.id)]})


@require_POST
@sign_in_required
def generation_restore(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Undo. Whoever is too late is told so."""
    deleted = get_object_or_404(Generation, id=id, owner=person(request))
    library.restore_generation(deleted)
    if not request.headers.get("HX-Request"):
        return redirect("workstation")
    return trigger_client_event(HttpResponse(), "restored", {"ids": [str(id)]})


def _own(request: HttpRequest, id: uuid.UUID) -> Generation:
    return get_object_or_404(history.rows(person(request)), id=id)
