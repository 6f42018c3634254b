"""Several photos that become one portrait model: the request, and what came of each photo."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Consent
from generator.jobs.models import Job, job_constraints, job_indexes
from generator.portraits.models import DESCRIPTION_MAX, NAME_MAX

TAG_MAX = 128  # code points
GIVEN_MAX = 2048  # characters of an address; what is longer is a picture in base64


class PhotoSet(Job):
    """Its id becomes the id of the portrait model, so whoever asked knows it from the start.

    It costs nothing by itself: the portrait model's training is charged when there is one.
    """

    name = models.CharField(max_length=NAME_MAX)
    description = models.CharField(max_length=DESCRIPTION_MAX, blank=True)
    tag = models.CharField(max_length=TAG_MAX, blank=True)
    is_public = models.BooleanField(default=False)
    tier = models.CharField(max_length=8)  # instant, fast, standard
    is_tier_named = models.BooleanField(default=False)  # then too few usable photos are an error
    consent_kind = models.CharField(max_length=10, choices=Consent.Kind)
    consent_text_version = models.CharField(max_length=20)
    consent_given_at = models.DateTimeField(db_default=Now())
    # Whose limit its training counts for, where a program asked.
    api_key = models.ForeignKey("accounts.ApiKey", null=True, blank=True, on_delete=models.SET_NULL)
    summary = models.TextField(blank=True)  # how many photos were used, and why others were not

    class Meta:
        ordering = ["-created_at"]
        indexes = job_indexes("photoset")
        constraints = [
            *job_constraints("photoset"),
            models.CheckConstraint(
                condition=Q(tier__in=["instant", "fast", "standard"]), name="photoset_tier"
            ),
        ]

    def __str__(self) -> str:
        return f"photo set {self.id} ({self.state})"


class Photo(models.Model):
    """One photo of a set. Address, bytes and upload are let go when the set has ended."""

    class Outcome(models.TextChoices):
        WAITING = ""
        USED = "used"
        UNREADABLE = "unreadable"  # or not reachable; `why` says which
        DUPLICATE = "duplicate"
        NO_FACE = "no_face"
        TOO_SMALL = "too_small"
        SOMEBODY_ELSE = "somebody_else"
        SURPLUS = "surplus"  # more than the engine looks at

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo_set = models.ForeignKey(PhotoSet, on_delete=models.CASCADE, related_name="photos")
    place = models.PositiveSmallIntegerField()  # from 1, as people count
    given = models.CharField(max_length=GIVEN_MAX, blank=True)  # an address, or a tiny picture
    file = models.FileField(upload_to="photos/", max_length=200, blank=True)  # as it was sent
    sha256 = models.CharField(max_length=64, blank=True)  # of the bytes that came
    upload = models.ForeignKey(
        "generator.Asset", null=True, blank=True, on_delete=models.SET_NULL, related_name="photo"
    )
    outcome = models.CharField(max_length=13, choices=Outcome, blank=True)
    why = models.CharField(max_length=200, blank=True)  # a sentence

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(fields=["photo_set", "place"], name="one_photo_per_place"),
        ]

    def __str__(self) -> str:
        return f"photo {self.place} of {self.photo_set_id}"
