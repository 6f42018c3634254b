"""What a worker does when the bell rings: look at the rows, run what may run.

A message is answered with the oldest job that may start, which is usually the one it names; that
keeps the order fair whatever order messages arrive in.
"""

from __future__ import annotations

import logging
import threading

import dramatiq
from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from billing.payments import tending
from generator.jobs import sweeper
from generator.jobs.broker import ACTORS, QUEUES, broker
from generator.jobs.models import Generation, Training
from generator.jobs.runner import TIME_LIMIT_S, Runner
from generator.photos.models import PhotoSet
from generator.webhooks import sending

log = logging.getLogger(__name__)

# The engine's own limit comes first and has a reason in words; this one is for what hangs
# around it. Milliseconds.
MARGIN_S = 120.0
LIMIT_MS = {noun: int(1000 * (limit + MARGIN_S)) for noun, limit in TIME_LIMIT_S.items()}

STALE_MS = 60_000  # a bell this old was rung again since

dramatiq.set_broker(broker())


# An engine's process starts with its first call, in the process that makes it.
RUNNERS = {
    "training": Runner(Training),
    "generation": Runner(Generation),
    "photoset": Runner(PhotoSet),
}


@dramatiq.actor(
    actor_name=ACTORS["training"],
    queue_name=QUEUES["training"],
    max_retries=0,
    time_limit=LIMIT_MS["training"],
)
def run_training(job_id: str) -> None:
    RUNNERS["training"].run_next()


@dramatiq.actor(
    actor_name=ACTORS["generation"],
    queue_name=QUEUES["generation"],
    max_retries=0,
    time_limit=LIMIT_MS["generation"],
)
def run_generation(job_id: str) -> None:
    RUNNERS["generation"].run_next()


@dramatiq.actor(
    actor_name=ACTORS["delivery"], queue_name=QUEUES["delivery"], max_retries=0, max_age=STALE_MS
)
def send_deliveries(delivery_id: str) -> None:
    sending.send_due()


@dramatiq.actor(
    actor_name=ACTORS["photoset"],
    queue_name=QUEUES["photoset"],
    max_retries=0,
    time_limit=LIMIT_MS["photoset"],
)
def run_photo_set(job_id: str) -> None:
    RUNNERS["photoset"].run_next()


class Housekeeping(Middleware):
    """The sweeper and the warm engine come and go with Dramatiq's worker."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        if not self.threads:
            # Payments have a thread of their own: no job waits while Stripe does not answer.
            for name, look in (("sweeper", sweeper.sweep_until), ("payments", tending.tend_until)):
                thread = threading.Thread(target=look, args=(self.stop,), name=name, daemon=True)
                self.threads.append(thread)
                thread.start()
        if QUEUES["generation"] in worker.consumers:
            warming = RUNNERS["generation"].warm
            threading.Thread(target=warming, name="warming", daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Running jobs are handed back within a second, or finished if they nearly are."""
        self.stop.set()
        for runner in RUNNERS.values():
            runner.draining.set()
        sending.draining.set()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        for noun, runner in RUNNERS.items():
            if QUEUES[noun] in worker.consumers:
                runner.close()


broker().add_middleware(Housekeeping())
