"""The one place that moves credits.

Whatever a person spends is decided under the lock of their `Subscription` row:

    with transaction.atomic():
        subscription = ledger.locked(user)
        ledger.charge(subscription, 20, key=f"training:{id}:charge", reason="Training of Ada")

Entries are appended and never change; each carries the balance after it. A charge takes from the
plan's allowance first (allowance.py), then from what was bought, and a refund gives back to where
it was taken from.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from django.db import connection, models, transaction
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey
from billing import allowance, entries
from billing.allowance import balance, grant_key, top_up
from billing.entries import AlreadyPosted, Head
from billing.models import CreditEntry, Subscription
from billing.plans import default_plan, is_lapsed
from billing.refusals import Refusal

if TYPE_CHECKING:
    from accounts.models import User

__all__ = [
    "AlreadyPosted", "InsufficientCredits", "adjust", "balance", "charge", "grant", "grant_key",
    "locked", "purchase", "refund", "reverse", "spent", "top_up",
]  # fmt: skip

Kind = CreditEntry.Kind


class InsufficientCredits(Refusal):
    def __init__(self, *, needed: int, left: int) -> None:
        self.needed, self.left = needed, left
        message = f"This costs {needed} credits and you have {left}. Nothing was charged."
        super().__init__("insufficient_credits", message, status=402)


# --- the lock ----------------------------------------------------------------
def locked(user: User) -> Subscription:
    """The person's subscription, locked until the transaction ends; made on first need.

    Call it inside `transaction.atomic()`. PostgreSQL locks the row; on SQLite the transaction
    itself is exclusive (BEGIN IMMEDIATE, see settings). Posts the due allowance, and ends a plan
    that nobody paid for.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A lock needs a transaction around it.")
    subscription = _row(user)
    if subscription is None:
        # Two first requests at once: the unique user lets one insert, both then lock that row.
        Subscription.objects.get_or_create(user=user, defaults={"plan": default_plan().name})
        subscription = _row(user)
        assert subscription is not None
    if subscription.paid_until is not None and is_lapsed(subscription.paid_until, subscription.now):
        allowance.end_plan(subscription, at=subscription.now)
    top_up(subscription, at=subscription.now)
    return subscription


# In SQL: every charge and every claim of a job begins here, and the ORM took as long to build the
# query as the disk takes to keep the charge.
FOR_UPDATE = " FOR UPDATE"
NOW = {"postgresql": "STATEMENT_TIMESTAMP()"}
_FIELDS = Subscription._meta.concrete_fields
_NAMES = [field.attname for field in _FIELDS]
_MOMENTS = {field.attname for field in _FIELDS if isinstance(field, models.DateTimeField)}


def _row(user: User) -> Subscription | None:
    is_shared = connection.features.has_select_for_update
    now = NOW.get(connection.vendor, "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')")
    words = f"SELECT {', '.join(_NAMES)}, {now} FROM billing_subscription WHERE user_id = %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(words + FOR_UPDATE * is_shared, [user.pk])
        found = cursor.fetchone()
    if found is None:
        return None
    values = dict(zip((*_NAMES, "now"), found, strict=True))
    for name in (*_MOMENTS, "now"):
        values[name] = allowance.moment(values[name])
    values["is_ending"] = bool(values["is_ending"])
    now_there = values.pop("now")
    row = Subscription.from_db(connection.alias, _NAMES, [values[name] for name in _NAMES])
    row.now = now_there
    return row


# --- movements, all under the lock -------------------------------------------
def charge(subscription: Subscription, amount: int, *, key: str, reason: str) -> CreditEntry:
    """Take `amount` credits.

    Raises `InsufficientCredits`, for a used key `AlreadyPosted`, and Refusal("key_limit") where
    the program that asks has spent what its API key may spend.
    """
    now = entries.head(subscription)
    _check_affordable(_counted(amount), now, key=key)
    api_key = keys.acting()
    _check_limit(api_key, amount)
    return entries.post(
        subscription,
        Kind.CHARGE,
        -amount,
        key=key,
        reason=reason,
        of_allowance=-min(amount, now.allowance),
        since=now,
        api_key=api_key,
    )


def check_affordable(subscription: Subscription, amount: int) -> None:
    """Raises `InsufficientCredits` or Refusal("key_limit"); takes nothing."""
    now = entries.head(subscription)
    if amount > now.balance:
        raise InsufficientCredits(needed=amount, left=now.balance)
    _check_limit(keys.acting(), amount)


