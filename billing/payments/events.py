"""What Stripe tells: kept as it came, and applied in the same transaction.

An event is only a reason to look (settle.py). It may come twice, late, in any order or never:
its id is the key of its row, a failed one is tried again, and tending.py asks for lost ones.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.models import User
from billing.models import StripeEvent
from billing.payments import client as stripe_client
from billing.payments.settle import PaymentSubject, PlanSubject, Subject, settle

log = logging.getLogger(__name__)
State = StripeEvent.State
PLAN_EVENTS = ("customer.subscription.", "invoice.")
PAYMENT_EVENTS = ("payment_intent.", "charge.", "refund.")
# What Stripe is asked for when we look for lost ones; it takes at most 20 types.
TYPES = [
    "checkout.session.completed", "checkout.session.async_payment_succeeded",
    "customer.subscription.created", "customer.subscription.updated",
    "customer.subscription.deleted", "customer.subscription.paused",
    "customer.subscription.resumed", "invoice.paid", "invoice.payment_failed",
    "payment_intent.succeeded", "charge.refunded", "charge.refund.updated", "refund.created",
    "refund.updated", "refund.failed", "charge.dispute.created", "charge.dispute.closed",
    "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
]  # fmt: skip
ATTEMPTS_MAX = 20  # then it waits for an administrator
FIRST_PAUSE = timedelta(seconds=30)  # doubles with every attempt
LONGEST_PAUSE = timedelta(hours=6)


class NotOurs(Exception):
    """Nothing to do, and why: another product of the same account, or nobody's money."""


@dataclass(frozen=True)
class Event:
    """The few words of an event that are used."""

    id: str
    type: str
    created_at: datetime
    is_live: bool
    about: dict[str, Any]  # data.object as it was then
    payload: str

    @classmethod
    def read(cls, payload: str) -> Event:
        """Raises ValueError for what is no event of Stripe's."""
        try:
            raw = json.loads(payload)
            return cls(
                id=str(raw["id"])[:128],
                type=str(raw["type"])[:80],
                created_at=datetime.fromtimestamp(int(raw["created"]), UTC),
                is_live=bool(raw["livemode"]),
                about=dict(raw["data"]["object"]),
                payload=payload,
            )
        except (KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError("This is no event.") from error


def receive(event: Event) -> StripeEvent:
    """Apply an event once, whatever happens; what fails is kept and tried again.

    Raises DatabaseError when it could not even be kept: Stripe then sends it again.
    """
    try:
        return apply(event)
    except NotOurs as reason:
        return _keep(event, State.IGNORED, str(reason))
    except (stripe.StripeError, DatabaseError, Exception) as error:
        log.exception("%s %s could not be applied", event.type, event.id)
        return _keep(event, State.FAILED, f"{type(error).__name__}: {error}")


def apply(event: Event) -> StripeEvent:
    """One transaction: the row, and what it stands for. An event that was applied stays so."""
    if done := StripeEvent.objects.filter(pk=event.id).exclude(state=State.FAILED).first():
        return done
    user, subject = _subject(event)
    settle(user, subject, also=lambda: _mark(event, user))
    return StripeEvent.objects.get(pk=event.id)


def _mark(event: Event, user: User) -> bool:
    """Under the person's lock. False if another delivery was faster."""
    kept = StripeEvent.objects.filter(pk=event.id).first()
    if kept is None:
        StripeEvent.objects.create(**_row(event), user=user, state=State.APPLIED, attempts=1)
        return True
    if kept.state != State.FAILED:
        return False
    kept.state, kept.user, kept.note, kept.retry_at = State.APPLIED, user, "", None
    kept.attempts += 1
    kept.save()
    return True


def _row(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "payload": event.payload,
        "created_at": event.created_at,
    }


def _keep(event: Event, state: StripeEvent.State, note: str) -> StripeEvent:
    """What was not applied, with the reason. An applied one is never touched."""
    with transaction.atomic():
        StripeEvent.objects.bulk_create(
            [StripeEvent(**_row(event), state=state)], ignore_conflicts=True
        )
        row = StripeEvent.objects.select_for_update().get(pk=event.id)
        if row.state == State.APPLIED:
            return row
        row.state, row.note = state, note[:300]
        row.attempts += 1
        is_over = state == State.IGNORED or row.attempts >= ATTEMPTS_MAX
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(row.attempts - 1, 16))
        row.retry_at = None if is_over else timezone.now() + pause
        row.save()
    return row


# --- whose it is, and what to look at ----------------------------------------
def _subject(event: Event) -> tuple[User, Subject]:
    """The person, and what of theirs is to be looked at. Raises NotOurs."""
    if event.is_live != stripe_client.is_live():
        raise NotOurs("It is of the other mode (live or test) than the key.")
    payment = _payment(event)
    if payment:
        return _person(_customer(event, payment)), PaymentSubject(payment)
    if event.type.startswith((*PLAN_EVENTS, "checkout.session.")):
        customer = str(event.about.get("customer") or "")
        return _person(customer), PlanSubject(customer)
    raise NotOurs("Nothing here depends on it.")


def _payment(event: Event) -> str:
    """The payment an event is about, if it is about one."""
    if event.type.startswith("payment_intent."):
        return str(event.about["id"])
    if event.type.startswith((*PAYMENT_EVENTS, "checkout.session.")):
        return str(event.about.get("payment_intent") or "")
    return ""


def _customer(event: Event, payment: str) -> str:
    """Refunds and disputes do not name the customer: their payment does."""
    if named := event.about.get("customer"):
        return str(named)
    return str(stripe_client.client().v1.payment_intents.retrieve(payment).customer or "")


def _person(customer: str) -> User:
    found = User.objects.filter(subscription__stripe_customer_id=customer).first()
    if not customer or found is None:
        raise NotOurs("Nobody here is this customer.")
    return found


# --- again -------------------------------------------------------------------
def reprocess(row: StripeEvent) -> StripeEvent:
    """An administrator, or the worker: look at what it is about once more.

    Safe for an applied one, too: whatever the ledger has is not posted twice.
    """
    event = Event.read(row.payload)
    if row.state == State.APPLIED:
        settle(*_subject(event))
        return row
    StripeEvent.objects.filter(pk=row.pk).exclude(state=State.APPLIED).update(state=State.FAILED)
    return receive(event)


def retry_due() -> int:
    """Failed ones whose pause is over. How many were tried."""
    due = StripeEvent.objects.filter(state=State.FAILED, retry_at__lte=timezone.now())
    rows = list(due.order_by("retry_at")[:50])
    for row in rows:
        reprocess(row)
    return len(rows)
