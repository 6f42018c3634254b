"""Any sequence of movements leaves the books right: in sum, in both parts, and for everybody."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from billing import allowance, audit, entries, ledger
from billing.models import CreditEntry, Subscription
from billing.plans import PLANS
from billing.statement import statement

AMOUNTS = st.integers(0, 120)
CREDITS = 80  # a day, on the default plan


class Books(RuleBasedStateMachine):
    """Three plain numbers beside the ledger, and what each job took from where."""

    jobs: Bundle[str] = Bundle("jobs")
    payments: Bundle[str] = Bundle("payments")

    def __init__(self) -> None:
        super().__init__()
        self.user = User.objects.create_user(f"{uuid4()}@example.com")
        self.neighbour = User.objects.create_user(f"{uuid4()}@example.com")
        self.at = timezone.now()
        self.plan = PLANS["nano"]
        self.allowed, self.kept, self.owed = CREDITS, 0, 0
        self.taken: dict[str, tuple[int, int]] = {}  # of the allowance, of what was bought
        self.returned: set[str] = set()
        self.paid: dict[str, int] = {}  # credits of each payment
        self.back: dict[str, int] = {}  # and how many of these were taken back with their money

    @property
    def left(self) -> int:
        return self.allowed + self.kept

    def locked(self) -> Subscription:
        """The lock as it is at this machine's time: days pass in it."""
        subscription = Subscription.objects.filter(user=self.user).first()
        if subscription is None:
            subscription = ledger.locked(self.user)
        subscription = Subscription.objects.select_for_update().get(pk=subscription.pk)
        allowance.top_up(subscription, at=self.at)
        return subscription

    @rule(amount=AMOUNTS)
    def give(self, amount: int) -> None:
        with transaction.atomic():
            ledger.grant(self.locked(), amount, key=f"gift:{uuid4()}", reason="gift")
        self.kept += amount

    @rule(amount=st.integers(-150, 150))
    def adjust(self, amount: int) -> None:
        try:
            with transaction.atomic():
                ledger.adjust(self.locked(), amount, key=f"adjust:{uuid4()}", reason="a mistake")
        except ledger.InsufficientCredits:
            assert -amount > self.left
            return
        assert -amount <= self.left
        self.kept += amount
        if self.kept < 0:
            self.allowed, self.kept = self.allowed + self.kept, 0

    @rule(target=jobs, amount=AMOUNTS)
    def charge(self, amount: int) -> str:
        job = f"generation:{uuid4()}"
        try:
            with transaction.atomic():
                ledger.charge(self.locked(), amount, key=f"{job}:charge", reason="pictures")
        except ledger.InsufficientCredits as refused:
            told = refused.needed, refused.left
            assert told == (amount, self.left) and amount > self.left
        else:
            assert amount <= self.left
            first = min(amount, self.allowed)
            self.taken[job] = first, amount - first
            self.allowed, self.kept = self.allowed - first, self.kept - (amount - first)
        return job

    @rule(job=jobs)
    def charge_again(self, job: str) -> None:
        if job not in self.taken:
            return
        try:
            with transaction.atomic():
                ledger.charge(self.locked(), 1, key=f"{job}:charge", reason="again")
        except ledger.AlreadyPosted:
            return
        raise AssertionError("The same job was charged twice.")

    @rule(job=jobs, share=st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]))
    def refund(self, job: str, share: float | None) -> None:
        first, bought = self.taken.get(job, (0, 0))
        given = first + bought if share is None else int((first + bought) * share)
        entry = ledger.refund(job, amount=None if share is None else given, reason="back")
        if job not in self.taken or job in self.returned or given == 0:
            assert entry is None
            return
        assert entry is not None and entry.amount == given
        self.returned.add(job)
        to_bought = min(given, bought)
        self.kept, self.allowed = self.kept + to_bought, self.allowed + given - to_bought

    @rule(target=payments, amount=st.integers(1, 300))
    def buy(self, amount: int) -> str:
        key = f"stripe:{uuid4()}"
        with transaction.atomic():
            ledger.purchase(self.locked(), amount, key=f"{key}:purchase", reason="a package")
        settled = min(self.owed, amount)
        self.owed, self.kept = self.owed - settled, self.kept + amount - settled
        self.paid[key], self.back[key] = amount, 0
        return key

    @rule(payment=payments, share=st.floats(0, 1))
    def money_goes_back_or_comes_again(self, payment: str, share: float) -> None:
        """A refund, a dispute, a dispute that was won: the part that is withdrawn changes."""
        bought = CreditEntry.objects.get(key=f"{payment}:purchase")
        target, already = int(self.paid[payment] * share), self.back[payment]
        if target == already:
            return
        with transaction.atomic():
            ledger.reverse(
                self.locked(),
                target - already,
                of=bought,
                key=f"{payment}:{uuid4()}",
                reason="bank",
            )
        self.back[payment] = target
        change = already - target  # credits that come
        if change > 0:
            settled = min(self.owed, change)
            self.owed, self.kept = self.owed - settled, self.kept + change - settled
            return
        lost = min(-change, self.left)
        self.owed += -change - lost
        self.kept -= lost
        if self.kept < 0:
            self.allowed, self.kept = self.allowed + self.kept, 0

    @rule()
    def the_next_day_refills_or_expires(self) -> None:
        """Unused credits do not pile up, and what came back too late ends with the day."""
        self.at += timedelta(days=1)
        with transaction.atomic():
            self.locked()
        self.allowed = self.plan.credits

    @invariant()
    def the_books_are_right(self) -> None:
        with transaction.atomic():
            head = entries.head(self.locked())
        assert head == (self.left, self.allowed, self.owed)
        found = [*audit.sums(), *audit.returns(), *audit.allowances()]
        assert found == []

    @invariant()
    def the_statement_adds_up(self) -> None:
        with transaction.atomic():
            self.locked()
        standing = allowance.standing(self.user, now=self.at)
        page = statement(standing)
        assert standing.left == self.left
        assert page.net + page.brought_forward == self.left
        assert not page.lines or page.lines[0].balance == self.left

    @invariant()
    def nobody_else_is_touched(self) -> None:
        assert not CreditEntry.objects.filter(user=self.neighbour).exists()


class TestTheBooks(TestCase):
    def test_any_sequence_leaves_the_books_right(self) -> None:
        run_state_machine_as_test(
            Books,
            settings=settings(
                max_examples=20,
                stateful_step_count=15,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
