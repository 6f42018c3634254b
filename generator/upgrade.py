"""The dialog for what a plan does not allow: why, and which plan would.

For HTMX only; everybody else gets the refusal's own page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import reswap, retarget

from billing import ledger
from billing.plans import PLANS, Plan, default_plan, plan_of
from billing.refusals import Refusal

TITLES = {
    "insufficient_credits": "Not enough credits",
    "private_models": "Keep this model private",
    "model_limit": "You have reached your model limit",
    "advanced_settings": "Advanced settings",
}


def concerns(refusal: Refusal) -> bool:
    """Whether a larger plan, or waiting for credits, is the way on."""
    return refusal.code in TITLES


def dialog(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """The upgrade dialog over the page: nothing that was typed below it is lost."""
    response = render(
        request, "billing/_upgrade.html", context(request, refusal), status=refusal.status
    )
    return reswap(retarget(response, "#dialog"), "innerHTML")


def context(request: HttpRequest, refusal: Refusal) -> dict[str, Any]:
    plan = plan_of(request.user)
    return {
        "refusal": refusal,
        "title": TITLES.get(refusal.code, "Your plan"),
        "current": plan,
        "is_free": plan == default_plan(),
        "balance": ledger.balance(request.user) if request.user.is_authenticated else 0,
        "larger_plans": larger_plans(plan, reason=refusal.code),
    }


def larger_plans(plan: Plan, *, reason: str) -> list[Plan]:
    """The plans that would allow it, smallest first."""
    rules: dict[str, Callable[[Plan], bool]] = {
        "private_models": lambda other: other.private_models,
        "advanced_settings": lambda other: other.advanced_settings,
        "model_limit": lambda other: other.portrait_models > plan.portrait_models,
    }

    def holds_more(other: Plan) -> bool:
        return other.credits > plan.credits

    fits = rules.get(reason, holds_more)
    return [other for other in PLANS.values() if other != plan and fits(other)]
