"""The worker: draws and learns, one job of each noun at a time.

    python -m studio.worker                                   every queue, embedded or production
    dramatiq studio.worker -Q generations -p 1 -t 1           one queue, by Dramatiq's own command
    dramatiq studio.worker -Q webhooks -p 1 -t 4              messages to people's own servers

SIGTERM hands running jobs back within seconds. This process imports no torch; the engines'
children do.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dramatiq import Worker

log = logging.getLogger("studio.worker")

WAKE_MS = 100  # how long a message may lie before an idle worker looks
DRAIN_MS = 8_000  # the supervisor kills after 10 s


def prepare() -> None:
    """Django and the actors. Dramatiq reads its settings when it is imported."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")
    # By default twice as many messages as threads are taken and then wait behind a long job.
    os.environ.setdefault("dramatiq_queue_prefetch", "1")
    importlib.import_module("django").setup()
    refuse_what_may_not_be_used()
    importlib.import_module("generator.jobs.actors")


def refuse_what_may_not_be_used() -> None:
    """A worker of its own runs no `manage.py`, so it asks about its engine itself."""
    checks = importlib.import_module("django.core.checks")
    found = checks.run_checks(tags=[checks.Tags.compatibility])
    if wrong := [message for message in found if message.is_serious()]:
        raise SystemExit("\n".join(f"{message.msg} {message.hint or ''}" for message in wrong))


def main() -> None:
    """Work until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    from generator.jobs.broker import QUEUES, broker  # after prepare(): they need the settings

    workers = [_worker(queue) for queue in QUEUES.values()]
    if importlib.import_module("django.conf").settings.IS_EMBEDDED:
        relay = importlib.import_module("generator.jobs.relay")
        threading.Thread(
            target=relay.relay_until, args=(stop, broker()), name="relay", daemon=True
        ).start()
    log.info("worker ready")
    stop.wait()
    _drain(workers)


def _worker(queue: str) -> Worker:
    """Threads of their own per queue, so that a face is drawn while a training runs."""
    dramatiq = importlib.import_module("dramatiq")
    threads = importlib.import_module("generator.jobs.broker").THREADS.get(queue, 1)
    broker = dramatiq.get_broker()
    broker.logger.setLevel(logging.ERROR)  # it warns of a second worker; these share no queue
    worker: Worker = dramatiq.Worker(
        broker, queues={queue}, worker_threads=threads, worker_timeout=WAKE_MS
    )
    worker.start()
    return worker


def _drain(workers: list[Worker]) -> None:
    """All at once: each takes as long as its job needs to be handed back."""
    threads = [threading.Thread(target=worker.stop, args=(DRAIN_MS,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Not for "__main__", which starts the module below under its own name, and not for the engine's
# child, which imports it as "__mp_main__" and has no use for Django.
if __name__ == "studio.worker":
    prepare()
elif __name__ == "__main__":
    importlib.import_module("studio.worker").main()
