"""Appending to the ledger. Only `ledger.py`, `allowance.py` and `payments/` call this."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from accounts.models import ApiKey
from billing.models import CreditEntry, Subscription
from billing.refusals import Refusal


class AlreadyPosted(Refusal):
    """The key has been used: this charge or grant exists and is not made twice."""

    def __init__(self, key: str) -> None:
        super().__init__("already_posted", f"This was booked before ({key}).", status=409)


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
_POSTED = "SELECT 1 FROM billing_creditentry WHERE key = %s"
_POST = """
    INSERT INTO billing_creditentry (user_id, kind, amount, allowance_amount, balance, allowance,
        owed, key, reason, of_id, created_at, api_key_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (key) DO NOTHING RETURNING id
"""


def head(subscription: Subscription) -> Head:
    """To be asked under the lock."""
    with connection.cursor() as cursor:
        cursor.execute(_HEAD, [subscription.user_id])
        row = cursor.fetchone()
    return Head(*row) if row else Head()


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
    api_key: ApiKey | None = None,
) -> CreditEntry:
    """Append one entry after `since`, which is looked up unless the caller just did.

    `of_allowance` is the part of `amount` that moves the allowance, `owed` what is owed more (or
    less) after it. Raises AlreadyPosted for a used key; the database refuses a balance below zero.
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
        api_key=of.api_key if of else api_key,
        created_at=timezone.now(),
    )
    values: list[Any] = [
        entry.user_id, entry.kind, entry.amount, entry.allowance_amount, entry.balance,
        entry.allowance, entry.owed, entry.key, entry.reason, entry.of_id,
        connection.ops.adapt_datetimefield_value(entry.created_at),
        CreditEntry.api_key.field.get_db_prep_value(entry.api_key_id, connection),
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_POST, values)
        row = cursor.fetchone()
    if row is None:
        raise AlreadyPosted(key)
    entry.pk = row[0]
    entry._state.adding, entry._state.db = False, connection.alias
    return entry
