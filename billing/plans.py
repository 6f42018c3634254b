"""The plans of this installation, read from `plans.toml` when the program starts.

A mistake in that file is told in sentences by `manage.py check` (see checks.py).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from billing.models import Subscription

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from accounts.models import User

PERIODS = ("day", "month")
COSTS = ("training", "face", "image")


@dataclass(frozen=True)
class Plan:
    name: str  # the word in the file, the database and the API
    title: str  # the word on the page
    portrait_models: int  # how many a person may have at once
    credits: int  # the allowance is topped up to this once per period
    period: str  # "day" or "month", by the calendar, UTC
    private_models: bool
    advanced_settings: bool
    concurrency: int  # jobs running at once; more of them wait
    max_count: int  # pictures in one generation

    def period_start(self, now: datetime) -> datetime:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if self.period == "day" else midnight.replace(day=1)

    def period_name(self, now: datetime) -> str:
        """`2026-11-20` for a day, `2026-11` for a month."""
        return self.period_start(now).strftime("%Y-%m-%d" if self.period == "day" else "%Y-%m")


@dataclass(frozen=True)
class PlanBook:
    default: str
    costs: dict[str, int]
    plans: dict[str, Plan]


class PlanFileError(ValueError):
    """The file cannot be used; `problems` says why, a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def read_plans(path: Path) -> PlanBook:
    """Read and validate; raises `PlanFileError` with every problem found."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanFileError([f"The plans file {path} cannot be read: {error}."]) from error
    default, costs = raw.pop("default", None), raw.pop("cost", None)
    problems = [
        *_cost_problems(costs),
        *(problem for name, table in raw.items() for problem in _plan_problems(name, table)),
    ]
    if not raw:
        problems.append("There is no plan; write a table such as [nano].")
    elif default not in raw:
        problems.append(f"`default` is {default!r}, but it must name one of: {', '.join(raw)}.")
    if problems or not isinstance(costs, dict):
        raise PlanFileError(problems)
    plans = {name: Plan(name=name, **table) for name, table in raw.items()}
    return PlanBook(default=str(default), costs=costs, plans=plans)


def _cost_problems(costs: object) -> list[str]:
    if not isinstance(costs, dict):
        return [f"The table [cost] is missing; it says what {', '.join(COSTS)} cost."]
    return [
        f"[cost] needs `{kind}`, a whole number of credits from 0 on."
        for kind in COSTS
        if not _is_count(costs.get(kind), at_least=0)
    ]


def _plan_problems(name: str, table: object) -> list[str]:
    if not isinstance(table, dict):
        return [f"`{name}` stands outside of a plan; write it below a heading such as [nano]."]
    if len(name) > 32:
        return [f"The name of the plan [{name}] is longer than 32 letters."]
    rules = _rules(table)
    unknown = [f"[{name}] has `{word}`, which no plan has." for word in table if word not in rules]
    return unknown + [
        f"[{name}] needs `{word}`, {rule}." for word, (fine, rule) in rules.items() if not fine
    ]


def _rules(table: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    """For each value of a plan: whether it is fine, and what it must be."""
    title, count = table.get("title"), "a whole number from {} on"
    return {
        "title": (isinstance(title, str) and bool(title.strip()), "the plan's name on the page"),
        "period": (table.get("period") in PERIODS, '"day" or "month"'),
        **{
            word: (_is_count(table.get(word), at_least=least), count.format(least))
            for word, least in (
                ("portrait_models", 0),
                ("credits", 0),
                ("concurrency", 1),
                ("max_count", 1),
            )
        },
        **{
            word: (isinstance(table.get(word), bool), "true or false")
            for word in ("private_models", "advanced_settings")
        },
    }


def _is_count(value: object, *, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _read_at_start() -> tuple[PlanBook, list[str]]:
    try:
        return read_plans(settings.PLANS_FILE), []
    except PlanFileError as error:
        return PlanBook(default="", costs={}, plans={}), error.problems


BOOK, PROBLEMS = _read_at_start()
PLANS: dict[str, Plan] = BOOK.plans


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
    name = Subscription.objects.filter(user=user).values_list("plan", flat=True).first()
    return plan_named(name or "")


def cost(kind: str, count: int = 1) -> int:
    """Credits for `count` of "training", "face" or "image"; the same on every plan."""
    return BOOK.costs[kind] * count
