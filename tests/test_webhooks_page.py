"""The page of webhooks: endpoints, the secret on demand, the log, and nobody else's."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from generator.webhooks import sending, services, views
from generator.webhooks.models import JOB_EVENTS, Delivery, WebhookEndpoint
from tests.job_parts import finish, submit
from tests.receiver import Receiver, receiver, verified

pytestmark = pytest.mark.django_db
HTMX: Any = {"headers": {"HX-Request": "true"}}
WAYS: list[Any] = [{}, HTMX]
PAGE = "/account/webhooks/"


@pytest.fixture
def house(settings: Settings) -> Iterator[Receiver]:
    with receiver() as made:
        settings.FETCH_ALLOW = [made.netloc]
        yield made


def sent(owner: User, house: Receiver) -> Delivery:
    services.add_endpoint(owner, house.address, JOB_EVENTS)
    finish(submit(owner))
    sending.send_due()
    return Delivery.objects.get(owner=owner)


def text(response: Any) -> str:
    return str(response.content.decode())


def test_an_endpoint_is_added_and_tested_without_scripts(
    alice: User, alice_client: Client, house: Receiver
) -> None:
    assert PAGE in text(alice_client.get("/account/"))
    typed = {"url": house.address, "events": ["training.failed", "generation.succeeded"]}
    answer = alice_client.post(PAGE, typed, follow=True)
    assert answer.redirect_chain and house.address in text(answer)
    made = WebhookEndpoint.objects.get(owner=alice)
    assert made.events == ["training.failed", "generation.succeeded"]
    assert "A test is on its way." in text(alice_client.post(f"{PAGE}{made.pk}/test/", follow=True))
    sending.send_due()
    assert "answered 200" in text(alice_client.get(PAGE))
    (message,) = house.messages
    verified(message.headers["Likeness-Signature"], message.body, services.secret_of(alice))


def test_a_bad_address_keeps_what_was_typed(alice_client: Client) -> None:
    typed = {"url": "http://router.local/<x>", "events": ["training.failed"]}
    for how in WAYS:
        answer = alice_client.post(PAGE, typed, **how)
        assert answer.status_code == 422
        assert "http://router.local/&lt;x&gt;" in text(answer) and 'role="alert"' in text(answer)
        assert text(answer).count("checked") == 1
    assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_is_turned_off_on_and_deleted(
    alice: User, alice_client: Client, house: Receiver
) -> None:
    delivery = sent(alice, house)
    made = WebhookEndpoint.objects.get()
    for word, is_on in (("disable", False), ("enable", True)):
        answer = alice_client.post(f"{PAGE}{made.pk}/{word}/", **HTMX)
        assert answer.status_code == 200 and 'id="webhooks"' in text(answer)
        made.refresh_from_db()
        assert made.is_enabled is is_on
    asked = alice_client.get(f"{PAGE}{made.pk}/delete/", **HTMX)
    assert "Delete endpoint" in text(asked) and WebhookEndpoint.objects.exists()
    assert alice_client.get(f"{PAGE}{made.pk}/delete/").status_code == 200
    gone = alice_client.post(f"{PAGE}{made.pk}/delete/", **HTMX)
    assert gone["HX-Trigger"] and not WebhookEndpoint.objects.exists()
    assert str(delivery.pk) in text(gone)


def test_the_secret_is_shown_on_demand_only(alice: User, alice_client: Client) -> None:
    secret = services.secret_of(alice)
    assert secret not in text(alice_client.get(PAGE))
    for how in WAYS:
        answer = alice_client.get(f"{PAGE}secret/", **how)
        assert secret in text(answer) and "no-store" in answer["Cache-Control"]
    assert alice_client.get(f"{PAGE}secret/roll/").status_code == 200
    assert services.secret_of(alice) == secret
    rolled = alice_client.post(f"{PAGE}secret/roll/", **HTMX)
    new = services.secret_of(alice)
    assert new != secret and new in text(rolled)
    assert services.secret_of(alice) != secret
    again = alice_client.post(f"{PAGE}secret/roll/", follow=True)
    assert services.secret_of(alice) in text(again)


def test_the_log_shows_body_and_answer_and_sends_again(
    alice: User, alice_client: Client, house: Receiver
) -> None:
    house.status = 500
    delivery = sent(alice, house)
    page = text(alice_client.get(PAGE))
    assert "answered 500" in page and "next try" in page and "every 5s" in page
    assert str(delivery.pk) in page and delivery.body not in page
    for how in WAYS:
        detail = text(alice_client.get(f"{PAGE}deliveries/{delivery.pk}/", **how))
        assert "&quot;type&quot;: &quot;generation.succeeded&quot;" in detail and "500" in detail
    house.status = 200
    assert alice_client.post(f"{PAGE}deliveries/{delivery.pk}/again/").status_code == 302
    sending.send_due()
    log = text(alice_client.get(f"{PAGE}deliveries/", **HTMX))
    assert "answered 200" in log and "every 5s" not in log


def test_a_long_log_comes_in_pages(alice: User, alice_client: Client) -> None:
    ids = [
        Delivery.objects.create(
            owner=alice, url="https://example.com/", event="test", body="{}", next_at=timezone.now()
        ).pk
        for _ in range(views.PAGE + 5)
    ]
    first = text(alice_client.get(PAGE))
    older = first.split("?before=")[1].split("#")[0]
    second = text(alice_client.get(f"{PAGE}?before={older}"))
    assert all((str(id) in first) != (str(id) in second) for id in ids)
    for bad in ("x", f"0001-01-01T00:00:00+23:59_{uuid.uuid4()}", f"2026-01-01_{uuid.uuid4()}"):
        assert alice_client.get(PAGE, {"before": bad}).status_code == 200


def test_nobody_sees_or_moves_what_is_somebody_elses(
    alice: User, charlie_client: Client, client: Client, house: Receiver
) -> None:
    delivery = sent(alice, house)
    made = WebhookEndpoint.objects.get()
    page = text(charlie_client.get(PAGE))
    assert house.address not in page and str(delivery.pk) not in page
    theirs = [
        *(("post", f"{PAGE}{made.pk}/{word}/") for word in ("enable", "disable", "test", "delete")),
        ("get", f"{PAGE}{made.pk}/delete/"),
        ("get", f"{PAGE}deliveries/{delivery.pk}/"),
        ("post", f"{PAGE}deliveries/{delivery.pk}/again/"),
    ]
    for method, address in theirs:
        unknown = address.replace(str(made.pk), str(uuid.uuid4()))
        unknown = unknown.replace(str(delivery.pk), str(uuid.uuid4()))
        for asked in (address, unknown):
            assert getattr(charlie_client, method)(asked).status_code == 404
        assert getattr(client, method)(address).status_code == 302
    made.refresh_from_db()
    assert made.is_enabled and len(house.messages) == 1 and Delivery.objects.count() == 1


def test_an_endpoint_that_is_off_refuses_a_test_in_words(
    alice: User, alice_client: Client, house: Receiver
) -> None:
    made = services.add_endpoint(alice, house.address, JOB_EVENTS)
    services.disable(made, because="Nothing arrived there for 3 days.")
    assert "Nothing arrived there for 3 days." in text(alice_client.get(PAGE))
    answer = alice_client.post(f"{PAGE}{made.pk}/test/", **HTMX)
    assert answer.status_code == 409 and "Turn it on first." in text(answer)


def test_changes_are_limited(alice: User, alice_client: Client, house: Receiver) -> None:
    made = services.add_endpoint(alice, house.address, JOB_EVENTS)
    statuses = {alice_client.post(f"{PAGE}{made.pk}/test/").status_code for _ in range(61)}
    assert statuses == {302, 429}
    assert Delivery.objects.count() == 60
    cache.clear()


def test_the_page_asks_a_fixed_number_of_times(
    alice: User, alice_client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        endpoint = None
        if number < 10:
            endpoint = WebhookEndpoint.objects.create(
                owner=alice, url=f"https://example.com/{number}", events=JOB_EVENTS
            )
        Delivery.objects.create(
            owner=alice, endpoint=endpoint, url="https://example.com/", event="test", body="{}",
            next_at=timezone.now(),
        )  # fmt: skip
    with django_assert_max_num_queries(8):
        assert alice_client.get(PAGE).status_code == 200