def grant(subscription: Subscription, amount: int, *, key: str, reason: str) -> CreditEntry:
    """Give `amount` credits that stay; raises `AlreadyPosted` for a used key."""
    return entries.post(subscription, Kind.GRANT, _counted(amount), key=key, reason=reason)


def adjust(subscription: Subscription, amount: int, *, key: str, reason: str) -> CreditEntry:
    """An administrator gives (or takes, never below zero) credits; the reason is shown."""
    now = entries.head(subscription)
    _check_affordable(-amount, now, key=key)
    of_allowance = min(0, amount + now.kept)  # what was bought first
    kind = Kind.ADJUSTMENT
    return entries.post(
        subscription, kind, amount, key=key, reason=reason, of_allowance=of_allowance, since=now
    )


def refund(job_key: str, *, amount: int | None = None, reason: str) -> CreditEntry | None:
    """Give back what `training:<uuid>` or `generation:<uuid>` cost, or `amount` of it.

    At most once per job: a second call, or a job that was never charged, changes nothing and
    answers None. Takes the lock itself; join it to the transaction that ends the job.
    """
    charged = CreditEntry.objects.filter(key=f"{job_key}:charge").select_related("user").first()
    if charged is None:
        return None
    given = -charged.amount if amount is None else _counted(amount)
    if given > -charged.amount:
        raise ValueError(f"{job_key} cost {-charged.amount} credits; {given} cannot be returned.")
    key = f"{job_key}:refund"
    with transaction.atomic():
        subscription = locked(charged.user)
        if given == 0 or entries.is_posted(key):
            return None
        kept = charged.allowance_amount - charged.amount  # what the charge took beside it
        of_allowance = max(0, given - kept)  # taken first, so given back last
        return entries.post(
            subscription, Kind.REFUND, given,
            key=key, reason=reason, of_allowance=of_allowance, of=charged,
        )  # fmt: skip


# --- movements that follow money ---------------------------------------------
def purchase(subscription: Subscription, amount: int, *, key: str, reason: str) -> CreditEntry:
    """Credits that were paid for. What is owed is taken off first."""
    now = entries.head(subscription)
    settled = min(now.owed, _counted(amount))
    words = f"{reason} ({settled:,} of {amount:,} were owed)" if settled else reason
    kind = Kind.PURCHASE
    return entries.post(
        subscription, kind, amount - settled, key=key, reason=words, owed=-settled, since=now
    )


def reverse(
    subscription: Subscription, amount: int, *, of: CreditEntry, key: str, reason: str
) -> CreditEntry:
    """The money for `amount` credits of a purchase went back; below 0 it came again.

    Never below zero: what was spent already is owed, and comes off the next purchase.
    """
    now = entries.head(subscription)
    if amount < 0:
        settled = min(now.owed, -amount)
        change, owed = -amount - settled, -settled
    else:
        taken = min(amount, now.balance)
        change, owed = -taken, amount - taken
    return entries.post(
        subscription,
        Kind.REVERSAL,
        change,
        key=key,
        reason=f"{reason} ({owed:,} of them were spent and are owed)" if owed > 0 else reason,
        of_allowance=min(0, change + now.kept),
        owed=owed,
        of=of,
        since=now,
    )


def _check_affordable(amount: int, now: Head, *, key: str) -> None:
    """Whoever asks twice hears of that first: the balance may be lower because of it."""
    if amount > now.balance:
        if entries.is_posted(key):
            raise AlreadyPosted(key)
        raise InsufficientCredits(needed=amount, left=now.balance)


def spent(api_key: ApiKey) -> int:
    """Credits that a program used up in this calendar month (UTC): charges less refunds."""
    month = timezone.now().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    entries_of = api_key.credit_entries.filter(created_at__gte=month)
    return -(entries_of.aggregate(sum=models.Sum("amount"))["sum"] or 0)


def _check_limit(api_key: ApiKey | None, amount: int) -> None:
    if api_key is None or api_key.spend_limit is None:
        return
    left = max(0, api_key.spend_limit - spent(api_key))
    if amount > left:
        words = f"This costs {amount} credits, and this API key may spend {left} more this month."
        raise Refusal("key_limit", f"{words} Nothing was charged.", status=402)


def _counted(amount: int) -> int:
    if amount < 0:
        raise ValueError("Credits are moved in whole numbers from 0 on.")
    return amount
