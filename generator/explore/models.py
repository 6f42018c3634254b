"""What somebody found wrong with a public picture or model."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

WORDS_MAX = 500  # code points


class Report(models.Model):
    class Reason(models.TextChoices):
        PERSON = "person", "It shows me, or somebody who did not agree"
        MINOR = "minor", "It shows somebody under 18"
        EXPLICIT = "explicit", "It is sexual or violent"
        DECEIT = "deceit", "It pretends to be a real event or person"
        OTHER = "other", "Something else"

    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    asset = models.ForeignKey(
        "generator.Asset", null=True, blank=True, on_delete=models.CASCADE, related_name="reports"
    )
    portrait_model = models.ForeignKey(
        "generator.PortraitModel",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="reports",
    )
    reason = models.CharField(max_length=10, choices=Reason)
    words = models.CharField(max_length=WORDS_MAX, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(asset__isnull=False, portrait_model__isnull=True)
                | Q(asset__isnull=True, portrait_model__isnull=False),
                name="report_is_about_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"report of {self.asset or self.portrait_model}: {self.reason}"
