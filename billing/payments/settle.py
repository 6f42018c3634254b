"""Bringing a person's plan and credits to what Stripe says now.

Nothing here trusts what an event tells or the order in which events come: the object is read
again, and what the ledger lacks is posted. Two settlements at once would each be right when they
read and wrong when they write, so each has a stamp of what was settled before it read: whoever
finds under the lock that it moved on reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing import allowance, entries, ledger
from billing.models import CreditEntry, Subscription
from billing.payments.client import client
from billing.payments.prices import plan_of_price
from billing.plans import Plan

if TYPE_CHECKING:
    from accounts.models import User

LIVE = ("active", "trialing", "past_due")
WITHDRAWN = ("needs_response", "under_review", "lost")  # a dispute that holds the money
TRIES = 20


class Overtaken(Exception):
    """Others settled the same person again and again; the next delivery tries anew."""


class Truth(Protocol):
    """What was read from Stripe, and what it means for the locked subscription."""

    def post(self, subscription: Subscription) -> None: ...


class Subject(Protocol):
    """What an event is about."""

    def stamp(self, user: User) -> int:
        """A number that grows with everything that is settled about it."""
        ...

    def read(self) -> Truth: ...


def settle(user: User, subject: Subject, *, also: Callable[[], bool] | None = None) -> None:
    """Read, then post in one transaction. `also` joins it; False means that nothing is to do."""
    for _ in range(TRIES):
        stamp = subject.stamp(user)
        truth = subject.read()  # before the lock: nobody waits for Stripe
        with transaction.atomic():
            subscription = ledger.locked(user)
            if subject.stamp(user) != stamp:
                continue
            if also is None or also():
                truth.post(subscription)
            return
    raise Overtaken(f"{user} was settled by others {TRIES} times.")


# --- the plan ----------------------------------------------------------------
@dataclass(frozen=True)
class PlanSubject:
    customer: str

    def stamp(self, user: User) -> int:
        rows = Subscription.objects.filter(user=user).values_list("revision", flat=True)
        return rows.first() or 0

    def read(self) -> PlanTruth:
        return PlanTruth.read(self.customer)


@dataclass(frozen=True)
class PlanTruth:
    """A person's living subscription at Stripe, or that there is none."""

    id: str = ""
    plan: Plan | None = None
    status: str = ""
    start: datetime | None = None  # of the period that is paid for
    end: datetime | None = None
    is_paid: bool = False  # a period begins an hour before its invoice is paid
    is_ending: bool = False
    invoiced_at: datetime | None = None

    @classmethod
    def read(cls, customer: str) -> PlanTruth:
        wanted: Any = {
            "customer": customer, "status": "all", "limit": 100, "expand": ["data.latest_invoice"],
        }  # fmt: skip
        found = client().v1.subscriptions.list(wanted)
        rows = [row.to_dict() for row in found.auto_paging_iter() if row.status in LIVE]
        alive = [cls.of(row) for row in rows]
        known = [truth for truth in alive if truth.plan is not None]
        # Paid before unpaid, then the one that lasts: a person may have been sold two.
        known.sort(key=lambda truth: (truth.status != "past_due", truth.end or _at(0)))
        return known[-1] if known else cls()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> PlanTruth:
        """In the current API a period belongs to the item, not to the subscription."""
        item, invoice = row["items"]["data"][0], row["latest_invoice"]
        return cls(
            id=row["id"],
            plan=plan_of_price(item["price"]),
            status=row["status"],
            start=_at(item["current_period_start"]),
            end=_at(item["current_period_end"]),
            is_paid=invoice is None or invoice["status"] == "paid",
            is_ending=bool(row["cancel_at_period_end"] or row["cancel_at"]),
            invoiced_at=_at(invoice["created"]) if invoice else None,
        )

    def post(self, subscription: Subscription) -> None:
        rows = Subscription.objects.filter(pk=subscription.pk)
        rows.update(revision=F("revision") + 1)
        if self.plan is None:
            self._end(subscription)
            return
        if self.status == "past_due" or not self.is_paid:
            if subscription.stripe_subscription_id != self.id:
                return  # never paid for: there is nothing yet
            if self.status == "past_due" and subscription.payment_failed_at is None:
                subscription.payment_failed_at = timezone.now()
        else:
            self._follow(subscription, self.plan)
        subscription.is_ending = self.is_ending
        subscription.save(update_fields=["is_ending", "payment_failed_at", "updated_at"])

    def _follow(self, subscription: Subscription, plan: Plan) -> None:
        assert self.start is not None and self.end is not None
        subscription.stripe_subscription_id = self.id
        subscription.save(update_fields=["stripe_subscription_id", "updated_at"])
        subscription.payment_failed_at = None
        same = (subscription.plan, subscription.anchor, subscription.paid_until)
        if same == (plan.name, self.start, self.end):
            return
        is_same_period = subscription.anchor == self.start
        at = (self.invoiced_at if is_same_period else None) or self.start
        allowance.change_plan(subscription, plan, anchor=self.start, paid_until=self.end, at=at)
        allowance.top_up(subscription, at=timezone.now())

    def _end(self, subscription: Subscription) -> None:
        """Only what Stripe gave: a plan that an administrator assigned stays."""
        if not subscription.stripe_subscription_id:
            return
        subscription.stripe_subscription_id = ""
        subscription.save(update_fields=["stripe_subscription_id", "updated_at"])
        if subscription.paid_until is not None:
            allowance.end_plan(subscription, at=timezone.now())
            allowance.top_up(subscription, at=timezone.now())


