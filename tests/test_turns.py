"""The order of the line: a larger plan has a head start, and nobody waits for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts.models import User
from billing.models import Subscription
from billing.plans import PLANS
from generator.jobs import lifecycle
from generator.jobs.models import Generation
from generator.jobs.turns import HEAD_START
from generator.templatetags.studio_tags import ahead
from generator.workstation import history
from tests.job_parts import submit

pytestmark = pytest.mark.django_db
STEPS = PLANS["mega"].priority


@pytest.fixture
def vip(db: None) -> User:
    user = User.objects.create_user("vip@example.com", "a long password")
    Subscription.objects.create(user=user, plan="mega")
    return user


def waited(job: Generation, how_long: timedelta) -> Generation:
    Generation.objects.filter(pk=job.pk).update(created_at=Now() - how_long)
    return job


def next_one() -> Generation:
    job = lifecycle.claim_next(Generation)
    assert isinstance(job, Generation)
    return job


def test_a_larger_plan_is_served_sooner(bob: User, vip: User) -> None:
    first = waited(submit(bob), HEAD_START)
    second = submit(vip)
    assert [next_one().pk, next_one().pk] == [second.pk, first.pk]


def test_whoever_waited_longer_than_the_head_start_comes_first(bob: User, vip: User) -> None:
    first = waited(submit(bob), (STEPS + 1) * HEAD_START)
    submit(vip)
    assert next_one().pk == first.pk


def test_people_of_one_plan_are_served_in_order(vip: User, alice: User) -> None:
    late, early = submit(alice), waited(submit(alice), timedelta(minutes=1))
    assert [next_one().pk, next_one().pk] == [early.pk, late.pk]


def test_the_place_in_line_is_told_as_it_will_be(bob: User, vip: User) -> None:
    mine = waited(submit(bob), HEAD_START)
    assert ahead(Generation.objects.get(pk=mine.pk)) == 0
    for _ in range(2):
        submit(vip)
    assert ahead(Generation.objects.get(pk=mine.pk)) == 2
    listed = history.page(bob, kind="face").generations[0]
    assert listed.jobs_ahead == 2  # type: ignore[attr-defined]
