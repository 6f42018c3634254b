"""`plans.toml`: reading it, and saying in sentences and lines what is wrong with it.

Knows nothing of Django or of people; see plans.py for what the studio asks.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing import money

PERIODS = ("day", "month")
KINDS = ("training", "face", "image", "video", "edit", "enhance")
QUALITIES = ("draft", "standard", "fine")
STANDARD = "standard"
PRIORITY_MAX = 9
NAME_MAX = 32  # Subscription.plan
SETTINGS = ("default", "currency", "cost", "package")  # what is not a plan

Costs = dict[str, dict[str, int]]  # kind -> quality -> credits


@dataclass(frozen=True)
class Plan:
    name: str  # the word in the file, the database and the API
    title: str  # the word on the page
    portrait_models: int  # how many a person may have at once
    credits: int  # the allowance is topped up to this once per period
    period: str  # "day" or "month"
    private_models: bool
    advanced_settings: bool
    concurrency: int  # jobs of one noun that run at once; more of them wait
    max_count: int  # pictures in one generation
    waiting: int = 50  # jobs of one noun that may stand in line beside those
    max_px: int = 4096  # longest side of a picture
    priority: int = 0  # 0..9, see generator/jobs/turns.py
    watermark: bool = False
    retention_days: int = 0  # 0: for ever
    api_requests: int = 60  # a minute, by programs with API keys
    price_month: Decimal | None = None
    price_year: Decimal | None = None

    @property
    def is_for_sale(self) -> bool:
        return self.price_month is not None or self.price_year is not None

    def price(self, interval: str) -> Decimal | None:
        """For "month" or "year"; None where it is not sold like that."""
        return self.price_year if interval == "year" else self.price_month

    def period_start(self, now: datetime) -> datetime:
        """By the calendar, UTC."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if self.period == "day" else midnight.replace(day=1)

    def period_name(self, now: datetime) -> str:
        """`2026-11-20` for a day, `2026-11` for a month."""
        return self.period_start(now).strftime("%Y-%m-%d" if self.period == "day" else "%Y-%m")


@dataclass(frozen=True)
class Package:
    """Credits to buy once."""

    name: str
    credits: int
    price: Decimal


@dataclass(frozen=True)
class PlanBook:
    default: str = ""
    currency: str = "usd"
    costs: Costs = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    packages: dict[str, Package] = field(default_factory=dict)


class PlanFileError(ValueError):
    """The file cannot be used; `problems` says why, a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def read_plans(path: Path) -> PlanBook:
    """Read and validate; raises `PlanFileError` with every problem found and its line."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text, parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanFileError([f"The plans file {path} cannot be read: {error}."]) from error
    problems = list(_problems(raw, Lines(text)))
    if problems:
        raise PlanFileError(problems)
    tables = {name: table for name, table in raw.items() if name not in SETTINGS}
    packages = [Package(**_priced(table)) for table in raw.get("package", [])]
    return PlanBook(
        default=raw["default"],
        currency=raw.get("currency", "usd"),
        costs={kind: _by_quality(raw["cost"][kind]) for kind in KINDS},
        plans={name: Plan(name=name, **_priced(table)) for name, table in tables.items()},
        packages={package.name: package for package in packages},
    )


def _by_quality(value: int | dict[str, int]) -> dict[str, int]:
    """In the order of QUALITIES; one number is the standard quality alone."""
    if isinstance(value, int):
        return {STANDARD: value}
    return {quality: value[quality] for quality in QUALITIES if quality in value}


def _priced(table: dict[str, Any]) -> dict[str, Any]:
    """Whole prices may be written without a point."""
    return {
        word: Decimal(value) if word.startswith("price") else value for word, value in table.items()
    }


# --- where something stands --------------------------------------------------
class Lines:
    """Finds the line of a word below a heading, since tomllib keeps no lines."""

    HEADING = re.compile(r"\s*\[{1,2}\s*([^\]]+?)\s*\]")

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()

    def of(self, heading: str, word: str = "", *, nth: int = 0) -> str:
        """`Line 12: `; of the heading itself where the word is missing, blank for neither."""
        start = self._heading(heading, nth) if heading else 0
        if start is None:
            return ""
        found = self._word(word, start) if word else None
        number = found or start
        return f"Line {number}: " if number else ""

    def _heading(self, wanted: str, nth: int) -> int | None:
        seen = -1
        for number, line in enumerate(self.lines, 1):
            heading = self.HEADING.match(line)
            if heading and heading[1].strip("\"'") == wanted:
                seen += 1
                if seen == nth:
                    return number
        return None

    def _word(self, word: str, start: int) -> int | None:
        written = re.compile(rf"\s*[\"']?{re.escape(word)}[\"']?\s*[=.]")
        for number, line in enumerate(self.lines[start:], start + 1):
            if self.HEADING.match(line):
                return None
            if written.match(line):
                return number
        return None


# --- what is wrong -----------------------------------------------------------
def _problems(raw: dict[str, Any], lines: Lines) -> Iterator[str]:
    plans = {name: table for name, table in raw.items() if name not in SETTINGS}
    currency = raw.get("currency", "usd")
    if not (isinstance(currency, str) and money.CURRENCY.fullmatch(currency)):
        at = lines.of("", "currency")
        yield f'{at}`currency` is {currency!r}, but it must be three letters such as "usd".'
        currency = "usd"
    yield from _cost_problems(raw.get("cost"), lines)
    for name, table in plans.items():
        yield from _plan_problems(name, table, lines, currency)
    yield from _package_problems(raw.get("package", []), lines, currency)
    if not plans:
        yield "There is no plan; write a table such as [nano]."
    elif raw.get("default") not in plans:
        at, names = lines.of("", "default"), ", ".join(plans)
        yield f"{at}`default` is {raw.get('default')!r}, but it must name one of: {names}."


