"""A portrait model that a program may train: there before it is trained, used once."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from generator.portraits.models import DESCRIPTION_MAX


class Slot(models.Model):
    """In their words a model: bought first, trained later.

    It is trained when the portrait model `learns_as` has learnt. That one is made from photos
    that are looked at first, so it is an id here and no row yet.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="slots"
    )
    key = models.ForeignKey(  # whose limit the automatic pictures count for
        "accounts.ApiKey", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    gender = models.CharField(max_length=5, blank=True)
    styles = models.JSONField(default=list, blank=True)  # ids of the catalogue and of uploads
    customizations = models.CharField(max_length=DESCRIPTION_MAX, blank=True)
    learns_as = models.UUIDField(null=True, blank=True, unique=True)
    problem = models.CharField(max_length=300, blank=True)  # a sentence: what is wrong now
    asked = models.JSONField(default=dict, blank=True)  # style: why there is no picture, or ""
    used_at = models.DateTimeField(null=True, blank=True)
    look_at = models.DateTimeField(null=True, blank=True)  # not before, once it was in vain
    over_at = models.DateTimeField(null=True, blank=True)  # every style was asked for
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(  # the sweeper asks every few seconds
                fields=["used_at"],
                condition=Q(used_at__isnull=False, over_at__isnull=True),
                name="slot_pending",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(learns_as__isnull=False),
                name="slot_used_learns",
            ),
        ]

    def __str__(self) -> str:
        return f"slot {self.id}"
