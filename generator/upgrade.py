"""The dialog for what a plan does not allow: why, which plan would, and the way there and back.

For HTMX only; everybody else gets the refusal's own page.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import reswap, retarget

from billing import allowance, ledger, resume
from billing.payments.client import is_set_up
from billing.payments.prices import Offer, package_offer, plan_offer
from billing.plans import PACKAGES, PLANS, Plan, default_plan, plan_of
from billing.refusals import Refusal

TITLES = {
    "insufficient_credits": "Not enough credits",
    "private_models": "Keep this model private",
    "model_limit": "You have reached your model limit",
    "model_read_only": "This model is read-only",
    "advanced_settings": "Advanced settings",
    "concurrency": "Your line is full",
    "max_px": "Larger pictures",
}


def concerns(refusal: Refusal) -> bool:
    """Whether a larger plan, or waiting for credits, is the way on."""
    return refusal.code in TITLES


def dialog(
    request: HttpRequest,
    refusal: Refusal,
    *,
    path: str = "",
    query: dict[str, str] | None = None,
    send: bool = True,
) -> HttpResponse:
    """The upgrade dialog over the page: nothing that was typed below it is lost.

    Whoever buys comes back to `path` (or the page it was sent from) with their form as it was.
    """
    resume.keep(request, path=path, query=query, send=send)
    response = render(
        request, "billing/_upgrade.html", context(request, refusal), status=refusal.status
    )
    return reswap(retarget(response, "#dialog"), "innerHTML")


def context(request: HttpRequest, refusal: Refusal) -> dict[str, Any]:
    plan = plan_of(request.user)
    larger = larger_plans(plan, reason=refusal.code)
    shown: dict[str, Any] = {
        "refusal": refusal,
        "title": TITLES.get(refusal.code, "Your plan"),
        "current": plan,
        "is_free": plan == default_plan(),
        "larger_plans": larger,
    }
    if request.user.is_authenticated:
        shown["balance"] = ledger.balance(request.user)
        shown |= _for_sale(larger, refusal) if is_set_up() else {}
    if refusal.code == "insufficient_credits" and request.user.is_authenticated:
        shown["refill_at"] = allowance.standing(request.user).refill_at()
    return shown


def _for_sale(larger: list[Plan], refusal: Refusal) -> dict[str, Any]:
    is_short = refusal.code == "insufficient_credits"
    packages = [package_offer(package) for package in PACKAGES.values()] if is_short else []
    return {
        "offers": {plan.name: _monthly(plan) for plan in larger if plan.is_for_sale},
        "packages": list(zip(PACKAGES.values(), packages, strict=False)),
        "token": uuid.uuid4(),
    }


def _monthly(plan: Plan) -> Offer:
    return plan_offer(plan, "month" if plan.price_month is not None else "year")


def larger_plans(plan: Plan, *, reason: str) -> list[Plan]:
    """The plans that would allow it, smallest first."""
    rules: dict[str, Callable[[Plan], bool]] = {
        "private_models": lambda other: other.private_models,
        "advanced_settings": lambda other: other.advanced_settings,
        "model_limit": lambda other: other.portrait_models > plan.portrait_models,
        "model_read_only": lambda other: other.portrait_models > plan.portrait_models,
        "concurrency": lambda other: _line(other) > _line(plan),
        "max_px": lambda other: other.max_px > plan.max_px,
    }

    def holds_more(other: Plan) -> bool:
        return other.credits > plan.credits

    fits = rules.get(reason, holds_more)
    return [other for other in PLANS.values() if other != plan and fits(other)]


def _line(plan: Plan) -> int:
    return plan.concurrency + plan.waiting
