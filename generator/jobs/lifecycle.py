"""How a job moves from state to state: each move is one conditional UPDATE that counts its rows.

The attempt is the fence: `held` is in the WHERE of everything a worker writes, so a worker that
lost its lease changes nothing. All times are the database's (`Now()`), never a worker's clock.
Locks are taken in one order everywhere: the owner's subscription, then the job row.
"""

from __future__ import annotations

import hashlib
import io
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, QuerySet, When
from django.db.models.functions import Coalesce, Now
from PIL import Image

from billing import ledger
from billing.plans import plan_named
from generator.assets import drawn
from generator.assets.services import file_names
from generator.engine.interface import Clip, EngineError, GeneratedImage, TrainedAdapter
from generator.jobs import bell, notify, turns
from generator.jobs.models import Generation, Job, Training
from generator.photos.models import PhotoSet
from generator.portraits.models import PortraitModel
from generator.webhooks import services as webhooks

log = logging.getLogger(__name__)

AnyJob = Training | Generation | PhotoSet
AnyModel = type[Training] | type[Generation] | type[PhotoSet]
NOUNS: dict[str, AnyModel] = {**notify.NOUNS, "photoset": PhotoSet}  # pages show the first two
State = Job.State

LEASE = timedelta(seconds=30)  # three heartbeats; a killed worker's job goes on after this
ENGINE_ERRORS_MAX = 3  # the job's own failures, each of which cost a whole run
OUT_OF_MEMORY_MAX = 2  # once more after the child was replaced, then it is too large
DEATHS_MAX = 5  # of the worker; counted apart, since a neighbour may be to blame
PEOPLE_PASSED_OVER = 50  # in one look; the next bell looks again
TOTAL = 1000  # progress is counted in per mille of the whole job
PREVIEW_PX = 128
UNFINISHED = (State.QUEUED, State.RUNNING)


class Fenced(Exception):
    """Another attempt, a cancel or a deletion took the job: nothing was written."""


def noun(job: AnyJob | AnyModel) -> str:
    """ "training", "generation" or "photoset", as in addresses, ledger keys and socket messages."""
    return job._meta.model_name or ""


def key(job: AnyJob) -> str:
    """What billing knows a job by."""
    return f"{noun(job)}:{job.pk}"


def held(job: AnyJob) -> QuerySet[Any]:
    """The job's row, as long as this attempt is the one that runs."""
    return type(job)._default_manager.filter(pk=job.pk, attempt=job.attempt, state=State.RUNNING)


def is_expired() -> Q:
    return Q(state=State.RUNNING, lease_until__lt=Now())


# --- taking a job ------------------------------------------------------------
def claim_next(model: AnyModel) -> AnyJob | None:
    """The job whose turn it is. People at their plan's limit wait for themselves only."""
    waiting = turns.in_turn(model._default_manager.filter(_claimable()))
    passed_over: list[int] = []
    while len(passed_over) < PEOPLE_PASSED_OVER:
        others = waiting.exclude(owner__in=passed_over)
        first = others.values_list("pk", "owner_id").first()
        if first is None:
            return None
        if job := claim(model, first[0]):
            return job
        passed_over.append(first[1])
    return None


def claim(model: AnyModel, pk: uuid.UUID) -> AnyJob | None:
    """Take one job for 30 s: `attempt + 1`. None if somebody else has it or it must wait.

    A plan's concurrency counts each noun by itself: a training never keeps a face waiting.
    """
    job = model._default_manager.filter(pk=pk).select_related("owner").first()
    if job is None:
        return None
    with transaction.atomic():
        subscription = ledger.locked(job.owner)
        running = model._default_manager.filter(owner=job.owner_id, state=State.RUNNING)
        limit = plan_named(subscription.plan).concurrency
        if running.exclude(pk=pk).filter(lease_until__gte=Now()).count() >= limit:
            return None
        rows = model._default_manager.filter(_claimable(), pk=pk).update(
            infrastructure_deaths=Case(
                When(state=State.RUNNING, then=F("infrastructure_deaths") + 1),
                default=F("infrastructure_deaths"),
                output_field=IntegerField(),
            ),
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            lease_until=Now() + LEASE,
            started_at=Coalesce("started_at", Now()),
            done=0,
            total=TOTAL,
            phase="load",
            updated_at=Now(),
        )
    if rows != 1:
        return None
    job.refresh_from_db()
    notify.changed(job)
    return job


def _claimable() -> Q:
    expired = is_expired() & Q(infrastructure_deaths__lt=DEATHS_MAX - 1, cancel_requested=False)
    return Q(state=State.QUEUED) | expired


