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


FOLDER_NAME_MAX = 40  # code points


class AssetQuerySet(models.QuerySet["Asset"]):
    def visible_to(self, user: User | AnonymousUser, *, share: str = "") -> AssetQuerySet:
        """What this person may see: their own pictures, and public ones. Nothing deleted.

        `share`: the token of a link, which shows one picture to anybody.
        """
        seen = Q(is_public=True)
        if user.is_authenticated:
            seen |= Q(owner=user)
        if share:
            seen |= Q(share__token=share)
        return self.live().filter(seen)

    def live(self) -> AssetQuerySet:
        """Without those whose owner deleted them and can still undo it."""
        return self.filter(deleted_at__isnull=True)

    def made(self) -> AssetQuerySet:
        """What the workstation drew and nobody deleted: the library's contents."""
        return self.live().filter(kind__in=MADE)


class Asset(models.Model):
    class Kind(models.TextChoices):
        UPLOAD = "upload"  # an uploaded photo as the door re-encoded it, uncropped
        REFERENCE = "reference"  # the square a portrait model learns from
        FACE = "face"  # drawn by the influencer generator
        IMAGE = "image"  # drawn in the workstation, like all that follow
        VIDEO = "video"
        EDIT = "edit"
        ENHANCE = "enhance"
        RESTYLE = "restyle"
        VARY = "vary"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assets"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    # Stored name: <uuid>.<ext>. What is derived from it stands beside it: services.file_names.
    file = models.FileField(upload_to="assets/", max_length=200)
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
    likeness = models.PositiveSmallIntegerField(null=True, blank=True)  # 0..100, the lowest face's
    measures = models.JSONField(default=dict, blank=True)  # of what was drawn: see measures.py
    color = models.CharField(max_length=7, blank=True)  # "#rrggbb": what shows while it loads
    thumbnail_px = models.PositiveSmallIntegerField(default=512)  # the largest one stored
    is_favourite = models.BooleanField(default=False)
    folder = models.ForeignKey(
        "generator.Folder", null=True, blank=True, on_delete=models.SET_NULL, related_name="assets"
    )
    published_at = models.DateTimeField(null=True, blank=True)  # shown on Explore since
    deleted_at = models.DateTimeField(null=True, blank=True)  # hidden now, gone in a moment
    findings = models.JSONField(default=dict, blank=True)  # of an upload: see faces.Findings
    is_marked = models.BooleanField(default=False)  # a marked copy lies beside it: see marks.py
    expires_at = models.DateTimeField(null=True, blank=True)  # unused uploads: 24 h
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Asset]] = AssetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "index"]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="asset_library"),
            models.Index(fields=["folder", "-created_at", "-id"], name="asset_folder"),
            models.Index(
                fields=["owner", "-created_at", "-id"],
                condition=Q(is_favourite=True),
                name="asset_favourites",
            ),
            models.Index(
                fields=["-published_at", "-id"],
                condition=Q(published_at__isnull=False),
                name="asset_published",
            ),
            models.Index(
                fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="asset_deleted"
            ),
        ]
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

    @property
    def is_clip(self) -> bool:
        return self.kind == self.Kind.VIDEO


MADE = tuple(
    kind
    for kind in Asset.Kind
    if kind not in (Asset.Kind.UPLOAD, Asset.Kind.REFERENCE, Asset.Kind.FACE)
)


class Folder(models.Model):
    """A name a person keeps pictures under. A picture is in one of them or in none."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="folders"
    )
    name = models.CharField(max_length=FOLDER_NAME_MAX)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="one_folder_per_name"),
            models.CheckConstraint(condition=~Q(name=""), name="folder_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Share(models.Model):
    """A link that shows one picture to whoever has it. Revoking is deleting the row."""

    token = models.CharField(max_length=32, primary_key=True, editable=False)
    asset = models.OneToOneField(Asset, on_delete=models.CASCADE, related_name="share")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"share of {self.asset}"
