"""The embedded studio's doorbell: rows are looked at, and the in-process broker is told.

One query per queue and look, and none while that queue's engine is at work.
"""

from __future__ import annotations

import logging
import threading

from django.db import close_old_connections
from dramatiq.brokers.stub import StubBroker

from generator.jobs import bell, lifecycle
from generator.jobs.actors import RUNNERS
from generator.jobs.broker import QUEUES
from generator.webhooks import sending

log = logging.getLogger(__name__)

EVERY_S = 0.3  # a person does not notice it; the database neither


def relay_until(stop: threading.Event, broker: StubBroker) -> None:
    """The relay's thread."""
    while not stop.wait(EVERY_S):
        try:
            close_old_connections()
            for noun in RUNNERS:
                _relay(noun, broker)
            _relay_deliveries(broker)
        except Exception:
            log.exception("a look at the jobs failed; the next one is in a moment")


def _relay(noun: str, broker: StubBroker) -> None:
    if RUNNERS[noun].is_busy or not broker.queues[QUEUES[noun]].empty():
        return
    waiting = lifecycle.NOUNS[noun]._default_manager.filter(state=lifecycle.State.QUEUED)
    pk = waiting.order_by("created_at").values_list("pk", flat=True).first()
    if pk:
        broker.enqueue(bell.message(noun, str(pk)))


def _relay_deliveries(broker: StubBroker) -> None:
    if not broker.queues[QUEUES["delivery"]].empty():
        return
    pk = sending.due().values_list("pk", flat=True).first()
    if pk:
        broker.enqueue(bell.message("delivery", str(pk)))
