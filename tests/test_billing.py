"""Plans, limits and the usage page."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.plans import PLANS, default_plan, plan_of
from billing.refusals import Refusal
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


# --- people and their plans ------------------------------------------------------------------
def test_the_default_plan_is_a_setting(settings: Settings, charlie: User) -> None:
    settings.DEFAULT_PLAN = "mega"
    assert plan_of(charlie) == default_plan() == PLANS["mega"]
    assert ledger.balance(charlie) == PLANS["mega"].credits


def test_plans_of_people(alice: User, bob: User, charlie: User) -> None:
    assert [plan_of(user).name for user in (alice, bob, charlie)] == ["macro", "nano", "nano"]
    assert plan_of(AnonymousUser()) == default_plan()


def test_a_refusal_has_words_and_a_number() -> None:
    refusal = Refusal("cap_reached", "You have all your portrait models.", status=403)
    assert (str(refusal), refusal.code, refusal.status) == (
        "You have all your portrait models.", "cap_reached", 403,
    )  # fmt: skip


# --- the usage page --------------------------------------------------------------------------
def spend(user: User, amount: int, job: str, reason: str = "A picture") -> None:
    with transaction.atomic():
        ledger.charge(ledger.locked(user), amount, key=f"{job}:charge", reason=reason)


def test_the_usage_page_says_what_is_left_and_when_more_comes(bob: User) -> None:
    spend(bob, 24, "generation:1")
    page = signed_in(bob).get(reverse("usage"))
    assert '<span class="numbers">56</span> credits left' in page.text
    assert "24 more come" in page.text
    assert "Training of a portrait model" in page.text


def test_a_refund_stands_beside_its_charge(bob: User) -> None:
    spend(bob, 24, "generation:1", "Four pictures of Ada")
    ledger.refund("generation:1", amount=6, reason="One of four failed")
    text = signed_in(bob).get(reverse("usage")).text
    row = text[text.index("Four pictures of Ada") :].split("</tr>")[0]
    assert "-24" in row
    assert "+6" in row
    assert "One of four failed" in row


def test_a_person_sees_their_own_statement_only(alice: User, bob: User) -> None:
    spend(alice, 4, "generation:1", "Alice's picture")
    assert "Alice&#x27;s picture" in signed_in(alice).get(reverse("usage")).text
    assert "Alice&#x27;s picture" not in signed_in(bob).get(reverse("usage")).text


def test_what_a_person_wrote_is_shown_as_text(bob: User) -> None:
    spend(bob, 4, "generation:1", "<script>alert(1)</script>{{7*7}}")
    text = signed_in(bob).get(reverse("usage")).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in text


def test_a_long_statement_has_pages(bob: User) -> None:
    with transaction.atomic():
        subscription = ledger.locked(bob)
        for number in range(60):
            ledger.charge(
                subscription, 1, key=f"generation:{number}:charge", reason=f"No {number}."
            )
    client = signed_in(bob)
    first = client.get(reverse("usage"))
    assert "No 59." in first.text
    assert "No 9." not in first.text
    older = first.text.split('href="?before=')[1].split('"')[0]
    assert "No 9." in client.get(reverse("usage"), {"before": older}).text


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, "1%00", "²"])
def test_a_page_that_is_none_is_the_first_one(bob: User, before: str) -> None:
    assert signed_in(bob).get(reverse("usage"), {"before": before}).status_code == 200


def test_the_headers_balance_can_be_refreshed(bob: User) -> None:
    answer = signed_in(bob).get(reverse("balance"))
    assert 'id="balance"' in answer.text
    assert "<span>80</span>" in answer.text


def test_the_signed_out_have_no_statement(client: Client) -> None:
    assert client.get(reverse("usage"))["Location"] == "/accounts/login/?next=/billing/usage/"


# --- the administration -------------------------------------------------------------------------
def test_an_administrator_changes_a_plan_and_nobody_changes_the_ledger(
    admin_user: User, bob: User
) -> None:
    spend(bob, 4, "generation:1")
    client = signed_in(admin_user)
    address = reverse("admin:billing_subscription_change", args=[bob.subscription.pk])
    assert client.post(address, {"plan": "gold"}).status_code == 200
    assert client.post(address, {"plan": "mega"}).status_code == 302
    assert plan_of(bob) == PLANS["mega"]
    entry = bob.credit_entries.first()
    assert entry is not None
    for action in ("change", "delete"):
        change = reverse(f"admin:billing_creditentry_{action}", args=[entry.pk])
        assert client.post(change, {"amount": 1000, "post": "yes"}).status_code == 403
    assert client.get(reverse("admin:billing_creditentry_add")).status_code == 403
