"""Tell a worker to look. A lost bell costs a delay, never a job: the sweeper rings again."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from dramatiq import Message

from generator.jobs.broker import ACTORS, QUEUES, broker

if TYPE_CHECKING:
    from generator.jobs.models import Job
    from generator.webhooks.models import Delivery

log = logging.getLogger(__name__)

SILENCE_S = 5.0  # after a failure: people do not wait for a dead broker one after the other
_silent_until = 0.0  # monotonic seconds


def ring(job: Job | Delivery) -> None:
    """Once the running transaction is committed. Never raises."""
    noun, job_id = job._meta.model_name or "", str(job.pk)
    transaction.on_commit(lambda: ring_now(noun, job_id), robust=True)


def ring_now(noun: str, job_id: str) -> bool:
    """Whether a worker will hear of it. The embedded worker looks at the rows by itself."""
    global _silent_until
    if settings.IS_EMBEDDED or time.monotonic() < _silent_until:
        return False
    try:
        broker().enqueue(message(noun, job_id))
    except Exception as error:  # noqa: BLE001  any broker, any fault: the row is safe
        _silent_until = time.monotonic() + SILENCE_S
        log.warning("the bell of %s %s was not heard: %s", noun, job_id, error)
        return False
    return True


def message(noun: str, job_id: str) -> Message[None]:
    return Message(
        queue_name=QUEUES[noun], actor_name=ACTORS[noun], args=(job_id,), kwargs={}, options={}
    )
