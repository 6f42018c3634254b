"""One engine process and the jobs it is given, one after the other.

The engine runs in a child; here its signs of life become heartbeats and progress, and a cancel,
a lost lease or a closing worker becomes the end of the call. Imports no torch.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import close_old_connections, connection

from generator.engine.interface import (
    AnimateCall,
    Canceled,
    EngineError,
    GenerateCall,
    GeneratedImage,
    GenerateRequest,
    Step,
)
from generator.engine.process import EngineProcess
from generator.jobs import bell, calls, lifecycle, services
from generator.jobs.lifecycle import LEASE, TOTAL, AnyJob, AnyModel, Fenced
from generator.jobs.models import Generation, Training
from generator.photos import work
from generator.photos.models import PhotoSet

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0  # a third of the lease
PROGRESS_S = 0.25  # four pushes a second are as smooth as a bar gets
# On two slow cores; then it is stuck.
TIME_LIMIT_S = {"training": 1800.0, "generation": 600.0, "photoset": 1200.0}
NEARLY_DONE = 950  # of 1000: a closing worker finishes what is that far
GRACE_S = 5.0  # for that; the supervisor kills after 10 s

# Where in the whole job (of 1000) each phase begins; measured on the embedded base model.
BEGINS = {
    "training": {
        "load": 0,
        "read": 20,
        "views": 30,
        "prior": 30,
        "train": 50,
        "draw": 900,
        "save": 980,
    },
    "photoset": {"read": 0, "load": 700, "find": 750},
    "generation": {"load": 0, "read": 30, "draw": 50, "save": 980},
}


class HandedBack(Exception):
    """The worker is closing: another one goes on with this job."""


@dataclass
class Progress:
    """Steps of phases into per mille of the whole job, never backwards."""

    noun: str
    pictures: int = 1  # drawn one after the other, each with its own steps
    done: int = 0
    phase: str = "load"

    def take(self, step: Step) -> None:
        begins = BEGINS[self.noun]
        start = begins.get(step.phase, self.done)
        end = min((at for at in begins.values() if at > start), default=TOTAL)
        part = min(1.0, step.done / step.total) if step.total else 0.0
        if step.phase == "draw":
            part = min(1.0, (step.index + part) / self.pictures)
        reached = int(start + (end - start) * part)
        if reached >= self.done:
            self.done, self.phase = min(reached, TOTAL - 1), step.phase


@dataclass
class Run:
    """One attempt at one job, from claim to end."""

    job: AnyJob
    draining: threading.Event
    progress: Progress
    images: dict[int, GeneratedImage] = field(default_factory=dict)
    beat_at: float = 0.0  # monotonic seconds of the last heartbeat that arrived
    told_at: float = 0.0
    previews: dict[int, bytes] = field(default_factory=dict)  # the latest of each picture
    is_new: bool = False  # whether one of them was shown to nobody yet
    drains_since: float | None = None

    def on_step(self, step: Step) -> None:
        self.progress.take(step)
        if step.preview:
            self.previews[step.index], self.is_new = step.preview, True
        now = time.monotonic()
        if now - self.told_at < PROGRESS_S:
            return
        done, phase = self.progress.done, self.progress.phase
        try:
            shown = self.previews if self.is_new else None
            lifecycle.progress(self.job, done=done, phase=phase, previews=shown)
        except DatabaseFault:
            connection.close()  # the next heartbeat decides whether that matters
        self.told_at, self.is_new = now, False

    def on_image(self, index: int, image: GeneratedImage) -> None:
        self.images[index] = image

    def on_tick(self) -> None:
        """At least once a second. Raises Canceled, HandedBack or Fenced to stop the engine."""
        now = time.monotonic()
        try:
            if now - self.beat_at >= HEARTBEAT_S:
                lifecycle.heartbeat(self.job)
                self.beat_at = now
            if lifecycle.is_cancel_requested(self.job):
                raise Canceled
        except DatabaseFault:
            connection.close()
            if now - self.beat_at > LEASE.total_seconds():
                raise Fenced from None  # by now somebody else may have it
        if self.draining.is_set():
            self._drain(now)

    def _drain(self, now: float) -> None:
        self.drains_since = self.drains_since or now
        if self.progress.done < NEARLY_DONE or now - self.drains_since > GRACE_S:
            raise HandedBack


class Runner:
    """Runs the jobs of one noun. Its engine process starts with the first call."""

    def __init__(self, model: AnyModel, engine: EngineProcess | None = None) -> None:
        self.model = model
        self.noun = lifecycle.noun(model)
        self.engine = engine or EngineProcess(
            settings.ENGINE_IMAGE,
            threads=settings.ENGINE_THREADS or None,
            weights=Path(settings.ENGINE_WEIGHTS) if settings.ENGINE_WEIGHTS else None,
            commercial_only=settings.COMMERCIAL_ONLY,
            detector=Path(settings.FACE_DETECTOR) if settings.FACE_DETECTOR else None,
            embedder=Path(settings.FACE_EMBEDDER) if settings.FACE_EMBEDDER else None,
        )
        self.draining = threading.Event()
        self.turn = threading.Lock()  # a job waiting for its engine would lose its lease

    @property
    def is_busy(self) -> bool:
        return self.turn.locked()

    def run_next(self) -> bool:
        """Claim and run the oldest job that may start. False if there was none."""
        with self.turn:
            return self._run_next()

    def _run_next(self) -> bool:
        close_old_connections()
        job = None if self.draining.is_set() else lifecycle.claim_next(self.model)
        if job is None:
            return False
        try:
            self._run(job)
        except Fenced:
            log.warning("%s: attempt %d was overtaken and wrote nothing", job, job.attempt)
        except DatabaseFault:
            log.exception("%s: the database did not answer; the lease brings it back", job)
        self._tidy_up(job)
        return True

    def warm(self) -> None:
        """Load the base model and draw once, so that the first person does not wait for it."""
        request = GenerateRequest(kind="face", prompt="a person", num_inference_steps=4)
        try:
            with self.turn:
                self.engine.run(GenerateCall(request), on_tick=self._stop_warming)
            log.info("the engine of the %ss is warm (%.1f s)", self.noun, self.engine.load_s or 0)
        except (EngineError, HandedBack) as error:
            log.warning("the engine of the %ss is not warm: %s", self.noun, error)

    def close(self) -> None:
        self.engine.close()

    def _stop_warming(self) -> None:
        if self.draining.is_set():
            raise HandedBack

    def _run(self, job: AnyJob) -> None:
        run = Run(
            job,
            self.draining,
            Progress(self.noun, getattr(job, "count", 1)),
            beat_at=time.monotonic(),
        )
        try:
            if isinstance(job, Training):
                self._train(job, run)
            elif isinstance(job, PhotoSet):
                work.run(job, self.engine, on_step=run.on_step, on_tick=run.on_tick)
            else:
                self._generate(job, run)
        except Canceled:
            lifecycle.end_canceled(job)
        except HandedBack:
            lifecycle.requeue(job)
        except EngineError as error:
            self._after_error(job, run, error)
        except (Fenced, DatabaseFault):
            raise
        except Exception:
            log.exception("%s: the worker failed", job)
            lifecycle.after_death(job)

    def _train(self, training: Training, run: Run) -> None:
        adapter = self.engine.run(
            calls.of_training(training),
            on_step=run.on_step,
            on_tick=run.on_tick,
            time_limit_s=TIME_LIMIT_S["training"],
        )
        lifecycle.finish_training(training, adapter)

    def _generate(self, generation: Generation, run: Run) -> None:
        call = calls.of_generation(generation)
        limit = TIME_LIMIT_S["generation"]
        if isinstance(call, AnimateCall):
            clip = self.engine.run(
                call, on_step=run.on_step, on_tick=run.on_tick, time_limit_s=limit
            )
            lifecycle.finish_clip(generation, clip)
            return
        images = self.engine.run(
            call,
            on_step=run.on_step,
            on_image=run.on_image,
            on_tick=run.on_tick,
            time_limit_s=limit,
        )
        lifecycle.finish_generation(generation, images)

    def _after_error(self, job: AnyJob, run: Run, error: EngineError) -> None:
        """Pictures that came out before an error that would come again are kept."""
        log.warning("%s: attempt %d: %s", job, job.attempt, error)
        images = [run.images[index] for index in sorted(run.images)]
        if isinstance(job, Generation) and images and not lifecycle.is_worth_retrying(job, error):
            lifecycle.finish_generation(job, images)
        else:
            lifecycle.after_engine_error(job, error)

    def _tidy_up(self, job: AnyJob) -> None:
        """No checkpoint stays behind, and the next job does not wait for a bell that was lost."""
        rows = self.model._default_manager.all()
        try:
            close_old_connections()
            unfinished = rows.filter(pk=job.pk, state__in=lifecycle.UNFINISHED)
            if isinstance(job, Training) and not unfinished.exists():
                services.forget_training(job.pk)
            waiting = rows.filter(state=lifecycle.State.QUEUED).order_by("created_at")
            pk = waiting.values_list("pk", flat=True).first()
            if pk:
                bell.ring_now(self.noun, str(pk))
        except DatabaseFault:
            log.warning("%s: the sweeper will tidy up, the database is away", job)
