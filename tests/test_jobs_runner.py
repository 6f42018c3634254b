"""One runner with the real engine process: jobs drawn, learnt, stopped and handed back."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts.models import User
from generator.assets.models import Asset
from generator.engine.interface import EngineError, GeneratedImage, Step
from generator.engine.process import EngineProcess
from generator.jobs import lifecycle, runner, services
from generator.jobs.lifecycle import State
from generator.jobs.models import Generation, Training
from generator.jobs.runner import Progress, Run, Runner
from tests import job_parts
from tests.job_parts import assert_invariants, claim, refunds, row, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(scope="module")
def engine(engine_weights: Path) -> Iterator[EngineProcess]:
    with EngineProcess(weights=engine_weights, threads=1) as process:
        yield process


@pytest.fixture
def faces(engine: EngineProcess) -> Runner:
    return Runner(Generation, engine)


@pytest.fixture(autouse=True)
def invariants_hold() -> Iterator[None]:
    yield
    assert_invariants()


def test_a_face_is_drawn_and_recreated_to_the_last_pixel(alice: User, faces: Runner) -> None:
    first = submit(alice, count=2)
    assert faces.run_next()
    again = services.recreate(first, id=uuid.uuid4())
    assert faces.run_next()
    assert row(first).state == row(again).state == State.SUCCEEDED
    assert _pixels(first) == _pixels(again)
    assert not faces.run_next()


def _pixels(generation: Generation) -> list[bytes]:
    return [asset.file.read() for asset in Asset.objects.filter(generation=generation)]


@pytest.mark.slow
def test_a_person_is_learnt_and_drawn_again(alice: User, faces: Runner) -> None:
    face = submit(alice)
    faces.run_next()
    picture = Asset.objects.get(generation=face).file.read()
    model = job_parts.portrait_model(alice, picture=picture)
    training = job_parts.train(model)
    assert Runner(Training, faces.engine).run_next()
    assert row(training).state == State.SUCCEEDED, row(training).error_message
    assert not services.resume_folder(training.pk).exists()
    model.refresh_from_db()
    image = submit(alice, kind="image", prompt="a portrait at the beach", portrait_model=model)
    assert faces.run_next()
    assert row(image).state == State.SUCCEEDED, row(image).error_message
    assert Asset.objects.get(generation=image).likeness is not None


def test_a_canceled_job_stops_and_is_refunded(alice: User, faces: Runner) -> None:
    job = claim(submit(alice, count=4))
    lifecycle.cancel(job)
    faces._run(job)
    assert row(job).state == State.CANCELED and refunds(job) == [job.charged]


def test_a_closing_worker_hands_its_job_back(alice: User, faces: Runner) -> None:
    job = claim(submit(alice, count=4))
    faces.draining.set()
    faces._run(job)
    back = row(job)
    assert (back.state, back.engine_errors, back.infrastructure_deaths) == (State.QUEUED, 0, 0)
    assert not faces.run_next()  # and takes no other


def test_a_closing_worker_finishes_what_is_nearly_done(alice: User) -> None:
    run = Run(job=claim(submit(alice)), draining=_set(), progress=Progress("generation"))
    run.progress.done = runner.NEARLY_DONE
    run.on_tick()
    run.drains_since = -runner.GRACE_S
    with pytest.raises(runner.HandedBack):
        run.on_tick()


def _set() -> Any:
    event = runner.threading.Event()
    event.set()
    return event


def test_a_worker_that_lost_its_lease_stops_and_writes_nothing(alice: User, faces: Runner) -> None:
    zombie = claim(submit(alice, count=4))
    job_parts.expire(zombie)
    claim(zombie)
    with pytest.raises(lifecycle.Fenced):
        faces._run(zombie)
    assert not Asset.objects.filter(generation=zombie).exists()


def test_what_takes_too_long_is_stopped_and_refunded(
    alice: User, faces: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(runner.TIME_LIMIT_S, "generation", 0.0)
    job = submit(alice)
    assert faces.run_next()
    assert (row(job).state, row(job).error_code) == (State.FAILED, "time_limit")
    assert refunds(job) == [job.charged]


def test_a_reference_nobody_can_read_fails_at_once_with_a_reason(
    alice: User, engine: EngineProcess
) -> None:
    model = job_parts.portrait_model(alice)
    Path(model.reference.file.path).write_bytes(b"no picture")
    training = job_parts.train(model)
    assert Runner(Training, engine).run_next()
    ended = row(training)
    assert (ended.state, ended.error_code, ended.attempt) == (State.FAILED, "bad_picture", 1)
    assert ended.error_message.endswith(".") and refunds(training) == [training.charged]


def test_a_full_disk_is_our_fault_and_tried_again(
    alice: User, faces: Runner, settings: Settings, tmp_path: Path
) -> None:
    blocked = tmp_path / "full"
    blocked.write_text("a file where the folder should be")
    settings.MEDIA_ROOT, media = blocked, settings.MEDIA_ROOT
    job = submit(alice)
    assert faces.run_next()
    settings.MEDIA_ROOT = media
    back = row(job)
    assert (back.state, back.infrastructure_deaths) == (State.QUEUED, 1)
    assert faces.run_next()
    assert row(job).state == State.SUCCEEDED


def test_an_engine_that_dies_is_replaced_and_the_job_tried_again(
    alice: User, faces: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claim(submit(alice, count=4))
    kill_once = iter([True])

    def on_image(run: Run, index: int, image: GeneratedImage) -> None:
        if next(kill_once, False) and faces.engine.pid:
            os.kill(faces.engine.pid, 9)

    monkeypatch.setattr(Run, "on_image", on_image)
    faces._run(job)
    back = row(job)
    assert (back.state, back.engine_errors, back.infrastructure_deaths) == (State.QUEUED, 1, 0)
    assert faces.run_next()
    assert row(job).state == State.SUCCEEDED


def test_pictures_drawn_before_a_final_error_are_kept(alice: User, faces: Runner) -> None:
    job = claim(submit(alice, count=4))
    run = Run(job, faces.draining, Progress("generation", 4))
    for index, image in enumerate(job_parts.images(3)):
        run.on_image(index, image)
    faces._after_error(job, run, EngineError("time_limit", "It took too long."))
    assert row(job).state == State.SUCCEEDED and refunds(job) == [job.charged // 4]


steps = st.builds(
    Step,
    st.sampled_from(["load", "read", "train", "draw", "save", "dream"]),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 12),
)


@given(noun=st.sampled_from(["training", "generation"]), seen=st.lists(steps))
def test_progress_never_goes_back_whatever_the_engine_says(noun: str, seen: list[Step]) -> None:
    progress, before = Progress(noun, pictures=4), 0
    for step in seen:
        progress.take(step)
        assert before <= progress.done < lifecycle.TOTAL
        before = progress.done
