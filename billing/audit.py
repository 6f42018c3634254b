"""What must be true of the ledger at every moment, one sentence per violation. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import F, Min, Q, Sum, Window
from django.db.models.functions import Coalesce

from billing.models import CreditEntry, StripeEvent, Subscription

Found = Iterator[str]
Kind = CreditEntry.Kind


def sums() -> Found:
    """Each entry's balance and allowance are the sums of all entries up to it."""
    entries = CreditEntry.objects.annotate(
        added=Window(Sum("amount"), partition_by=F("user"), order_by=F("id").asc()),
        allowed=Window(Sum("allowance_amount"), partition_by=F("user"), order_by=F("id").asc()),
    )
    wrong = entries.exclude(balance=F("added"), allowance=F("allowed")).order_by("id")
    for key, told, added, part, allowed in wrong.values_list(
        "key", "balance", "added", "allowance", "allowed"
    ):
        yield f"{key} says {told} ({part} of the plan), the entries add up to {added} ({allowed})"
    lowest = CreditEntry.objects.values("user").annotate(lowest=Min("balance")).filter(lowest__lt=0)
    for row in lowest:
        yield f"user {row['user']} was at {row['lowest']} credits"


def returns() -> Found:
    """Nothing comes back to somebody else, for nothing, or more than it cost."""
    strange = CreditEntry.objects.filter(of__isnull=False).exclude(
        Q(of__user=F("user")),
        Q(kind=Kind.REFUND, of__kind=Kind.CHARGE) | Q(kind=Kind.REVERSAL, of__isnull=False),
    )
    for entry in strange:
        yield f"{entry.key} returns {entry.of_id}, which it cannot"
    charges = CreditEntry.objects.filter(kind=Kind.CHARGE, returns__isnull=False)
    back = Coalesce(Sum("returns__amount"), 0)
    for entry in charges.annotate(back=back).filter(back__gt=-F("amount")):
        yield f"{entry.key} cost {-entry.amount}, returned were more"
    for entry in CreditEntry.objects.filter(kind=Kind.REVERSAL, of__isnull=True):
        yield f"{entry.key} reverses nothing"


def allowances() -> Found:
    """The key that pages look at is that of an entry."""
    keys = CreditEntry.objects.filter(kind__in=[Kind.GRANT, Kind.EXPIRY]).values("key")
    for subscription in Subscription.objects.exclude(granted="").exclude(granted__in=keys):
        yield f"{subscription} counts on {subscription.granted}, which was never posted"


def events() -> Found:
    """What Stripe told and we could not apply."""
    for event in StripeEvent.objects.filter(state=StripeEvent.State.FAILED)[:100]:
        yield f"{event}: {event.note}"
