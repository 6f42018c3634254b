"""Plans and credits for sale, the way to Stripe's pages and back, and what Stripe tells us."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

import stripe
from django.conf import settings
from django.contrib import messages
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.access import person, sign_in_required
from billing import allowance, resume
from billing.models import Subscription
from billing.payments import checkout, events, settle
from billing.payments.client import client, is_set_up
from billing.payments.prices import INTERVALS, offers, package_offer
from billing.plans import PACKAGES, PLANS, default_plan, plan_of
from billing.refusals import Refusal

log = logging.getLogger(__name__)

SIGNATURE_MAX_AGE_S = 300
AWAY = Refusal(
    "stripe_away",
    "The payment service did not answer. Nothing was charged. Please try again in a minute.",
    status=503,
)


@require_safe
def plans(request: HttpRequest) -> HttpResponse:
    """Every plan beside the others, and credits to buy once."""
    interval = request.GET.get("every", "")
    interval = interval if interval in INTERVALS else INTERVALS[0]
    sold = {plan.name: by for plan, by in offers()}
    context: dict[str, Any] = {
        "cards": [(plan, sold.get(plan.name, {}).get(interval)) for plan in PLANS.values()],
        "packages": [(package, package_offer(package)) for package in PACKAGES.values()],
        "interval": interval,
        "free": default_plan(),
        "is_set_up": is_set_up(),
        "token": uuid.uuid4(),
    }
    if request.user.is_authenticated:
        row = Subscription.objects.filter(user=request.user).first()
        context |= {"current": plan_of(request.user), "subscription": row}
        context["standing"] = allowance.standing(person(request))
    return render(request, "billing/plans.html", context)


# --- there and back ----------------------------------------------------------
@require_POST
@sign_in_required
def checkout_plan(request: HttpRequest) -> HttpResponseBase:
    plan = PLANS.get(request.POST.get("plan", ""))
    if plan is None:
        raise Refusal("not_found", "There is no such plan.", status=404)
    interval = request.POST.get("interval", INTERVALS[0])
    return _leave(
        request, lambda: checkout.subscribe(person(request), plan, interval, token=_token(request))
    )


@require_POST
@sign_in_required
def checkout_package(request: HttpRequest) -> HttpResponseBase:
    package = PACKAGES.get(request.POST.get("package", ""))
    if package is None:
        raise Refusal("not_found", "There is no such package.", status=404)
    return _leave(request, lambda: checkout.buy(person(request), package, token=_token(request)))


@require_POST
@sign_in_required
def portal(request: HttpRequest) -> HttpResponseBase:
    return _leave(request, lambda: checkout.portal(person(request)))


def _leave(request: HttpRequest, page: Callable[[], str]) -> HttpResponseBase:
    """To Stripe's page, or the reason why not."""
    try:
        address = page()
    except stripe.StripeError as error:
        log.warning("Stripe refused or did not answer: %s", error)
        raise AWAY from error
    if request.headers.get("HX-Request"):
        return HttpResponseClientRedirect(address)
    response = redirect(address)
    response.status_code = 303
    return response


@require_safe
@sign_in_required
def checkout_done(request: HttpRequest) -> HttpResponseBase:
    """Back from Stripe: the plan counts at once, and the person goes on where they were."""
    before = plan_of(request.user)
    try:
        if session := request.GET.get("session_id", ""):
            checkout.finish(person(request), session[:200])
        else:
            settle.settle_plan(person(request))
    except stripe.InvalidRequestError as error:
        raise Refusal("not_found", "There is no such payment.", status=404) from error
    except stripe.StripeError:
        log.warning("back from Stripe, which does not answer: its events will follow")
        messages.info(request, "Thank you. Your payment is on its way and counts in a moment.")
        return redirect("usage")
    plan = plan_of(request.user)
    if plan != before or plan.name == request.GET.get("plan"):
        messages.success(request, f"You are on the {plan.title} plan now.")
    elif request.GET.get("package"):
        messages.success(request, "Thank you. Your credits are here.")
    return redirect(resume.way_back(request) or reverse("usage"))


@require_safe
@sign_in_required
def checkout_canceled(request: HttpRequest) -> HttpResponseBase:
    """Nothing was bought: back to what was typed, which is not sent again by itself."""
    messages.info(request, "Nothing was bought, and nothing was changed.")
    return redirect(resume.way_back(request, send=False) or reverse("plans"))


def _token(request: HttpRequest) -> str:
    try:
        return str(uuid.UUID(request.POST.get("token", "")))
    except ValueError:
        return str(uuid.uuid4())


# --- what Stripe tells -------------------------------------------------------
@csrf_exempt  # Stripe has no cookie; the signature is checked instead
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """400 for what Stripe did not sign within five minutes, 200 for all that is kept."""
    if not (is_set_up() and settings.STRIPE_WEBHOOK_SECRET):
        return JsonResponse({"error": "no webhook is set up here"}, status=404)
    signature, payload = request.headers.get("Stripe-Signature", ""), request.body
    try:
        client().construct_event(
            payload, signature, settings.STRIPE_WEBHOOK_SECRET, tolerance=SIGNATURE_MAX_AGE_S
        )
        event = events.Event.read(payload.decode())
    except (ValueError, stripe.StripeError, KeyError, TypeError, AttributeError, RecursionError):
        return JsonResponse({"error": "not signed by Stripe"}, status=400)
    try:
        kept = events.receive(event)
    except DatabaseError:
        log.exception("%s could not be kept: Stripe sends it again", event.id)
        return JsonResponse({"error": "try again"}, status=503)
    return JsonResponse({"state": kept.state})
