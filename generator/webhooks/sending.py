"""Sends what is due: at least once, signed, and again later when nobody took it.

A delivery is claimed for a minute by one conditional UPDATE, so that two workers never send it at
once; one whose worker died in between is sent again, and receivers know it by its id. One message
of each person is on its way at a time: whoever's server hangs keeps only their own waiting.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from datetime import timedelta
from http import HTTPStatus

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from billing.refusals import Refusal
from generator.assets import fetch
from generator.jobs import bell
from generator.webhooks import services
from generator.webhooks.models import Delivery, WebhookEndpoint
from generator.webhooks.signing import signature

log = logging.getLogger(__name__)

State = Delivery.State

LEASE = timedelta(seconds=60)  # several times as long as a request may take
BACK_OFF = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=24),
)
JITTER = 0.2  # up to a fifth later, so that a server that came back is not run over
GIVE_UP_AFTER = timedelta(days=3)  # without one success an endpoint is turned off
KEPT = timedelta(days=30)  # in the log
AT_ONCE = 20  # messages of one bell, some minutes at worst; the next one is a moment away
CANDIDATES = 4  # as many as there are threads: each may lose the first to another
REMOVED_AT_ONCE = 1000

draining = threading.Event()  # set when this process is about to end


# --- taking one --------------------------------------------------------------
def due() -> QuerySet[Delivery]:
    """What may be sent now, of people who have nothing on its way."""
    pending = Delivery.objects.filter(state=State.PENDING)
    busy = pending.filter(lease_until__gte=Now()).values("owner")
    return pending.filter(_claimable()).exclude(owner__in=busy).order_by("next_at")


def _claimable() -> Q:
    is_free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    return Q(state=State.PENDING, next_at__lte=Now()) & is_free


def claim(pk: uuid.UUID) -> Delivery | None:
    """Take one for a minute. None if somebody else has it or it must wait."""
    free = Delivery.objects.filter(_claimable(), pk=pk)
    taken = {"attempts": F("attempts") + 1, "claims": F("claims") + 1}
    if not free.update(lease_until=Now() + LEASE, **taken):
        return None
    return Delivery.objects.select_related("owner", "endpoint__owner").get(pk=pk)


def _claim_next() -> Delivery | None:
    candidates = due().values_list("pk", flat=True)[:CANDIDATES]
    return next((taken for taken in map(claim, candidates) if taken), None)


# --- sending it --------------------------------------------------------------
def send_due() -> int:
    """How many were sent, whatever came back."""
    sent = 0
    while sent < AT_ONCE and not draining.is_set():
        delivery = _claim_next()
        if delivery is None:
            break
        send(delivery)
        sent += 1
    return sent


def send(delivery: Delivery) -> None:
    """Post a delivery that was claimed, and write down what came of it."""
    answer, words = _post(delivery)
    if answer is not None and 200 <= answer < 300:
        _delivered(delivery, answer)
    else:
        _not_delivered(delivery, answer, words)


def _post(delivery: Delivery) -> tuple[int | None, str]:
    """The answer's status, or none and a sentence why."""
    body = delivery.body.encode()
    secret = services.secret_of(delivery.owner)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Likeness-Webhooks/1",
        delivery.signature_header: signature(secret, body, at=int(time.time())),
    }
    try:
        return fetch.post(delivery.url, body, headers), ""
    except Refusal as refusal:
        return None, refusal.message


# --- what came of it ---------------------------------------------------------
def held(delivery: Delivery) -> QuerySet[Delivery]:
    """The row, as long as this claim is the last."""
    mine = Delivery.objects.filter(pk=delivery.pk, claims=delivery.claims)
    return mine.filter(state=State.PENDING)


def _delivered(delivery: Delivery, answer: int) -> None:
    held(delivery).update(
        state=State.DELIVERED, answer=answer, error="", delivered_at=Now(), lease_until=None
    )
    if delivery.endpoint:
        mine = WebhookEndpoint.objects.filter(pk=delivery.endpoint.pk)
        mine.filter(failing_since__isnull=False).update(failing_since=None)


def _not_delivered(delivery: Delivery, answer: int | None, words: str) -> None:
    is_over = answer == HTTPStatus.GONE or delivery.attempts > len(BACK_OFF)
    changes = {"answer": answer, "error": words[:300], "lease_until": None}
    if is_over:
        held(delivery).update(state=State.FAILED, **changes)
    else:
        held(delivery).update(next_at=Now() + wait(delivery.attempts), **changes)
    if delivery.endpoint:
        _doubt(delivery.endpoint, answer)


def wait(attempts: int) -> timedelta:
    """How long after that many attempts; a little longer for some than for others."""
    return BACK_OFF[attempts - 1] * (1 + JITTER * random.random())


def _doubt(endpoint: WebhookEndpoint, answer: int | None) -> None:
    """Turn an endpoint off that wants nothing more, or that took nothing for three days."""
    if answer == HTTPStatus.GONE:
        words = "It answered 410 Gone, which means that it wants no more messages."
        services.disable(endpoint, because=words)
        return
    mine = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    mine.update(failing_since=Coalesce("failing_since", Now()))
    if mine.filter(failing_since__lt=Now() - GIVE_UP_AFTER).exists():
        services.disable(endpoint, because="Nothing arrived there for 3 days.")


# --- from time to time -------------------------------------------------------
def ring_again() -> None:
    """For what is due: its time has come, or its bell was lost."""
    pk = due().values_list("pk", flat=True).first()
    if pk:
        bell.ring_now("delivery", str(pk))


def remove_old() -> int:
    """How many left the log."""
    old = Delivery.objects.filter(created_at__lt=Now() - KEPT).exclude(state=State.PENDING)
    removed, _ = Delivery.objects.filter(
        pk__in=list(old.values_list("pk", flat=True)[:REMOVED_AT_ONCE])
    ).delete()
    return removed
