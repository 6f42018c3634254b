"""A portrait model: a named person with a reference and, once trained, weights."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual

if TYPE_CHECKING:
    from accounts.models import User

NAME_MAX = 32  # code points after NFC and strip: the seed's limit
DESCRIPTION_MAX = 512  # the seed's limit


class PortraitModelQuerySet(models.QuerySet["PortraitModel"]):
    def visible_to(self, user: User | AnonymousUser) -> PortraitModelQuerySet:
        if not user.is_authenticated:
            return self.filter(is_public=True)
        return self.filter(Q(owner=user) | Q(is_public=True))

    def usable_by(self, user: User) -> PortraitModelQuerySet:
        """Whom this person may create with: their own, and public ones whose owner allows it."""
        return self.filter(Q(owner=user) | Q(is_public=True, others_may_use=True))


class PortraitModel(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="portrait_models"
    )
    name = models.CharField(max_length=NAME_MAX)
    description = models.CharField(max_length=DESCRIPTION_MAX, blank=True)
    is_public = models.BooleanField(default=True)
    others_may_use = models.BooleanField(default=False)  # "Create with this model", while public
    tiktok_url = models.CharField(max_length=200, blank=True)
    instagram_url = models.CharField(max_length=200, blank=True)
    reference = models.OneToOneField(
        "generator.Asset", on_delete=models.PROTECT, related_name="portrait_model"
    )
    # Who is in the photo; none where the reference was drawn and shows nobody.
    consent = models.OneToOneField(
        "accounts.Consent",
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="portrait_model",
    )
    # Ready is not a column: these exist or they don't. Written only by a training that succeeds.
    weights = models.FileField(upload_to="weights/", max_length=200, blank=True)
    weights_sha256 = models.CharField(max_length=64, blank=True)
    likeness = models.PositiveSmallIntegerField(null=True, blank=True)  # 0..100, at training
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[PortraitModel]] = PortraitModelQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="portrait_model_has_a_name"),
            # SQLite takes any text into a CharField; both databases count code points.
            models.CheckConstraint(
                condition=LessThanOrEqual(Length("name"), NAME_MAX), name="portrait_model_name_32"
            ),
            models.CheckConstraint(
                condition=LessThanOrEqual(Length("description"), DESCRIPTION_MAX),
                name="portrait_model_description_512",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def may_be_used_by(self, user: User | AnonymousUser) -> bool:
        """Whether this person may create with it, once it is ready."""
        return self.owner_id == user.pk or (self.is_public and self.others_may_use)

    @property
    def is_ready(self) -> bool:
        return bool(self.weights)

    @property
    def latest_training(self) -> object | None:
        return self.trainings.order_by("-created_at").first()


class Reference(models.Model):
    """A further picture that a portrait model learns from, beside its `reference`.

    Never shown to anybody but its owner, however public the model is.
    """

    portrait_model = models.ForeignKey(
        PortraitModel, on_delete=models.CASCADE, related_name="further_references"
    )
    asset = models.OneToOneField(
        "generator.Asset", on_delete=models.CASCADE, related_name="further_reference"
    )
    place = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(
                fields=["portrait_model", "place"], name="one_reference_per_place"
            ),
        ]

    def __str__(self) -> str:
        return f"reference {self.place} of {self.portrait_model}"
