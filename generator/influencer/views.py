"""The AI influencer generator: a form on one side, its history on the other."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import reswap, retarget

from accounts.access import person, sign_in_required
from accounts.limits import limited
from accounts.models import User
from billing import resume
from billing.plans import cost, plan_of
from billing.refusals import Refusal
from generator import upgrade
from generator.assets import services as assets
from generator.assets.models import Asset
from generator.engine import attributes as words
from generator.engine.countries import COUNTRIES
from generator.influencer import chosen, measures, starts
from generator.influencer.forms import FaceForm
from generator.influencer.services import generate_faces
from generator.influencer.starts import Start
from generator.jobs.models import Generation
from generator.workstation import history

POSE_GONE = "This pose image is no longer here. Please choose it again."
CHOICES: dict[str, list[tuple[str, str]]] = {
    "countries": sorted((name, code) for code, name in COUNTRIES.items()),
    "builds": [(word, "") for word in words.BUILDS],
    "eyes": [(word, "") for word in words.EYES],
    "hair-styles": [(word, "") for word in words.HAIR_STYLES],
    "hair-colors": [(word, "") for word in words.HAIR_COLORS],
}


@never_cache
@require_safe
def influencer(request: HttpRequest) -> HttpResponseBase:
    """The page, or `?panel=1` its inside for the create page. `?random=1`, `?use=`, `?recreate=`,
    `?selected=` do without JavaScript what the buttons do with it."""
    resumed = resume.take(request, reverse("influencer_generate"))
    start = Start(resumed.values.dict()) if resumed else starts.asked_for(request)
    form = FaceForm(plan=plan_of(request.user), initial=start.values)
    if start.notice:
        messages.success(request, start.notice)
    return _page(request, form, is_sent=bool(resumed and resumed.is_sent))


@require_http_methods(["GET", "HEAD", "POST"])
def influencer_form(request: HttpRequest) -> HttpResponseBase:
    """The form anew: as it was at first, at random, or with an outcome's properties.

    A POST gives it back with what was typed: for somebody who just signed in, or with other units.
    """
    if request.method == "POST":
        return measures.remember(request, _retyped(request))
    start = starts.asked_for(request)
    form = FaceForm(plan=plan_of(request.user), initial=start.values)
    context = _form_context(request, form) | {"notice_text": start.notice}
    return render(request, "generator/_influencer_form.html", context)


@require_POST
@sign_in_required
@limited("generate", "60/min")
def influencer_generate(request: HttpRequest) -> HttpResponseBase:
    form = FaceForm(request.POST, request.FILES, plan=plan_of(request.user))
    try:
        pose = _pose(request, form) if form.is_valid() else None
        if not form.is_valid() or form.attributes is None:
            return _refused_form(request, form)
        generation = generate_faces(
            person(request),
            id=_id(request),
            attributes=form.attributes,
            count=form.cleaned_data["count"],
            pose=pose,
            recreated=chosen.picture(*chosen.find(request.user, form.cleaned_data["recreate"])),
        )
    except Refusal as refusal:
        return _refused(request, refusal, form)
    if not request.headers.get("HX-Request"):
        address = request.path.removesuffix("faces/")
        return redirect(f"{address}?selected={generation.id}&sent={generation.id}")
    context = {"generation": generation, "new_id": uuid.uuid4(), **_selected(request, generation)}
    return render(request, "generator/_face_submitted.html", context)


@require_safe
@sign_in_required
def influencer_history(request: HttpRequest) -> HttpResponseBase:
    return render(request, "generator/_face_history.html", _history(request))


@require_safe
@sign_in_required
def influencer_selected(request: HttpRequest, id: uuid.UUID, index: int) -> HttpResponseBase:
    generation = get_object_or_404(chosen.faces(request.user), id=id)
    if index >= generation.count:
        raise Http404
    context = _selected(request, generation, index)
    return render(request, "generator/_selected_face.html", context)


@require_POST
@sign_in_required
@limited("upload", "30/h")
def influencer_pose(request: HttpRequest) -> HttpResponseBase:
    """One photo in, the pose reference out; a refusal is told where it was chosen."""
    try:
        pose, refusal = _stored_pose(request), None
    except Refusal as refused:
        pose, refusal = None, refused
    context = {"pose": pose, "pose_errors": [refusal.message] if refusal else []}
    status = refusal.status if refusal else 200
    return render(request, "generator/_pose.html", context, status=status)


# --- parts of the page ------------------------------------------------------------------
def _page(
    request: HttpRequest, form: FaceForm, *, status: int = 200, is_sent: bool = False
) -> HttpResponse:
    generation, index = chosen.find(request.user, request.GET.get("selected", ""))
    context = {
        **_form_context(request, form),
        **_history(request),
        **_selected(request, generation, index),
        "choices": CHOICES,
        "is_sent": is_sent,
        "is_panel": "panel" in request.GET,
    }
    name = "_influencer" if "panel" in request.GET else "influencer"
    return render(request, f"generator/{name}.html", context, status=status)


def _form_context(request: HttpRequest, form: FaceForm) -> dict[str, Any]:
    generation, index = chosen.find(request.user, str(form["recreate"].value() or ""))
    return {
        "form": form,
        "form_id": uuid.uuid4(),
        "face_cost": cost("face"),
        "counts": range(1, form.faces_max + 1),
        "units": measures.units_of(request),
        "recreated": chosen.picture(generation, index),
        **_pose_context(request, form),
    }


def _pose_context(request: HttpRequest, form: FaceForm) -> dict[str, Any]:
    if "pose" not in form.fields:
        return {}
    pose = chosen.own_pose(request.user, form["pose"].value())
    return {"pose": pose, "pose_errors": [*form["pose"].errors, *form["pose_file"].errors]}


def _selected(
    request: HttpRequest, generation: Generation | None, index: int = 0
) -> dict[str, Any]:
    return {
        "generation": generation,
        "index": index,
        "asset": chosen.picture(generation, index),
        "units": measures.units_of(request),
    }


def _history(request: HttpRequest) -> dict[str, Any]:
    """Newest first, by keyset."""
    if not isinstance(request.user, User):
        return {"page": history.Page([], "")}
    before = request.GET.get("before", "")
    return {"page": history.page(request.user, before=before, kind=Generation.Kind.FACE)}


# --- answers ----------------------------------------------------------------------------
def _retyped(request: HttpRequest) -> HttpResponse:
    form = FaceForm(plan=plan_of(request.user), initial=request.POST.dict())
    if request.headers.get("HX-Request"):
        context = _form_context(request, form)
        return render(request, "generator/_influencer_form.html", context)
    return _page(request, form)


def _refused_form(request: HttpRequest, form: FaceForm) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        return _page(request, form, status=422)
    context = _form_context(request, form)
    response = render(request, "generator/_influencer_form.html", context, status=422)
    return reswap(retarget(response, "#influencer-form"), "outerHTML")


def _refused(request: HttpRequest, refusal: Refusal, form: FaceForm) -> HttpResponse:
    if request.headers.get("HX-Request") and upgrade.concerns(refusal):
        return upgrade.dialog(request, refusal, path=reverse("influencer"))
    form.add_error(None, refusal.message)
    return _refused_form(request, form)


# --- what was sent ----------------------------------------------------------------------
def _pose(request: HttpRequest, form: FaceForm) -> Asset | None:
    """The picture to take the pose from; only its pose is used. Errors go to the form."""
    if form.cleaned_data.get("pose_file"):  # no script has sent it ahead
        return _stored_pose(request)
    wanted = form.cleaned_data.get("pose")
    pose = chosen.own_pose(request.user, wanted) if wanted else None
    if wanted and pose is None:
        form.add_error("pose", POSE_GONE)
    return pose


def _stored_pose(request: HttpRequest) -> Asset:
    """The uploaded photo, cut around the face. Raises Refusal."""
    if not plan_of(request.user).advanced_settings:
        title = plan_of(request.user).title
        raise Refusal("advanced_settings", f"Poses are not part of the {title} plan.", status=403)
    file = request.FILES.get("pose_file")
    if file is None:
        raise Refusal("not_an_image", "The file must be an image.")
    return assets.crop_suggested(assets.store_upload(person(request), file))


def _id(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("id", ""))
    except ValueError as error:
        raise Refusal("not_initialized", "The page is not initialized yet.") from error
