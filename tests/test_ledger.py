"""Credits: every movement is booked once, and never below nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.models import User
from billing import ledger
from billing.allowance import Terms, next_refill
from billing.models import CreditEntry, EntriesNeverChange, Subscription
from billing.plans import PLANS, default_plan

pytestmark = pytest.mark.django_db

ALLOWANCE = 80  # of the default plan in plans.toml


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice@example.com")


def spend(user: User, amount: int, job: str = "training:1") -> CreditEntry:
    with transaction.atomic():
        return ledger.charge(ledger.locked(user), amount, key=f"{job}:charge", reason="a test")


def test_a_new_person_has_the_default_plan_and_its_allowance(alice: User) -> None:
    subscription = ledger.locked(alice)
    assert subscription.plan == default_plan().name == "nano"
    assert ledger.balance(alice) == ALLOWANCE


def test_the_allowance_can_be_seen_before_it_is_booked(alice: User) -> None:
    assert ledger.balance(alice) == ALLOWANCE
    assert not CreditEntry.objects.exists()


def test_looking_at_the_balance_is_one_query(
    alice: User, django_assert_num_queries: object
) -> None:
    ledger.locked(alice)
    with django_assert_num_queries(1):  # type: ignore[operator]
        ledger.balance(alice)


def test_a_charge_lowers_the_balance(alice: User) -> None:
    assert spend(alice, 20).balance == 60
    assert ledger.balance(alice) == 60


def test_a_charge_that_is_too_high_says_so_and_books_nothing(alice: User) -> None:
    with pytest.raises(ledger.InsufficientCredits) as refused:
        spend(alice, 81)
    assert refused.value.status == 402
    assert "costs 81 credits and you have 80" in refused.value.message
    assert ledger.balance(alice) == ALLOWANCE


def test_the_same_key_is_charged_once(alice: User) -> None:
    spend(alice, 20)
    with pytest.raises(ledger.AlreadyPosted):
        spend(alice, 20)
    assert ledger.balance(alice) == 60


def test_a_negative_charge_is_a_mistake(alice: User) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        spend(alice, -5)


def test_a_failed_job_returns_the_credits_once(alice: User) -> None:
    spend(alice, 20)
    assert ledger.refund("training:1", reason="It failed.") is not None
    assert ledger.refund("training:1", reason="It failed.") is None
    assert ledger.balance(alice) == ALLOWANCE


def test_a_part_of_a_charge_can_be_returned_and_no_more(alice: User) -> None:
    spend(alice, 20)
    with pytest.raises(ValueError, match="cannot be returned"):
        ledger.refund("training:1", amount=21, reason="too much")
    ledger.refund("training:1", amount=5, reason="one of four pictures")
    assert ledger.balance(alice) == 65


def test_a_job_that_cost_nothing_returns_nothing(alice: User) -> None:
    assert ledger.refund("training:unknown", reason="never charged") is None


def test_the_allowance_is_booked_once_a_day(alice: User) -> None:
    spend(alice, 30)
    ledger.locked(alice)
    assert ledger.balance(alice) == 50


def test_the_next_day_tops_up_what_was_spent(alice: User) -> None:
    spend(alice, 30)
    entry = ledger.top_up(ledger.locked(alice), at=timezone.now() + timedelta(days=1))
    assert entry is not None
    assert (entry.amount, entry.balance) == (30, ALLOWANCE)


def test_unused_daily_credits_do_not_pile_up(alice: User) -> None:
    entry = ledger.top_up(ledger.locked(alice), at=timezone.now() + timedelta(days=1))
    assert entry is not None
    assert (entry.amount, entry.balance) == (0, ALLOWANCE)


def test_a_day_without_need_settles_the_grant_for_that_day(alice: User) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    ledger.top_up(ledger.locked(alice), at=tomorrow)
    spend(alice, 30)
    assert ledger.top_up(ledger.locked(alice), at=tomorrow) is None


def test_a_larger_plan_is_topped_up_at_once_and_once_a_month(alice: User) -> None:
    subscription = ledger.locked(alice)
    subscription.plan = "micro"
    subscription.save()
    assert ledger.balance(alice) == PLANS["micro"].credits
    ledger.locked(alice)
    assert ledger.balance(alice) == PLANS["micro"].credits


def test_coming_back_to_a_plan_does_not_pay_twice(alice: User) -> None:
    ledger.locked(alice)
    spend(alice, 80)
    for plan in ("micro", "nano"):
        Subscription.objects.update(plan=plan)
        ledger.locked(alice)
    spend(alice, 1200, job="training:2")
    Subscription.objects.update(plan="micro")
    ledger.locked(alice)
    assert ledger.balance(alice) == 0


def test_a_plan_that_left_the_file_counts_as_the_default(alice: User) -> None:
    Subscription.objects.create(user=alice, plan="retired")
    assert ledger.balance(alice) == ALLOWANCE
    ledger.locked(alice)
    assert ledger.balance(alice) == ALLOWANCE


def test_the_lock_wants_a_transaction(transactional_db: None) -> None:
    alice = User.objects.create_user("alice@example.com")
    with pytest.raises(transaction.TransactionManagementError):
        ledger.locked(alice)


def test_entries_never_change(alice: User) -> None:
    entry = spend(alice, 20)
    entry.amount = -1
    for rewrite in (entry.save, entry.delete, CreditEntry.objects.all().delete):
        with pytest.raises(EntriesNeverChange):
            rewrite()
    with pytest.raises(EntriesNeverChange):
        CreditEntry.objects.update(amount=0)


def test_entries_go_with_their_person(alice: User) -> None:
    spend(alice, 20)
    alice.delete()
    assert not CreditEntry.objects.exists()


@pytest.mark.parametrize(
    ("kind", "amount"), [("charge", 5), ("grant", -5), ("refund", -5), ("charge", -500)]
)
def test_the_database_refuses_an_entry_of_the_wrong_sign(
    alice: User, kind: str, amount: int
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditEntry.objects.create(
            user=alice, kind=kind, amount=amount, balance=80 + amount, key="x", reason="x"
        )


def test_the_balance_is_the_sum_of_the_entries(alice: User) -> None:
    spend(alice, 20)
    spend(alice, 7, job="generation:2")
    ledger.refund("generation:2", amount=3, reason="part")
    ledger.grant(ledger.locked(alice), 100, key="gift:1", reason="A gift")
    assert CreditEntry.objects.aggregate(total=Sum("amount"))["total"] == 156
    assert ledger.balance(alice) == 156


def test_the_next_refill_is_the_next_midnight_or_the_first_of_the_month() -> None:
    now = datetime(2026, 12, 31, 18, 30, tzinfo=UTC)
    daily = next_refill(Terms(1, PLANS["nano"]), allowance=50, now=now)
    monthly = next_refill(Terms(1, PLANS["micro"]), allowance=2000, now=now)
    assert daily == (30, datetime(2027, 1, 1, tzinfo=UTC))
    assert monthly == (0, datetime(2027, 1, 1, tzinfo=UTC))


def test_the_database_is_the_clock_of_grants(alice: User) -> None:
    ledger.locked(alice)
    with connection.cursor() as cursor:
        cursor.execute("SELECT CAST(CURRENT_DATE AS TEXT)")
        today = cursor.fetchone()[0]
    assert CreditEntry.objects.get().key == f"grant:{alice.pk}:nano:{today}"
