"""Whom a job asked for through this API tells of its end."""

from __future__ import annotations

from django.db import models


class Callback(models.Model):
    """`callback_url` of a generation asked for with `async: true`."""

    generation = models.OneToOneField(
        "generator.Generation", on_delete=models.CASCADE, related_name="phota_callback"
    )
    url = models.CharField(max_length=2000, blank=True)  # none: whoever asked polls
    format = models.CharField(max_length=3, default="png")  # what `output_format` was
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["generation"],
                condition=models.Q(told_at__isnull=True) & ~models.Q(url=""),
                name="phota_callback_untold",
            )
        ]

    def __str__(self) -> str:
        return f"callback of {self.generation_id}"
