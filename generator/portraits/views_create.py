"""The create page: a name and one reference become a portrait model in training."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods
from django_htmx.http import trigger_client_event

from accounts import consent as wording
from accounts.access import ask_to_sign_in, sign_in_required
from accounts.models import Consent, User
from billing import resume
from billing.plans import cost, plan_of
from billing.refusals import Refusal
from generator import upgrade
from generator.assets import services as assets
from generator.assets.models import Asset
from generator.assets.verdict import verdict
from generator.portraits import services
from generator.portraits.models import DESCRIPTION_MAX, NAME_MAX, PortraitModel

CREATED = "Congratulations! Your model should be ready soon!"
NOT_INITIALIZED = "The page is not initialized yet."
UPLOAD_LOST = Refusal("lost", "The studio did not answer.")  # for the page's own use
OFFERS = {"model_limit", "private_models", "insufficient_credits"}  # answered by a larger plan


@dataclass
class Draft:
    """What was typed so far. Nothing of it is lost when the studio says no."""

    id: str
    name: str = ""
    description: str = ""
    is_public: bool = True
    consent: str = ""  # a value of Consent.Kind
    consent_version: str = wording.CURRENT

    @classmethod
    def of(cls, post: QueryDict) -> Draft:
        return cls(
            id=post.get("id", ""),
            name=post.get("name", ""),
            description=post.get("description", ""),
            is_public="is_public" in post,
            consent=post.get("consent", ""),
            consent_version=post.get("consent_version", ""),
        )


@never_cache
@ensure_csrf_cookie
@require_http_methods(["GET", "HEAD", "POST"])
def portrait_model_new(request: HttpRequest) -> HttpResponseBase:
    """GET shows the page (`?reference=` fills the preview), POST creates."""
    if request.method == "POST":
        if not request.user.is_authenticated:
            return ask_to_sign_in(request)
        return _create(request)
    reference = assets.own_reference(request.user, request.GET.get("reference", ""))
    here = reverse("portrait_model_new")
    resumed = resume.take(request, here, reverse("portrait_model_private"))
    draft = Draft.of(resumed.values) if resumed else Draft(id=str(uuid.uuid4()))
    return _page(request, draft, reference, is_sent=bool(resumed and resumed.is_sent))


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def portrait_model_private(request: HttpRequest) -> HttpResponseBase:
    """Asked when Public is switched off: 204, or the upgrade dialog and Public stays on.

    A POST brings what was typed so far, for the way back.
    """
    try:
        services.check_privacy(plan_of(request.user), is_public=False)
    except Refusal as refusal:
        offer = _offer(request, refusal, status=200, send=False)
        return trigger_client_event(offer, "stay-public")
    return HttpResponse(status=204)


def _create(request: HttpRequest) -> HttpResponse:
    draft, reference = Draft.of(request.POST), None
    try:
        reference = _reference(request)
        portrait_model = _made(request, draft, reference)
    except Refusal as refusal:
        return _refused(request, refusal, draft, reference)
    return _created(request, portrait_model)


def _made(request: HttpRequest, draft: Draft, reference: Asset | None) -> PortraitModel:
    try:
        id = uuid.UUID(draft.id)
    except ValueError as error:
        raise Refusal("not_initialized", NOT_INITIALIZED) from error
    return services.create_portrait_model(
        _sender(request),
        id=id,
        name=draft.name,
        description=draft.description,
        is_public=draft.is_public,
        reference=reference,
        consent=wording.given(
            _sender(request), kind=draft.consent, text_version=draft.consent_version
        ),
    )


def _reference(request: HttpRequest) -> Asset | None:
    """The one in the preview; without JavaScript the photo comes along with the form."""
    file = request.FILES.get("file")
    if file:
        return assets.crop_suggested(assets.store_upload(_sender(request), file))
    return assets.own_reference(request.user, request.POST.get("reference", ""))


def _created(request: HttpRequest, portrait_model: PortraitModel) -> HttpResponse:
    address = f"{reverse('workstation')}?model={portrait_model.id}"
    if request.headers.get("HX-Request"):
        context = {"text": CREATED, "address": address}
        return render(request, "generator/_created.html", context)
    messages.success(request, CREATED)
    return redirect(address)


def _refused(
    request: HttpRequest, refusal: Refusal, draft: Draft, reference: Asset | None
) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        if draft.id == "":
            draft.id = str(uuid.uuid4())
        if refusal.code in OFFERS:
            resume.keep(request, **_way_back(request, reference))
        return _page(request, draft, reference, refusal=refusal)
    if refusal.code in OFFERS:
        return _offer(request, refusal, status=refusal.status)
    context = {"text": refusal.message, "code": refusal.code}
    return render(request, "generator/_create_refusal.html", context, status=refusal.status)


def _offer(
    request: HttpRequest, refusal: Refusal, *, status: int, send: bool = True
) -> HttpResponse:
    response = upgrade.dialog(request, refusal, **_way_back(request), send=send)
    response.status_code = status
    return response


def _way_back(request: HttpRequest, stored: Asset | None = None) -> dict[str, Any]:
    """This page with the reference that was in its preview, or came with the form."""
    reference = str(stored.id) if stored else request.POST.get("reference", "")
    query = {"reference": reference} if reference else None
    return {"path": reverse("portrait_model_new"), "query": query}


def _page(
    request: HttpRequest,
    draft: Draft,
    reference: Asset | None,
    *,
    refusal: Refusal | None = None,
    is_sent: bool = False,
) -> HttpResponse:
    context: dict[str, Any] = {
        "is_sent": is_sent,
        "has_offers": bool(refusal and refusal.code in OFFERS),
        "draft": draft,
        "reference": reference,
        "verdict": verdict(reference),
        "create_refusal": refusal,
        "upload_lost": UPLOAD_LOST,
        "training_cost": cost("training"),
        "consent_text": wording.TEXTS[wording.CURRENT],
        "consent_version": wording.CURRENT,
        "consent_kinds": Consent.Kind.choices,
        "NAME_MAX": NAME_MAX,
        "DESCRIPTION_MAX": DESCRIPTION_MAX,
    }
    status = refusal.status if refusal else 200
    return render(request, "generator/create.html", context, status=status)


def _sender(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # checked at the door
    return request.user
