"""Many workers and many requests at once: each job has one worker, each request one charge.

Runs on the database of the settings: SQLite as it is, PostgreSQL through
`python -m tests.servers -- pytest tests/test_jobs_races.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from accounts.models import User
from billing import ledger
from generator.jobs import lifecycle
from generator.jobs.lifecycle import Fenced, State
from generator.jobs.models import Generation
from tests import job_parts
from tests.job_parts import assert_invariants, claim, expire, refunds, row, submit

pytestmark = pytest.mark.django_db(transaction=True)

CROWD = 8


def at_once(act: Callable[[], Any], number: int = CROWD) -> list[Any]:
    """What `act()` returned in each of `number` threads that started together."""
    start = Barrier(number)

    def run(_: int) -> Any:
        start.wait()
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(run, range(number)))


def test_eight_workers_claim_one_job_once(alice: User) -> None:
    job = submit(alice)
    claimed = at_once(lambda: lifecycle.claim(Generation, job.pk))
    assert [found for found in claimed if found] == [job]
    assert row(job).attempt == 1


def test_eight_workers_take_over_an_expired_job_once(alice: User) -> None:
    job = claim(submit(alice))
    expire(job)
    claimed = at_once(lambda: lifecycle.claim(Generation, job.pk))
    assert [found for found in claimed if found] == [job]
    assert row(job).attempt == 2 and row(job).infrastructure_deaths == 1


def test_eight_workers_share_the_queue_without_doing_anything_twice(alice: User) -> None:
    jobs = {submit(alice).pk for _ in range(3)}  # Macro: four at once
    claimed = [found.pk for found in at_once(lambda: lifecycle.claim_next(Generation)) if found]
    assert sorted(claimed) == sorted(set(claimed))
    assert set(claimed) <= jobs


def test_eight_workers_respect_a_persons_limit(bob: User) -> None:
    for _ in range(4):
        submit(bob)
    at_once(lambda: lifecycle.claim_next(Generation))
    assert Generation.objects.filter(state=State.RUNNING).count() == 1


def test_eight_sweepers_count_one_death(alice: User) -> None:
    job = claim(submit(alice))
    expire(job)
    assert sum(at_once(lambda: lifecycle.requeue_expired(Generation))) == 1
    assert row(job).infrastructure_deaths == 1


def test_one_form_sent_eight_times_is_one_generation_and_one_charge(alice: User) -> None:
    before, chosen = ledger.balance(alice), uuid.uuid4()
    made = at_once(lambda: submit(alice, id=chosen))
    assert {generation.pk for generation in made} == {chosen}
    assert ledger.balance(alice) == before - made[0].charged
    lifecycle.cancel(made[0])
    assert_invariants()


def test_cancel_and_finish_at_the_same_moment_end_the_job_once(alice: User) -> None:
    job = claim(submit(alice, count=2))
    acts = iter(
        [lambda: lifecycle.cancel_now(job)] * 4
        + [lambda: lifecycle.finish_generation(job, job_parts.images(2))] * 4
    )

    def act() -> bool:
        try:
            next(acts)()
        except Fenced:
            return False
        return True

    at_once(act)
    ended = row(job)
    assert ended.is_finished
    assert refunds(job) == ([job.charged] if ended.state == State.CANCELED else [])
    assert_invariants()
