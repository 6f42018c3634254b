"""`manage.py check` says in sentences what is wrong with the plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error

from billing.plans import PlanFileError, read_plans


def check_plans(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    hint = f"Mend {settings.PLANS_FILE} and start again."
    try:
        book = read_plans(settings.PLANS_FILE)
    except PlanFileError as error:
        return [Error(problem, hint=hint, id="billing.E001") for problem in error.problems]
    if settings.DEFAULT_PLAN and settings.DEFAULT_PLAN not in book.plans:
        known = ", ".join(book.plans)
        said = f"DEFAULT_PLAN is {settings.DEFAULT_PLAN!r}, but the plans are: {known}."
        return [Error(said, hint="Change DEFAULT_PLAN or leave it blank.", id="billing.E002")]
    return []
