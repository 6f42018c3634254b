"""One stored picture, uploaded or generated. Reached through one door: `visible_to`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from accounts.models import User


class AssetQuerySet(models.QuerySet["Asset"]):
    def visible_to(self, user: User | AnonymousUser) -> AssetQuerySet:
        """What this person may see: their own pictures, and public ones."""
        if not user.is_authenticated:
            return self.filter(is_public=True)
        return self.filter(Q(owner=user) | Q(is_public=True))


class Asset(models.Model):
    class Kind(models.TextChoices):
        UPLOAD = "upload"  # an uploaded photo as the door re-encoded it, uncropped
        REFERENCE = "reference"  # the square a portrait model learns from
        FACE = "face"  # drawn by the influencer generator
        IMAGE = "image"  # drawn in the workstation

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assets"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    file = models.FileField(upload_to="assets/", max_length=200)  # stored name: <uuid>.<ext>
    width = models.PositiveIntegerField()  # px
    height = models.PositiveIntegerField()  # px
    display_name = models.CharField(max_length=120, blank=True)  # the uploader's file name, as text
    is_public = models.BooleanField(default=False)
    source = models.ForeignKey(  # the upload a reference was cropped from
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="crops"
    )
    generation = models.ForeignKey(
        "generator.Generation",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="assets",
    )
    index = models.PositiveSmallIntegerField(default=0)  # place within its generation
    seed = models.BigIntegerField(null=True, blank=True)  # draws exactly this picture again
    likeness = models.PositiveSmallIntegerField(null=True, blank=True)  # 0..100
    findings = models.JSONField(default=dict, blank=True)  # of an upload: see faces.Findings
    is_marked = models.BooleanField(default=False)  # a marked copy lies beside it: see marks.py
    expires_at = models.DateTimeField(null=True, blank=True)  # unused uploads: 24 h
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Asset]] = AssetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "index"]
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "index"], name="one_asset_per_generation_index"
            ),
            models.CheckConstraint(
                condition=Q(likeness__isnull=True) | Q(likeness__lte=100), name="likeness_0_100"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
