"""The months of a paid plan, and what a change of plan does to its credits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from billing import allowance, ledger, periods
from billing.models import Subscription
from billing.plans import PATIENCE, PLANS, default_plan, plan_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NOW = timezone.now


def paid(user: User, plan: str, *, since: timedelta, until: timedelta) -> Subscription:
    """A plan that has been paid for; nothing of it is posted yet."""
    now = NOW()
    row, _ = Subscription.objects.update_or_create(
        user=user, defaults={"plan": plan, "anchor": now - since, "paid_until": now + until}
    )
    return row


def spend(user: User, amount: int, job: str = "generation:1") -> None:
    with transaction.atomic():
        ledger.charge(ledger.locked(user), amount, key=f"{job}:charge", reason="pictures")


# --- months -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("start", "months", "end"),
    [("2026-01-31", 1, "2026-02-28"), ("2026-01-31", 2, "2026-03-31"),
     ("2028-01-31", 1, "2028-02-29"), ("2026-11-30", 14, "2028-01-30")],
)  # fmt: skip
def test_a_month_ends_on_the_same_day_or_the_last(start: str, months: int, end: str) -> None:
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert periods.months_later(at, months).date().isoformat() == end


MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.sampled_from([1, 12]), st.floats(0, 0.999))
def test_months_cover_a_paid_time_without_gap(anchor: datetime, count: int, share: float) -> None:
    end = periods.months_later(anchor, count)
    at = anchor + (end - anchor) * share
    start, stop = periods.month_of(anchor, at, end=end)
    assert start <= at < stop <= end
    assert timedelta(days=27) <= stop - start <= timedelta(days=35)
    starts, moment = set(), anchor
    while moment < end:
        begin, moment = periods.month_of(anchor, moment, end=end)
        starts.add(begin)
    assert len(starts) == count


def test_a_month_that_stripe_makes_longer_is_still_one() -> None:
    """28 February to 31 March, of a subscription that began on a 31st."""
    anchor, end = datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    assert periods.month_of(anchor, end - DAY, end=end) == (anchor, end)


# --- the allowance of a paid plan ---------------------------------------------------------------
def test_a_paid_month_gives_its_credits_once(bob: User) -> None:
    paid(bob, "micro", since=5 * DAY, until=25 * DAY)
    assert ledger.balance(bob) == PLANS["micro"].credits
    spend(bob, 200)
    assert ledger.balance(bob) == 1000
    with transaction.atomic():
        ledger.locked(bob)
    assert ledger.balance(bob) == 1000


def test_a_paid_year_gives_every_month(bob: User) -> None:
    paid(bob, "micro", since=40 * DAY, until=325 * DAY)
    spend(bob, 200)
    later = NOW() + 31 * DAY
    with transaction.atomic():
        entry = ledger.top_up(ledger.locked(bob), at=later)
    assert entry is not None and entry.amount == 200
    assert allowance.standing(bob, now=later).left == PLANS["micro"].credits


def test_after_the_paid_time_no_credits_come_and_the_plan_stays_for_a_while(bob: User) -> None:
    paid(bob, "micro", since=31 * DAY, until=-DAY)
    assert ledger.balance(bob) == 0
    assert plan_of(bob) == PLANS["micro"]
    spend(bob, 0)
    assert ledger.balance(bob) == 0


def test_a_plan_that_nobody_paid_for_ends_by_itself(bob: User) -> None:
    row = paid(bob, "micro", since=5 * DAY, until=25 * DAY)
    spend(bob, 200)
    ended = NOW() - PATIENCE - DAY
    Subscription.objects.filter(pk=row.pk).update(anchor=ended - 30 * DAY, paid_until=ended)
    assert plan_of(bob) == default_plan()
    assert ledger.balance(bob) == default_plan().credits
    spend(bob, 1, "generation:2")
    row.refresh_from_db()
    assert (row.plan, row.anchor, row.paid_until) == (default_plan().name, None, None)
    assert ledger.balance(bob) == default_plan().credits - 1


# --- changing it --------------------------------------------------------------------------------
def change(user: User, plan: str, *, days: int = 30) -> int:
    """A larger plan from now on, as Stripe does it: a new period begins. The balance after it."""
    with transaction.atomic():
        subscription, now = ledger.locked(user), NOW()
        until = now + timedelta(days=days)
        allowance.change_plan(subscription, PLANS[plan], anchor=now, paid_until=until, at=now)
    return ledger.balance(user)


def test_whoever_spends_evenly_has_the_whole_larger_allowance(bob: User) -> None:
    paid(bob, "micro", since=15 * DAY, until=15 * DAY)
    spend(bob, 600)
    assert change(bob, "mega") == pytest.approx(PLANS["mega"].credits, abs=1)


def test_whoever_spent_ahead_gains_nothing_by_changing(bob: User) -> None:
    paid(bob, "micro", since=timedelta(seconds=1), until=30 * DAY)
    spend(bob, 1200)
    assert change(bob, "macro") == pytest.approx(PLANS["macro"].credits - 1200, abs=1)
    spend(bob, 2800, "generation:2")
    assert change(bob, "mega") == pytest.approx(PLANS["mega"].credits - 4000, abs=1)


def test_whoever_saved_keeps_what_was_saved(bob: User) -> None:
    paid(bob, "micro", since=15 * DAY, until=15 * DAY)
    spend(bob, 0)
    assert change(bob, "mega") == pytest.approx(PLANS["mega"].credits + 600, abs=1)


def test_a_smaller_plan_in_the_middle_takes_what_was_not_paid_for(bob: User) -> None:
    paid(bob, "mega", since=15 * DAY, until=15 * DAY)
    spend(bob, 10_000)
    assert change(bob, "micro") == pytest.approx(PLANS["micro"].credits, abs=1)


def test_changing_within_the_running_period_moves_the_rest_of_it(bob: User) -> None:
    row = paid(bob, "micro", since=15 * DAY, until=15 * DAY)
    spend(bob, 600)
    with transaction.atomic():
        subscription, now = ledger.locked(bob), NOW()
        anchor, until = row.anchor, row.paid_until
        allowance.change_plan(subscription, PLANS["mega"], anchor=anchor, paid_until=until, at=now)
    assert ledger.balance(bob) == pytest.approx(PLANS["mega"].credits / 2, abs=1)


def test_a_change_is_posted_once(bob: User) -> None:
    paid(bob, "micro", since=15 * DAY, until=15 * DAY)
    spend(bob, 600)
    with transaction.atomic():
        subscription, now = ledger.locked(bob), NOW()
        for _ in range(3):
            allowance.change_plan(
                subscription, PLANS["mega"], anchor=now, paid_until=now + 30 * DAY, at=now
            )
    assert ledger.balance(bob) == pytest.approx(PLANS["mega"].credits, abs=1)


def test_bought_credits_survive_every_change(bob: User) -> None:
    paid(bob, "mega", since=15 * DAY, until=15 * DAY)
    with transaction.atomic():
        subscription = ledger.locked(bob)
        ledger.purchase(subscription, 500, key="stripe:pi_1:purchase", reason="500 credits")
        allowance.end_plan(subscription, at=NOW())
    assert allowance.standing(bob).head == (580, 80, 0)
    assert plan_of(bob) == default_plan()


def test_the_end_of_a_plan_leaves_the_free_allowance(bob: User) -> None:
    spend(bob, 30)  # of today's free credits
    change(bob, "mega")
    spend(bob, 1, "generation:2")
    with transaction.atomic():
        subscription = ledger.locked(bob)
        for _ in range(2):
            allowance.end_plan(subscription, at=NOW())
    assert ledger.balance(bob) == 80
    assert plan_of(bob) == default_plan()
