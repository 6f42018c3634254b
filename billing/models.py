"""Who is on which plan, and every credit that moved.

`Subscription` is also the lock for whatever a person spends: see `ledger.py`.
A job is known here only as a string key, and of Stripe's objects only the ids.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class Subscription(models.Model):
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscription"
    )
    plan = models.CharField(max_length=32)  # a name in plans.toml
    plan_since = models.DateTimeField(db_default=Now())  # what was made before keeps its time
    stripe_customer_id = models.CharField(max_length=64, blank=True)
    stripe_subscription_id = models.CharField(max_length=64, blank=True)
    # Of a plan that is paid for: months are counted from `anchor`, and end with `paid_until`.
    # Both empty: months and days are those of the calendar, without an end.
    anchor = models.DateTimeField(null=True, blank=True)
    paid_until = models.DateTimeField(null=True, blank=True)
    is_ending = models.BooleanField(default=False)  # canceled, and paid for until then
    payment_failed_at = models.DateTimeField(null=True, blank=True)  # and is tried again
    # The key of the newest allowance, so that a page asks once; written with that entry.
    granted = models.CharField(max_length=128, blank=True)
    revision = models.PositiveIntegerField(default=0)  # counts what was settled with Stripe
    updated_at = models.DateTimeField(auto_now=True)
    now: datetime  # by the database's clock; set by `ledger.locked`

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["stripe_customer_id"],
                condition=~Q(stripe_customer_id=""),
                name="one_person_per_stripe_customer",
            ),
            models.CheckConstraint(
                condition=Q(anchor__isnull=True, paid_until__isnull=True)
                | Q(anchor__isnull=False, paid_until__isnull=False, anchor__lt=F("paid_until")),
                name="subscription_paid_period",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.plan}"


class EntriesNeverChange(TypeError):
    """Somebody tried to rewrite the past; post another entry instead."""


class CreditEntries(models.QuerySet["CreditEntry"]):
    def update(self, **values: object) -> NoReturn:
        raise EntriesNeverChange("Credit entries are never updated.")

    def delete(self) -> NoReturn:
        raise EntriesNeverChange("Credit entries are never deleted.")


class CreditEntry(models.Model):
    """One movement of credits. Entries are appended and never change.

    A balance has two parts: the allowance of the running period, which is spent first and ends
    with it, and what was bought or given, which stays. Every entry says how much of it moved the
    allowance, and what balance and allowance are after it.
    Only deleting the person removes entries (the cascade does not pass here).
    """

    class Kind(models.TextChoices):
        GRANT = "grant"  # an allowance, or a gift
        PURCHASE = "purchase"  # paid with money
        CHARGE = "charge"  # a job
        REFUND = "refund"  # of a job
        REVERSAL = "reversal"  # the money of a payment went back, or came again
        EXPIRY = "expiry"  # what was left of an allowance that was larger than the next
        ADJUSTMENT = "adjustment"  # an administrator, with a reason

    # Its own index would tempt a planner to sort all of a person's entries for the newest one.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="credit_entries",
        db_index=False,
    )
    kind = models.CharField(max_length=10, choices=Kind)
    amount = models.IntegerField()  # credits, signed
    allowance_amount = models.IntegerField(default=0)  # the part of it that moved the allowance
    balance = models.PositiveIntegerField()  # after this entry
    allowance = models.PositiveIntegerField(default=0)  # the part of it that ends with the period
    owed = models.PositiveIntegerField(default=0)  # spent, but the money for it went back
    key = models.CharField(max_length=128, unique=True)  # e.g. "training:<uuid>:charge"
    reason = models.CharField(max_length=200)  # what it bought, in words
    # What a refund or reversal returns; a statement shows the two side by side.
    of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="returns"
    )
    # The program that asked for it, if it was one; a refund counts for the same key.
    api_key = models.ForeignKey(
        "accounts.ApiKey",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="credit_entries",
        db_index=False,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CreditEntries.as_manager()

    class Meta:
        verbose_name_plural = "credit entries"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "-id"], name="credit_entry_newest"),
            models.Index(
                fields=["api_key", "created_at"],
                condition=Q(api_key__isnull=False),
                name="credit_entry_of_key",
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0), name="credit_balance_not_negative"),
            models.CheckConstraint(
                condition=Q(allowance__gte=0, allowance__lte=F("balance")),
                name="credit_allowance_within_balance",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["adjustment", "reversal"])
                | Q(kind__in=["charge", "expiry"], amount__lte=0)
                | Q(kind__in=["grant", "purchase", "refund"], amount__gte=0),
                name="credit_entry_sign",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.amount:+d}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise EntriesNeverChange("Credit entries are never updated.")
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise EntriesNeverChange("Credit entries are never deleted.")


class StripeEvent(models.Model):
    """What Stripe told, as it came, and what became of it."""

    class State(models.TextChoices):
        FAILED = "failed"  # to be applied again
        APPLIED = "applied"
        IGNORED = "ignored"  # not about us

    id = models.CharField(primary_key=True, max_length=128)  # evt_…
    type = models.CharField(max_length=80)
    state = models.CharField(max_length=7, choices=State)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE,
        related_name="stripe_events",
    )  # fmt: skip
    payload = models.TextField()  # JSON, to the letter
    note = models.CharField(max_length=300, blank=True)  # why it failed or was ignored
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()  # by Stripe's clock
    received_at = models.DateTimeField(db_default=Now())
    retry_at = models.DateTimeField(null=True, blank=True)  # of a failed one

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["retry_at"], condition=Q(state="failed"), name="stripe_to_retry"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id} ({self.state})"


class Reconciliation(models.Model):
    """One look at what Stripe may have told us in vain."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    events = models.PositiveIntegerField(default=0)  # seen
    repaired = models.PositiveIntegerField(default=0)  # of these were new to us
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}: {self.repaired} of {self.events}"
