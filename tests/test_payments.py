"""Buying, changing, canceling, failing cards: the real client at a Stripe of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing import allowance, ledger
from billing.models import Reconciliation, StripeEvent, Subscription
from billing.payments import events, tending
from billing.plans import PACKAGES, PLANS, default_plan, plan_of
from tests.conftest import signed_in
from tests.stripe_parts import (
    bought,
    buy,
    open_credits,
    open_plan,
    post,
    read,
    subscribe,
    subscription,
    tell_all,
)
from tests.stripe_server import KEY, SECRET, Simulator, running

pytestmark = pytest.mark.django_db
SITE_URL = "http://127.0.0.1:8000"  # of tests/settings.py
SMALL = PACKAGES["small"].credits
MICRO, MEGA = PLANS["micro"].credits, PLANS["mega"].credits


@pytest.fixture(scope="module")
def account() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def stripe(account: Simulator, settings: Settings) -> Simulator:
    """An empty Stripe that this studio is set up with."""
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
    settings.STRIPE_API_BASE = account.address
    account.rows.clear()
    account.events.clear()
    account.answered.clear()
    account.cards.clear()
    account.skew_s, account.is_down = 0, False
    cache.clear()
    return account


def spend(user: User, amount: int, job: str = "generation:1") -> None:
    with transaction.atomic():
        ledger.charge(ledger.locked(user), amount, key=f"{job}:charge", reason="pictures")


# --- plans ------------------------------------------------------------------------------------
def test_a_plan_is_bought_and_its_credits_come_once(stripe: Simulator, bob: User) -> None:
    bought_one = subscribe(stripe, bob, "micro")
    row = subscription(bob)
    assert plan_of(bob) == PLANS["micro"]
    assert row.stripe_subscription_id == bought_one["id"]
    assert ledger.balance(bob) == MICRO
    entries = bob.credit_entries.count()
    for event in stripe.of("event"):
        assert post(stripe, event).json()["state"] in ("applied", "ignored")
    assert bob.credit_entries.count() == entries


def test_coming_back_from_checkout_counts_before_stripe_tells(stripe: Simulator, bob: User) -> None:
    session = open_plan(stripe, bob, "micro", "year")
    stripe.pay_session(session)
    answer = signed_in(bob).get(session["success_url"].removeprefix(SITE_URL))
    assert answer.status_code == 302
    assert plan_of(bob) == PLANS["micro"]
    paid_until = subscription(bob).paid_until
    assert paid_until and paid_until > timezone.now() + timedelta(days=364)


@pytest.mark.parametrize("is_told_before", [True, False])
def test_coming_back_says_what_one_has_now_whoever_was_first(
    stripe: Simulator, bob: User, is_told_before: bool
) -> None:
    client = signed_in(bob)

    def words(address: str) -> str:
        if is_told_before:
            tell_all(stripe)
        return client.get(address.removeprefix(SITE_URL), follow=True).text

    session = open_plan(stripe, bob, "micro")
    stripe.pay_session(session)
    assert "You are on the Micro plan now." in words(session["success_url"])
    package = open_credits(stripe, bob)
    stripe.pay_session(package)
    assert "Thank you. Your credits are here." in words(package["success_url"])
    answer = client.post(reverse("checkout_plan"), {"plan": "mega", "interval": "month"})
    flow = stripe.rows[answer["Location"].rpartition("/")[2]]["flow_data"]
    wanted = flow["subscription_update_confirm"]["items"][0]["price"]
    back = flow["after_completion"]["redirect"]["return_url"]
    assert "plan now" not in words(back)  # it was looked at, and not confirmed
    stripe.change(stripe.of("subscription")[0], stripe.rows[wanted])
    assert "You are on the Mega plan now." in words(back)


def test_somebody_elses_session_is_not_there(stripe: Simulator, bob: User, alice: User) -> None:
    session = open_plan(stripe, bob, "micro")
    stripe.pay_session(session)
    client = signed_in(alice)
    done = reverse("checkout_done")
    assert client.get(done, {"session_id": session["id"]}).status_code == 404
    assert client.get(done, {"session_id": "cs_none"}).status_code == 404
    assert plan_of(alice) == PLANS["macro"]
    open_credits(stripe, alice)  # a customer herself
    package = open_credits(stripe, bob)
    stripe.pay_session(package)
    assert client.get(done, {"session_id": package["id"]}).status_code == 404
    assert bought(alice) == 0


def test_a_double_click_opens_one_page(stripe: Simulator, bob: User) -> None:
    client = signed_in(bob)
    form = {"plan": "micro", "interval": "month", "token": "5f6f2a64-6e0a-4b43-9c31-2f8b8f7c9e11"}
    pages = {client.post(reverse("checkout_plan"), form)["Location"] for _ in range(3)}
    assert len(pages) == 1
    assert len(stripe.of("customer")) == len(stripe.of("checkout.session")) == 1


def test_an_old_tab_sells_no_second_plan(stripe: Simulator, bob: User) -> None:
    first, second = open_plan(stripe, bob, "micro"), open_plan(stripe, bob, "macro")
    assert (first["status"], second["status"]) == ("expired", "open")
    stripe.pay_session(second)
    answer = signed_in(bob).post(reverse("checkout_plan"), {"plan": "micro", "interval": "month"})
    assert "/p/session/" in answer["Location"]  # changing, not buying: nobody told us yet


def test_changing_to_a_larger_plan_takes_the_unused_time_off(stripe: Simulator, bob: User) -> None:
    micro = subscribe(stripe, bob, "micro")
    spend(bob, MICRO)
    answer = signed_in(bob).post(reverse("checkout_plan"), {"plan": "mega", "interval": "month"})
    portal = stripe.rows[answer["Location"].rpartition("/")[2]]
    wanted = portal["flow_data"]["subscription_update_confirm"]["items"][0]["price"]
    stripe.change(micro, stripe.rows[wanted])
    tell_all(stripe)
    assert plan_of(bob) == PLANS["mega"]
    invoice = stripe.rows[micro["latest_invoice"]]
    assert invoice["total"] == pytest.approx(9900 - 900, abs=2)
    assert ledger.balance(bob) == pytest.approx(MEGA - MICRO, abs=1)


def test_the_plan_one_has_is_not_sold_again(stripe: Simulator, bob: User) -> None:
    subscribe(stripe, bob, "micro")
    answer = signed_in(bob).post(reverse("checkout_plan"), {"plan": "micro", "interval": "month"})
    assert answer.status_code == 409
    assert "This is your plan already." in answer.text


def test_a_renewal_refills_and_a_canceled_plan_ends_with_its_period(
    stripe: Simulator, bob: User
) -> None:
    sub = subscribe(stripe, bob, "micro")
    spend(bob, 1000)
    stripe.advance(30.01)
    tell_all(stripe)
    row = subscription(bob)
    assert row.anchor and row.anchor > timezone.now() + timedelta(days=29)
    assert allowance.standing(bob, now=row.anchor + timedelta(hours=1)).left == MICRO

    stripe.cancel(sub)
    tell_all(stripe)
    assert subscription(bob).is_ending and plan_of(bob) == PLANS["micro"]
    stripe.advance(31)
    tell_all(stripe)
    assert plan_of(bob) == default_plan()
    assert ledger.balance(bob) == default_plan().credits


def test_an_unpaid_renewal_gives_no_credits_until_the_card_works(
    stripe: Simulator, bob: User
) -> None:
    subscribe(stripe, bob, "micro")
    before = subscription(bob)
    spend(bob, 1000)
    stripe.cards[before.stripe_customer_id] = False
    stripe.advance(30.01)
    tell_all(stripe)
    row = subscription(bob)
    assert row.payment_failed_at is not None
    assert (row.anchor, row.paid_until) == (before.anchor, before.paid_until)
    assert plan_of(bob) == PLANS["micro"]
    stripe.cards[before.stripe_customer_id] = True
    stripe.advance(3)
    tell_all(stripe)
    row = subscription(bob)
    assert row.payment_failed_at is None
    assert row.anchor and before.paid_until and row.anchor >= before.paid_until


def test_a_period_whose_invoice_is_still_open_gives_nothing(stripe: Simulator, bob: User) -> None:
    """Stripe begins a period, and calls it active, an hour before it asks the card."""
    sub = subscribe(stripe, bob, "micro")
    before = subscription(bob)
    stripe.advance(30.01)
    invoice = stripe.rows[sub["latest_invoice"]]
    invoice["status"] = "draft"
    tell_all(stripe)
    assert (sub["status"], subscription(bob).anchor) == ("active", before.anchor)
    invoice["status"] = "paid"
    stripe.tell("invoice.paid", invoice)
    tell_all(stripe)
    assert subscription(bob).anchor == before.paid_until


def test_a_card_that_never_works_again_ends_the_plan(stripe: Simulator, bob: User) -> None:
    subscribe(stripe, bob, "micro")
    stripe.cards[subscription(bob).stripe_customer_id] = False
    stripe.advance(45)
    tell_all(stripe)
    assert plan_of(bob) == default_plan()
    assert subscription(bob).stripe_subscription_id == ""


def test_an_upgrade_whose_payment_fails_is_no_upgrade(stripe: Simulator, bob: User) -> None:
    micro = subscribe(stripe, bob, "micro")
    open_plan_page = signed_in(bob).post(reverse("checkout_plan"), {"plan": "mega"})
    portal = stripe.rows[open_plan_page["Location"].rpartition("/")[2]]
    stripe.cards[subscription(bob).stripe_customer_id] = False
    wanted = portal["flow_data"]["subscription_update_confirm"]["items"][0]["price"]
    stripe.change(micro, stripe.rows[wanted])
    tell_all(stripe)
    assert plan_of(bob) == PLANS["micro"]
    assert ledger.balance(bob) == MICRO


def test_a_plan_that_an_administrator_gave_stays(stripe: Simulator, alice: User) -> None:
    buy(stripe, alice)
    tell_all(stripe)
    tending.reconcile()
    assert plan_of(alice) == PLANS["macro"]


def test_a_trial_that_ends_unpaid_ends_the_plan(stripe: Simulator, bob: User) -> None:
    sub = subscribe(stripe, bob, "micro")
    sub["status"] = "trialing"
    stripe.tell("customer.subscription.trial_will_end", sub)
    tell_all(stripe)
    assert plan_of(bob) == PLANS["micro"]
    sub["status"] = "active"
    stripe.cards[sub["customer"]] = False
    stripe.advance(60)
    tell_all(stripe)
    assert plan_of(bob) == default_plan()


# --- packages, refunds, disputes ----------------------------------------------------------------
def test_credits_are_bought_once_however_often_it_is_told(stripe: Simulator, bob: User) -> None:
    payment = buy(stripe, bob)
    for event in stripe.jumbled(stripe.events, times=4, seed=1):
        assert post(stripe, event).status_code == 200
    assert ledger.balance(bob) == 80 + SMALL
    assert bob.credit_entries.filter(key=f"stripe:{payment}:purchase").count() == 1


def test_a_refund_takes_its_share_of_the_credits(stripe: Simulator, bob: User) -> None:
    payment = buy(stripe, bob)
    stripe.refund(payment, 125)
    stripe.refund(payment, 125)
    tell_all(stripe)
    assert bought(bob) == SMALL // 2 == stripe.credits_paid(subscription(bob).stripe_customer_id)


def test_a_dispute_takes_the_credits_and_winning_it_returns_them(
    stripe: Simulator, bob: User
) -> None:
    payment = buy(stripe, bob)
    tell_all(stripe)
    spend(bob, 80 + SMALL - 100)
    dispute = stripe.dispute(payment)
    tell_all(stripe)
    assert allowance.standing(bob).head == (0, 0, SMALL - 100)
    stripe.close_dispute(dispute, "won")
    tell_all(stripe)
    assert allowance.standing(bob).head == (100, 0, 0)


def test_a_refunded_month_takes_what_is_left_of_its_credits(stripe: Simulator, bob: User) -> None:
    subscribe(stripe, bob, "micro")
    spend(bob, 200)
    payment = stripe.of("payment_intent")[0]["id"]
    stripe.refund(payment)
    tell_all(stripe)
    assert ledger.balance(bob) == 0
    stripe.cancel(stripe.of("subscription")[0], now=True)
    tell_all(stripe)
    assert plan_of(bob) == default_plan()


# --- a bad day's post -----------------------------------------------------------------------------
def test_everything_backwards_is_the_same_in_the_end(stripe: Simulator, bob: User) -> None:
    """deleted before created, and old updates after new ones."""
    sub = subscribe(stripe, bob, "micro")
    stripe.cancel(sub)
    stripe.advance(31)
    for event in reversed(stripe.of("event")):
        assert post(stripe, event).status_code == 200
    for event in stripe.of("event"):
        post(stripe, event)
    assert plan_of(bob) == default_plan()
    assert ledger.balance(bob) == default_plan().credits


def test_lost_events_are_asked_for(stripe: Simulator, bob: User, alice: User) -> None:
    open_plan(stripe, bob, "micro")
    stripe.pay_session(stripe.of("checkout.session")[0])
    for _ in range(3):
        buy(stripe, alice)
    for number, event in enumerate(stripe.events):  # every third one is lost
        if number % 3:
            post(stripe, event)
    look = tending.reconcile()
    assert look.finished_at and look.repaired
    assert plan_of(bob) == PLANS["micro"]
    assert bought(alice) == 3 * SMALL
    assert tending.reconcile().repaired == 0


def test_an_installation_without_a_webhook_still_hears(
    stripe: Simulator, bob: User, settings: Settings
) -> None:
    settings.STRIPE_WEBHOOK_SECRET = ""
    buy(stripe, bob)
    assert post(stripe, stripe.events[0]).status_code == 404
    tending.reconcile()
    assert bought(bob) == SMALL


def test_whoevers_time_ended_without_a_word_is_looked_at(stripe: Simulator, bob: User) -> None:
    sub = subscribe(stripe, bob, "micro")
    stripe.rows[sub["id"]]["status"] = "canceled"  # and no event ever tells
    past = timezone.now() - timedelta(days=1)
    Subscription.objects.update(anchor=past - timedelta(days=30), paid_until=past)
    assert tending.reconcile().repaired == 1
    assert plan_of(bob) == default_plan()


def test_while_stripe_is_away_events_are_kept_and_applied_later(
    stripe: Simulator, bob: User
) -> None:
    buy(stripe, bob)
    stripe.is_down = True
    for event in stripe.events:
        assert post(stripe, event).json()["state"] in ("failed", "ignored")
    assert bought(bob) == 0
    assert tending.reconcile().finished_at is None
    stripe.is_down = False
    StripeEvent.objects.update(retry_at=timezone.now())
    assert events.retry_due()
    assert bought(bob) == SMALL
    assert not StripeEvent.objects.filter(state="failed").exists()


def test_nothing_is_sold_while_stripe_is_away(stripe: Simulator, bob: User) -> None:
    stripe.is_down = True
    answer = signed_in(bob).post(reverse("checkout_package"), {"package": "small"})
    assert answer.status_code == 503
    assert "Nothing was charged." in answer.text


def test_what_is_not_signed_is_refused_and_not_kept(stripe: Simulator, bob: User) -> None:
    buy(stripe, bob)
    event = stripe.events[-1]
    assert post(stripe, event, at=int(timezone.now().timestamp()) - 360).status_code == 400
    body, mark = stripe.signed(event)
    address = reverse("stripe_webhook")
    for bad in (mark[:-1] + "x", "", "t=1,v1=", mark.replace("v1", "v0"), "é"):
        answer = Client().post(
            address, body, content_type="application/json", headers={"Stripe-Signature": bad}
        )
        assert answer.status_code == 400
    changed = body.replace(b"small", b"large")
    answer = Client().post(
        address, changed, content_type="application/json", headers={"Stripe-Signature": mark}
    )
    assert answer.status_code == (400 if changed != body else 200)
    assert not StripeEvent.objects.filter(state="applied").exists()
    assert Client().get(address).status_code == 405


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"\xff", b"[" * 5000, b'{"id": 1}'])
def test_a_signed_body_that_is_no_event_is_refused(stripe: Simulator, body: bytes) -> None:
    import hashlib
    import hmac
    import time

    now = int(time.time())
    mark = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    answer = Client().post(
        reverse("stripe_webhook"), body, content_type="application/json",
        headers={"Stripe-Signature": f"t={now},v1={mark}"},
    )  # fmt: skip
    assert answer.status_code == 400


def test_a_body_of_a_megabyte_is_refused(stripe: Simulator) -> None:
    answer = Client().post(reverse("stripe_webhook"), b"x" * 2**20, content_type="application/json")
    assert answer.status_code == 413


def test_unknown_types_and_strangers_are_ignored(stripe: Simulator, bob: User) -> None:
    stranger = stripe.make("customer", email="who@example.com")
    for kind, about in (
        ("entitlements.active_entitlement_summary.updated", {"customer": stranger["id"]}),
        ("customer.subscription.created", {"customer": stranger["id"]}),
        ("customer.subscription.created", {}),
        ("price.created", {}),
    ):
        event = stripe.tell(kind, {"id": "x", **about})
        assert post(stripe, event).json()["state"] == "ignored"
    assert plan_of(bob) == PLANS["nano"]


def test_real_money_is_not_mixed_with_tests(stripe: Simulator, bob: User) -> None:
    buy(stripe, bob)
    event = stripe.events[-1]
    event["livemode"] = True
    assert post(stripe, event).json()["state"] == "ignored"
    assert bought(bob) == 0


def test_reprocessing_an_applied_event_posts_nothing_twice(stripe: Simulator, bob: User) -> None:
    buy(stripe, bob)
    tell_all(stripe)
    for row in StripeEvent.objects.filter(state="applied"):
        events.reprocess(row)
    assert bought(bob) == SMALL


def test_a_failed_event_waits_longer_each_time(
    stripe: Simulator, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    buy(stripe, bob)
    event = read(next(e for e in stripe.events if e["type"] == "payment_intent.succeeded"))
    stripe.is_down = True
    pauses = []
    for _ in range(events.ATTEMPTS_MAX):
        row = events.receive(event)
        pauses.append(row.retry_at and row.retry_at - timezone.now())
    assert pauses[-1] is None  # an administrator's turn
    minutes = [round(pause.total_seconds() / 60) for pause in pauses if pause]
    assert minutes == sorted(minutes)
    assert minutes[-1] == events.LONGEST_PAUSE.total_seconds() / 60
    assert Reconciliation.objects.count() == 0
    assert json.loads(row.payload)["id"] == event.id


def test_forms_lead_to_stripe_only_where_something_is_for_sale(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]  # in any order
    assert "form-action 'self'" in policy.split("; ") and "stripe" not in policy


# --- not set up -----------------------------------------------------------------------------------
def test_without_a_key_nothing_is_for_sale(bob: User, client: Client) -> None:
    answer = signed_in(bob).post(reverse("checkout_plan"), {"plan": "micro"})
    assert answer.status_code == 409
    assert "Payments are not set up on this installation." in answer.text
    assert client.post(reverse("stripe_webhook")).status_code == 404


def test_a_changed_price_in_the_file_is_a_new_price_at_stripe(stripe: Simulator, bob: User) -> None:
    open_credits(stripe, bob)
    (old,) = stripe.of("price")
    old["unit_amount"] = 1
    open_credits(stripe, bob)
    new = stripe.of("price")[0]
    assert (new["unit_amount"], old["lookup_key"]) == (500, None)
    assert len(stripe.of("product")) == 1
