"""The plans file, and what things cost by it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from django.core.checks import run_checks
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from billing import money
from billing.plan_file import QUALITIES, PlanFileError, read_plans
from billing.plans import PACKAGES, PLANS, check_size, cost, qualities
from billing.refusals import Refusal

GOOD = """
default = "free"
currency = "eur"
[cost]
training = 20
face = 2
image = { draft = 2, standard = 4 }
video = 6
edit = 6
enhance = 6
[free]
title = "Free"
portrait_models = 1
credits = 80
period = "day"
private_models = false
advanced_settings = false
concurrency = 1
max_count = 4
[gold]
title = "Gold"
portrait_models = 3
credits = 800
period = "month"
private_models = true
advanced_settings = true
concurrency = 2
max_count = 4
price_month = 9.50
price_year = 95
[[package]]
name = "small"
credits = 100
price = 1.00
[[package]]
name = "large"
credits = 1000
price = 8
"""
MISTAKES = [
    ("credits = 80", "credits = -1", "Line 14: [free] needs `credits`, a whole number from 0 on."),
    ("credits = 80", "credits = true", "Line 14: [free] needs `credits`"),
    ("credits = 80", 'credits = "80"', "Line 14: [free] needs `credits`"),
    ("concurrency = 1", "concurrency = 0", "Line 18: [free] needs `concurrency`, a whole number"),
    ('period = "day"', 'period = "week"', '[free] needs `period`, "day" or "month".'),
    ("private_models = false", "", "Line 11: [free] needs `private_models`, true or false."),
    ("credits = 800", "credits = 1.5", "Line 23: [gold] needs `credits`"),
    ("max_count = 4\n[gold]", "max_count = 4\nprize = 3\n[gold]",
     "Line 20: [free] has `prize`, which no plan has."),
    ("price_month = 9.50", "price_month = 9.505",
     "Line 29: [gold] needs `price_month`, a price above 0 in eur such as 9.00."),
    ("price_month = 9.50", "price_month = 0", "Line 29: [gold] needs `price_month`"),
    ("price_month = 9.50", "price_month = nan", "Line 29: [gold] needs `price_month`"),
    ("price_year = 95", "priority = 10", "[gold] needs `priority`, a whole number from 0 to 9."),
    ("price_year = 95", "watermark = 1", "[gold] needs `watermark`, true or false."),
    ('currency = "eur"', 'currency = "euro"', "Line 3: `currency` is 'euro', but it must be three"),
    ('default = "free"', 'default = "tin"', "Line 2: `default` is 'tin', but it must name one of"),
    ('default = "free"', "", "`default` is None"),
    ("training = 20", "", "Line 4: [cost] needs `training`, a whole number of credits from 0 on"),
    ("video = 6", "video = { draft = 3 }", "Line 8: [cost] needs `video`"),
    ("video = 6", "video = { standard = 3, best = 9 }", "Line 8: [cost] needs `video`"),
    ("video = 6", "video = 6\nvoice = 1", "Line 9: [cost] has `voice`; it knows"),
    ("[cost]", "[costs]", "The table [cost] is missing"),
    ("[free]", "[free", "cannot be read: Expected ']'"),
    ("[free]", "[free", "(at line 11, column 6)"),
    ('title = "Free"', 'title = " "', "Line 12: [free] needs `title`, the plan's name"),
    ("credits = 1000", "credits = 0", "Line 37: [package] needs `credits`, a whole number from 1"),
    ('name = "large"', 'name = "small"', "Two packages are called 'small'."),
    ("price = 8\n", "price = 8\nsale = 2\n", "Line 39: [[package]] has `sale`"),
]  # fmt: skip


def test_the_plans_of_the_product_are_as_documented() -> None:
    plans = PLANS.values()
    assert [(plan.title, plan.portrait_models, plan.concurrency) for plan in plans] == [
        ("Nano", 1, 1), ("Micro", 2, 2), ("Macro", 8, 4), ("Mega", 50, 8),
    ]  # fmt: skip
    assert (PLANS["nano"].credits, PLANS["nano"].period) == (80, "day")
    assert [plan.private_models for plan in plans] == [False, True, True, True]
    assert [plan.advanced_settings for plan in plans] == [False, True, True, True]
    assert [plan.is_for_sale for plan in plans] == [False, True, True, True]
    assert [plan.watermark for plan in plans] == [True, False, False, False]
    for worth in ("max_px", "priority", "waiting", "max_count"):
        amounts = [getattr(plan, worth) for plan in plans]
        assert amounts == sorted(amounts)
    prices = [(plan.price_month, plan.price_year) for plan in plans if plan.is_for_sale]
    assert all(month and year and year < 12 * month for month, year in prices)
    assert PACKAGES


def test_a_good_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(GOOD)
    book = read_plans(file)
    assert book.plans["free"].credits == 80
    assert not book.plans["free"].is_for_sale
    assert book.plans["gold"].price("month") == Decimal("9.50")
    assert book.plans["gold"].price("year") == 95
    assert [(package.credits, int(package.price)) for package in book.packages.values()] == [
        (100, 1), (1000, 8),
    ]  # fmt: skip
    assert book.costs["image"] == {"draft": 2, "standard": 4}
    assert book.costs["video"] == {"standard": 6}


@pytest.mark.parametrize(("good", "bad", "sentence"), MISTAKES)
def test_a_mistake_in_the_plans_is_told_with_its_line(
    tmp_path: Path, settings: Settings, good: str, bad: str, sentence: str
) -> None:
    settings.PLANS_FILE = tmp_path / "plans.toml"
    settings.PLANS_FILE.write_text(GOOD.replace(good, bad, 1))
    with pytest.raises(PlanFileError) as refused:
        read_plans(settings.PLANS_FILE)
    assert sentence in str(refused.value)
    assert any(sentence in error.msg and error.id == "billing.E001" for error in run_checks())


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(GOOD.replace("credits = 80\n", "credits = -1\n").replace("edit = 6", ""))
    with pytest.raises(PlanFileError) as refused:
        read_plans(file)
    assert len(refused.value.problems) == 2


def test_a_missing_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlanFileError, match="cannot be read"):
        read_plans(tmp_path / "none.toml")


def test_an_unknown_default_plan_is_told_in_a_sentence(settings: Settings) -> None:
    settings.DEFAULT_PLAN = "gold"
    assert [error.id for error in run_checks() if "billing" in (error.id or "")] == ["billing.E002"]


# --- what things cost -------------------------------------------------------------------------
def test_things_cost_by_the_piece() -> None:
    assert cost("training") == 20
    assert cost("image", 4) == cost("image", count=4) == 4 * cost("image")


def test_things_cost_by_their_quality() -> None:
    assert cost("image", quality="fine") > cost("image") > cost("image", quality="draft")
    assert qualities("image") == {name: cost("image", quality=name) for name in QUALITIES}


def test_a_kind_with_one_price_costs_that_in_every_quality() -> None:
    assert qualities("enhance") == {"standard": cost("enhance")}
    assert cost("enhance", 2, quality="fine") == cost("enhance", 2)


def test_a_clip_costs_by_the_second_and_a_part_of_a_credit_counts_whole() -> None:
    each = cost("video", seconds=1)
    assert cost("video", seconds=3) == 3 * each
    assert cost("video", seconds=2.5) == 2.5 * each
    assert cost("video", seconds=0.01) == 1
    assert cost("video", seconds=0.1 * 3 / 0.3) == each  # 1.0000000000000002 s


@given(st.integers(0, 100), st.floats(0.001, 600), st.sampled_from(QUALITIES))
def test_more_never_costs_less(count: int, seconds: float, quality: str) -> None:
    price = cost("video", count, seconds=seconds, quality=quality)
    assert 0 <= price <= cost("video", count + 1, seconds=seconds, quality=quality)
    assert price <= cost("video", count, seconds=seconds + 1, quality=quality)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"kind": "song"}, "bad_kind"),
        ({"kind": "image", "quality": "best"}, "bad_quality"),
        ({"kind": "enhance", "quality": "best"}, "bad_quality"),
        ({"kind": "image", "count": -1}, "bad_count"),
        ({"kind": "image", "count": 10**9}, "bad_count"),
        ({"kind": "video"}, "bad_seconds"),
        ({"kind": "video", "seconds": 0}, "bad_seconds"),
        ({"kind": "video", "seconds": float("nan")}, "bad_seconds"),
        ({"kind": "video", "seconds": float("inf")}, "bad_seconds"),
    ],
)
def test_what_has_no_price_is_refused(asked: dict[str, object], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        cost(**asked)
    assert refused.value.code == code


def test_a_plan_limits_the_size_of_pictures() -> None:
    check_size(PLANS["micro"], PLANS["micro"].max_px)
    with pytest.raises(Refusal, match="512 pixels") as refused:
        check_size(PLANS["nano"], 1024)
    assert (refused.value.code, refused.value.status) == ("max_px", 403)


# --- prices -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("price", "currency", "cents", "words"),
    [
        ("9", "usd", 900, "$9"),
        ("9.50", "usd", 950, "$9.50"),
        ("1290.00", "eur", 129000, "€1,290"),
        ("900", "jpy", 900, "¥900"),
        ("9.90", "chf", 990, "9.90 CHF"),
    ],
)
def test_prices_are_counted_in_whole_coins(
    price: str, currency: str, cents: int, words: str
) -> None:
    assert money.cents(Decimal(price), currency) == cents
    assert money.words(cents, currency) == words
