"""The page of somebody's webhooks: endpoints, the secret, and the log of what was sent."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from accounts.access import person, sign_in_required
from accounts.limits import limited
from accounts.models import User
from billing.refusals import Refusal
from generator.webhooks import services
from generator.webhooks.models import JOB_EVENTS, URL_MAX, Delivery, WebhookEndpoint
from generator.workstation.history import older

PAGE = 30
SOON = timedelta(minutes=2)  # what is due by then keeps the log looking


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@limited("webhooks", "60/h")
def webhooks(request: HttpRequest) -> HttpResponse:
    """The page; a POST adds an endpoint."""
    if request.method != "POST":
        return render(request, "generator/webhooks.html", _context(request))
    url, events = request.POST.get("url", ""), request.POST.getlist("events")
    try:
        services.add_endpoint(person(request), url, events)
    except Refusal as refusal:
        context = {
            **_context(request),
            "typed": {"url": url, "events": events},
            "refused": refusal.message,
        }
        template = "_webhooks" if request.headers.get("HX-Request") else "webhooks"
        return render(request, f"generator/{template}.html", context, status=422)
    return _changed(request, "The endpoint was added.")


@require_safe
@sign_in_required
@never_cache
def secret(request: HttpRequest) -> HttpResponse:
    shown = {"secret": services.secret_of(person(request))}
    if request.headers.get("HX-Request"):
        return render(request, "generator/_webhook_secret.html", shown)
    return render(request, "generator/webhooks.html", {**_context(request), **shown})


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@limited("webhooks", "60/h")
@never_cache
def roll_secret(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _sure(
            request,
            title="Make a new secret",
            words="From then on every message is signed with the new one, what still waits as well."
            " Give it to your server at once: what it refuses meanwhile is sent again later.",
            button="Make a new one",
        )
    shown = {"secret": services.roll_secret(person(request))}
    if not request.headers.get("HX-Request"):
        messages.success(request, "This is your new secret.")
        return redirect("webhook_secret")
    response = render(request, "generator/_webhook_secret.html", {**shown, "oob": True})
    return trigger_client_event(response, "close-dialog")


# --- an endpoint -------------------------------------------------------------
@require_POST
@sign_in_required
@limited("webhooks", "60/h")
def enable(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    services.enable(_endpoint(request, id))
    return _changed(request, "The endpoint is on.")


@require_POST
@sign_in_required
@limited("webhooks", "60/h")
def disable(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    services.disable(_endpoint(request, id))
    return _changed(request, "The endpoint is off.")


@require_POST
@sign_in_required
@limited("webhooks", "60/h")
def send_test(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    services.send_test(_endpoint(request, id))
    return _changed(request, "A test is on its way.")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@limited("webhooks", "60/h")
def delete(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    endpoint = _endpoint(request, id)
    if request.method != "POST":
        return _sure(
            request,
            title="Delete endpoint",
            words=f"Nothing more is sent to {endpoint.url}. What was sent stays in the log.",
            button="Delete",
        )
    services.delete_endpoint(endpoint)
    return _changed(request, "The endpoint was deleted.")


# --- the log -----------------------------------------------------------------
@require_safe
@sign_in_required
def deliveries(request: HttpRequest) -> HttpResponse:
    """The log alone, for a page that looks again."""
    if not request.headers.get("HX-Request"):
        return redirect("webhooks")
    return render(request, "generator/_deliveries.html", _log(request))


@require_safe
@sign_in_required
def delivery(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    template = "_delivery" if request.headers.get("HX-Request") else "delivery"
    return render(request, f"generator/{template}.html", {"delivery": _delivery(request, id)})


@require_POST
@sign_in_required
@limited("webhooks", "60/h")
def send_again(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    services.send_again(_delivery(request, id))
    return _changed(request, "It is sent again.")


# --- parts -------------------------------------------------------------------
def _endpoint(request: HttpRequest, id: uuid.UUID) -> WebhookEndpoint:
    mine = WebhookEndpoint.objects.filter(owner=person(request)).select_related("owner")
    return get_object_or_404(mine, pk=id)


def _delivery(request: HttpRequest, id: uuid.UUID) -> Delivery:
    mine = Delivery.objects.filter(owner=person(request)).select_related("owner")
    return get_object_or_404(mine, pk=id)


def _context(request: HttpRequest) -> dict[str, Any]:
    return {
        "endpoints": list(WebhookEndpoint.objects.filter(owner=person(request))),
        "endpoints_max": services.ENDPOINTS_MAX,
        "events": JOB_EVENTS,
        "url_max": URL_MAX,
        "typed": {"url": "", "events": JOB_EVENTS},
        **_log(request),
    }


def _log(request: HttpRequest) -> dict[str, Any]:
    """The newest deliveries, or those before a cursor; and whether to look again by itself."""
    before = request.GET.get("before", "")
    mine = Delivery.objects.filter(owner=person(request)).select_related("endpoint")
    found = list(older(mine, before).defer("body")[: PAGE + 1])
    last = found[PAGE - 1] if len(found) > PAGE else None
    return {
        "deliveries": found[:PAGE],
        "older": f"{last.created_at.isoformat()}_{last.pk}" if last else "",
        "before": before,
        "is_moving": not before and _is_moving(person(request)),
    }


def _is_moving(owner: User) -> bool:
    pending = Delivery.objects.filter(owner=owner, state=Delivery.State.PENDING)
    return pending.filter(next_at__lt=timezone.now() + SOON).exists()


def _changed(request: HttpRequest, words: str) -> HttpResponse:
    """Endpoints and log as they are now, and a sentence; without scripts the page."""
    if not request.headers.get("HX-Request"):
        messages.success(request, words)
        return redirect("webhooks")
    context = {**_context(request), "said": words}
    response = render(request, "generator/_webhooks.html", context)
    return trigger_client_event(response, "close-dialog")


def _sure(request: HttpRequest, **words: str) -> HttpResponse:
    template = "_webhook_sure" if request.headers.get("HX-Request") else "webhook_sure"
    return render(request, f"generator/{template}.html", words)
