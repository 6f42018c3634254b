"""Fifty requests at once for the last model of a plan and for the last ten credits, ten rounds.

On the database of the settings; ten rounds of the services, one through the real addresses. Each
promise has its mutant: take the protection away and the round is no longer exact.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Sum
from django.test import Client
from django.urls import reverse

from accounts import consent as wording
from accounts.models import User
from billing import audit, entries, ledger
from billing.models import CreditEntry, Subscription
from billing.plans import PLANS, cost
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.jobs import services as jobs
from generator.jobs.models import Generation
from generator.portraits import services
from generator.portraits.models import PortraitModel
from tests import rows
from tests.conftest import signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

CROWD, ROUNDS = 50, 10
LAST = 10  # credits that are left


def at_once(act: Callable[[int], object]) -> Counter[object]:
    """What fifty calls that start together answered, each in a thread of its own."""
    start = Barrier(CROWD)

    def one(number: int) -> object:
        start.wait()
        try:
            return act(number)
        except Refusal as refusal:
            return refusal.code
        except DatabaseError as error:
            return type(error).__name__
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CROWD) as threads:
        return Counter(threads.map(one, range(CROWD)))


def posting(user: User, page: str, form: Callable[[int], dict[str, str]]) -> Callable[[int], int]:
    """The status of a request from a page that is open fifty times."""
    client = signed_in(user)
    assert client.session[SESSION_KEY]
    cookie, address = client.cookies["sessionid"].value, reverse(page)

    def post(number: int) -> int:
        window = Client(raise_request_exception=False)
        window.cookies["sessionid"] = cookie
        return window.post(address, form(number), headers={"HX-Request": "true"}).status_code

    return post


# --- the last model ---------------------------------------------------------------------------
def references(user: User) -> list[Asset]:
    name = {"kind": "reference", "width": 512, "height": 512}
    return Asset.objects.bulk_create(
        Asset(owner=user, file=f"assets/{uuid.uuid4()}.jpg", **name) for _ in range(CROWD)
    )


def crowd_for_the_last_model(user: User) -> Counter[object]:
    """One round: every request has a reference of its own and the right to be the one."""
    squares = references(user)

    def create(number: int) -> str:
        services.create_portrait_model(
            user,
            id=uuid.uuid4(),
            name=f"No {number}",
            description="",
            is_public=True,
            reference=squares[number],
            consent=wording.given(user, kind="me", text_version=wording.CURRENT),
        )
        return "made"

    return at_once(create)


def give(user: User, credits: int) -> None:
    with transaction.atomic():
        ledger.grant(ledger.locked(user), credits, key=f"gift:{uuid.uuid4()}", reason="a round")


def test_fifty_at_once_for_the_last_model_make_one(charlie: User) -> None:
    give(charlie, 100 * cost("training"))
    for _ in range(ROUNDS):
        PortraitModel.objects.filter(owner=charlie).delete()
        assert crowd_for_the_last_model(charlie) == {"made": 1, "model_limit": CROWD - 1}
        assert PortraitModel.objects.filter(owner=charlie).count() == 1
    assert [*audit.sums()] == []


def test_fifty_pages_at_once_are_told_clearly(charlie: User) -> None:
    give(charlie, 100 * cost("training"))
    squares = references(charlie)
    about = {"is_public": "on", "consent": "me", "consent_version": wording.CURRENT}

    def form(number: int) -> dict[str, str]:
        square, id = str(squares[number].id), str(uuid.uuid4())
        return {"id": id, "name": f"No {number}", "reference": square, **about}

    told = at_once(posting(charlie, "portrait_model_new", form))
    assert told == {200: 1, 403: CROWD - 1}


def test_fifty_clicks_on_one_form_are_one_model(charlie: User) -> None:
    """A double click, a retried request, the back button: the form's own id is the row's."""
    square = str(references(charlie)[0].id)
    form = {"id": str(uuid.uuid4()), "name": "Ada", "is_public": "on", "reference": square,
            "consent": "me", "consent_version": wording.CURRENT}  # fmt: skip
    assert at_once(posting(charlie, "portrait_model_new", lambda _: form)) == {200: CROWD}
    assert PortraitModel.objects.filter(owner=charlie).count() == 1
    assert ledger.balance(charlie) == 80 - cost("training")


# --- the last credits -------------------------------------------------------------------------
def leave(user: User, credits: int) -> None:
    with transaction.atomic():
        subscription = ledger.locked(user)
        left = entries.head(subscription).balance
        key = f"round:{uuid.uuid4()}"
        ledger.adjust(subscription, credits - left, key=key, reason="a round")


def crowd_for_the_last_credits(model: PortraitModel) -> Counter[object]:
    """One round: two pictures cost eight of the ten credits, so there is room for one of fifty."""

    def generate(number: int) -> str:
        jobs.submit_generation(
            model.owner, id=uuid.uuid4(), kind="image", prompt="at the beach", count=2,
            portrait_model=model,
        )  # fmt: skip
        return "made"

    return at_once(generate)


def test_fifty_at_once_for_the_last_ten_credits_spend_them_once(charlie: User) -> None:
    model = rows.portrait_model(charlie)
    for _ in range(ROUNDS):
        Generation.objects.filter(owner=charlie).delete()
        leave(charlie, LAST)
        told = crowd_for_the_last_credits(model)
        assert told == {"made": 1, "insufficient_credits": CROWD - 1}
        assert ledger.balance(charlie) == LAST - cost("image", 2)
    assert [*audit.sums()] == []


def test_fifty_pages_at_once_spend_the_last_credits_once(charlie: User) -> None:
    model = rows.portrait_model(charlie)
    leave(charlie, LAST)
    form = {"model": str(model.id), "prompt": "at the beach", "count": "2"}
    told = at_once(
        posting(charlie, "generation_create", lambda _: {**form, "id": str(uuid.uuid4())})
    )
    assert told == {200: 1, 402: CROWD - 1}


# --- the mutants ------------------------------------------------------------------------------
def unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a locked row nor, on SQLite, an exclusive transaction."""
    monkeypatch.setattr(ledger, "FOR_UPDATE", "")
    if connection.vendor == "sqlite":
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", "DEFERRED")


def test_without_the_lock_the_last_model_is_made_more_than_once(
    charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(charlie, 100 * cost("training"))
    unlocked(monkeypatch)
    told = crowd_for_the_last_model(charlie)
    assert told != {"made": 1, "model_limit": CROWD - 1}  # oversold, or an error of the database


def test_a_charge_that_checks_then_does_spends_the_last_credits_more_than_once(
    charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The balance is read before the lock, as the nearest open-source product does it."""
    model = rows.portrait_model(charlie)
    leave(charlie, LAST)
    seen = entries.head(Subscription.objects.get(user=charlie))
    monkeypatch.setattr(entries, "head", lambda subscription: seen)
    assert crowd_for_the_last_credits(model)["made"] > 1
    booked = CreditEntry.objects.filter(user=charlie).aggregate(total=Sum("amount"))["total"]
    assert booked < 0
    assert [*audit.sums()] != []  # and the audit says so


def test_the_plan_has_room_for_what_is_tested() -> None:
    assert PLANS["nano"].portrait_models == 1
    assert LAST // 2 < cost("image", 2) <= LAST
