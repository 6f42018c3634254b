"""Workers killed in the middle of real work: nothing is lost, nothing is done twice.

Each test has a worker process of its own with the real engine, on the test's own database.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.db import connection

from accounts.models import User
from generator.assets.models import Asset
from generator.jobs import lifecycle, services
from generator.jobs.lifecycle import LEASE, State
from generator.jobs.models import Generation, Training
from tests import job_parts
from tests.job_parts import assert_invariants, refunds, row, submit
from tests.servers import BASE_DIR, wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

PATIENCE_S = 240.0  # a training on two busy cores
SLACK_S = 5.0  # what may pass between the end of a lease and the next attempt
Job = Training | Generation


class Worker:
    """`python -m studio.worker` in a process group of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "studio.worker"],
                cwd=BASE_DIR, env=self.environment, stdout=log, stderr=log, process_group=0,
            )  # fmt: skip

    def kill(self) -> list[psutil.Process]:
        """kill -9, as an operating system short of memory does it; who was there."""
        assert self.process is not None
        family = self.family()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return family

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        this = psutil.Process(self.process.pid)
        return [this, *this.children(recursive=True)]

    def drain(self) -> int:
        """Ask it to end; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def worker(engine_weights: Path, tmp_path: Path) -> Iterator[Worker]:
    """Not started yet. Shares this test's database, files and, if there is one, Redis."""
    hired = Worker(
        {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "studio.settings",
            "DATABASE_URL": _database_url(),
            "VAR_DIR": str(tmp_path),
            "ENGINE_WEIGHTS": str(engine_weights),
            "ENGINE_THREADS": "1",
        },
        tmp_path / "worker.log",
    )
    yield hired
    hired.end()
    print(hired.log.read_text() if hired.log.exists() else "")  # shown if the test failed
    assert_invariants()


def _database_url() -> str:
    """Of the test database, as another process must call it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    return f"postgresql://{given['USER']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"


def _wait(job: Job, fact: Callable[[Job], object], what: str) -> Job:
    wait_for(lambda: fact(row(job)), what, PATIENCE_S)
    found: Job = row(job)
    return found


def _is_over(job: Job) -> bool:
    return job.is_finished


def _training(user: User) -> Training:
    return job_parts.train(job_parts.portrait_model(user))


def test_a_killed_training_goes_on_from_its_checkpoint(alice: User, worker: Worker) -> None:
    training = _training(alice)
    worker.start()
    folder = services.resume_folder(training.pk)
    _wait(training, lambda job: job.phase == "train", "the training")
    wait_for(lambda: any(folder.iterdir()), "a checkpoint", PATIENCE_S)
    _wait(training, lambda job: job.done > 300, "a third of the training")
    before = row(training)
    family = worker.kill()
    killed_at = time.monotonic()
    worker.start()
    _wait(training, lambda job: job.attempt == 2, "the second attempt")
    assert time.monotonic() - killed_at < LEASE.total_seconds() + SLACK_S
    assert not any(_lives(process) for process in family)
    again = _wait(training, lambda job: job.phase == "train", "the training, again")
    assert again.done > before.done // 2  # the first step of a new training would be far below
    ended = _wait(training, _is_over, "the end of the training")
    assert ended.state == State.SUCCEEDED, ended.error_message
    assert (ended.attempt, ended.infrastructure_deaths, ended.engine_errors) == (2, 1, 0)
    assert isinstance(ended, Training) and ended.portrait_model.is_ready
    wait_for(lambda: not folder.exists(), "the end of the checkpoints", PATIENCE_S)


def _lives(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def test_a_worker_that_closes_hands_its_training_over_at_once(alice: User, worker: Worker) -> None:
    training = _training(alice)
    worker.start()
    _wait(training, lambda job: job.phase == "train", "the training")
    assert worker.drain() == 0
    back = row(training)
    assert (back.state, back.attempt, back.infrastructure_deaths) == (State.QUEUED, 1, 0)
    worker.start()
    assert _wait(training, _is_over, "the end of the training").state == State.SUCCEEDED


def test_a_face_is_drawn_while_a_training_runs(bob: User, worker: Worker) -> None:
    training = _training(bob)
    worker.start()
    _wait(training, lambda job: job.phase == "train", "the training")
    face = submit(bob)
    assert _wait(face, _is_over, "the face").state == State.SUCCEEDED
    assert row(training).state == State.RUNNING
    lifecycle.cancel(training)
    asked_at = time.monotonic()
    assert _wait(training, _is_over, "the end").state == State.CANCELED
    assert time.monotonic() - asked_at < SLACK_S
    assert refunds(training) == [training.charged]


def test_queued_jobs_go_on_after_a_restart_and_none_is_done_twice(
    alice: User, worker: Worker
) -> None:
    jobs = [submit(alice, count=2) for _ in range(5)]
    worker.start()
    _wait(jobs[0], _is_over, "the first job")
    worker.kill()
    worker.start()
    for job in jobs:
        assert _wait(job, _is_over, "every job").state == State.SUCCEEDED
        assert Asset.objects.filter(generation=job).count() == 2


def test_an_engine_killed_alone_costs_one_more_attempt(alice: User, worker: Worker) -> None:
    job = submit(alice, count=4)
    worker.start()
    _wait(job, lambda job: job.phase == "draw", "the first strokes")
    for process in worker.family()[1:]:
        if "spawn_main" in " ".join(process.cmdline()):
            process.kill()
    ended = _wait(job, _is_over, "the end")
    assert (ended.state, ended.engine_errors) == (State.SUCCEEDED, 1)
