"""Who is on which plan, and every credit that moved.

`Subscription` is also the lock for whatever a person spends: see `ledger.py`.
A job is known here only as a string key.
"""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q


class Subscription(models.Model):
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscription"
    )
    plan = models.CharField(max_length=32)  # a name in plans.toml
    stripe_customer_id = models.CharField(max_length=64, blank=True)
    stripe_subscription_id = models.CharField(max_length=64, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

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

    Only deleting the person removes them (the cascade does not pass here).
    """

    class Kind(models.TextChoices):
        GRANT = "grant"
        CHARGE = "charge"
        REFUND = "refund"
        ADJUSTMENT = "adjustment"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="credit_entries"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    amount = models.IntegerField()  # credits, signed
    balance = models.PositiveIntegerField()  # after this entry
    key = models.CharField(max_length=128, unique=True)  # e.g. "training:<uuid>:charge"
    reason = models.CharField(max_length=200)  # what it bought, in words
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CreditEntries.as_manager()

    class Meta:
        verbose_name_plural = "credit entries"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0), name="credit_balance_not_negative"),
            models.CheckConstraint(
                condition=Q(kind="adjustment")
                | Q(kind="charge", amount__lte=0)
                | Q(kind__in=["grant", "refund"], amount__gte=0),
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
