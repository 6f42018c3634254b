"""The credits that come with a plan: once per period, posted on first need, gone with its end.

Nobody runs a clock for it: whoever takes the lock first in a new period posts the entry, and until
then `balance` counts it in. A plan that is paid for has months of its own, and what a change of
plan moves follows the time that was paid for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from billing import entries, periods
from billing.entries import Head
from billing.models import CreditEntry, Subscription
from billing.plans import Plan, default_plan, is_lapsed, plan_named

if TYPE_CHECKING:
    from accounts.models import User

Kind = CreditEntry.Kind
PLAN_FIELDS = [
    "plan", "plan_since", "anchor", "paid_until", "is_ending", "payment_failed_at", "updated_at",
]  # fmt: skip


class Terms(NamedTuple):
    """What decides about a person's allowance."""

    user_id: int
    plan: Plan
    anchor: datetime | None = None
    paid_until: datetime | None = None

    @classmethod
    def of(cls, subscription: Subscription) -> Terms:
        plan = plan_named(subscription.plan)
        return cls(subscription.user_id, plan, subscription.anchor, subscription.paid_until)

    def due(self, at: datetime) -> str | None:
        """The key of the allowance that `at` belongs to; None where nothing is paid for."""
        if self.anchor is None or self.paid_until is None:
            return grant_key(self.user_id, self.plan, at)
        if at >= self.paid_until:
            return None
        start, _ = periods.month_of(self.anchor, at, end=self.paid_until)
        return month_key(self.user_id, self.plan, start)

    def next_period(self, at: datetime) -> datetime:
        if self.anchor is None or self.paid_until is None:
            start = self.plan.period_start(at)
            # 32 days after the first of a month lie in the next one.
            days = 1 if self.plan.period == "day" else 32
            return self.plan.period_start(start + timedelta(days=days))
        return periods.month_of(self.anchor, at, end=self.paid_until)[1]


def grant_key(user_id: int, plan: Plan, at: datetime) -> str:
    """One grant per person, plan and period: coming back to a plan does not pay twice."""
    return f"grant:{user_id}:{plan.name}:{plan.period_name(at)}"


def month_key(user_id: int, plan: Plan, start: datetime) -> str:
    return f"grant:{user_id}:{plan.name}:{start.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


# --- under the lock ----------------------------------------------------------
def top_up(subscription: Subscription, *, at: datetime) -> CreditEntry | None:
    """Post the allowance of the period that `at` lies in, unless that was done before.

    Unused credits of the period before do not pile up: the allowance is set to the plan's, and one
    entry holds the difference (0 where nothing was spent: the period is settled).
    """
    terms = Terms.of(subscription)
    key = terms.due(at)
    if key is None or key == subscription.granted:
        return None
    entry = None
    if not entries.is_posted(key):
        now = entries.head(subscription)
        entry = _set(subscription, terms.plan.credits, key=key, since=now, reason=_words(terms))
    remember(subscription, key)
    return entry


def _set(
    subscription: Subscription, allowance: int, *, key: str, since: Head, reason: str
) -> CreditEntry:
    """Bring the allowance to this; what is owed stays owed until something is bought."""
    change = allowance - since.allowance
    kind = Kind.GRANT if change >= 0 else Kind.EXPIRY
    return entries.post(
        subscription, kind, change, key=key, reason=reason, of_allowance=change, since=since
    )


def change_plan(
    subscription: Subscription, plan: Plan, *, anchor: datetime, paid_until: datetime, at: datetime
) -> None:
    """The paid plan from now on; `at` is when it changed.

    A new period needs no entry: it is posted on first need. Within a paid period credits follow the
    time that was paid for: what the old plan gave for the time it lost goes, what the new one gives
    for that time comes. Whoever spent ahead gets less, so changing back and forth gains nothing.
    """
    old = Terms.of(subscription)
    new = Terms(subscription.user_id, plan, anchor, paid_until)
    is_change = old.paid_until is not None and at < old.paid_until and old.plan != plan
    _write(subscription, new)
    if is_change:
        _move(subscription, old, new, at)


def _move(subscription: Subscription, old: Terms, new: Terms, at: datetime) -> None:
    key = new.due(at)
    if key is None or entries.is_posted(key):
        return
    now = entries.head(subscription)
    lost, won = old.plan.credits * _left(old, at), new.plan.credits * _left(new, at)
    reason = f"{_words(new)}, less what {old.plan.title} gave for the same time"
    allowance = max(0, round(now.allowance - lost + won))
    _set(subscription, allowance, key=key, since=now, reason=reason)
    remember(subscription, key)


