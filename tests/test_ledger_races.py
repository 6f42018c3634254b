"""Many requests, one account: credits are neither sold twice nor lost.

Runs on the database of the settings: SQLite as it is, PostgreSQL through
`python -m tests.servers -- pytest tests/test_ledger_races.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import Sum

from accounts.models import User
from billing import ledger
from billing.models import CreditEntry, Subscription
from billing.refusals import Refusal

pytestmark = pytest.mark.django_db(transaction=True)

CROWD = 50


def at_once(number: int, act: Callable[[int], object]) -> int:
    """Run `act(0..number-1)` in threads that start together; how many were not refused."""
    start = Barrier(number)

    def run(index: int) -> bool:
        start.wait()
        try:
            with transaction.atomic():
                act(index)
        except (Refusal, IntegrityError):  # the service says no, or the database does
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(number) as threads:
        return sum(threads.map(run, range(number)))


def sell_ten_to_fifty(user: User) -> int:
    with transaction.atomic():
        ledger.charge(ledger.locked(user), 70, key="before:charge", reason="all but ten")
    return at_once(
        CROWD,
        lambda index: ledger.charge(
            ledger.locked(user), 1, key=f"generation:{index}:charge", reason="one of ten"
        ),
    )


def test_fifty_requests_for_the_last_ten_credits_sell_ten(charlie: User) -> None:
    assert sell_ten_to_fifty(charlie) == 10
    assert ledger.balance(charlie) == 0
    assert CreditEntry.objects.aggregate(total=Sum("amount"))["total"] == 0


def test_the_same_job_is_charged_once_however_often_it_is_sent(charlie: User) -> None:
    same = lambda _: ledger.charge(  # noqa: E731
        ledger.locked(charlie), 20, key="training:1:charge", reason="a double click"
    )
    assert at_once(20, same) == 1
    assert ledger.balance(charlie) == 60


def test_a_job_is_refunded_once_however_many_ends_it_meets(charlie: User) -> None:
    with transaction.atomic():
        ledger.charge(ledger.locked(charlie), 20, key="training:1:charge", reason="a training")
    at_once(20, lambda _: ledger.refund("training:1", reason="It failed."))
    assert CreditEntry.objects.filter(kind="refund").count() == 1
    assert ledger.balance(charlie) == 80


def test_first_requests_at_once_make_one_subscription_and_one_grant(charlie: User) -> None:
    assert at_once(20, lambda _: ledger.locked(charlie)) == 20
    assert Subscription.objects.count() == CreditEntry.objects.count() == 1


def test_without_the_row_lock_credits_are_oversold(
    charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the tests above would notice if the lock were gone."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole transaction, there is no row lock to take away")
    monkeypatch.setattr(ledger, "FOR_UPDATE", "")
    sell_ten_to_fifty(charlie)
    booked = CreditEntry.objects.aggregate(total=Sum("amount"))["total"]
    assert booked < 0  # more was sold than there was