# --- while it runs -----------------------------------------------------------
def heartbeat(job: AnyJob) -> None:
    """Hold the job for another 30 s. Raises Fenced if it is no longer ours."""
    if not held(job).update(lease_until=Now() + LEASE, updated_at=Now()):
        raise Fenced


def is_cancel_requested(job: AnyJob) -> bool:
    """Raises Fenced if the job is no longer ours. One cheap query, asked twice a second."""
    asked: bool | None = held(job).values_list("cancel_requested", flat=True).first()
    if asked is None:
        raise Fenced
    return asked


def progress(
    job: AnyJob, *, done: int, phase: str, previews: Mapping[int, bytes] | None = None
) -> bool:
    """Report `done` of 1000. False if that would be a step back or the job is not ours.

    `previews`: the latest look at each picture by its number; they are kept one behind the other.
    """
    seen: dict[str, Any] = {"done": done, "phase": phase[:16], "updated_at": Now()}
    if previews:
        looks = [previews.get(index, b"") for index in range(max(previews) + 1)]
        seen["preview"] = b"".join(looks)
        if isinstance(job, Generation):
            seen["preview_lengths"] = [len(look) for look in looks]
    if not held(job).filter(done__lte=done).update(**seen):
        return False
    notify.changed(job)
    return True


# --- how it ends -------------------------------------------------------------
def finish_training(training: Training, adapter: TrainedAdapter) -> None:
    """Write the weights, in one transaction with the state. Raises Fenced."""
    preview = _small_jpeg(adapter.preview) if adapter.preview else None
    with files_of_a_transaction() as written, transaction.atomic():
        _end(training, State.SUCCEEDED, preview=preview)
        portrait_model = PortraitModel.objects.get(pk=training.portrait_model_id)
        replaced = portrait_model.weights.name
        name = f"weights/{training.pk}.{training.attempt}.safetensors"
        written.append(default_storage.save(name, ContentFile(adapter.safetensors)))
        PortraitModel.objects.filter(pk=portrait_model.pk).update(
            weights=written[0],
            weights_sha256=hashlib.sha256(adapter.safetensors).hexdigest(),
            likeness=adapter.likeness,
            updated_at=Now(),
        )
        if replaced:
            transaction.on_commit(lambda: default_storage.delete(replaced))


def finish_generation(generation: Generation, images: Sequence[GeneratedImage]) -> None:
    """Write the pictures that came out and return the credits of those that did not.

    Nor is a picture charged that stayed below the likeness floor. One transaction. Raises Fenced,
    and ValueError when there is no picture at all.
    """
    if not images:
        raise ValueError("A generation without pictures fails; it does not finish.")
    missing = max(0, generation.count - len(images))
    uncharged = min(generation.count, missing + sum(image.below_floor for image in images))
    with files_of_a_transaction() as written, transaction.atomic():
        refund = generation.charged * uncharged // generation.count
        _end(generation, State.SUCCEEDED, refund=refund, uncharged=uncharged)
        for index, image in enumerate(images):
            written.extend(file_names(drawn.store_generated(generation, index, image)))


def finish_clip(generation: Generation, clip: Clip) -> None:
    """Write the clip, in one transaction with the state. Raises Fenced."""
    marked = drawn.marked_clip(generation, clip)  # before the lock is held
    with files_of_a_transaction() as written, transaction.atomic():
        _end(generation, State.SUCCEEDED)
        written.extend(file_names(drawn.store_clip(generation, clip, marked)))


def succeed(photo_set: PhotoSet, **changes: Any) -> None:
    """In the transaction that makes its portrait model, before it. Raises Fenced."""
    _end(photo_set, State.SUCCEEDED, **changes)


def fail(job: AnyJob, code: str, message: str, **changes: Any) -> None:
    """End with a reason in words and the credits returned. Raises Fenced."""
    with transaction.atomic():
        _end(
            job,
            State.FAILED,
            refund=job.charged,
            error_code=code[:40],
            error_message=message[:300],
            **changes,
        )


def end_canceled(job: AnyJob) -> None:
    """What a worker writes once it has stopped at the person's request. Raises Fenced."""
    with transaction.atomic():
        _end(job, State.CANCELED, refund=job.charged)


def _end(job: AnyJob, state: State, *, refund: int = 0, **changes: Any) -> None:
    """The fenced last write. Everything else of the transaction comes after it."""
    ledger.locked(job.owner)
    changes.setdefault("preview", None)
    if isinstance(job, Generation):
        changes["preview_lengths"] = []
    if state == State.SUCCEEDED:
        changes["done"] = changes["total"] = TOTAL
    if held(job).update(**_ended(state), **changes) != 1:
        raise Fenced
    _give_back(job, refund, state)
    webhooks.announce(job)
    transaction.on_commit(lambda: notify.changed(job), robust=True)


