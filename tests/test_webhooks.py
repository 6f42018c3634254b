"""Messages to people's own servers: signed, sent at least once, again later, and in the log."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.refusals import Refusal
from generator.assets import fetch
from generator.jobs import lifecycle, sweeper
from generator.webhooks import sending, services
from generator.webhooks.models import JOB_EVENTS, Delivery, WebhookEndpoint, WebhookSecret
from tests.job_parts import claim, finish, portrait_model, submit, train
from tests.receiver import Receiver, receiver, verified

pytestmark = pytest.mark.django_db
State = Delivery.State
apart = pytest.mark.django_db(transaction=True)  # threads see what was committed


@pytest.fixture
def house(settings: Settings) -> Iterator[Receiver]:
    with receiver() as made:
        settings.FETCH_ALLOW = [made.netloc]
        yield made


def endpoint(owner: User, house: Receiver, events: list[str] = JOB_EVENTS) -> WebhookEndpoint:
    return services.add_endpoint(owner, house.address, events)


def row(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)


def make_due(delivery: Delivery) -> None:
    """As if its time had come."""
    Delivery.objects.filter(pk=delivery.pk).update(next_at=Now())


def lose_lease(delivery: Delivery) -> None:
    """As if whoever sends had been silent for longer than the lease."""
    Delivery.objects.filter(pk=delivery.pk).update(lease_until=Now() - timedelta(seconds=1))


def told(house: Receiver) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in house.messages]


# --- what is said ------------------------------------------------------------
def test_a_finished_generation_is_told_once_and_signed(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    generation = finish(submit(alice, count=2, prompt="a secret wish"))
    assert sending.send_due() == 1 and sending.send_due() == 0
    (message,) = house.messages
    signed_at = verified(
        message.headers["Likeness-Signature"], message.body, services.secret_of(alice)
    )
    assert abs(signed_at - time.time()) < 300
    assert message.headers["Content-Type"] == "application/json"
    said = json.loads(message.body)
    delivery = Delivery.objects.get()
    assert said["id"] == str(delivery.pk) and said["type"] == "generation.succeeded"
    data = said["data"]
    assert data["noun"] == "generation" and data["id"] == str(generation.pk)
    assert data["state"] == "succeeded" and data["count"] == 2 and data["error_code"] == ""
    assert b"secret wish" not in message.body
    assert delivery.state == State.DELIVERED and delivery.answer == 200
    assert delivery.body.encode() == message.body, "what is in the log is what was sent"


def test_the_signature_is_of_the_bytes_and_of_nothing_like_them(
    alice: User, house: Receiver
) -> None:
    body = '{ "b":1,\n"a": "ä\\u00e4  😀", "a": 2.0 }'  # no parser gives these bytes back
    services.callback(alice, house.address, body, secret_header="X-Phota-Signature")
    sending.send_due()
    (message,) = house.messages
    assert message.body == body.encode()
    header, secret = message.headers["X-Phota-Signature"], services.secret_of(alice)
    verified(header, message.body, secret)
    with pytest.raises(AssertionError):
        verified(header, json.dumps(json.loads(message.body)).encode(), secret)
    with pytest.raises(AssertionError):
        verified(header, message.body, services.new_secret())


def test_every_way_to_end_is_told(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    model = portrait_model(alice)
    Delivery.objects.all().delete()
    lifecycle.fail(claim(train(model)), "engine_failed", "The engine failed.")
    lifecycle.cancel(submit(alice))  # it was waiting
    running = claim(submit(alice))
    lifecycle.cancel(running)
    lifecycle.end_canceled(running)
    lifecycle.cancel_now(claim(submit(alice)))
    while sending.send_due():
        pass
    types = sorted(said["type"] for said in told(house))
    assert types == ["generation.canceled"] * 3 + ["training.failed"]
    (failed,) = [said["data"] for said in told(house) if said["type"] == "training.failed"]
    assert failed["error_code"] == "engine_failed"
    assert failed["error_message"] == "The engine failed."
    assert failed["portrait_model"] == str(model.pk)


def test_only_those_who_asked_are_told(alice: User, bob: User, house: Receiver) -> None:
    endpoint(alice, house, ["training.succeeded"])
    services.add_endpoint(bob, house.address, JOB_EVENTS)
    finish(submit(alice))
    assert not Delivery.objects.exists()


def test_a_job_that_does_not_end_tells_nobody(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    generation = claim(submit(alice))
    with pytest.raises(RuntimeError), transaction.atomic():
        lifecycle.fail(generation, "engine_failed", "The engine failed.")
        raise RuntimeError("the transaction is lost")
    assert not Delivery.objects.exists()


def test_the_many_without_an_endpoint_cost_one_query(
    alice: User, django_assert_num_queries: Any
) -> None:
    generation = finish(submit(alice))
    with django_assert_num_queries(1):
        services.announce(generation)


# --- trying again ------------------------------------------------------------
def test_a_server_that_fails_is_asked_again_later_and_later(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    house.status = 503
    finish(submit(alice))
    delivery = Delivery.objects.get()
    for number, pause in enumerate(sending.BACK_OFF, start=1):
        assert sending.send_due() == 1
        delivery = row(delivery)
        assert (delivery.state, delivery.attempts) == (State.PENDING, number)
        assert delivery.answer == 503 and delivery.error == ""
        left = delivery.next_at - timezone.now()
        slow = timedelta(minutes=2)  # this machine
        assert pause - slow < left <= pause * (1 + sending.JITTER) + slow
        assert sending.send_due() == 0, "not before its time"
        make_due(delivery)
    assert sending.send_due() == 1
    assert row(delivery).state == State.FAILED
    assert len(house.messages) == len(sending.BACK_OFF) + 1
    assert len({said["id"] for said in told(house)}) == 1
    assert len({message.body for message in house.messages}) == 1
    make_due(delivery)
    assert sending.send_due() == 0


def test_pauses_grow_and_differ() -> None:
    assert [pause.total_seconds() for pause in sending.BACK_OFF] == [
        10, 60, 300, 1800, 7200, 21_600, 86_400,
    ]  # fmt: skip
    assert len({sending.wait(1) for _ in range(20)}) > 1


def test_a_server_that_recovers_gets_it_with_a_fresh_signature(
    alice: User, house: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(alice, house)
    house.status = 500
    finish(submit(alice))
    sending.send_due()
    house.status = 204
    make_due(Delivery.objects.get())
    later = time.time() + 3600
    monkeypatch.setattr(sending.time, "time", lambda: later)
    sending.send_due()
    delivery = Delivery.objects.get()
    assert delivery.state == State.DELIVERED and delivery.answer == 204 and not delivery.error
    secret, last = services.secret_of(alice), house.messages[-1]
    assert verified(last.headers["Likeness-Signature"], last.body, secret) == int(later)


def test_nobody_there_is_tried_again(alice: User, settings: Settings) -> None:
    with receiver() as gone:
        settings.FETCH_ALLOW = [gone.netloc]
        endpoint(alice, gone)
    finish(submit(alice))
    assert sending.send_due() == 1
    delivery = Delivery.objects.get()
    assert delivery.state == State.PENDING and delivery.answer is None and delivery.error


def test_a_redirect_is_no_delivery(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    house.status = 302
    finish(submit(alice))
    sending.send_due()
    assert Delivery.objects.get().state == State.PENDING


def test_gone_turns_the_endpoint_off(alice: User, house: Receiver) -> None:
    made = endpoint(alice, house)
    house.status = 410
    finish(submit(alice))
    finish(submit(alice))
    assert sending.send_due() == 1
    made.refresh_from_db()
    assert not made.is_enabled and "410" in made.disabled_because
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.FAILED}
    finish(submit(alice))
    assert Delivery.objects.count() == 2


def test_three_days_without_success_turn_the_endpoint_off(alice: User, house: Receiver) -> None:
    made = endpoint(alice, house)
    mine = WebhookEndpoint.objects.filter(pk=made.pk)
    house.status = 500
    finish(submit(alice))
    sending.send_due()
    mine.update(failing_since=Now() - sending.GIVE_UP_AFTER + timedelta(hours=1))
    make_due(Delivery.objects.get())
    sending.send_due()
    assert mine.get().is_enabled
    mine.update(failing_since=Now() - sending.GIVE_UP_AFTER - timedelta(seconds=1))
    make_due(Delivery.objects.get())
    sending.send_due()
    assert not mine.get().is_enabled and "3 days" in mine.get().disabled_because
    services.enable(made)
    assert mine.filter(is_enabled=True, disabled_because="", failing_since=None).exists()


def test_one_success_forgives(alice: User, house: Receiver) -> None:
    made = endpoint(alice, house)
    house.status = 500
    finish(submit(alice))
    sending.send_due()
    made.refresh_from_db()
    assert made.failing_since
    house.status = 200
    make_due(Delivery.objects.get())
    sending.send_due()
    made.refresh_from_db()
    assert made.failing_since is None


# --- at least once -----------------------------------------------------------
def in_threads(count: int, work: Callable[[], object]) -> list[threading.Thread]:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


@apart
def test_two_senders_at_once_send_once(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    finish(submit(alice))
    delivery = Delivery.objects.get()
    house.hold()
    first = in_threads(1, sending.send_due)
    assert house.arrived.wait(30)
    assert sending.claim(delivery.pk) is None, "it is on its way"
    assert sending.send_due() == 0
    house.may_answer.set()
    first[0].join()
    assert row(delivery).state == State.DELIVERED and len(house.messages) == 1


@apart
def test_eight_claims_of_one_delivery_have_one_winner(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    finish(submit(alice))
    pk = Delivery.objects.get().pk
    start, won = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        won.append(sending.claim(pk) is not None)

    for thread in in_threads(8, work):
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_what_a_killed_sender_sent_is_sent_again_under_the_same_id(
    alice: User, house: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(alice, house)
    finish(submit(alice))

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sending, "_delivered", die)
        with pytest.raises(Killed):
            sending.send_due()
    delivery = Delivery.objects.get()
    assert delivery.state == State.PENDING and sending.send_due() == 0, "the lease holds"
    lose_lease(delivery)
    assert sending.send_due() == 1
    assert row(delivery).state == State.DELIVERED
    assert [said["id"] for said in told(house)] == [str(delivery.pk)] * 2


def test_whoever_lost_the_lease_writes_nothing(alice: User, house: Receiver) -> None:
    made = endpoint(alice, house)
    finish(submit(alice))
    slow = sending.claim(Delivery.objects.get().pk)
    assert slow
    lose_lease(slow)
    house.status = 500
    assert sending.send_due() == 1
    house.status = 200
    sending.send(slow)
    assert row(slow).state == State.PENDING and row(slow).answer == 500
    services.disable(made)
    assert row(slow).state == State.FAILED


def test_a_server_that_hangs_keeps_only_its_owner_waiting(
    alice: User, bob: User, house: Receiver
) -> None:
    endpoint(alice, house)
    services.add_endpoint(bob, house.address, JOB_EVENTS)
    for person in (alice, alice, bob):
        finish(submit(person))
    on_its_way = sending.claim(Delivery.objects.filter(owner=alice)[0].pk)
    assert on_its_way
    assert sending.send_due() == 1, "Bob's, and not the second of Alice"
    assert Delivery.objects.get(owner=bob).state == State.DELIVERED
    sending.send(on_its_way)
    assert sending.send_due() == 1


# --- by hand -----------------------------------------------------------------
def test_a_delivery_can_be_sent_again(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    finish(submit(alice))
    sending.send_due()
    delivery = Delivery.objects.get()
    services.send_again(delivery)
    assert row(delivery).state == State.PENDING and row(delivery).attempts == 0
    sending.send_due()
    first, second = house.messages
    assert first.body == second.body
    verified(second.headers["Likeness-Signature"], second.body, services.secret_of(alice))


def test_a_waiting_delivery_is_sent_now_and_keeps_its_count(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    house.status = 500
    finish(submit(alice))
    sending.send_due()
    delivery = Delivery.objects.get()
    services.send_again(delivery)
    assert sending.send_due() == 1
    assert row(delivery).attempts == 2


def test_a_delivery_on_its_way_is_not_sent_twice(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    finish(submit(alice))
    claimed = sending.claim(Delivery.objects.get().pk)
    assert claimed
    services.send_again(claimed)
    assert sending.send_due() == 0


def test_an_endpoint_can_be_tested(alice: User, house: Receiver) -> None:
    services.send_test(endpoint(alice, house, ["training.failed"]))
    sending.send_due()
    (said,) = told(house)
    assert said["type"] == "test" and said["data"]["noun"] == "endpoint"


def test_an_endpoint_that_is_off_is_sent_nothing(alice: User, house: Receiver) -> None:
    made = endpoint(alice, house)
    finish(submit(alice))
    services.disable(made)
    assert sending.send_due() == 0
    delivery = Delivery.objects.get()
    assert delivery.state == State.FAILED and delivery.error == "Its endpoint was turned off."
    for again in (lambda: services.send_again(delivery), lambda: services.send_test(made)):
        with pytest.raises(Refusal) as refused:
            again()
        assert refused.value.code == "endpoint_off" and refused.value.status == 409
    assert not house.messages


def test_the_log_outlives_its_endpoint(alice: User, house: Receiver) -> None:
    made = endpoint(alice, house)
    finish(submit(alice))
    services.delete_endpoint(made)
    assert sending.send_due() == 0
    delivery = Delivery.objects.get()
    assert delivery.state == State.FAILED and delivery.endpoint_id is None


def test_a_rolled_secret_signs_what_waits(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    finish(submit(alice))
    old = services.secret_of(alice)
    assert old.startswith("whsec_") and services.secret_of(alice) == old
    new = services.roll_secret(alice)
    sending.send_due()
    (message,) = house.messages
    verified(message.headers["Likeness-Signature"], message.body, new)
    assert new != old and WebhookSecret.objects.count() == 1


# --- what is refused ---------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    [
        "", "nothing", "//example.com/x", "http://8.8.8.8/x", "ftp://example.com/x",
        "file:///etc/passwd", "javascript:alert(1)", "https://", "https://example.com:99999/",
        "https://[::1", "https://example.com/\r\nX-Injected: 1", "https://example.com/\0",
        "https://example.com/" + "x" * 500,
    ],
)  # fmt: skip
def test_hostile_addresses_are_refused(url: str, alice: User) -> None:
    with pytest.raises(Refusal) as refused:
        services.add_endpoint(alice, url, JOB_EVENTS)
    assert refused.value.code == "bad_url" and refused.value.status == 400
    assert not WebhookEndpoint.objects.exists()


def test_the_address_is_asked_about_before_it_is_kept_and_when_it_is_used(
    alice: User, house: Receiver, settings: Settings
) -> None:
    endpoint(alice, house)
    settings.FETCH_ALLOW = []
    with pytest.raises(Refusal):
        fetch.is_allowed(house.address)
    finish(submit(alice))
    sending.send_due()
    delivery = Delivery.objects.get()
    assert delivery.state == State.PENDING and delivery.answer is None and delivery.error
    assert not house.messages


@pytest.mark.parametrize("events", [[], ["model.trained"], ["training.failed", "test"]])
def test_unknown_events_are_refused(events: list[str], alice: User, house: Receiver) -> None:
    with pytest.raises(Refusal) as refused:
        endpoint(alice, house, events)
    assert refused.value.code == "bad_events"


def test_ten_endpoints_are_the_most_and_none_twice(alice: User, house: Receiver) -> None:
    for number in range(services.ENDPOINTS_MAX):
        services.add_endpoint(alice, f"{house.address}/{number}", JOB_EVENTS)
    for url, code in (
        (f"{house.address}/0", "endpoint_exists"),
        (house.address, "too_many_endpoints"),
    ):
        with pytest.raises(Refusal) as refused:
            services.add_endpoint(alice, url, JOB_EVENTS)
        assert refused.value.code == code and refused.value.status == 409


# --- from time to time -------------------------------------------------------
def test_the_log_is_kept_for_thirty_days(alice: User, house: Receiver) -> None:
    endpoint(alice, house)
    finish(submit(alice))
    sending.send_due()
    young = Delivery.objects.filter(state=State.DELIVERED)
    young.update(created_at=Now() - sending.KEPT + timedelta(hours=1))
    sweeper.tidy()
    assert Delivery.objects.count() == 1
    young.update(created_at=Now() - sending.KEPT - timedelta(hours=1))
    sweeper.tidy()
    assert not Delivery.objects.exists()


def test_the_sweeper_rings_for_what_is_due(
    alice: User, house: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(alice, house)
    house.status = 500
    rung: list[tuple[str, str]] = []
    finish(submit(alice))
    sending.send_due()
    monkeypatch.setattr(sending.bell, "ring_now", lambda noun, id: rung.append((noun, id)))
    sweeper.sweep()
    assert rung == []
    delivery = Delivery.objects.get()
    make_due(delivery)
    sweeper.sweep()
    assert rung == [("delivery", str(delivery.pk))]
