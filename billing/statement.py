"""A person's entries as they are read: what was spent, and what came back for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from billing.models import CreditEntry

if TYPE_CHECKING:
    from accounts.models import User

PAGE = 50  # lines


@dataclass(frozen=True)
class Line:
    at: datetime
    reason: str
    amount: int  # credits, signed
    refund: CreditEntry | None  # what came back for this charge
    balance: int  # after the entry itself


def statement(user: User, *, before: int | None = None) -> tuple[list[Line], int | None]:
    """The newest lines before entry `before`, and where the next page begins, if there is one.

    Settled grants of 0 are left out, and refunds stand beside their charge. Two queries.
    """
    entries = CreditEntry.objects.filter(user=user).exclude(kind=CreditEntry.Kind.REFUND)
    entries = entries.exclude(kind=CreditEntry.Kind.GRANT, amount=0)
    if before is not None:
        entries = entries.filter(id__lt=before)
    found = list(entries[: PAGE + 1])
    shown = found[:PAGE]
    refunds = _refunds_of(shown)
    lines = [
        Line(entry.created_at, entry.reason, entry.amount, refunds.get(entry.key), entry.balance)
        for entry in shown
    ]
    return lines, shown[-1].id if len(found) > PAGE else None


def _refunds_of(entries: list[CreditEntry]) -> dict[str, CreditEntry]:
    """Refunds by the key of their charge."""
    jobs = [entry.key.removesuffix(":charge") for entry in entries if entry.kind == "charge"]
    refunds = CreditEntry.objects.filter(key__in=[f"{job}:refund" for job in jobs])
    return {refund.key.removesuffix(":refund") + ":charge": refund for refund in refunds}
