"""A dead broker costs a delay and never an error; a live one hears of every job."""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from pytest_django import Settings

from accounts.models import User
from generator.jobs import bell, sweeper
from generator.jobs.broker import broker
from generator.jobs.lifecycle import State
from generator.jobs.models import Generation
from tests.job_parts import row, submit
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def production(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Messages go to a broker; by default to one that is not there."""
    settings.IS_EMBEDDED = False
    settings.BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setattr(bell, "_silent_until", 0.0)
    broker.cache_clear()
    yield settings
    broker.cache_clear()


def _heard(url: str, queue: str) -> list[str]:
    """The job ids in the messages of a queue."""
    client = redis.Redis.from_url(url)
    stored = client.hgetall(f"dramatiq:{queue}.msgs").values()
    return [dramatiq.Message.decode(data).args[0] for data in stored]


def test_a_dead_broker_costs_a_delay_and_never_an_error(alice: User) -> None:
    job = submit(alice)
    assert row(job).state == State.QUEUED
    assert bell.ring_now("generation", str(job.pk)) is False


def test_people_do_not_wait_for_a_dead_broker_one_after_the_other(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(alice)
    monkeypatch.setattr(bell, "broker", lambda: pytest.fail("it was asked again at once"))
    submit(alice)


def test_a_bell_says_which_job_it_is_about(
    alice: User, production: Settings, redis_url: str
) -> None:
    production.BROKER_URL = redis_url
    redis.Redis.from_url(redis_url).flushall()
    job = submit(alice)
    assert isinstance(broker(), RedisBroker)
    assert _heard(redis_url, "generations") == [str(job.pk)]


def test_lost_bells_are_rung_again(alice: User, production: Settings, redis_url: str) -> None:
    job = submit(alice)  # nobody hears
    production.BROKER_URL = redis_url
    redis.Redis.from_url(redis_url).flushall()
    broker.cache_clear()
    bell._silent_until = 0.0
    sweeper.sweep()
    assert _heard(redis_url, "generations") == []  # it may still be on its way
    Generation.objects.filter(pk=job.pk).update(updated_at=job.created_at - sweeper.RING_AFTER)
    sweeper.sweep()
    assert _heard(redis_url, "generations") == [str(job.pk)]
