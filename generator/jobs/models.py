"""Trainings and generations: the row is the job, and only the row knows the state."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q

if TYPE_CHECKING:
    from generator.assets.models import Asset

PROMPT_MAX = 4000  # code points, as typed
NAMED_MAX = 20  # times that people are named in a prompt: "[[id]]" is longer than "@Ada"


class Job(models.Model):
    """What a training and a generation have in common.

    `attempt` is a fencing token: every write of a worker names the attempt it
    claimed, so that a worker that lost its lease changes nothing.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELED = "canceled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)  # on the database's clock
    engine_errors = models.PositiveSmallIntegerField(default=0)  # at most 3
    infrastructure_deaths = models.PositiveSmallIntegerField(default=0)  # at most 5
    cancel_requested = models.BooleanField(default=False)
    phase = models.CharField(max_length=16, blank=True)  # as `Step.phase`
    done = models.PositiveIntegerField(default=0)  # steps of the whole job, monotonic per attempt
    total = models.PositiveIntegerField(default=0)
    preview = models.BinaryField(null=True, blank=True)  # JPEG, at most 128 px a side
    charged = models.PositiveIntegerField(default=0)  # credits
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=300, blank=True)  # a sentence for the owner
    seed = models.BigIntegerField(default=0)
    engine = models.CharField(max_length=40)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        abstract = True

    @property
    def is_finished(self) -> bool:
        return self.state in (self.State.SUCCEEDED, self.State.FAILED, self.State.CANCELED)

    @property
    def percent(self) -> int:
        return min(100, 100 * self.done // self.total) if self.total else 0


def job_constraints(noun: str) -> list[models.BaseConstraint]:
    return [
        models.CheckConstraint(
            condition=Q(state__in=["queued", "running", "succeeded", "failed", "canceled"]),
            name=f"{noun}_state",
        ),
        models.CheckConstraint(condition=Q(done__lte=F("total")), name=f"{noun}_done_lte_total"),
        models.CheckConstraint(
            condition=~Q(state="running") | Q(lease_until__isnull=False),
            name=f"{noun}_running_has_lease",
        ),
    ]


def job_indexes(noun: str) -> list[models.Index]:
    """Workers ask for the oldest unfinished rows several times a second."""
    return [
        models.Index(
            fields=["created_at"],
            condition=Q(state__in=["queued", "running"]),
            name=f"{noun}_unfinished",
        )
    ]


class Training(Job):
    portrait_model = models.ForeignKey(
        "generator.PortraitModel", on_delete=models.CASCADE, related_name="trainings"
    )
    tier = models.CharField(max_length=8, default="trained")
    rejected_views = models.JSONField(default=list, blank=True)  # names, see `portraits.sheets`
    told_at = models.DateTimeField(null=True, blank=True)  # its owner saw its end, or was written

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            *job_indexes("training"),
            models.Index(  # the sweeper asks every few seconds
                fields=["finished_at"],
                condition=Q(told_at__isnull=True, state__in=["succeeded", "failed"]),
                name="training_untold",
            ),
        ]
        constraints = [
            *job_constraints("training"),
            models.UniqueConstraint(
                fields=["portrait_model"],
                condition=Q(state__in=["queued", "running"]),
                name="one_unfinished_training_per_portrait_model",
            ),
        ]

    def __str__(self) -> str:
        return f"training {self.id} ({self.state})"


def _picture() -> models.ForeignKey[Asset | None, Asset | None]:
    """A stored picture that a generation looks at; it may be deleted afterwards."""
    return models.ForeignKey(
        "generator.Asset", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )


class Generation(Job):
    class Kind(models.TextChoices):
        FACE = "face"  # somebody invented, by the influencer generator
        IMAGE = "image"
        VIDEO = "video"
        EDIT = "edit"
        ENHANCE = "enhance"
        RESTYLE = "restyle"
        VARY = "vary"

    kind = models.CharField(max_length=8, choices=Kind)
    portrait_model = models.ForeignKey(  # the first of those in it; all of them: `appearances`
        "generator.PortraitModel",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="generations",
    )
    prompt = models.CharField(max_length=PROMPT_MAX + 40 * NAMED_MAX, blank=True)
    negative_prompt = models.CharField(max_length=PROMPT_MAX, blank=True)
    attributes = models.JSONField(default=dict, blank=True)  # the influencer form's values
    pose = _picture()
    source = _picture()  # what an edit, an enlargement, a variation or a clip starts from
    mask = _picture()  # white may change
    style_picture = _picture()
    count = models.PositiveSmallIntegerField(default=1)
    aspect_ratio = models.CharField(max_length=5, default="auto")
    quality = models.CharField(max_length=16, default="standard")  # one of the engine's
    style = models.CharField(max_length=40, blank=True)  # of the catalogue
    seconds = models.PositiveSmallIntegerField(null=True, blank=True)  # of a clip
    size_px = models.PositiveIntegerField(null=True, blank=True)  # height of an enlargement
    best_of = models.PositiveSmallIntegerField(default=1)  # drawn for each picture given
    likeness_floor = models.PositiveSmallIntegerField(default=0)  # 0..100; below: not charged
    # What style and quality meant when it was asked for, so that it can be drawn again.
    recipe = models.JSONField(default=dict, blank=True)
    uncharged = models.PositiveSmallIntegerField(default=0)  # pictures whose credits came back
    preview_lengths = models.JSONField(default=list, blank=True)  # bytes of each picture's preview
    set_id = models.UUIDField(null=True, blank=True)  # those asked for together
    set_name = models.CharField(max_length=40, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)  # hidden now, gone in a moment

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            *job_indexes("generation"),
            models.Index(fields=["owner", "-created_at", "-id"], name="generation_feed"),
            models.Index(
                fields=["deleted_at"],
                condition=Q(deleted_at__isnull=False),
                name="generation_deleted",
            ),
        ]
        constraints = [
            *job_constraints("generation"),
            models.CheckConstraint(
                condition=Q(count__gte=1, count__lte=12), name="generation_count_1_12"
            ),
            models.CheckConstraint(
                condition=Q(best_of__gte=1, best_of__lte=8, likeness_floor__lte=100),
                name="generation_best_of_1_8_floor_100",
            ),
            models.CheckConstraint(
                condition=Q(uncharged__lte=F("count")), name="generation_uncharged_lte_count"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} generation {self.id} ({self.state})"


class Appearance(models.Model):
    """One person who was asked for in a generation, in the order of its prompt."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="appearances")
    portrait_model = models.ForeignKey(
        "generator.PortraitModel", on_delete=models.CASCADE, related_name="appearances"
    )
    place = models.PositiveSmallIntegerField()
    weights_sha256 = models.CharField(max_length=64, blank=True)  # as they were then
    box = models.JSONField(null=True, blank=True)  # where they stand; see `boxes`

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "portrait_model"], name="one_appearance_per_person"
            ),
            models.UniqueConstraint(
                fields=["generation", "place"], name="one_appearance_per_place"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.portrait_model} in {self.generation}"