# --- one payment -------------------------------------------------------------
@dataclass(frozen=True)
class PaymentSubject:
    id: str

    def stamp(self, user: User) -> int:
        """Entries are never removed. Other payments of the same person do not matter."""
        return CreditEntry.objects.filter(key__startswith=f"stripe:{self.id}:").count()

    def read(self) -> PaymentTruth:
        return PaymentTruth.read(self.id)


@dataclass(frozen=True)
class PaymentTruth:
    """A payment: what came in, what of it went back, and what it was for."""

    id: str
    received: int  # coins
    withdrawn: int  # coins: refunded, or held by a dispute
    metadata: Mapping[str, str]
    subscription_id: str = ""
    period_start: datetime | None = None

    @classmethod
    def read(cls, payment: str) -> PaymentTruth:
        stripe = client().v1
        asked = stripe.payment_intents.retrieve(payment, {"expand": ["latest_charge"]})
        intent = asked.to_dict()
        charge = intent["latest_charge"]
        disputes = stripe.disputes.list({"payment_intent": payment, "limit": 100}).data
        held = sum(dispute.amount for dispute in disputes if dispute.status in WITHDRAWN)
        refunded = charge["amount_refunded"] if charge else 0
        metadata, came = intent["metadata"] or {}, intent["amount_received"]
        bill = {} if "package" in metadata else _invoice_of(payment)
        return cls(
            id=payment,
            received=came if intent["status"] == "succeeded" else 0,
            withdrawn=min(refunded + held, came),
            metadata=metadata,
            **bill,
        )

    def post(self, subscription: Subscription) -> None:
        if not self.received:
            return
        if "package" in self.metadata:
            self._post_package(subscription)
        elif self.withdrawn or self._reversals():
            self._post_subscription(subscription)

    def _post_package(self, subscription: Subscription) -> None:
        credits = int(self.metadata["credits"])
        key = f"stripe:{self.id}:purchase"
        bought = CreditEntry.objects.filter(key=key).first()
        if bought is None:
            reason = f"{credits:,} credits bought"
            bought = ledger.purchase(subscription, credits, key=key, reason=reason)
        gone = credits * self.withdrawn // self.received
        less = gone - self._taken()
        if less:
            key, reason = self._next_key(gone), _went_back(less)
            ledger.reverse(subscription, less, of=bought, key=key, reason=reason)

    def _post_subscription(self, subscription: Subscription) -> None:
        """A plan's own payment: what is left of that month's allowance goes with the money."""
        granted = CreditEntry.objects.filter(key=subscription.granted).first()
        paid = (subscription.stripe_subscription_id, subscription.anchor)
        if granted is None or paid != (self.subscription_id, self.period_start):
            return
        plan = allowance.Terms.of(subscription).plan
        gone = plan.credits * self.withdrawn // self.received
        less = min(gone - self._taken(), entries.head(subscription).allowance)
        if less:
            entries.post(
                subscription, CreditEntry.Kind.REVERSAL, -less, of=granted, of_allowance=-less,
                key=self._next_key(gone), reason=_went_back(less),
            )  # fmt: skip

    def _reversals(self) -> list[str]:
        """Keys end with how many credits were gone after that entry."""
        rows = CreditEntry.objects.filter(key__startswith=f"stripe:{self.id}:gone:")
        return list(rows.order_by("id").values_list("key", flat=True))

    def _taken(self) -> int:
        keys = self._reversals()
        return int(keys[-1].rpartition(":")[2]) if keys else 0

    def _next_key(self, gone: int) -> str:
        return f"stripe:{self.id}:gone:{len(self._reversals()) + 1}:{gone}"


def _went_back(credits: int) -> str:
    return "The payment was returned" if credits > 0 else "The payment came again"


def _invoice_of(payment: str) -> dict[str, Any]:
    """The subscription and period that a payment was for, if it was for one.

    Since 2025 an intent knows no invoice: the invoice's payments are asked.
    """
    stripe = client().v1
    paid: Any = {"payment": {"type": "payment_intent", "payment_intent": payment}, "limit": 1}
    found = stripe.invoice_payments.list(paid).data
    if not found:
        return {}
    invoice = stripe.invoices.retrieve(str(found[0].invoice)).to_dict()
    parent = (invoice["parent"] or {}).get("subscription_details") or {}
    lines = invoice["lines"]["data"]
    starts = [line["period"]["start"] for line in lines if line["amount"] >= 0]
    return {
        "subscription_id": str(parent.get("subscription") or ""),
        "period_start": _at(max(starts)) if starts else None,
    }


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- what others call --------------------------------------------------------
def settle_plan(user: User) -> None:
    """Raises stripe.StripeError when Stripe cannot be asked."""
    customer = Subscription.objects.filter(user=user).values_list("stripe_customer_id", flat=True)
    if name := customer.first():
        settle(user, PlanSubject(name))


def settle_payment(user: User, payment: str) -> None:
    settle(user, PaymentSubject(payment))
