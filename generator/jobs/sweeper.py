"""What nobody else looks after: silent workers, lost bells, leftovers, people who left.

Every worker runs one. All of it is conditional, so any number of sweepers may run at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import close_old_connections
from django.db.models.functions import Now
from django.utils import timezone

from generator.api.phota import callbacks
from generator.api.tryiton import automatic
from generator.assets import services as assets
from generator.assets.models import Asset
from generator.jobs import absent, bell, lifecycle, retention, services
from generator.jobs.models import Training
from generator.library import services as library
from generator.photos import services as photos
from generator.photos.models import Photo
from generator.portraits.models import PortraitModel
from generator.webhooks import sending

log = logging.getLogger(__name__)

EVERY_S = 2.0  # lease 30 s + this: a killed worker's job goes on within 35 s
RING_AFTER = timedelta(seconds=10)  # unheard for this long: the bell was lost
RING_MAX = 16  # more bells than workers help nobody
TIDY_EVERY_S = 60.0
ORPHAN_AGE = 2 * lifecycle.LEASE  # a younger file may belong to a transaction still open
STRANGE = 100  # files of no row, beside few rows: somebody pointed at another database
FOLDERS = ("assets", "photos", "weights")


def sweep() -> None:
    """Jobs back into the queue, bells rung again, and what follows a job's end."""
    for noun, model in lifecycle.NOUNS.items():
        lifecycle.requeue_expired(model)
        _ring_again(noun)
    callbacks.tell()
    sending.ring_again()
    library.purge()
    automatic.generate_styles()


def _ring_again(noun: str) -> None:
    waiting = lifecycle.NOUNS[noun]._default_manager.filter(state=lifecycle.State.QUEUED)
    unheard = waiting.filter(updated_at__lt=Now() - RING_AFTER).order_by("created_at")
    for pk in unheard.values_list("pk", flat=True)[:RING_MAX]:
        bell.ring_now(noun, str(pk))


def tidy() -> None:
    """Unused uploads and results past their day, files without a row, checkpoints of nothing.

    And the e-mails to people who left, and old messages to their servers.
    """
    absent.write_to_the_absent()
    photos.release_ended()
    expire_uploads()
    retention.expire_results()
    sending.remove_old()
    remove_orphans()
    remove_old_checkpoints()


def expire_uploads() -> int:
    kinds = [Asset.Kind.UPLOAD, Asset.Kind.REFERENCE]
    expired = assets.unused(Asset.objects.filter(kind__in=kinds, expires_at__lt=Now())).exclude(
        crops__portrait_model__isnull=False
    )
    doomed = list(expired[:200])
    assets.delete_assets(doomed)
    return len(doomed)


def remove_orphans() -> int:
    """Files that no row names, once they are too old to be somebody's unfinished work."""
    found = orphans()
    if len(found) > STRANGE and len(found) > 10 * Asset.objects.count():
        log.error("%d files without a row: is this the right database? None is removed", len(found))
        return 0
    for name in found:
        log.info("removing %s: no row names it", name)
        default_storage.delete(name)
    return len(found)


def orphans(*, age: timedelta = ORPHAN_AGE) -> list[str]:
    """Stored files older than `age` that no row names. Files are listed before rows are read."""
    before = timezone.now() - age  # file times are this machine's, not the database's
    stored = {
        name
        for folder in FOLDERS
        for name in _files(folder)
        if default_storage.get_modified_time(name) < before
    }
    return sorted(stored - set(referenced()))


def referenced() -> Iterable[str]:
    """Every file name that a row stands for."""
    needed = ("id", "file", "kind", "thumbnail_px", "measures", "is_marked")
    for asset in Asset.objects.only(*needed).iterator():
        yield from assets.file_names(asset)
    weights = PortraitModel.objects.exclude(weights="").values_list("weights", flat=True)
    yield from weights.iterator()
    yield from Photo.objects.exclude(file="").values_list("file", flat=True).iterator()


def _files(folder: str) -> list[str]:
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    return [f"{folder}/{name}" for name in names]


def remove_old_checkpoints() -> None:
    folder = Path(settings.VAR_DIR) / "trainings"
    if not folder.is_dir():
        return
    unfinished = Training.objects.filter(state__in=lifecycle.UNFINISHED)
    kept = {str(pk) for pk in unfinished.values_list("pk", flat=True)}
    for old in folder.iterdir():
        if old.name not in kept and is_old(old):
            services.forget_training(old.name)


def is_old(path: Path) -> bool:
    """Older than any transaction that could still name it."""
    return time.time() - path.stat().st_mtime > ORPHAN_AGE.total_seconds()


def sweep_until(stop: threading.Event) -> None:
    """The sweeper's thread."""
    tidy_at = time.monotonic()
    while not stop.wait(EVERY_S):
        try:
            close_old_connections()
            sweep()
            if time.monotonic() >= tidy_at:
                tidy_at = time.monotonic() + TIDY_EVERY_S
                tidy()
        except Exception:
            log.exception("a sweep failed; the next one is in %.0f s", EVERY_S)
