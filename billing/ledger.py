"""The one place that moves credits.

Whatever a person spends is decided under the lock of their `Subscription` row:

    with transaction.atomic():
        subscription = ledger.locked(user)
        ledger.charge(subscription, 20, key=f"training:{id}:charge", reason="Training of Ada")

Entries are appended and never change; each carries the balance after it. A plan's allowance is
a grant posted on first need, once per day or month: it tops the balance up, so unused free
credits do not pile up beyond the allowance (bought or refunded credits above it are kept).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from billing.models import CreditEntry, Subscription
from billing.plans import PLANS, Plan, default_plan, plan_named
from billing.refusals import Refusal

if TYPE_CHECKING:
    from accounts.models import User


class InsufficientCredits(Refusal):
    def __init__(self, *, needed: int, left: int) -> None:
        self.needed, self.left = needed, left
        message = f"This costs {needed} credits and you have {left}. Nothing was charged."
        super().__init__("insufficient_credits", message, status=402)


class AlreadyPosted(Refusal):
    """The key has been used: this charge or grant exists and is not made twice."""

    def __init__(self, key: str) -> None:
        super().__init__("already_posted", f"This was booked before ({key}).", status=409)


# --- the lock ----------------------------------------------------------------
def locked(user: User) -> Subscription:
    """The person's subscription, locked until the transaction ends; made on first need.

    Call it inside `transaction.atomic()`. PostgreSQL locks the row; on SQLite the transaction
    itself is exclusive (BEGIN IMMEDIATE, see settings). Posts the due grant.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A lock needs a transaction around it.")
    rows = Subscription.objects.select_for_update().annotate(now=Now()).filter(user=user)
    subscription = rows.first()
    if subscription is None:
        # Two first requests at once: the unique user lets one insert, both then lock that row.
        Subscription.objects.get_or_create(user=user, defaults={"plan": default_plan().name})
        subscription = rows.get()
    top_up(subscription, at=subscription.now)
    return subscription


# --- movements, all under the lock -------------------------------------------
def charge(subscription: Subscription, amount: int, *, key: str, reason: str) -> CreditEntry:
    """Take `amount` credits; raises `InsufficientCredits` or, for a used key, `AlreadyPosted`."""
    left = _balance_under_lock(subscription)
    if CreditEntry.objects.filter(key=key).exists():
        raise AlreadyPosted(key)
    if amount > left:
        raise InsufficientCredits(needed=amount, left=left)
    return _post(subscription, CreditEntry.Kind.CHARGE, -_counted(amount), key=key, reason=reason)


def grant(subscription: Subscription, amount: int, *, key: str, reason: str) -> CreditEntry:
    """Give `amount` credits; raises `AlreadyPosted` for a used key."""
    if CreditEntry.objects.filter(key=key).exists():
        raise AlreadyPosted(key)
    return _post(subscription, CreditEntry.Kind.GRANT, _counted(amount), key=key, reason=reason)


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
    with transaction.atomic():
        subscription = locked(charged.user)
        if given == 0 or CreditEntry.objects.filter(key=f"{job_key}:refund").exists():
            return None
        kind = CreditEntry.Kind.REFUND
        return _post(subscription, kind, given, key=f"{job_key}:refund", reason=reason)


def top_up(subscription: Subscription, *, at: datetime) -> CreditEntry | None:
    """Post the allowance of the period that `at` lies in, unless that was done before.

    Somebody who has more than the allowance gets an entry of 0: the period is settled.
    """
    plan = plan_named(subscription.plan)
    key = grant_key(subscription.user_id, plan, at)
    if CreditEntry.objects.filter(key=key).exists():
        return None
    missing = max(0, plan.credits - _balance_under_lock(subscription))
    reason = f"{plan.title}: {plan.credits} credits a {plan.period}"
    return _post(subscription, CreditEntry.Kind.GRANT, missing, key=key, reason=reason)


def grant_key(user_id: int, plan: Plan, at: datetime) -> str:
    """One grant per person, plan and period: coming back to a plan does not pay twice."""
    return f"grant:{user_id}:{plan.name}:{plan.period_name(at)}"


def _post(
    subscription: Subscription, kind: CreditEntry.Kind, amount: int, *, key: str, reason: str
) -> CreditEntry:
    return CreditEntry.objects.create(
        user_id=subscription.user_id,
        kind=kind,
        amount=amount,
        balance=_balance_under_lock(subscription) + amount,
        key=key,
        reason=reason[:200],
    )


def _balance_under_lock(subscription: Subscription) -> int:
    entries = CreditEntry.objects.filter(user_id=subscription.user_id).order_by("-id")
    return entries.values_list("balance", flat=True).first() or 0


def _counted(amount: int) -> int:
    if amount < 0:
        raise ValueError("Credits are moved in whole numbers from 0 on.")
    return amount


# --- looking, without the lock -----------------------------------------------
# In SQL: every page shows the balance, and building this query took Django half of a page's time.
_DUE_KEY = f"CASE subscription.plan {'WHEN %s THEN %s ' * len(PLANS)}ELSE %s END"
_BALANCE = f"""
    SELECT subscription.plan,
        EXISTS (SELECT 1 FROM billing_creditentry AS entry WHERE entry.key = {_DUE_KEY}),
        (SELECT entry.balance FROM billing_creditentry AS entry
            WHERE entry.user_id = subscription.user_id ORDER BY entry.id DESC LIMIT 1)
    FROM billing_subscription AS subscription WHERE subscription.user_id = %s
"""  # noqa: S608  # nothing but the number of plans is put into it


def balance(user: User) -> int:
    """Credits the person can spend now, a due but unposted grant included. One query."""
    now = timezone.now()
    keys = {plan.name: grant_key(user.pk, plan, now) for plan in PLANS.values()}
    due = [word for pair in keys.items() for word in pair]
    with connection.cursor() as cursor:
        cursor.execute(_BALANCE, [*due, grant_key(user.pk, default_plan(), now), user.pk])
        row = cursor.fetchone()
    if row is None:
        return default_plan().credits
    plan, settled, left = row
    return (left or 0) if settled else max(left or 0, plan_named(plan).credits)


class Refill(NamedTuple):
    amount: int  # credits that would be added if nothing were spent until then
    at: datetime


def next_refill(plan: Plan, *, left: int, now: datetime) -> Refill:
    start = plan.period_start(now)
    # 32 days after the first of a month lie in the next one.
    at = start + timedelta(days=1 if plan.period == "day" else 32)
    return Refill(max(0, plan.credits - left), plan.period_start(at))
