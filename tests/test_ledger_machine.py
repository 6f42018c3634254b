"""Any sequence of grants, charges and refunds leaves the books right."""

from __future__ import annotations

from uuid import uuid4

from django.db import transaction
from django.db.models import Sum
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
from billing import ledger
from billing.models import CreditEntry

AMOUNTS = st.integers(0, 120)


class Books(RuleBasedStateMachine):
    """A plain number beside the ledger, and what each job cost and got back."""

    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.user = User.objects.create_user(f"{uuid4()}@example.com")
        self.left = 80  # the allowance of the default plan
        self.cost: dict[str, int] = {}
        self.returned: set[str] = set()

    @rule(amount=AMOUNTS)
    def grant(self, amount: int) -> None:
        with transaction.atomic():
            ledger.grant(ledger.locked(self.user), amount, key=f"gift:{uuid4()}", reason="gift")
        self.left += amount

    @rule(target=jobs, amount=AMOUNTS)
    def charge(self, amount: int) -> str:
        job = f"generation:{uuid4()}"
        try:
            with transaction.atomic():
                key = f"{job}:charge"
                ledger.charge(ledger.locked(self.user), amount, key=key, reason="pictures")
        except ledger.InsufficientCredits as refused:
            told = refused.needed, refused.left
            assert told == (amount, self.left) and amount > self.left
        else:
            assert amount <= self.left
            self.left -= amount
            self.cost[job] = amount
        return job

    @rule(job=jobs)
    def charge_again(self, job: str) -> None:
        if job not in self.cost:
            return
        try:
            with transaction.atomic():
                ledger.charge(ledger.locked(self.user), 1, key=f"{job}:charge", reason="again")
        except ledger.AlreadyPosted:
            return
        raise AssertionError("The same job was charged twice.")

    @rule(job=jobs, share=st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]))
    def refund(self, job: str, share: float | None) -> None:
        paid = self.cost.get(job, 0)
        amount = None if share is None else int(paid * share)
        given = paid if amount is None else amount
        entry = ledger.refund(job, amount=amount, reason="back")
        if job not in self.cost or job in self.returned or given == 0:
            assert entry is None
            return
        assert entry is not None
        self.returned.add(job)
        self.left += given

    @invariant()
    def the_books_are_right(self) -> None:
        assert ledger.balance(self.user) == self.left
        entries = CreditEntry.objects.filter(user=self.user)
        if entries.exists():
            assert entries.aggregate(total=Sum("amount"))["total"] == self.left
            assert not entries.filter(balance__lt=0).exists()


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
