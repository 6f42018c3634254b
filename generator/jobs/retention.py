"""How long results are kept: a number of days by plan, or for ever.

Counted from when a job ended, or from when its owner came to that plan if that is later: moving to
a smaller plan never takes away at once what a larger one kept. Portrait models and what they learnt
from are no results and stay.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from billing.plans import PLANS, Plan, default_plan
from generator.jobs import services
from generator.jobs.lifecycle import UNFINISHED
from generator.jobs.models import Generation

AT_ONCE = 100  # of one look; the next one is a minute away


def expire_results() -> int:
    """How many generations went."""
    return sum(_expire(plan) for plan in PLANS.values() if plan.retention_days)


def _expire(plan: Plan) -> int:
    before = Now() - timedelta(days=plan.retention_days)
    owners = Q(owner__subscription__plan=plan.name, owner__subscription__plan_since__lt=before)
    if plan == default_plan():
        owners |= Q(owner__subscription__isnull=True)
    old = Generation.objects.filter(owners, finished_at__lt=before)
    doomed = list(old.exclude(state__in=UNFINISHED).order_by("finished_at")[:AT_ONCE])
    for generation in doomed:
        services.delete_generation(generation)
    return len(doomed)
