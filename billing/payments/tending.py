"""What the worker does for payments: failed events again, and a look for lost ones.

Stripe says what it wants to say for three days and then no more; and an installation without a
webhook address hears nothing at all. So once an hour everything that happened since the last look
is asked for, and whoever's paid time ended without a word is looked at.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import timedelta

import stripe
from django.core.cache import cache
from django.db import close_old_connections
from django.utils import timezone

from billing.models import Reconciliation, StripeEvent, Subscription
from billing.payments import events
from billing.payments.client import client, is_set_up
from billing.payments.settle import settle_plan

log = logging.getLogger(__name__)

EVERY_S = 10.0
LOOK_EVERY_S = 3600
OVERLAP = timedelta(hours=1)  # clocks differ, and an event is listed a moment after it happened
MEMORY = timedelta(days=29)  # Stripe forgets events after 30 days
PEOPLE_MAX = 200  # of one look


def tend_until(stop: threading.Event) -> None:
    """The worker's thread. Of several workers one looks, the others find it done."""
    while not stop.wait(EVERY_S):
        if not is_set_up():
            continue
        try:
            close_old_connections()
            events.retry_due()
            if cache.add("stripe-look", "taken", LOOK_EVERY_S):
                reconcile()
        except Exception:
            log.exception("payments were not tended; the next try is in %.0f s", EVERY_S)


def reconcile() -> Reconciliation:
    """Ask for everything since the last look, and apply what we were not told."""
    look = Reconciliation.objects.create(started_at=timezone.now())
    try:
        for event in client().v1.events.list(_since()).auto_paging_iter():
            look.events += 1
            look.repaired += _repair(event)
        look.repaired += _settle_the_silent()
        look.finished_at = timezone.now()
    except stripe.StripeError as error:
        look.note = f"{type(error).__name__}: {error}"[:300]
        log.warning("Stripe could not be asked for lost events: %s", error)
    look.save()
    return look


def _since() -> stripe.params.EventListParams:
    done = Reconciliation.objects.filter(finished_at__isnull=False).order_by("-started_at").first()
    oldest = timezone.now() - MEMORY
    start = max(oldest, done.started_at - OVERLAP) if done else oldest
    return {"created": {"gte": int(start.timestamp())}, "types": events.TYPES, "limit": 100}


def _repair(told: stripe.Event) -> bool:
    """Whether this one was new, or had failed."""
    known = StripeEvent.objects.filter(pk=told.id).exclude(state=StripeEvent.State.FAILED)
    if known.exists():
        return False
    row = events.receive(events.Event.read(json.dumps(told.to_dict())))
    return row.state == StripeEvent.State.APPLIED


def _settle_the_silent() -> int:
    """Everybody whose paid time is over and of whom nothing was heard since."""
    silent = Subscription.objects.filter(paid_until__lt=timezone.now())
    silent = silent.exclude(stripe_subscription_id="").order_by("paid_until")
    changed = 0
    for row in silent.select_related("user")[:PEOPLE_MAX]:
        before = (row.plan, row.paid_until)
        settle_plan(row.user)
        row.refresh_from_db()
        changed += (row.plan, row.paid_until) != before
    return changed