def _left(terms: Terms, at: datetime) -> float:
    assert terms.anchor is not None and terms.paid_until is not None
    start, end = periods.month_of(terms.anchor, at, end=terms.paid_until)
    return periods.share_left(start, end, at)


def assign(user: User, plan: Plan) -> None:
    """An administrator's choice: by the calendar, without an end."""
    with transaction.atomic():
        row, _ = Subscription.objects.get_or_create(user=user, defaults={"plan": plan.name})
        row = Subscription.objects.select_for_update().get(pk=row.pk)
        if row.plan != plan.name:
            _write(row, Terms(row.user_id, plan))


def end_plan(subscription: Subscription, *, at: datetime) -> None:
    """Back to the default plan: what is left of the paid allowance is no more than the free one."""
    plan, old = default_plan(), Terms.of(subscription)
    ended = old.paid_until or at
    _write(subscription, Terms(subscription.user_id, plan))
    now = entries.head(subscription)
    key = f"expiry:{subscription.user_id}:{old.plan.name}:{ended.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    if now.allowance > plan.credits and not entries.is_posted(key):
        reason = f"{old.plan.title} ended: unused credits of its allowance"
        _set(subscription, plan.credits, key=key, since=now, reason=reason)


def _write(subscription: Subscription, terms: Terms) -> None:
    if subscription.plan != terms.plan.name:
        subscription.plan_since = timezone.now()
    subscription.plan = terms.plan.name
    subscription.anchor, subscription.paid_until = terms.anchor, terms.paid_until
    subscription.is_ending, subscription.payment_failed_at = False, None
    subscription.save(update_fields=PLAN_FIELDS)


def remember(subscription: Subscription, key: str) -> None:
    subscription.granted = key
    Subscription.objects.filter(pk=subscription.pk).update(granted=key)


def _words(terms: Terms) -> str:
    return f"{terms.plan.title}: {terms.plan.credits:,} credits a {terms.plan.period}"


# --- looking, without the lock -----------------------------------------------
# In SQL: every page shows the balance, and building this query took Django half of a page's time.
_STANDING = """
    SELECT subscription.plan, subscription.anchor, subscription.paid_until, subscription.granted,
        entry.balance, entry.allowance, entry.owed
    FROM billing_subscription AS subscription
    LEFT JOIN billing_creditentry AS entry ON entry.id = (
        SELECT id FROM billing_creditentry WHERE user_id = subscription.user_id
        ORDER BY id DESC LIMIT 1)
    WHERE subscription.user_id = %s
"""


class Standing(NamedTuple):
    """What a person has, a due but unposted allowance included."""

    terms: Terms
    head: Head  # as it will be once the due entry is posted
    due: int | None  # credits of that entry; None when all is posted

    @property
    def left(self) -> int:
        return self.head.balance

    def refill_at(self) -> datetime:
        return self.terms.next_period(timezone.now())


def standing(user: User, *, now: datetime | None = None) -> Standing:
    """One query; two on the first look of a period."""
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [user.pk])
        row = cursor.fetchone()
    if row is None:
        terms = Terms(user.pk, default_plan())
        return _with_due(terms, Head(), terms.plan.credits)
    name, anchor, paid_until, granted, *numbers = row
    plan, until = plan_named(name), moment(paid_until)
    head = Head(*(number or 0 for number in numbers))
    if until is not None and is_lapsed(until, now):  # as `ledger.locked` will find it
        terms = Terms(user.pk, default_plan())
        head = head._replace(
            balance=head.kept + min(head.allowance, terms.plan.credits),
            allowance=min(head.allowance, terms.plan.credits),
        )
    else:
        terms = Terms(user.pk, plan, moment(anchor), until)
    key = terms.due(now)
    if key is None or key == granted or entries.is_posted(key):
        return Standing(terms, head, None)
    return _with_due(terms, head, terms.plan.credits)


def _with_due(terms: Terms, head: Head, allowance: int) -> Standing:
    due = allowance - head.allowance
    return Standing(terms, Head(head.balance + due, allowance, head.owed), due)


def balance(user: User) -> int:
    """Credits the person can spend now."""
    return standing(user).left


def moment(value: datetime | str | None) -> datetime | None:
    """SQLite hands times out as text."""
    found = parse_datetime(value) if isinstance(value, str) else value
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


class Refill(NamedTuple):
    amount: int  # credits that would be added if nothing were spent until then
    at: datetime


def next_refill(terms: Terms, *, allowance: int, now: datetime) -> Refill:
    """Of a plan that goes on; `allowance` is what is left of the present one."""
    return Refill(max(0, terms.plan.credits - allowance), terms.next_period(now))
