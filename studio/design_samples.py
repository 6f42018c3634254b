"""What the design page shows: every state on rows that are never saved, and what has a picture
on the visitor's own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from accounts.models import User
from billing.plans import default_plan
from billing.refusals import Refusal
from generator import upgrade
from generator.assets.models import Asset
from generator.assets.verdict import Verdict, verdict
from generator.jobs.models import Generation, Job, Training
from generator.portraits.models import PortraitModel
from generator.portraits.views import with_training
from generator.workstation import history

PROMPT = "in a cosy cafe, smiling, wearing a green sweater, golden light"


def context(user: User | AnonymousUser) -> dict[str, Any]:
    refusal = Refusal(
        "private_models",
        "On the Nano plan models are public. Upgrade to keep a model private.",
        status=403,
    )
    plan = default_plan()
    return {
        **(_own(user) if user.is_authenticated else {}),
        "tokens": {
            "surfaces": ["ground", "surface-1", "surface-2", "surface-3"],
            "words": ["text", "text-2", "text-3", "accent-text", "good", "bad"],
            "fills": ["accent", "accent-strong", "bad-strong"],
        },
        "trainings": [_job(Training, state) for state in Job.State.values],
        "generations": [
            _generation(state) for state in ("queued", "running", "failed", "canceled")
        ],
        "photo_checks": [_photo_check(faces=1), _photo_check(faces=0)],
        "refusal": refusal,
        "title": upgrade.TITLES[refusal.code],
        "is_free": True,
        "larger_plans": upgrade.larger_plans(plan, reason=refusal.code),
    }


def _own(user: User) -> dict[str, Any]:
    """What is shown with pictures, which rows that were never saved do not have."""
    finished = history.rows(user).filter(kind=Generation.Kind.IMAGE, state="succeeded")
    return {
        "portrait_models": with_training(PortraitModel.objects.filter(owner=user))[:4],
        "finished": finished.first(),
    }


def _photo_check(*, faces: int) -> Verdict | None:
    """Of a good photo, or of a dark one that lies on its side."""
    light = {"sharpness": 0.3, "brightness": 120 if faces else 30, "burnt": 0.0}
    square = {"x": 0, "y": 0, "size": 800, "angle": 0}
    face = {"x": 250, "y": 250, "width": 300, "height": 300, "tilt": 0, "light": light}
    findings = {"faces": [face] * faces, "turn": 0 if faces else 90, "crop": square, "light": light}
    photo = Asset(kind=Asset.Kind.UPLOAD, width=800, height=800, findings=findings)
    return verdict(Asset(source=photo, findings={"frame": square}))


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
