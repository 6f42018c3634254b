"""Forty payments, each told five times, shuffled, by twenty threads, with handlers that die.

Runs on the database of the settings, as test_ledger_races.py does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection, connections, transaction
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.audit import returns, sums
from billing.models import StripeEvent, Subscription
from billing.payments import events, settle
from billing.payments.settle import PaymentSubject, PaymentTruth
from billing.plans import PACKAGES
from tests.stripe_objects import Row
from tests.stripe_parts import bought, read, subscription
from tests.stripe_server import KEY, SECRET, Simulator, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PAYMENTS, TIMES, THREADS, CRASHES, ROUNDS = 40, 5, 20, 0.15, 12
CREDITS = PACKAGES["small"].credits


class Death(BaseException):
    """The process was killed: nothing after it runs, nothing is written down."""


@pytest.fixture
def stripe(settings: Settings) -> Iterator[Simulator]:
    with running() as simulator:
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
        settings.STRIPE_API_BASE = simulator.address
        cache.clear()
        yield simulator


def forty_payments(simulator: Simulator, user: User) -> list[Row]:
    """The events that tell of them, and nothing else."""
    customer = simulator.make("customer", email=user.email)["id"]
    with transaction.atomic():
        row = ledger.locked(user)
        row.stripe_customer_id = customer
        row.save()
    for _ in range(PAYMENTS):
        about = {"package": "small", "credits": str(CREDITS)}
        simulator._collect(simulator._intent(customer, 500, about))
    return [event for event in simulator.events if event["type"] == "payment_intent.succeeded"]


def post_all(deliveries: list[Row], seed: int, take: Callable[[Row], object]) -> int:
    """Until everything was taken; the rounds it needed. A death is told again later."""
    chance, guard, rounds = random.Random(seed), Lock(), 0
    post = PaymentTruth.post

    def dies_sometimes(truth: PaymentTruth, row: Subscription) -> None:
        post(truth, row)
        with guard:
            dies = chance.random() < CRASHES
        if dies:
            raise Death

    def carry(event: Row) -> Row | None:
        try:
            take(event)
        except (Death, Exception):
            return event
        finally:
            connections.close_all()
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PaymentTruth, "post", dies_sometimes)
        while deliveries:
            rounds += 1
            assert rounds <= ROUNDS
            with ThreadPoolExecutor(THREADS) as threads:
                deliveries = [event for event in threads.map(carry, deliveries) if event]
    return rounds


def applied(event: Row) -> None:
    state = events.receive(read(event)).state
    assert state == StripeEvent.State.APPLIED, state


@pytest.mark.parametrize("seed", [1, 2])
def test_every_payment_counts_once(stripe: Simulator, charlie: User, seed: int) -> None:
    told = forty_payments(stripe, charlie)
    post_all(stripe.jumbled(told, times=TIMES, seed=seed), seed, applied)
    assert bought(charlie) == PAYMENTS * CREDITS
    assert bought(charlie) == stripe.credits_paid(subscription(charlie).stripe_customer_id)
    assert StripeEvent.objects.filter(state="applied").count() == PAYMENTS
    assert [*sums(), *returns()] == []


def test_the_mutant_that_marks_first_loses_payments(stripe: Simulator, charlie: User) -> None:
    """The row says applied before it is: whoever dies in between is never made good."""

    def mark_first(event: Row) -> None:
        told = read(event)
        row = {**events._row(told), "state": "applied"}
        if StripeEvent.objects.bulk_create([StripeEvent(**row)], ignore_conflicts=True):
            if connection.in_atomic_block:
                raise AssertionError("it must be marked for good before it is applied")
            fresh = told.id not in seen
            seen.add(told.id)
            if fresh:
                settle.settle_payment(charlie, told.about["id"])

    seen: set[str] = set()
    told = forty_payments(stripe, charlie)
    post_all(stripe.jumbled(told, times=TIMES, seed=3), 3, mark_first)
    assert bought(charlie) < PAYMENTS * CREDITS


def test_the_mutant_that_checks_then_does_pays_twice(
    stripe: Simulator, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked before the lock whether it was done, and no key that the database would refuse."""
    told = forty_payments(stripe, charlie)

    def post(truth: PaymentTruth, row: Subscription) -> None:
        key = f"stripe:{truth.id}:{uuid4()}"
        ledger.purchase(row, CREDITS, key=key, reason="twice")

    def check_then_do(event: Row) -> None:
        if not StripeEvent.objects.filter(pk=event["id"]).exists():
            with transaction.atomic():
                truth = PaymentTruth.read(event["data"]["object"]["id"])
            with transaction.atomic():
                truth.post(ledger.locked(charlie))
                row = events._row(read(event))
                StripeEvent.objects.bulk_create(
                    [StripeEvent(**row, state="applied")], ignore_conflicts=True
                )

    monkeypatch.setattr(PaymentTruth, "post", post)
    post_all(stripe.jumbled(told, times=TIMES, seed=4), 4, check_then_do)
    assert bought(charlie) > PAYMENTS * CREDITS


def test_two_settlements_at_once_end_with_the_newer_truth(stripe: Simulator, charlie: User) -> None:
    """One read before a refund, and writes after the other settled it."""
    forty_payments(stripe, charlie)
    payment = stripe.of("payment_intent")[0]["id"]
    settle.settle_payment(charlie, payment)
    reads = 0

    class Slow(PaymentSubject):
        def read(self) -> PaymentTruth:
            nonlocal reads
            reads += 1
            truth = PaymentTruth.read(payment)
            if reads == 1:  # the money goes back, and somebody else is faster
                stripe.refund(payment)
                settle.settle_payment(charlie, payment)
            return truth

    settle.settle(charlie, Slow(payment))
    assert reads == 2
    assert bought(charlie) == 0


def test_without_a_stamp_the_older_truth_would_win(
    stripe: Simulator, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr(PaymentSubject, "stamp", lambda self, user: 0)
    with pytest.raises(AssertionError):
        test_two_settlements_at_once_end_with_the_newer_truth(stripe, charlie)
    assert bought(charlie) == CREDITS
