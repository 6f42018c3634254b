"""People who buy, through the real client at the simulator of stripe_server.py."""

from __future__ import annotations

import uuid
from typing import Any

from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing.models import CreditEntry, Subscription
from billing.payments import events
from tests.conftest import signed_in
from tests.stripe_objects import Row, told
from tests.stripe_server import Simulator


def subscription(user: User) -> Subscription:
    return Subscription.objects.get(user=user)


def session_of(simulator: Simulator, user: User, page: str, **form: str) -> Row:
    """The Checkout session that pressing a button of ours opens."""
    form = {"token": str(uuid.uuid4()), **form}
    answer = signed_in(user).post(reverse(page), form)
    assert answer.status_code == 303, answer.content
    return simulator.rows[answer["Location"].rpartition("/")[2]]


def open_plan(simulator: Simulator, user: User, plan: str, interval: str = "month") -> Row:
    return session_of(simulator, user, "checkout_plan", plan=plan, interval=interval)


def open_credits(simulator: Simulator, user: User, package: str = "small") -> Row:
    return session_of(simulator, user, "checkout_package", package=package)


def subscribe(simulator: Simulator, user: User, plan: str, interval: str = "month") -> Row:
    """Buy a plan; the webhooks of it are told. The subscription at Stripe."""
    session = open_plan(simulator, user, plan, interval)
    simulator.pay_session(session)
    tell_all(simulator)
    return simulator.rows[session["subscription"]]


def buy(simulator: Simulator, user: User, package: str = "small") -> str:
    """Buy credits, untold. The payment's id."""
    session = open_credits(simulator, user, package)
    simulator.pay_session(session)
    return str(session["payment_intent"])


def post(simulator: Simulator, event: Row, **signing: Any) -> Any:
    """One delivery at our door, signed as Stripe signs."""
    body, mark = simulator.signed(event, **signing)
    return Client().post(
        reverse("stripe_webhook"), body, content_type="application/json",
        headers={"Stripe-Signature": mark},
    )  # fmt: skip


def tell_all(simulator: Simulator) -> None:
    """Deliver everything that happened since the last time, once and in order."""
    waiting, simulator.events = simulator.events, []
    for event in waiting:
        assert post(simulator, event).status_code == 200


def read(event: Row) -> events.Event:
    import json

    return events.Event.read(json.dumps(told(event)))


def bought(user: User) -> int:
    """Credits that stand for money, less what is owed."""
    rows = CreditEntry.objects.filter(user=user, kind__in=["purchase", "reversal"])
    newest = CreditEntry.objects.filter(user=user).order_by("-id").first()
    return sum(row.amount for row in rows) - (newest.owed if newest else 0)
