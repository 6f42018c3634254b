"""Appending to the ledger. Only `ledger.py`, `allowance.py` and `payments/` call this."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from billing.models import CreditEntry, Subscription


class Head(NamedTuple):
    """Where the newest entry left a person."""

    balance: int = 0
    allowance: int = 0  # the part that ends with the period
    owed: int = 0

    @property
    def kept(self) -> int:
        """Bought or given: it does not end."""
        return self.balance - self.allowance


# In SQL: they run inside every charge, and building them took the ORM longer than they take.
_HEAD = """
    SELECT balance, allowance, owed FROM billing_creditentry
    WHERE user_id = %s ORDER BY id DESC LIMIT 1
"""
_HEAD_AND_POSTED = """
    SELECT newest.balance, newest.allowance, newest.owed,
        EXISTS (SELECT 1 FROM billing_creditentry WHERE key = %s)
    FROM (SELECT 1) AS always LEFT JOIN (
        SELECT balance, allowance, owed FROM billing_creditentry
        WHERE user_id = %s ORDER BY id DESC LIMIT 1) AS newest ON TRUE
"""
_POSTED = "SELECT 1 FROM billing_creditentry WHERE key = %s"
_POST = """
    INSERT INTO billing_creditentry (user_id, kind, amount, allowance_amount, balance, allowance,
        owed, key, reason, of_id, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
"""


def head(subscription: Subscription) -> Head:
    """To be asked under the lock."""
    with connection.cursor() as cursor:
        cursor.execute(_HEAD, [subscription.user_id])
        row = cursor.fetchone()
    return Head(*row) if row else Head()


def head_unless_posted(subscription: Subscription, key: str) -> Head | None:
    """The same for an entry that is to follow; None where its key has been used."""
    with connection.cursor() as cursor:
        cursor.execute(_HEAD_AND_POSTED, [key, subscription.user_id])
        *numbers, posted = cursor.fetchone()
    return None if posted else Head(*(number or 0 for number in numbers))


def is_posted(key: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_POSTED, [key])
        return cursor.fetchone() is not None


def post(
    subscription: Subscription,
    kind: CreditEntry.Kind,
    amount: int,
    *,
    key: str,
    reason: str,
    of_allowance: int = 0,
    owed: int = 0,
    of: CreditEntry | None = None,
    since: Head | None = None,
) -> CreditEntry:
    """Append one entry after `since`, which is looked up unless the caller just did.

    `of_allowance` is the part of `amount` that moves the allowance, `owed` what is owed more (or
    less) after it. The database refuses a key that exists and a balance below zero.
    """
    before = since or head(subscription)
    entry = CreditEntry(
        user_id=subscription.user_id,
        kind=kind,
        amount=amount,
        allowance_amount=of_allowance,
        balance=before.balance + amount,
        allowance=before.allowance + of_allowance,
        owed=before.owed + owed,
        key=key,
        reason=reason[:200],
        of=of,
        created_at=timezone.now(),
    )
    values: list[Any] = [
        entry.user_id, entry.kind, entry.amount, entry.allowance_amount, entry.balance,
        entry.allowance, entry.owed, entry.key, entry.reason, entry.of_id,
        connection.ops.adapt_datetimefield_value(entry.created_at),
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_POST, values)
        entry.pk = cursor.fetchone()[0]
    entry._state.adding, entry._state.db = False, connection.alias
    return entry
