"""Rows that exist only on the design page: every job state, never saved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from billing.plans import default_plan
from billing.refusals import Refusal
from generator import upgrade
from generator.jobs.models import Generation, Job, Training
from generator.portraits.models import PortraitModel

PROMPT = "in a cosy cafe, smiling, wearing a green sweater, golden light"


def context() -> dict[str, Any]:
    refusal = Refusal(
        "private_models",
        "On the Nano plan models are public. Upgrade to keep a model private.",
        status=403,
    )
    plan = default_plan()
    return {
        "tokens": {
            "surfaces": ["ground", "surface-1", "surface-2", "surface-3"],
            "words": ["text", "text-2", "text-3", "accent-text", "good", "bad"],
            "fills": ["accent", "accent-strong", "bad-strong"],
        },
        "trainings": [_job(Training, state) for state in Job.State.values],
        "generations": [
            _generation(state) for state in ("queued", "running", "failed", "canceled")
        ],
        "refusal": refusal,
        "title": upgrade.TITLES[refusal.code],
        "is_free": True,
        "larger_plans": upgrade.larger_plans(plan, reason=refusal.code),
    }


def _generation(state: str) -> Generation:
    generation: Generation = _job(Generation, state)
    generation.kind, generation.prompt, generation.count = Generation.Kind.IMAGE, PROMPT, 4
    generation.jobs_ahead = 2  # type: ignore[attr-defined]  # as the history page sets it
    return generation


def _job(model: type[Any], state: str) -> Any:
    now = timezone.now()
    job = model(state=state, phase="train" if model is Training else "draw", charged=20)
    job.done, job.total = (640, 1000) if state == "running" else (0, 0)
    job.started_at, job.created_at = now - timedelta(seconds=90), now - timedelta(minutes=3)
    job.error_message = "No face was found in the reference." if state == "failed" else ""
    if model is Training:
        job.portrait_model = PortraitModel(name="Ada")
    return job