def _ended(state: State) -> dict[str, Any]:
    return {"state": state, "lease_until": None, "finished_at": Now(), "updated_at": Now()}


def _give_back(job: AnyJob, amount: int, state: State) -> None:
    if amount:
        partly = "" if amount == job.charged else " in part"
        reason = {
            State.SUCCEEDED: "gave fewer pictures",  # or one that is not alike enough
            State.CANCELED: "was canceled",
            State.FAILED: "did not finish",
        }[state]
        ledger.refund(key(job), amount=amount, reason=f"Returned{partly}: the {noun(job)} {reason}")


# --- trying again ------------------------------------------------------------
def requeue(job: AnyJob, **counters: int) -> None:
    """Hand the job back, so that any worker takes it. Raises Fenced."""
    with transaction.atomic():
        if held(job).update(**_waiting(), **counters) != 1:
            raise Fenced
        announce(job)


def announce(job: AnyJob) -> None:
    """Once committed: ring the workers' bell and tell the owner's pages."""
    bell.ring(job)
    transaction.on_commit(lambda: notify.changed(job), robust=True)


def after_engine_error(job: AnyJob, error: EngineError) -> None:
    """Try again what may succeed, at most three times; end the rest at once. Raises Fenced."""
    errors = job.engine_errors + 1
    if is_worth_retrying(job, error):
        requeue(job, engine_errors=errors)
    else:
        fail(job, error.code, error.message, engine_errors=errors)


def is_worth_retrying(job: AnyJob, error: EngineError) -> bool:
    limit = OUT_OF_MEMORY_MAX if error.code == "out_of_memory" else ENGINE_ERRORS_MAX
    return error.retryable and job.engine_errors + 1 < limit


def after_death(job: AnyJob) -> None:
    """The worker, not the engine, failed: try again at most five times. Raises Fenced."""
    deaths = job.infrastructure_deaths + 1
    if job.cancel_requested:
        end_canceled(job)
    elif deaths < DEATHS_MAX:
        requeue(job, infrastructure_deaths=deaths)
    else:
        message = "Our machines failed several times in a row."
        fail(job, "worker_lost", message, infrastructure_deaths=deaths)


def requeue_expired(model: AnyModel) -> int:
    """Take jobs back from workers that fell silent. Safe to run anywhere, any number of times."""
    silent = model._default_manager.filter(is_expired()).select_related("owner")[:100]
    return sum(_take_back(job) for job in silent)


def _take_back(job: AnyJob) -> bool:
    """Under the row's lock, so that a heartbeat or another sweeper comes before or after."""
    with transaction.atomic():
        ledger.locked(job.owner)
        row = held(job).filter(is_expired()).select_for_update(skip_locked=True).first()
        if row is None:
            return False
        log.warning("%s: attempt %d fell silent", row, row.attempt)
        after_death(row)
    return True


def _waiting() -> dict[str, Any]:
    return {
        "state": State.QUEUED,
        "lease_until": None,
        "done": 0,
        "total": 0,
        "phase": "",
        "updated_at": Now(),
    }


# --- the person changes their mind -------------------------------------------
def cancel(job: AnyJob) -> None:
    """Queued: over and refunded at once. Running: the worker stops within a second."""
    rows = type(job)._default_manager.filter(pk=job.pk)
    with transaction.atomic():
        ledger.locked(job.owner)
        if rows.filter(state=State.QUEUED).update(**_ended(State.CANCELED)):
            _give_back(job, job.charged, State.CANCELED)
            webhooks.announce(job)
        else:
            running = rows.filter(state=State.RUNNING)
            running.update(cancel_requested=True, updated_at=Now())
        transaction.on_commit(lambda: notify.changed(job), robust=True)


def cancel_now(job: AnyJob) -> bool:
    """Before deleting: whatever runs is over and refunded now; its worker finds itself fenced.

    False if it had ended before.
    """
    with transaction.atomic():
        ledger.locked(job.owner)
        unfinished = type(job)._default_manager.filter(pk=job.pk, state__in=UNFINISHED)
        if not unfinished.update(**_ended(State.CANCELED), cancel_requested=True):
            return False
        _give_back(job, job.charged, State.CANCELED)
        webhooks.announce(job)
        transaction.on_commit(lambda: notify.changed(job), robust=True)
    return True


# --- files -------------------------------------------------------------------
@contextmanager
def files_of_a_transaction() -> Iterator[list[str]]:
    """Removes the files named in the list when the transaction inside fails."""
    written: list[str] = []
    try:
        yield written
    except BaseException:
        for name in written:
            default_storage.delete(name)
        raise


def _small_jpeg(png: bytes) -> bytes:
    """The engine's own picture as JPEG, at most 128 px a side."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=("PNG", "JPEG")) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((PREVIEW_PX, PREVIEW_PX))
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
