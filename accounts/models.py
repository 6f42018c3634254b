"""People. They sign in with an e-mail address; there are no user names."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Now


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        if not email:
            raise ValueError("A person needs an e-mail address.")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    class Units(models.TextChoices):
        METRIC = "metric", "Metric (cm, kg)"
        IMPERIAL = "imperial", "Imperial (ft, lb)"

    username = None  # type: ignore[assignment]  # signing in is by e-mail
    email = models.EmailField("e-mail address", unique=True)
    units = models.CharField(max_length=8, choices=Units, default=Units.METRIC)
    # The last sign of an open page, on the database's clock; whoever is away gets an e-mail.
    seen_at = models.DateTimeField(null=True, blank=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.email


class Consent(models.Model):
    """What a person answered when asked who is in their photo: the words they saw, and when."""

    class Kind(models.TextChoices):
        ME = "me", "This is me"
        PERMISSION = "permission", "I have this person's permission"
        INVENTED = "invented", "An invented person"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    text_version = models.CharField(max_length=20)  # a key of accounts.consent.TEXTS
    given_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["me", "permission", "invented"]), name="consent_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.text_version})"


class ApiKey(models.Model):
    """A secret that lets a program act for its owner. Only its digest is kept."""

    class Scope(models.TextChoices):
        READ = "read", "Look at models, jobs and pictures"
        GENERATE = "generate", "Make and delete pictures and clips"
        TRAIN = "train", "Make, change and delete portrait models"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=12)  # what its owner knows it by
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the secret, hexadecimal
    scopes = models.JSONField(default=list)
    spend_limit = models.PositiveIntegerField(null=True, blank=True)  # credits a calendar month
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the minute
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
