"""Endpoints and what is queued for them. Rows only: sending.py asks other people's servers.

Whatever touches an endpoint holds its owner's subscription, as the end of a job does; so no job
ever ends for an endpoint that is being deleted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from billing import ledger
from billing.refusals import Refusal
from generator.assets import fetch
from generator.jobs import bell
from generator.webhooks.models import (
    CALLBACK,
    CALLBACK_URL_MAX,
    JOB_EVENTS,
    TEST,
    URL_MAX,
    Delivery,
    WebhookEndpoint,
    WebhookSecret,
    new_secret,
)

if TYPE_CHECKING:
    from generator.jobs.models import Generation, Job, Training

ENDPOINTS_MAX = 10  # of one person
State = Delivery.State


# --- the secret --------------------------------------------------------------
def secret_of(owner: User) -> str:
    """Made on first need."""
    return WebhookSecret.objects.get_or_create(owner=owner)[0].secret


def roll_secret(owner: User) -> str:
    """A new one from now on, for what is still to be sent as well."""
    secret = new_secret()
    WebhookSecret.objects.update_or_create(owner=owner, defaults={"secret": secret})
    return secret


# --- endpoints ---------------------------------------------------------------
def add_endpoint(owner: User, url: str, events: Iterable[str]) -> WebhookEndpoint:
    """Raises Refusal: bad_url, bad_events, too_many_endpoints, endpoint_exists."""
    url, wanted = url.strip(), set(events)
    if not wanted or not wanted <= set(JOB_EVENTS):
        raise Refusal("bad_events", "Choose at least one event.")
    _check_length(url, URL_MAX)
    check_address(url)
    with transaction.atomic():
        ledger.locked(owner)
        mine = WebhookEndpoint.objects.filter(owner=owner)
        if mine.filter(url=url).exists():
            words = "This address is there already."
            raise Refusal("endpoint_exists", words, status=HTTPStatus.CONFLICT)
        if mine.count() >= ENDPOINTS_MAX:
            words = f"{ENDPOINTS_MAX} endpoints is the most. Delete one first."
            raise Refusal("too_many_endpoints", words, status=HTTPStatus.CONFLICT)
        chosen = [event for event in JOB_EVENTS if event in wanted]
        return WebhookEndpoint.objects.create(owner=owner, url=url, events=chosen)


def _check_length(url: str, longest: int) -> None:
    if not url or len(url) > longest or not url.isprintable():
        words = f"Please give an address of at most {longest} characters."
        raise Refusal("bad_url", words, status=HTTPStatus.BAD_REQUEST)


def check_address(url: str) -> None:
    """Public, and in the clear only where whoever runs the studio named it. Raises Refusal."""
    fetch.is_allowed(url)
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.netloc.lower() not in settings.FETCH_ALLOW:
        words = "The address of an endpoint begins with https://."
        raise Refusal("bad_url", words, status=HTTPStatus.BAD_REQUEST)


def enable(endpoint: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        is_enabled=True, disabled_because="", failing_since=None
    )


def disable(endpoint: WebhookEndpoint, *, because: str = "") -> None:
    """Nothing more is sent there. `because`: a sentence, when it was not its owner who did it."""
    with transaction.atomic():
        ledger.locked(endpoint.owner)
        enabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_enabled=True)
        if enabled.update(is_enabled=False, disabled_because=because):
            _give_up(endpoint, "Its endpoint was turned off.")


def delete_endpoint(endpoint: WebhookEndpoint) -> None:
    """What was sent to it stays in the log."""
    with transaction.atomic():
        ledger.locked(endpoint.owner)
        _give_up(endpoint, "Its endpoint was deleted.")
        endpoint.delete()


def _give_up(endpoint: WebhookEndpoint, words: str) -> None:
    pending = Delivery.objects.filter(endpoint=endpoint, state=State.PENDING)
    pending.update(state=State.FAILED, lease_until=None, error=words)


# --- queueing ----------------------------------------------------------------
def announce(job: Job) -> None:
    """Queue the end of a job for whoever wants it, in the transaction in which it ends.

    One query for the many people without an endpoint.
    """
    endpoints = list(WebhookEndpoint.objects.filter(owner=job.owner_id, is_enabled=True))
    if not endpoints:
        return
    ended: Any = type(job)._default_manager.get(pk=job.pk)
    event = f"{job._meta.model_name}.{ended.state}"
    for endpoint in endpoints:
        if event in endpoint.events:
            _queue_event(endpoint, event, _facts(ended))


def _facts(job: Training | Generation) -> dict[str, Any]:
    """What is small and belongs to the owner. No prompt: a log of messages is no place for it."""
    noun = job._meta.model_name
    facts = {
        "noun": noun,
        "id": str(job.pk),
        "state": job.state,
        "error_code": job.error_code,
        "error_message": job.error_message,
        "portrait_model": str(job.portrait_model_id) if job.portrait_model_id else None,
        "credits": job.charged,
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }
    if noun == "generation":
        facts |= {"kind": job.kind, "count": job.count, "uncharged": job.uncharged}  # type: ignore[union-attr]
    return facts


def send_test(endpoint: WebhookEndpoint) -> Delivery:
    """Raises Refusal: endpoint_off."""
    with transaction.atomic():
        ledger.locked(endpoint.owner)
        endpoint.refresh_from_db()
        _check_is_on(endpoint)
        facts = {"noun": "endpoint", "id": str(endpoint.pk), "state": "reachable"}
        return _queue_event(endpoint, TEST, facts)


def callback(owner: User, url: str, body: str, *, secret_header: str) -> Delivery:
    """Queue a message to an address that came with a request, signed in the header named.

    `body` is sent as it is. The address is looked at when it is sent; whoever wants to refuse a
    bad one at once asks `check_address` before. Raises Refusal: bad_url.
    """
    _check_length(url, CALLBACK_URL_MAX)
    return _queue(owner=owner, url=url, event=CALLBACK, body=body, signature_header=secret_header)


def _queue_event(endpoint: WebhookEndpoint, event: str, facts: dict[str, Any]) -> Delivery:
    id = uuid.uuid4()
    told = {
        "id": str(id),
        "type": event,
        "created_at": timezone.now().isoformat(),
        "data": facts,
    }
    body = json.dumps(told, ensure_ascii=False)
    return _queue(
        id=id, owner=endpoint.owner, endpoint=endpoint, url=endpoint.url, event=event, body=body
    )


def _queue(**fields: Any) -> Delivery:
    delivery = Delivery.objects.create(next_at=Now(), **fields)
    bell.ring(delivery)
    return delivery


def send_again(delivery: Delivery) -> None:
    """The same message with the same id once more, now. Raises Refusal: endpoint_off."""
    with transaction.atomic():
        ledger.locked(delivery.owner)
        if delivery.endpoint_id:
            _check_is_on(WebhookEndpoint.objects.get(pk=delivery.endpoint_id))
        mine = Delivery.objects.filter(pk=delivery.pk)
        waiting = mine.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=Now()))
        waiting.filter(state=State.PENDING).update(next_at=Now())
        mine.exclude(state=State.PENDING).update(
            state=State.PENDING,
            attempts=0,
            next_at=Now(),
            lease_until=None,
            answer=None,
            error="",
            delivered_at=None,
        )
        bell.ring(delivery)


def _check_is_on(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_enabled:
        words = "This endpoint is off. Turn it on first."
        raise Refusal("endpoint_off", words, status=HTTPStatus.CONFLICT)
