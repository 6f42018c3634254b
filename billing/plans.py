"""The plans of this installation, as the studio asks for them.

They are read from `plans.toml` when the program starts (see plan_file.py); a mistake in that file
is told in sentences by `manage.py check` (see checks.py).
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from billing.models import Subscription
from billing.plan_file import (
    QUALITIES,
    STANDARD,
    Package,
    Plan,
    PlanBook,
    PlanFileError,
    read_plans,
)
from billing.refusals import Refusal

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from accounts.models import User

__all__ = [
    "BOOK", "PACKAGES", "PLANS", "STANDARD", "Package", "Plan", "PlanBook", "PlanFileError",
    "check_size", "cost", "default_plan", "is_lapsed", "plan_by", "plan_named", "plan_of",
    "plan_said", "qualities", "read_plans",
]  # fmt: skip

# Stripe tries a card again for up to two weeks, then says that the subscription ended. Whoever does
# not even hear that keeps the plan no longer than this. No credits come in the meantime.
PATIENCE = timedelta(days=21)
COUNT_MAX = 10_000  # of one request; a larger number is a mistake or worse
SECONDS_MAX = 3600.0


def _read_at_start() -> tuple[PlanBook, list[str]]:
    try:
        return read_plans(settings.PLANS_FILE), []
    except PlanFileError as error:
        return PlanBook(), error.problems


BOOK, PROBLEMS = _read_at_start()
PLANS: dict[str, Plan] = BOOK.plans
PACKAGES: dict[str, Package] = BOOK.packages


def default_plan() -> Plan:
    """The plan of everybody who has no other one: `DEFAULT_PLAN`, else the file's own default."""
    if PROBLEMS:
        raise ImproperlyConfigured(" ".join(PROBLEMS))
    return PLANS[settings.DEFAULT_PLAN or BOOK.default]


def plan_named(name: str) -> Plan:
    """A plan that has left the file is treated as the default one."""
    return PLANS.get(name) or default_plan()


def plan_of(user: User | AnonymousUser) -> Plan:
    if not user.is_authenticated:
        return default_plan()
    rows = Subscription.objects.filter(user=user)
    return plan_said(*(rows.values_list("plan", "paid_until").first() or ("", None)))


def plan_by(subscription: Subscription | None) -> Plan:
    """The plan that a row says now."""
    return plan_said(subscription.plan, subscription.paid_until) if subscription else default_plan()


def plan_said(name: str | None, paid_until: datetime | None) -> Plan:
    """The plan that a row's columns say now; None: there is no row."""
    return default_plan() if is_lapsed(paid_until, timezone.now()) else plan_named(name or "")


def is_lapsed(paid_until: datetime | None, now: datetime) -> bool:
    """Whether a paid plan ended and nothing was heard of another payment."""
    return paid_until is not None and now > paid_until + PATIENCE


# --- what things cost --------------------------------------------------------
def cost(
    kind: str, count: int = 1, *, seconds: float | None = None, quality: str = STANDARD
) -> int:
    """Credits for `count` pieces of `kind`, the same on every plan; a clip costs by the second.

    `kind` is "training", "face", "image", "video", "edit" or "enhance". Where the file has one
    price, every quality costs that. Parts of a credit are rounded up, over the whole request.
    Raises Refusal: bad_kind, bad_quality, bad_count, bad_seconds.
    """
    prices = _prices(kind)
    if quality not in (prices if len(prices) > 1 else QUALITIES):
        raise Refusal("bad_quality", f"There is no quality “{quality[:20]}” for this.")
    if not 0 <= count <= COUNT_MAX:
        raise Refusal("bad_count", "This is not a number of pictures that can be made.")
    each = prices.get(quality, prices[STANDARD])
    credits = each * count * _length(kind, seconds)
    return math.ceil(round(credits, 6))  # 0.1 s at 30 credits are 3, not 3.0000000000000004


def qualities(kind: str) -> dict[str, int]:
    """Credits of one piece (or second) by quality, from the lowest to the highest."""
    return dict(_prices(kind))


def _prices(kind: str) -> dict[str, int]:
    if PROBLEMS:
        raise ImproperlyConfigured(" ".join(PROBLEMS))
    try:
        return BOOK.costs[kind]
    except KeyError:
        raise Refusal("bad_kind", "There is no such kind of picture.") from None


def _length(kind: str, seconds: float | None) -> float:
    """Seconds that are paid for; 1 for everything that has no length."""
    if kind != "video":
        return 1
    if seconds is None or not 0 < seconds <= SECONDS_MAX:  # NaN is neither
        raise Refusal("bad_seconds", "Please choose how many seconds the clip lasts.")
    return seconds


# --- what a plan allows ------------------------------------------------------
def check_size(plan: Plan, longest_px: int) -> None:
    """Raises Refusal("max_px") for a picture that is larger than the plan's."""
    if longest_px > plan.max_px:
        raise Refusal(
            "max_px",
            f"The {plan.title} plan makes pictures of up to {plan.max_px:,} pixels a side.",
            status=403,
        )
