"""What an administrator sees and may do: look at everything, assign plans, adjust with a reason."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.models import StripeEvent
from billing.plans import PACKAGES, PLANS, plan_of
from tests import rows
from tests.conftest import signed_in
from tests.stripe_parts import bought, buy, post, subscribe
from tests.stripe_server import KEY, SECRET, Simulator, running

pytestmark = pytest.mark.django_db
LISTS = (
    "accounts_user", "billing_subscription", "billing_creditentry", "billing_stripeevent",
    "billing_reconciliation", "generator_portraitmodel", "generator_training",
    "generator_generation",
)  # fmt: skip


@pytest.fixture
def boss(admin_user: User) -> Client:
    return signed_in(admin_user)


@pytest.fixture
def stripe(settings: Settings) -> Iterator[Simulator]:
    with running() as simulator:
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
        settings.STRIPE_API_BASE = simulator.address
        cache.clear()
        yield simulator


def spend(user: User, amount: int, job: str = "generation:1") -> None:
    with transaction.atomic():
        ledger.charge(ledger.locked(user), amount, key=f"{job}:charge", reason="A picture of Ada")


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens_and_can_be_searched(boss: Client, bob: User, name: str) -> None:
    spend(bob, 4)
    rows.generation(rows.portrait_model(bob))
    address = reverse(f"admin:{name}_changelist")
    assert boss.get(address).status_code == 200
    assert boss.get(address, {"q": "bob"}).status_code == 200
    assert signed_in(bob).get(address).status_code == 302


@pytest.mark.parametrize("name", LISTS[2:])
def test_what_the_studio_writes_cannot_be_written_here(boss: Client, bob: User, name: str) -> None:
    assert boss.get(reverse(f"admin:{name}_add")).status_code == 403


def test_a_persons_page_shows_balance_models_and_jobs(boss: Client, bob: User) -> None:
    spend(bob, 24)
    rows.generation(rows.portrait_model(bob, "Ada Lovelace"))
    page = boss.get(reverse("admin:accounts_user_change", args=[bob.pk]))
    for words in ("56 (56 of the plan, 0 kept, 0 owed)", "Nano", "-24  A picture of Ada",
                  "Ada Lovelace (ready)", "image generation"):  # fmt: skip
        assert words in page.text


def test_credits_are_adjusted_once_with_a_reason(boss: Client, bob: User) -> None:
    address = reverse("admin:adjust_credits", args=[bob.pk])
    assert "bob@example.com has 80 credits." in boss.get(address).text
    form = {"amount": "40", "reason": "Sorry for the outage", "token": str(uuid.uuid4())}
    assert boss.post(address, form).status_code == 302
    assert boss.post(address, form).status_code == 302  # a double click
    entry = bob.credit_entries.first()
    assert entry and (entry.kind, entry.amount, entry.reason) == (
        "adjustment", 40, "Sorry for the outage",
    )  # fmt: skip
    assert ledger.balance(bob) == 120


@pytest.mark.parametrize(("amount", "words"), [("-81", "you have 80"), ("0", "changes nothing")])
def test_an_adjustment_that_cannot_be_is_told(
    boss: Client, bob: User, amount: str, words: str
) -> None:
    form = {"amount": amount, "reason": "A mistake", "token": str(uuid.uuid4())}
    answer = boss.post(reverse("admin:adjust_credits", args=[bob.pk]), form)
    assert words in answer.text
    assert not bob.credit_entries.filter(kind="adjustment").exists()


def test_who_may_not_adjust_sees_no_form(bob: User, alice: User) -> None:
    alice.is_staff = True
    alice.save()
    alice.user_permissions.add(Permission.objects.get(codename="view_user"))
    address = reverse("admin:adjust_credits", args=[bob.pk])
    assert signed_in(alice).get(address).status_code == 404
    assert signed_in(bob).get(address).status_code == 302


def test_an_assigned_plan_gives_its_allowance(boss: Client, bob: User) -> None:
    spend(bob, 80)
    address = reverse("admin:billing_subscription_change", args=[bob.subscription.pk])
    assert boss.post(address, {"plan": "micro"}).status_code == 302
    assert ledger.balance(bob) == PLANS["micro"].credits


def test_a_plan_that_is_paid_for_is_not_assigned_over(
    stripe: Simulator, boss: Client, bob: User
) -> None:
    subscribe(stripe, bob, "micro")
    address = reverse("admin:billing_subscription_change", args=[bob.subscription.pk])
    assert "change or cancel it at Stripe" in boss.post(address, {"plan": "mega"}).text
    assert plan_of(bob) == PLANS["micro"]


def test_a_failed_event_is_reprocessed(stripe: Simulator, boss: Client, bob: User) -> None:
    buy(stripe, bob)
    stripe.is_down = True
    for event in stripe.events:
        post(stripe, event)
    assert StripeEvent.objects.filter(state="failed").exists()
    stripe.is_down = False
    ids = list(StripeEvent.objects.values_list("pk", flat=True))
    address = reverse("admin:billing_stripeevent_changelist")
    answer = boss.post(address, {"action": "reprocess", "_selected_action": ids}, follow=True)
    assert "applied" in answer.text
    assert bought(bob) == PACKAGES["small"].credits
    assert not StripeEvent.objects.filter(state="failed").exists()
    page = boss.get(reverse("admin:billing_stripeevent_change", args=[ids[0]]))
    assert page.status_code == 200 and "<pre>" in page.text
