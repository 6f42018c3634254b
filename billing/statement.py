"""A person's entries as they are read: what was spent, and what came back for it.

A refund stands beside its charge, so a line's own sum (`net`) is what the thing cost in the end,
and each line's `balance` is the sum of itself and everything below it. The first one is the
balance the header shows: an allowance that is due but not posted yet is a line as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from billing.allowance import Standing
from billing.models import CreditEntry

if TYPE_CHECKING:
    from accounts.models import User

Kind = CreditEntry.Kind
PAGE = 50  # lines
FILTERS = {  # the word in the address: (on the page, kinds)
    "": ("Everything", ()),
    "spent": ("Spent", (Kind.CHARGE,)),
    "plan": ("Plan", (Kind.GRANT, Kind.EXPIRY)),
    "bought": ("Bought", (Kind.PURCHASE,)),
    "other": ("Other", (Kind.ADJUSTMENT, Kind.REFUND, Kind.REVERSAL)),
}


@dataclass(frozen=True)
class Line:
    at: datetime
    reason: str
    amount: int  # credits, signed
    returns: tuple[CreditEntry, ...] = ()  # what came back for it, or was taken back
    balance: int = 0  # the sum of this line and all older ones

    @property
    def returned(self) -> int:
        return sum(entry.amount for entry in self.returns)

    @property
    def net(self) -> int:
        return self.amount + self.returned


@dataclass(frozen=True)
class Page:
    lines: list[Line]
    brought_forward: int  # the sum of everything older than these lines
    older: int | None  # where the next page begins, if there is one
    kind: str = ""

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines)


def statement(standing: Standing, *, before: int | None = None, kind: str = "") -> Page:
    """The newest lines before entry `before`. A filtered page sums up its own kind only.

    Settled grants of 0 are left out. Four queries.
    """
    wanted = _entries(standing.terms.user_id, kind if kind in FILTERS else "")
    shown = wanted if before is None else wanted.filter(id__lt=before)
    found = list(shown.prefetch_related("returns")[: PAGE + 1])
    page = found[:PAGE]
    lines = [_line(entry) for entry in page]
    if before is None and standing.due and kind in ("", "plan"):
        lines.insert(0, _due(standing))
    older = page[-1].id if len(found) > PAGE else None
    brought = _sum(wanted.filter(id__lt=page[-1].id)) if page else 0
    return Page(_added_up(lines, brought), brought, older, kind)


def _entries(user_id: int, kind: str) -> QuerySet[CreditEntry]:
    """What has a line of its own."""
    entries = CreditEntry.objects.filter(user=user_id, of__isnull=True)
    entries = entries.exclude(kind__in=[Kind.GRANT, Kind.EXPIRY], amount=0)
    kinds = FILTERS[kind][1]
    return entries.filter(kind__in=kinds) if kinds else entries


def _line(entry: CreditEntry) -> Line:
    returns = sorted(entry.returns.all(), key=lambda back: back.id)
    return Line(entry.created_at, entry.reason, entry.amount, tuple(returns))


def _due(standing: Standing) -> Line:
    plan = standing.terms.plan
    words = f"{plan.title}: {plan.credits:,} credits a {plan.period}"
    return Line(timezone.now(), words, standing.due or 0)


def _sum(entries: QuerySet[CreditEntry]) -> int:
    """Of these and of what came back for them."""
    both = Q(id__in=entries.values("id")) | Q(of__in=entries.values("id"))
    total: int | None = CreditEntry.objects.filter(both).aggregate(total=Sum("amount"))["total"]
    return total or 0


def _added_up(lines: list[Line], brought_forward: int) -> list[Line]:
    """From the oldest line up."""
    sums, total = [], brought_forward
    for line in reversed(lines):
        total += line.net
        sums.append(total)
    return [replace(line, balance=total) for line, total in zip(lines, reversed(sums), strict=True)]


# --- as a table for other programs -------------------------------------------
CSV_HEAD = ("When (UTC)", "Kind", "What", "Credits", "Balance", "Number", "Returns number")


def csv_rows(user: User) -> Iterator[tuple[str, ...]]:
    """Every entry as it was posted, oldest first."""
    yield CSV_HEAD
    for entry in CreditEntry.objects.filter(user=user).order_by("id").iterator(500):
        yield (
            f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
            entry.kind,
            harmless(entry.reason),
            str(entry.amount),
            str(entry.balance),
            str(entry.id),
            str(entry.of_id or ""),
        )


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    text = text.replace("\r", " ").replace("\n", " ").replace("\t", " ")
    starts = text.lstrip()[:1]
    return f"'{text}" if starts in ("=", "+", "-", "@", "＝", "＋", "－", "＠") and starts else text
