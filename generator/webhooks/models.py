"""Where somebody wants to hear what happened, and every message that went or goes there."""

from __future__ import annotations

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

URL_MAX = 500  # characters of an endpoint's
CALLBACK_URL_MAX = 2000  # those carry what their program wants to hear again
JOB_EVENTS = [
    f"{noun}.{state}"
    for noun in ("training", "generation")
    for state in ("succeeded", "failed", "canceled")
]
TEST = "test"
CALLBACK = "callback"
SIGNATURE = "Likeness-Signature"  # the header of our own events


def new_secret() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


class WebhookSecret(models.Model):
    """What all messages of one account are signed with. Readable: its owner needs it as it is."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    secret = models.CharField(max_length=64, default=new_secret)
    made_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"webhook secret of {self.owner_id}"


class WebhookEndpoint(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhook_endpoints"
    )
    url = models.CharField(max_length=URL_MAX)
    events = models.JSONField(default=list)  # of JOB_EVENTS
    is_enabled = models.BooleanField(default=True)
    disabled_because = models.CharField(max_length=200, blank=True)  # a sentence; "" by its owner
    failing_since = models.DateTimeField(null=True, blank=True)  # nothing has arrived since then
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "url"], name="one_endpoint_per_address"),
        ]

    def __str__(self) -> str:
        return f"webhook endpoint {self.id}"


class Delivery(models.Model):
    """One message: pending until somebody took it or nobody will.

    `claims` is a fencing token: whoever sends writes the outcome only while nobody else has
    claimed the row since.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="deliveries"
    )
    endpoint = models.ForeignKey(  # none: a callback, or its endpoint was deleted
        WebhookEndpoint,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="deliveries",
    )
    url = models.CharField(max_length=CALLBACK_URL_MAX)
    event = models.CharField(max_length=40)
    body = models.TextField()  # UTF-8 of it is what is sent and what is signed
    signature_header = models.CharField(max_length=40, default=SIGNATURE)
    state = models.CharField(max_length=9, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)  # since it was last asked for
    claims = models.PositiveIntegerField(default=0)  # ever
    next_at = models.DateTimeField()  # on the database's clock, as is the lease
    lease_until = models.DateTimeField(null=True, blank=True)
    answer = models.PositiveSmallIntegerField(null=True, blank=True)  # the last HTTP status
    error = models.CharField(
        max_length=300, blank=True
    )  # a sentence, if there was none or will be none
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="delivery_log"),
            models.Index(fields=["created_at"], name="delivery_age"),
            models.Index(  # workers ask for it several times a second
                fields=["next_at"], condition=Q(state="pending"), name="delivery_pending"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["pending", "delivered", "failed"]), name="delivery_state"
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.id} ({self.event}, {self.state})"
