"""Who had left when a training ended gets an e-mail, once; who was there does not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from generator import consumers
from generator.jobs import absent, sweeper
from generator.jobs.models import Training
from tests import rows
from tests.sockets import window

LATE = absent.AWAY_AFTER + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def mail_server(settings: Settings) -> None:
    settings.HAS_MAIL = True  # the test runner keeps what is sent in mail.outbox


def ended(owner: User, *, state: str = "succeeded", ago: timedelta = LATE) -> Training:
    training = rows.training(rows.portrait_model(owner), state)
    moment = timezone.now() - ago
    Training.objects.filter(pk=training.pk).update(
        finished_at=moment, error_message="There was no face." if state == "failed" else ""
    )
    return training


def seen(owner: User, ago: timedelta) -> None:
    User.objects.filter(pk=owner.pk).update(seen_at=timezone.now() - ago)


def test_who_left_before_the_end_is_written_to_once(alice: User) -> None:
    training = ended(alice)
    seen(alice, LATE + timedelta(minutes=1))
    sweeper.tidy()
    sweeper.tidy()
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["alice@example.com"], "Ada is ready")
    assert f"http://127.0.0.1:8000/create/?model={training.portrait_model_id}" in message.body


def test_a_failed_training_is_told_with_its_reason_the_credits_and_the_way_on(alice: User) -> None:
    training = ended(alice, state="failed")
    assert absent.write_to_the_absent() == 1
    (message,) = mail.outbox
    assert message.subject == "Ada could not be trained"
    for words in ("There was no face.", "Your 20 credits came back.", "Train again: http"):
        assert words in message.body
    assert f"/models/{training.portrait_model_id}/" in message.body


def test_who_had_a_page_open_after_the_end_is_not_written_to(alice: User) -> None:
    training = ended(alice)
    seen(alice, timedelta(seconds=100))
    assert absent.write_to_the_absent() == 0
    training.refresh_from_db()
    assert training.told_at is not None and not mail.outbox


def test_nobody_is_written_to_before_they_could_have_seen_it(alice: User) -> None:
    ended(alice, ago=timedelta(seconds=10))
    assert absent.write_to_the_absent() == 0 and not mail.outbox


@pytest.mark.parametrize("state", ["queued", "running", "canceled"])
def test_other_states_are_no_news(alice: User, state: str) -> None:
    training = rows.training(rows.portrait_model(alice), "canceled")
    Training.objects.filter(pk=training.pk).update(
        state=state, finished_at=timezone.now() - LATE, lease_until=timezone.now()
    )
    assert absent.write_to_the_absent() == 0


def test_what_ended_long_ago_is_no_news(alice: User) -> None:
    ended(alice, ago=absent.TOO_LATE + timedelta(minutes=1))
    assert absent.write_to_the_absent() == 0


def test_a_mail_server_that_fails_is_tried_again(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(alice)
    with monkeypatch.context() as patch:
        patch.setattr(EmailMessage, "send", lambda _: (_ for _ in ()).throw(OSError("no server")))
        assert absent.write_to_the_absent() == 0
    assert absent.write_to_the_absent() == 1


def test_without_a_mail_server_nothing_is_claimed(alice: User, settings: Settings) -> None:
    settings.HAS_MAIL = False
    training = ended(alice)
    assert absent.write_to_the_absent() == 0
    training.refresh_from_db()
    assert training.told_at is None


@pytest.mark.django_db(transaction=True)
async def test_an_open_page_is_a_sign_of_its_person(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.05)
    stamps: list[object] = []
    async with window(alice) as page:
        await page.frame()
        while len(set(stamps)) < 3:  # when it opened, and again while it stays open
            stamps.append(await database_sync_to_async(_stamp)(alice))
            await asyncio.sleep(0.02)
    assert None not in stamps


def _stamp(user: User) -> object:
    return User.objects.values_list("seen_at", flat=True).get(pk=user.pk)
