"""Whose turn it is: the order in which waiting jobs are taken.

A plan's priority is a head start, not a queue of its own: each step counts as two minutes of
waiting. So a job that has waited long enough stands before any that just came, and nobody waits
for ever however many others pay.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import (
    Case,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    QuerySet,
    Value,
    When,
)

from billing.plans import PLANS, default_plan

HEAD_START = timedelta(minutes=2)  # of each step of `priority` in plans.toml


def in_turn(jobs: QuerySet[Any]) -> QuerySet[Any]:
    """The next one first. `turn` is when it would have come without a head start."""
    starts = [
        When(owner__subscription__plan=plan.name, then=Value(plan.priority * HEAD_START))
        for plan in PLANS.values()
        if plan.priority
    ]
    usual = Value(default_plan().priority * HEAD_START)
    head_start = Case(*starts, default=usual, output_field=DurationField())
    turn = ExpressionWrapper(F("created_at") - head_start, output_field=DateTimeField())
    ordered: QuerySet[Any] = jobs.annotate(turn=turn).order_by("turn", "created_at")
    return ordered