def _cost_problems(costs: object, lines: Lines) -> Iterator[str]:
    if not isinstance(costs, dict):
        yield f"The table [cost] is missing; it says what {', '.join(KINDS)} cost."
        return
    for kind in KINDS:
        value = costs.get(kind)
        if _is_count(value, at_least=0) or _is_price_list(value):
            continue
        rule = (
            f'{{ draft = …, {STANDARD} = … }} with "{STANDARD}" and none but {_listed(QUALITIES)}'
        )
        yield (
            f"{lines.of('cost', kind)}[cost] needs `{kind}`, a whole number of credits from 0 on, "
            f"or {rule}."
        )
    for word in costs:
        if word not in KINDS:
            yield f"{lines.of('cost', word)}[cost] has `{word}`; it knows {_listed(KINDS)}."


def _is_price_list(value: object) -> bool:
    return (
        isinstance(value, dict)
        and STANDARD in value
        and set(value) <= set(QUALITIES)
        and all(_is_count(credits, at_least=0) for credits in value.values())
    )


def _plan_problems(name: str, table: object, lines: Lines, currency: str) -> Iterator[str]:
    if not isinstance(table, dict):
        at = lines.of("", name)
        yield f"{at}`{name}` stands outside of a plan; write it below a heading such as [nano]."
        return
    if len(name) > NAME_MAX:
        yield f"{lines.of(name)}The name of the plan [{name}] is longer than {NAME_MAX} letters."
    rules = _plan_rules(currency)
    for word in table:
        if word not in rules:
            yield f"{lines.of(name, word)}[{name}] has `{word}`, which no plan has."
    yield from _broken(name, table, rules, lines)


def _package_problems(packages: object, lines: Lines, currency: str) -> Iterator[str]:
    if not isinstance(packages, list):
        yield f"{lines.of('package')}`package` is a list: write it as [[package]]."
        return
    names = [table.get("name") for table in packages]
    rules = _package_rules(currency)
    for nth, table in enumerate(packages):
        at = lines.of("package", "name", nth=nth)
        if names.count(table.get("name")) > 1:
            yield f"{at}Two packages are called {table.get('name')!r}."
        for word in table:
            if word not in rules:
                at = lines.of("package", word, nth=nth)
                yield f"{at}[[package]] has `{word}`, which no package has."
        yield from _broken("package", table, rules, lines, nth=nth)


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words and as a fact."""

    words: str
    least: int = 0
    most: int = 10**9
    kind: str = "count"  # "count", "fact", "title", "period", "price"
    currency: str = ""
    may_be_absent: bool = False

    def allows(self, value: object) -> bool:
        if value is None:
            return self.may_be_absent
        if self.kind == "fact":
            return isinstance(value, bool)
        if self.kind == "title":
            return isinstance(value, str) and bool(value.strip()) and len(value) <= NAME_MAX
        if self.kind == "period":
            return value in PERIODS
        if self.kind == "price":
            return _is_price(value, self.currency)
        return _is_count(value, at_least=self.least) and int(str(value)) <= self.most


def _count(least: int, *, may_be_absent: bool = False) -> Rule:
    return Rule(f"a whole number from {least} on", least=least, may_be_absent=may_be_absent)


def _price(currency: str, *, may_be_absent: bool) -> Rule:
    coins = money.places(currency)
    example = "9.00" if coins else "900"
    return Rule(
        f"a price above 0 in {currency} such as {example}",
        kind="price",
        currency=currency,
        may_be_absent=may_be_absent,
    )


def _plan_rules(currency: str) -> dict[str, Rule]:
    fact = Rule("true or false", kind="fact")
    return {
        "title": Rule("the plan's name on the page", kind="title"),
        "period": Rule('"day" or "month"', kind="period"),
        "portrait_models": _count(0),
        "credits": _count(0),
        "concurrency": _count(1),
        "max_count": _count(1),
        "private_models": fact,
        "advanced_settings": fact,
        "waiting": _count(0, may_be_absent=True),
        "max_px": _count(64, may_be_absent=True),
        "priority": Rule(
            f"a whole number from 0 to {PRIORITY_MAX}", most=PRIORITY_MAX, may_be_absent=True
        ),
        "watermark": Rule("true or false", kind="fact", may_be_absent=True),
        "retention_days": _count(0, may_be_absent=True),
        "api_requests": _count(1, may_be_absent=True),
        "price_month": _price(currency, may_be_absent=True),
        "price_year": _price(currency, may_be_absent=True),
    }


def _package_rules(currency: str) -> dict[str, Rule]:
    return {
        "name": Rule("a word of its own", kind="title"),
        "credits": _count(1),
        "price": _price(currency, may_be_absent=False),
    }


def _broken(
    name: str, table: dict[str, Any], rules: dict[str, Rule], lines: Lines, *, nth: int = 0
) -> Iterator[str]:
    for word, rule in rules.items():
        if not rule.allows(table.get(word)):
            yield f"{lines.of(name, word, nth=nth)}[{name}] needs `{word}`, {rule.words}."


def _is_count(value: object, *, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _is_price(value: object, currency: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    price = Decimal(value)
    return money.is_exact(price, currency) and 0 < price < 10**6


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)
