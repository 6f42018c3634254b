"""A person's portrait models: the list, one model's page, changing, deleting, training again."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from accounts.access import person, sign_in_required
from billing import resume
from billing.plans import plan_of
from billing.refusals import Refusal
from generator import upgrade
from generator.assets.models import MADE, Asset
from generator.jobs.models import Training
from generator.portraits import services, sheets, surplus
from generator.portraits.links import canonical
from generator.portraits.models import PortraitModel, PortraitModelQuerySet

PICTURES_SHOWN = 36  # on a model's page
TEXT_FIELDS = ("name", "description", "tiktok_url", "instagram_url")
SWITCHES = ("is_public", "others_may_use")
FIELD_OF_CODE = {
    "name_missing": "name",
    "name_too_long": "name",
    "description_too_long": "description",
}


def with_training(models: PortraitModelQuerySet) -> PortraitModelQuerySet:
    """Each with its reference and its latest training, in two queries for any number."""
    latest = Training.objects.order_by("-created_at")[:1]
    latest_only = Prefetch("trainings", latest, to_attr="latest_trainings")
    return models.select_related("reference").prefetch_related(latest_only)


@require_GET
@sign_in_required
def portrait_models(request: HttpRequest) -> HttpResponse:
    own = with_training(PortraitModel.objects.filter(owner=person(request)))
    plan = plan_of(request.user)
    surplus.mark(own, plan)
    public = PortraitModel.objects.usable_by(person(request)).exclude(owner=person(request))
    shown = public.exclude(weights="").select_related("reference")[:12]
    return render(
        request,
        "generator/portrait_models.html",
        {"own": own, "public": shown, "plan": plan},
    )


@require_GET
def portrait_model(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    models = with_training(PortraitModel.objects.visible_to(request.user))
    found = get_object_or_404(models, id=id)
    pictures = Asset.objects.visible_to(request.user).filter(
        generation__appearances__portrait_model=found, kind__in=MADE
    )
    is_own = found.owner_id == request.user.pk
    return render(
        request,
        "generator/portrait_model.html",
        {
            "portrait_model": found,
            "is_own": is_own,
            "views": sheets.views(found) if is_own else (),
            "is_usable": found.is_ready and found.may_be_used_by(request.user),
            "pictures": pictures.select_related("generation")[:PICTURES_SHOWN],
        },
    )


@require_GET
@sign_in_required
def portrait_model_card(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """The card and its views, for a page whose socket did not tell that the training ended."""
    found = own_model(request, id)
    shown = {"portrait_model": found, "views": sheets.views(found)}
    return render(request, "generator/_portrait_model_trained.html", shown)


@require_http_methods(["GET", "POST"])
@sign_in_required
def portrait_model_edit(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """The dialog "Update model". What was typed survives every refusal."""
    found = own_model(request, id)
    if request.method == "GET":
        resumed = resume.take(request, request.path)
        kept = {field: getattr(found, field) for field in (*TEXT_FIELDS, *SWITCHES)}
        return _edit_form(request, found, _sent_values(resumed.values) if resumed else kept)
    values = _sent_values(request.POST)
    errors: dict[str, str] = {}
    for site, field in (("TikTok", "tiktok_url"), ("Instagram", "instagram_url")):
        try:
            values[field] = canonical(site, values[field])
        except Refusal as refusal:
            errors[field] = refusal.message
    if errors:
        return _edit_form(request, found, values, errors=errors)
    try:
        services.update_portrait_model(found, **values)
    except Refusal as refusal:
        if refusal.code in ("private_models", "model_read_only", *FIELD_OF_CODE, "bad_text"):
            field = FIELD_OF_CODE.get(refusal.code, "form")
            return _edit_form(
                request, found, values, errors={field: refusal.message}, refusal=refusal
            )
        raise
    return _changed(request, found, "Saved.")


def _sent_values(sent: QueryDict) -> dict[str, Any]:
    return {
        **{field: sent.get(field, "") for field in TEXT_FIELDS},
        **{field: field in sent for field in SWITCHES},
    }


def _edit_form(
    request: HttpRequest,
    found: PortraitModel,
    values: dict[str, Any],
    *,
    errors: dict[str, str] | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    shown: dict[str, Any] = {"portrait_model": found, "values": values, "errors": errors or {}}
    if refusal is not None and upgrade.concerns(refusal):
        resume.keep(request, path=request.path, send=False)
        shown |= upgrade.context(request, refusal)
    status = 422 if errors else 200
    template = "_update_model.html" if request.headers.get("HX-Request") else "update_model.html"
    return render(request, f"generator/{template}", shown, status=status)


@require_http_methods(["GET", "POST"])
@sign_in_required
def portrait_model_delete(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    found = own_model(request, id)
    if request.method == "GET":
        is_htmx = request.headers.get("HX-Request")
        template = "_delete_model.html" if is_htmx else "delete_model.html"
        return render(request, f"generator/{template}", {"portrait_model": found})
    services.delete_portrait_model(found)
    messages.success(request, f"{found.name} was deleted.")
    if request.headers.get("HX-Request"):
        return HttpResponseClientRedirect(reverse("portrait_models"))
    return redirect("portrait_models")


@require_POST
@sign_in_required
def portrait_model_train(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Train again; the form's id makes a double click one training."""
    found = own_model(request, id)
    try:
        services.train_again(found, training_id=sent_id(request))
    except Refusal as refusal:
        if upgrade.concerns(refusal) and request.headers.get("HX-Request"):
            return upgrade.dialog(request, refusal)
        raise
    words = "Training again. This takes a few minutes."
    if request.POST.get("answer") == "state":
        shown = {"selected": own_model(request, found.id), "words": words}
        return render(request, "generator/_model_state_changed.html", shown)
    return _changed(request, found, words)


def own_model(request: HttpRequest, id: uuid.UUID) -> PortraitModel:
    return get_object_or_404(
        with_training(PortraitModel.objects.filter(owner=person(request))), id=id
    )


def sent_id(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("id", ""))
    except ValueError:
        return uuid.uuid4()


def _changed(request: HttpRequest, found: PortraitModel, words: str) -> HttpResponse:
    """The card as it is now, and a notice; without HTMX, the model's page."""
    if not request.headers.get("HX-Request"):
        return redirect("portrait_model", id=found.id)
    shown = {"portrait_model": own_model(request, found.id), "words": words}
    response = render(request, "generator/_portrait_model_changed.html", shown)
    return trigger_client_event(response, "close-dialog")
