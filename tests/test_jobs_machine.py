"""Workers that die, return as zombies and meet cancels, in any order: nothing lost or doubled."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from billing.models import Subscription
from billing.refusals import Refusal
from generator.engine.interface import EngineError
from generator.jobs import audit, lifecycle, services
from generator.jobs.lifecycle import Fenced
from generator.jobs.models import Generation
from tests import job_parts

CODES = st.sampled_from(["engine_died", "out_of_memory", "no_face"])


class Studio(RuleBasedStateMachine):
    """One queue, two people and any number of workers, whose claims may be long out of date."""

    jobs: Bundle[Generation] = Bundle("jobs")
    claims: Bundle[Any] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.people = [self._person("macro"), self._person("nano")]
        self.ends: dict[UUID, tuple[str, int]] = {}  # state and pictures of what is over
        self.deleted: set[UUID] = set()

    def _person(self, plan: str) -> User:
        user = User.objects.create_user(f"{uuid4()}@example.com")
        Subscription.objects.create(user=user, plan=plan)
        return user

    @rule(target=jobs, who=st.integers(0, 1), count=st.integers(1, 2))
    def submit(self, who: int, count: int) -> Any:
        try:
            return job_parts.submit(self.people[who], count=count)
        except Refusal:
            return Generation(id=uuid4(), owner=self.people[who], charged=0)  # none was made

    @rule(target=claims)
    def claim(self) -> Any:
        return lifecycle.claim_next(Generation)

    @rule(claim=claims)
    def beat(self, claim: Any) -> None:
        if claim:
            with suppress(Fenced):
                lifecycle.heartbeat(claim)

    @rule(claim=claims, done=st.integers(0, 999))
    def progress(self, claim: Any, done: int) -> None:
        if claim:
            before = Generation.objects.filter(pk=claim.pk, attempt=claim.attempt).first()
            if lifecycle.progress(claim, done=done, phase="draw"):
                assert before is not None and before.done <= done

    @rule(claim=claims, made=st.integers(1, 2))
    def finish(self, claim: Any, made: int) -> None:
        if claim:
            with suppress(Fenced):
                images = job_parts.images(min(made, claim.count))
                lifecycle.finish_generation(claim, images)

    @rule(claim=claims, code=CODES)
    def engine_error(self, claim: Any, code: str) -> None:
        if claim:
            error = EngineError(code, "It failed.", retryable=code != "no_face")
            with suppress(Fenced):
                lifecycle.after_engine_error(claim, error)

    @rule(claim=claims)
    def hand_back(self, claim: Any) -> None:
        if claim:
            with suppress(Fenced):
                lifecycle.requeue(claim)

    @rule(job=jobs)
    def fall_silent(self, job: Generation) -> None:
        running = Generation.objects.filter(pk=job.pk, state="running")
        if running.exists():
            job_parts.expire(job)

    @rule()
    def sweep(self) -> None:
        lifecycle.requeue_expired(Generation)

    @rule(job=jobs)
    def cancel(self, job: Generation) -> None:
        lifecycle.cancel(job)

    @rule(job=jobs)
    def delete(self, job: Generation) -> None:
        if found := Generation.objects.filter(pk=job.pk).first():
            services.delete_generation(found)
            self.deleted.add(job.pk)

    @invariant()
    def what_is_over_stays_as_it_was(self) -> None:
        over = Generation.objects.exclude(state__in=lifecycle.UNFINISHED)
        for job in over.filter(owner__in=self.people):
            now = (job.state, job.assets.count())
            assert self.ends.setdefault(job.pk, now) == now

    def teardown(self) -> None:
        """Everybody gets an answer, and the books are right."""
        self.sweep()
        Generation.objects.filter(state="running").update(cancel_requested=False)
        for job in Generation.objects.filter(state="running"):
            job_parts.expire(job)
        self.sweep()
        while left := lifecycle.claim_next(Generation):
            assert isinstance(left, Generation)
            lifecycle.finish_generation(left, job_parts.images(left.count))
        assert not Generation.objects.filter(state__in=lifecycle.UNFINISHED).exists()
        # Files of deleted rows go on commit, and this test's transaction never commits.
        assert audit.violations(orphan_age=timedelta(days=1)) == []
        for job in Generation.objects.filter(owner__in=self.people):
            services.delete_generation(job)


class AnyOrder(TestCase):
    def test_nothing_is_lost_and_nothing_is_done_twice(self) -> None:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Studio,
            settings=settings(
                max_examples=12,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
