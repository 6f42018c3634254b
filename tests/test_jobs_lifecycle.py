"""How jobs move from state to state: claimed once, fenced, refunded, tried again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction

from accounts.models import User
from billing import ledger
from billing.plans import cost
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.engine.interface import EngineError
from generator.jobs import lifecycle, services
from generator.jobs.lifecycle import Fenced, State
from generator.jobs.models import Generation, Training
from tests import job_parts
from tests.job_parts import assert_invariants, claim, expire, images, refunds, row, submit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def invariants(db: None) -> Iterator[None]:
    yield
    assert_invariants()


def _files() -> set[str]:
    try:
        return set(default_storage.listdir("assets")[1])
    except FileNotFoundError:
        return set()


# --- claiming --------------------------------------------------------------------
def test_two_workers_claim_one_job_once(alice: User) -> None:
    generation = submit(alice)
    first = lifecycle.claim(Generation, generation.pk)
    second = lifecycle.claim(Generation, generation.pk)
    assert first is not None and first.attempt == 1
    assert second is None


def test_the_oldest_job_comes_first(alice: User, bob: User) -> None:
    first, second = submit(alice), submit(bob)
    claimed = [lifecycle.claim_next(Generation), lifecycle.claim_next(Generation)]
    assert claimed == [first, second]
    assert lifecycle.claim_next(Generation) is None


def test_a_person_waits_for_their_own_jobs_and_for_nobody_elses(alice: User, bob: User) -> None:
    running, waiting = submit(bob), submit(bob)  # Nano: one at once
    assert lifecycle.claim_next(Generation) == running
    other = submit(alice)
    assert lifecycle.claim_next(Generation) == other
    assert lifecycle.claim_next(Generation) is None
    lifecycle.cancel_now(running)
    assert lifecycle.claim_next(Generation) == waiting


def test_a_long_queue_of_one_person_hides_nobody(alice: User, bob: User) -> None:
    assert lifecycle.claim(Generation, submit(bob).pk)
    waiting = submit(bob)
    template = {field: getattr(waiting, field) for field in ("owner", "kind", "prompt", "engine")}
    Generation.objects.bulk_create(Generation(**template) for _ in range(100))
    last = submit(alice)
    assert lifecycle.claim_next(Generation) == last


def test_a_face_is_drawn_while_a_training_runs(bob: User) -> None:
    model = job_parts.portrait_model(bob)
    claim(job_parts.train(model))
    assert lifecycle.claim(Generation, submit(bob).pk) is not None


def test_a_finished_job_is_never_claimed_again(alice: User) -> None:
    done = job_parts.finish(submit(alice))
    assert lifecycle.claim(Generation, done.pk) is None
    assert row(done).attempt == 1


# --- the fence -------------------------------------------------------------------
def _a_zombie_finishes(alice: User) -> None:
    """A worker that was silent for too long comes back while others have open charges."""
    submit(alice, count=4)  # other open charges: without them a double refund could hide
    job = submit(alice, count=2)
    zombie = claim(job)
    expire(job)
    successor = claim(job)
    before = _files()
    try:
        lifecycle.finish_generation(zombie, images(2))
    except Fenced:
        pass
    else:
        raise AssertionError("the zombie wrote")
    assert _files() == before
    assert row(job).state == State.RUNNING
    lifecycle.finish_generation(successor, images(2))
    assert Asset.objects.filter(generation=job).count() == 2


def test_a_zombie_finisher_is_fenced_and_leaves_no_files(alice: User) -> None:
    _a_zombie_finishes(alice)


def test_without_the_attempt_in_the_where_the_zombie_writes(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(job: Any) -> Any:
        return type(job)._default_manager.filter(pk=job.pk, state=State.RUNNING)

    monkeypatch.setattr(lifecycle, "held", held)
    with pytest.raises(AssertionError, match="the zombie wrote"):
        _a_zombie_finishes(alice)
    for waiting in Generation.objects.filter(state=State.QUEUED):
        lifecycle.cancel(waiting)


@pytest.mark.parametrize(
    "write",
    [
        lambda job: lifecycle.heartbeat(job),
        lambda job: lifecycle.is_cancel_requested(job),
        lambda job: lifecycle.requeue(job),
        lambda job: lifecycle.end_canceled(job),
        lambda job: lifecycle.fail(job, "engine_failed", "It failed."),
        lambda job: lifecycle.after_engine_error(job, EngineError("x", "It failed.")),
    ],
)
def test_whatever_a_zombie_writes_it_is_fenced(alice: User, write: Callable[[Any], None]) -> None:
    submit(alice)
    zombie = claim(submit(alice))
    expire(zombie)
    claim(zombie)
    with pytest.raises(Fenced):
        write(zombie)
    assert not lifecycle.progress(zombie, done=999, phase="draw")
    assert row(zombie).state == State.RUNNING and row(zombie).done == 0
    assert refunds(zombie) == []


def test_pictures_of_a_transaction_that_fails_are_removed(alice: User) -> None:
    job = claim(submit(alice, count=2))
    broken = [*images(1), job_parts.GeneratedImage(b"no picture", 1)]
    before = _files()
    with pytest.raises(OSError):
        lifecycle.finish_generation(job, broken)
    assert _files() == before
    assert row(job).state == State.RUNNING


def test_a_zombies_weights_never_reach_the_model(alice: User) -> None:
    model = job_parts.portrait_model(alice)
    zombie = claim(job_parts.train(model))
    expire(zombie)
    claim(zombie)
    with pytest.raises(Fenced):
        lifecycle.finish_training(zombie, job_parts.adapter())
    model.refresh_from_db()
    assert not model.is_ready


# --- ends ------------------------------------------------------------------------
def test_a_training_that_succeeds_makes_the_model_ready(alice: User) -> None:
    model = job_parts.ready_model(alice)
    assert model.is_ready and model.likeness == 71
    assert model.weights.read() == job_parts.WEIGHTS
    training = model.trainings.get()
    assert training.percent == 100 and bytes(training.preview).startswith(b"\xff\xd8")


def test_training_again_replaces_the_weights_and_removes_the_old_file(
    alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    model = job_parts.ready_model(alice)
    old = model.weights.name
    with django_capture_on_commit_callbacks(execute=True):
        lifecycle.finish_training(claim(job_parts.train(model)), job_parts.adapter())
    model.refresh_from_db()
    assert model.weights.name != old
    assert not default_storage.exists(old)


def test_a_failed_training_returns_the_credits(alice: User) -> None:
    model = job_parts.portrait_model(alice)
    before = ledger.balance(alice)
    training = claim(job_parts.train(model))
    assert ledger.balance(alice) == before - cost("training")
    lifecycle.after_engine_error(training, EngineError("no_face", "There is no face in it."))
    assert ledger.balance(alice) == before
    failed = row(training)
    assert (failed.state, failed.error_code) == (State.FAILED, "no_face")
    assert failed.error_message == "There is no face in it."


def test_a_canceled_queued_job_is_refunded_at_once(alice: User) -> None:
    before = ledger.balance(alice)
    generation = submit(alice, count=3)
    lifecycle.cancel(generation)
    assert row(generation).state == State.CANCELED
    assert ledger.balance(alice) == before
    lifecycle.cancel(generation)
    assert refunds(generation) == [generation.charged]


def test_a_canceled_running_job_is_refunded_when_its_worker_has_stopped(alice: User) -> None:
    job = claim(submit(alice))
    assert not lifecycle.is_cancel_requested(job)
    lifecycle.cancel(job)
    assert row(job).state == State.RUNNING and refunds(job) == []
    assert lifecycle.is_cancel_requested(job)
    lifecycle.end_canceled(job)
    assert row(job).state == State.CANCELED and refunds(job) == [job.charged]


def test_a_canceled_job_whose_worker_died_ends_canceled(alice: User) -> None:
    job = claim(submit(alice))
    lifecycle.cancel(job)
    expire(job)
    assert lifecycle.claim(Generation, job.pk) is None
    assert lifecycle.requeue_expired(Generation) == 1
    assert row(job).state == State.CANCELED and refunds(job) == [job.charged]


def test_pictures_that_did_not_come_out_are_paid_back(alice: User) -> None:
    job = claim(submit(alice, count=4))
    lifecycle.finish_generation(job, images(3))
    assert row(job).state == State.SUCCEEDED
    assert refunds(job) == [cost("face", 1)]


def test_a_finished_job_cannot_be_canceled(alice: User) -> None:
    job = job_parts.finish(submit(alice))
    lifecycle.cancel(job)
    lifecycle.cancel_now(job)
    assert row(job).state == State.SUCCEEDED and refunds(job) == []


# --- trying again ----------------------------------------------------------------
def test_an_expired_lease_puts_the_job_back(alice: User) -> None:
    job = claim(submit(alice))
    assert lifecycle.requeue_expired(Generation) == 0
    expire(job)
    assert lifecycle.requeue_expired(Generation) == 1
    assert (row(job).state, row(job).infrastructure_deaths) == (State.QUEUED, 1)
    assert lifecycle.requeue_expired(Generation) == 0


def test_a_heartbeat_keeps_the_lease(alice: User) -> None:
    job = claim(submit(alice))
    expire(job)
    lifecycle.heartbeat(job)
    assert lifecycle.requeue_expired(Generation) == 0


def test_taking_over_an_expired_job_counts_as_a_death(alice: User) -> None:
    job = claim(submit(alice))
    expire(job)
    again = claim(job)
    assert (again.attempt, again.infrastructure_deaths, again.engine_errors) == (2, 1, 0)


def test_a_job_that_kills_its_worker_every_time_ends_after_five_deaths(alice: User) -> None:
    job = submit(alice)
    for _ in range(lifecycle.DEATHS_MAX):
        expire(claim(job))
        lifecycle.requeue_expired(Generation)
    ended = row(job)
    assert (ended.state, ended.error_code) == (State.FAILED, "worker_lost")
    assert ended.infrastructure_deaths == lifecycle.DEATHS_MAX and ended.engine_errors == 0
    assert refunds(job) == [job.charged]


@pytest.mark.parametrize(
    ("code", "attempts"), [("engine_died", 3), ("engine_failed", 3), ("out_of_memory", 2)]
)
def test_an_engine_that_fails_again_and_again_ends_the_job(
    alice: User, code: str, attempts: int
) -> None:
    job = submit(alice)
    for _ in range(attempts):
        assert row(job).state == State.QUEUED
        lifecycle.after_engine_error(claim(job), EngineError(code, "It died.", retryable=True))
    ended = row(job)
    assert (ended.state, ended.engine_errors, ended.attempt) == (State.FAILED, attempts, attempts)
    assert ended.infrastructure_deaths == 0
    assert refunds(job) == [job.charged]


def test_a_job_handed_back_by_a_closing_worker_counts_nothing(alice: User) -> None:
    job = claim(submit(alice))
    lifecycle.requeue(job)
    waiting = row(job)
    assert waiting.state == State.QUEUED
    assert (waiting.engine_errors, waiting.infrastructure_deaths) == (0, 0)


# --- progress --------------------------------------------------------------------
def test_progress_never_goes_back(alice: User) -> None:
    job = claim(submit(alice))
    assert lifecycle.progress(job, done=400, phase="draw", previews={0: b"\xff\xd8"})
    assert not lifecycle.progress(job, done=399, phase="read")
    assert (row(job).done, row(job).phase, row(job).percent) == (400, "draw", 40)


def test_every_change_moves_updated_at(alice: User) -> None:
    job = submit(alice)
    moves: list[Callable[[], object]] = [
        lambda: claim(job),
        lambda: lifecycle.progress(row(job), done=1, phase="read"),
        lambda: lifecycle.heartbeat(row(job)),
        lambda: lifecycle.cancel(job),
        lambda: lifecycle.end_canceled(row(job)),
    ]
    for move in moves:
        Generation.objects.filter(pk=job.pk).update(updated_at=job.created_at - timedelta(hours=1))
        before = row(job).updated_at
        move()
        assert row(job).updated_at > before


# --- the database's own word -----------------------------------------------------
def test_a_model_has_at_most_one_unfinished_training(alice: User) -> None:
    model = job_parts.portrait_model(alice)
    job_parts.train(model)
    with pytest.raises(Refusal, match="being trained already"):
        job_parts.train(model)
    with pytest.raises(IntegrityError), transaction.atomic():
        Training.objects.create(owner=alice, portrait_model=model, engine="miniature")


# --- asking ----------------------------------------------------------------------
def test_the_same_id_again_is_the_same_generation_and_one_charge(alice: User) -> None:
    before, chosen = ledger.balance(alice), uuid.uuid4()
    first = submit(alice, id=chosen)
    again = submit(alice, id=chosen, prompt="something else")
    assert again == first and again.prompt == "a woman"
    assert ledger.balance(alice) == before - first.charged


def test_somebody_elses_id_is_not_there(alice: User, bob: User) -> None:
    theirs = submit(alice)
    with pytest.raises(Refusal) as refused:
        submit(bob, id=theirs.pk)
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"prompt": ""}, "prompt_missing"),
        ({"prompt": " \n "}, "prompt_missing"),
        ({"prompt": "x" * 4001}, "prompt_too_long"),
        ({"prompt": "a\x00b"}, "bad_text"),
        ({"prompt": "a\ud800b"}, "bad_text"),
        ({"negative_prompt": "x" * 4001}, "prompt_too_long"),
        ({"count": 0}, "bad_count"),
        ({"count": 9}, "bad_count"),
        ({"kind": "painting"}, "bad_kind"),
    ],
)
def test_a_bad_request_is_refused_and_costs_nothing(
    alice: User, fields: dict[str, Any], code: str
) -> None:
    before = ledger.balance(alice)
    with pytest.raises(Refusal) as refused:
        submit(alice, **fields)
    assert refused.value.code == code
    assert ledger.balance(alice) == before and not Generation.objects.exists()


def test_a_prompt_of_4000_characters_of_any_script_is_taken(alice: User) -> None:
    assert len(submit(alice, prompt="雪" * 4000).prompt) == 4000


def test_the_free_plan_has_no_negative_prompts_and_no_poses(bob: User) -> None:
    with pytest.raises(Refusal) as refused:
        submit(bob, negative_prompt="hats")
    assert (refused.value.code, refused.value.status) == ("advanced_settings", 403)


def test_pictures_need_a_visible_and_trained_model(alice: User, bob: User) -> None:
    untrained = job_parts.portrait_model(alice)
    hidden = job_parts.ready_model(alice, is_public=False)
    public = job_parts.ready_model(alice)
    for user, model, status in ((alice, untrained, 409), (bob, hidden, 404)):
        with pytest.raises(Refusal) as refused:
            submit(user, kind="image", portrait_model=model)
        assert refused.value.status == status
    assert submit(bob, kind="image", portrait_model=public).charged == cost("image")


def test_nobody_spends_what_they_do_not_have(bob: User) -> None:
    while ledger.balance(bob) >= cost("face", 4):
        submit(bob, count=4)
    jobs = Generation.objects.count()
    if ledger.balance(bob) < cost("face", 4):
        with pytest.raises(ledger.InsufficientCredits):
            submit(bob, count=4)
    assert Generation.objects.count() == jobs


def test_recreating_asks_for_the_same_pictures_again(alice: User) -> None:
    first = job_parts.finish(submit(alice, count=2))
    again = services.recreate(first, id=uuid.uuid4())
    assert again != first
    assert (again.seed, again.prompt, again.count) == (first.seed, first.prompt, first.count)


# --- deleting --------------------------------------------------------------------
def test_a_deleted_generation_takes_its_files_along(
    alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    done = job_parts.finish(submit(alice, count=2))
    assert _files()
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_generation(done)
    assert not _files() and not Generation.objects.exists()


def test_deleting_a_running_generation_refunds_it_and_fences_its_worker(alice: User) -> None:
    before = ledger.balance(alice)
    job = claim(submit(alice))
    services.delete_generation(Generation.objects.get(pk=job.pk))
    assert ledger.balance(alice) == before
    with pytest.raises(Fenced):
        lifecycle.finish_generation(job, images(1))


def test_canceling_everything_of_a_model_ends_queued_and_running_jobs(alice: User) -> None:
    model = job_parts.ready_model(alice)
    running = claim(submit(alice, kind="image", portrait_model=model))
    queued = job_parts.train(model)
    services.cancel_all(model)
    assert {row(running).state, row(queued).state} == {State.CANCELED}
