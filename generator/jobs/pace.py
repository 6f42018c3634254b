"""How long a generation usually takes here, from those that ended lately."""

from __future__ import annotations

from django.core.cache import cache
from django.db.models import Avg, F

from generator.jobs.models import Generation, Job

LATELY = 40  # generations
KEPT_S = 60
KEY = "pace"


def learn() -> float:
    """Seconds of a generation's run, on average; 0 while nobody knows. One query a minute."""
    known: float | None = cache.get(KEY)
    if known is None:
        ended = Generation.objects.filter(state=Job.State.SUCCEEDED, started_at__isnull=False)
        newest = ended.order_by("-created_at").values("pk")[:LATELY]
        taken = Generation.objects.filter(pk__in=list(newest.values_list("pk", flat=True)))
        mean = taken.aggregate(mean=Avg(F("finished_at") - F("started_at")))["mean"]
        known = mean.total_seconds() if mean else 0.0
        cache.set(KEY, known, KEPT_S)
    return known


def wait_s(ahead: int) -> float:
    """Seconds until a generation with that many before it begins, as far as is known by now."""
    return float(cache.get(KEY) or 0.0) * ahead
