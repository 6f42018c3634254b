"""Rows as programs see them, and the schemas that say so."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from generator.assets import links
from generator.assets.models import Asset
from generator.jobs import boxes
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel
from generator.templatetags.studio_tags import ahead, latest_training, pictures, words

Job = Training | Generation


class Problem(Schema):
    """Why not."""

    class Error(Schema):
        code: str = Field(description="Stable, for programs.")
        message: str = Field(description="A sentence for people.")
        request_id: str
        fields: list[dict[str, Any]] | None = Field(None, description="What is wrong where (422).")

    error: Error


class FaceOut(Schema):
    """Somebody in a picture."""

    portrait_model_id: UUID
    likeness: int = Field(description="0 to 100, calibrated for this portrait model.")
    is_missing: bool = Field(description="Asked for, and not found in the picture.")
    worst: int | None = Field(None, description="Of a clip: the frame that is least like them.")


class PersonBox(Schema):
    """Where somebody stands, in fractions of the picture."""

    portrait_model_id: UUID
    x: float = Field(description="Left edge: 0 to 1 of the picture's width, from the left.")
    y: float = Field(description="Upper edge: 0 to 1 of the picture's height, from the top.")
    width: float = Field(description="0.1 to 1 of the picture's width.")
    height: float = Field(description="0.1 to 1 of the picture's height.")


class AssetOut(Schema):
    """A picture or clip."""

    id: UUID
    kind: str
    url: str = Field(description="Opens for 24 hours without a key.")
    width: int
    height: int
    seed: int | None = None
    likeness: int | None = None
    faces: list[FaceOut] = []
    created_at: datetime


class JobError(Schema):
    code: str
    message: str


class JobOut(Schema):
    """A training or a generation, and how far it is."""

    id: UUID
    noun: str = Field(description='"training" or "generation"')
    kind: str = Field(description='of a generation: "face", "image", "video", "edit", …')
    state: str = Field(description='"queued", "running", "succeeded", "failed" or "canceled"')
    phase: str
    percent: int
    jobs_ahead: int = Field(description="How many stand before it in the line.")
    credits: int = Field(description="Charged when it was asked for.")
    error: JobError | None = None
    portrait_model_ids: list[UUID]
    boxes: list[PersonBox] = Field([], description="Where they stand, if that was asked for.")
    prompt: str = ""
    count: int = 1
    seed: int
    assets: list[AssetOut] = []
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    is_trial: bool = Field(False, description="Asked with X-Dry-Run: nothing was made or charged.")


class PortraitModelOut(Schema):
    """A person the studio knows, or is learning."""

    id: UUID
    name: str
    description: str
    is_public: bool
    others_may_use: bool
    is_own: bool
    is_ready: bool
    likeness: int | None = None
    reference_url: str = Field(description="Opens for 24 hours without a key.")
    training: JobOut | None = None
    created_at: datetime
    is_trial: bool = False


class ViewOut(Schema):
    """One picture of the identity sheet that a portrait model was learnt from."""

    name: str = Field(description="What it is rejected by.")
    words: str = Field(description="What it was asked to show.")
    likeness: int | None = Field(None, description="0 to 100; null where nothing measured it.")
    url: str = Field(description="Opens for 24 hours without a key.")


def asset(row: Asset) -> dict[str, Any]:
    worst = {face["model"]: face["likeness"] for face in row.measures.get("worst", [])}
    return {
        "id": row.pk,
        "kind": row.kind,
        "url": links.signed(row),
        "width": row.width,
        "height": row.height,
        "seed": row.seed,
        "likeness": row.likeness,
        "faces": [
            {
                "portrait_model_id": face["model"],
                "likeness": face["likeness"],
                "is_missing": bool(face["missing"]),
                "worst": worst.get(face["model"]),
            }
            for face in row.measures.get("faces", [])
        ],
        "created_at": row.created_at,
    }


def job(row: Job, *, is_trial: bool = False) -> dict[str, Any]:
    error = {"code": row.error_code, "message": row.error_message} if row.error_code else None
    told: dict[str, Any] = {
        "id": row.pk,
        "noun": row._meta.model_name,
        "kind": "training",
        "state": row.state,
        "phase": row.phase,
        "percent": 100 if row.state == "succeeded" else row.percent,
        "jobs_ahead": 0,
        "credits": row.charged,
        "error": error,
        "seed": row.seed,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "is_trial": is_trial,
    }
    if isinstance(row, Training):
        return told | {"portrait_model_ids": [row.portrait_model_id]}
    people = list(row.appearances.all())
    return told | {
        "kind": row.kind,
        "jobs_ahead": ahead(row) if row.state == "queued" and not is_trial else 0,
        "portrait_model_ids": [one.portrait_model_id for one in people],
        "boxes": boxes.shown(people),
        "prompt": words(row),
        "count": row.count,
        "assets": [asset(one) for one in pictures(row)] if row.state == "succeeded" else [],
    }


def portrait_model(
    row: PortraitModel, *, own: bool = True, is_trial: bool = False
) -> dict[str, Any]:
    training = latest_training(row) if own else None
    return {
        "id": row.pk,
        "name": row.name,
        "description": row.description,
        "is_public": row.is_public,
        "others_may_use": row.others_may_use,
        "is_own": own,
        "is_ready": row.is_ready,
        "likeness": row.likeness,
        "reference_url": links.signed(row.reference),
        "training": job(training, is_trial=is_trial) if training else None,
        "created_at": row.created_at,
        "is_trial": is_trial,
    }
