"""What the worker does with a photo set: read the photos, find the subject, make the model.

Everything slow happens in a thread beside the one that holds the lease. Each photo's outcome is
kept at once, so an attempt that takes over goes on where the last one stopped.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from django.db import connection, transaction

from accounts import keys
from accounts.models import Consent
from billing.refusals import Refusal
from generator.assets import fetch, intake
from generator.assets import services as assets
from generator.assets.models import Asset
from generator.engine.interface import EngineError, FindCall, OnStep, Sighting, Step
from generator.engine.process import EngineProcess
from generator.jobs import lifecycle
from generator.jobs.calls import read
from generator.photos import words
from generator.photos.models import Photo, PhotoSet
from generator.photos.services import TIERS, release
from generator.portraits.services import create_portrait_model

log = logging.getLogger(__name__)
T = TypeVar("T")
OnTick = Callable[[], None]
Outcome = Photo.Outcome

TICK_S = 0.5
READ_S = 300.0  # for all photos of a set: slow servers keep others waiting
FIND_S = 300.0
FACE_MIN = 64  # px across; an enlarged one teaches nothing but its own blur
REFERENCES_MAX = 20  # as many as the engine looks at
SUBJECT_UNKNOWN = {"no_face": "NO_FACE", "multiple_faces": "MULTIPLE_FACES"}


class Unusable(Exception):
    """These photos make no model. `code` is stable, the message is a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def run(
    photo_set: PhotoSet,
    engine: EngineProcess,
    *,
    on_step: OnStep,
    on_tick: OnTick,
) -> None:
    """From the claim to the model or to the sentence why there is none. Raises what ticks raise."""
    photos = list(photo_set.photos.select_related("upload"))
    try:
        read_all(photo_set, photos, on_step, on_tick)
        found = _find(photos, engine, on_step, on_tick)
        make(photo_set, photos, found, on_tick)
    except (Unusable, Refusal) as error:
        _tell(photos)
        lifecycle.fail(photo_set, error.code, error.message, summary=words.left_out(photos))
    finally:
        engine.close()  # a base model in memory for the few seconds a day that it is needed
    release(photo_set)


def make(
    photo_set: PhotoSet, photos: Sequence[Photo], found: dict[int, Sighting], on_tick: OnTick
) -> None:
    """The portrait model, of the photos that show the subject. Raises Unusable and Refusal."""
    usable = _usable(photo_set, photos, found)
    references = [_cropped(photo, found[photo.place], on_tick) for photo in usable]
    _finish(photo_set, photos, references)


def read_all(photo_set: PhotoSet, photos: list[Photo], on_step: OnStep, on_tick: OnTick) -> None:
    """Fetch, decode and store each photo that no earlier attempt has."""
    until = time.monotonic() + READ_S
    for number, photo in enumerate(photos):
        on_step(Step("read", number, len(photos)))
        if photo.upload is None and photo.outcome == Outcome.WAITING:
            try:
                _read(photo_set, photo, photos[:number], until, on_tick)
            except Refusal as refusal:
                photo.outcome, photo.why = Outcome.UNREADABLE, refusal.message[:200]
            photo.save(update_fields=["sha256", "upload", "outcome", "why"])
    if not any(photo.upload for photo in photos):
        raise Unusable("INVALID_IMAGE", "None of the photos could be read.")


def _read(
    photo_set: PhotoSet, photo: Photo, before: Sequence[Photo], until: float, on_tick: OnTick
) -> None:
    if time.monotonic() > until:
        raise Refusal("too_slow", "The photos before it took too long to arrive.")
    data = _patiently(lambda: _bytes(photo_set, photo), on_tick)
    photo.sha256 = hashlib.sha256(data).hexdigest()
    same = next((one for one in before if one.upload and one.sha256 == photo.sha256), None)
    if same is not None:
        photo.outcome, photo.why = Outcome.DUPLICATE, f"It is the same as photo {same.place}."
        return
    picture = _patiently(lambda: intake.normalise(data), on_tick)
    lifecycle.heartbeat(photo_set)  # who was overtaken stores nothing
    photo.upload = assets.store_picture(picture, owner=photo_set.owner, kind=Asset.Kind.UPLOAD)


def _bytes(photo_set: PhotoSet, photo: Photo) -> bytes:
    if photo.file:
        return read(photo.file)
    return fetch.picture(photo_set.owner, photo.given)


def _find(
    photos: Sequence[Photo], engine: EngineProcess, on_step: OnStep, on_tick: OnTick
) -> dict[int, Sighting]:
    """Where the subject is, by the photo's place."""
    shown = [(photo.place, photo.upload) for photo in photos if photo.upload]
    small = [assets.largest_thumbnail(upload) for _, upload in shown]
    try:
        seen = engine.run(FindCall(small), on_step=on_step, on_tick=on_tick, time_limit_s=FIND_S)
    except EngineError as error:
        if error.code not in SUBJECT_UNKNOWN:
            raise
        for photo in photos:
            if photo.upload and error.code == "no_face":
                photo.outcome = Outcome.NO_FACE
        raise Unusable(SUBJECT_UNKNOWN[error.code], error.message) from error
    return dict(zip((place for place, _ in shown), seen, strict=True))


def _usable(
    photo_set: PhotoSet, photos: Sequence[Photo], found: dict[int, Sighting]
) -> list[Photo]:
    """Those to learn from, the largest face first; the others get their outcome."""
    widths: dict[int, float] = {}
    for photo in photos:
        if photo.upload is None:
            continue
        seen = found[photo.place]
        widths[photo.place] = seen.face * photo.upload.width
        if seen.square is None:
            photo.outcome = Outcome(seen.reason)
        else:
            is_small = widths[photo.place] < FACE_MIN
            photo.outcome = Outcome.TOO_SMALL if is_small else Outcome.USED
    usable = [photo for photo in photos if photo.outcome == Outcome.USED]
    usable.sort(key=lambda photo: -widths[photo.place])
    for photo in usable[REFERENCES_MAX:]:
        photo.outcome = Outcome.SURPLUS
    least = TIERS[photo_set.tier][0] if photo_set.is_tier_named else 1
    if len(usable) < least:
        raise Unusable("TOO_FEW_PHOTOS", words.too_few(len(usable), least, photo_set.tier))
    return usable[:REFERENCES_MAX]


def _cropped(photo: Photo, seen: Sighting, on_tick: OnTick) -> Asset:
    upload = photo.upload
    assert upload is not None and seen.square is not None  # usable
    left, top, side = seen.square
    x, y, size = (
        round(part * of)
        for part, of in ((left, upload.width), (top, upload.height), (side, upload.width))
    )
    return _patiently(lambda: assets.crop_reference(upload, x=x, y=y, size=size), on_tick)


def _finish(photo_set: PhotoSet, photos: Sequence[Photo], references: Sequence[Asset]) -> None:
    """The end of the set and the model with its training, in one transaction. Raises Fenced."""
    consent = Consent(
        user=photo_set.owner,
        kind=photo_set.consent_kind,
        text_version=photo_set.consent_text_version,
        given_at=photo_set.consent_given_at,
    )
    with keys.in_name_of(photo_set.api_key), transaction.atomic():
        lifecycle.succeed(photo_set, summary=words.summary(photos))
        _tell(photos)
        create_portrait_model(
            photo_set.owner,
            id=photo_set.pk,
            name=photo_set.name,
            description=photo_set.description,
            is_public=photo_set.is_public,
            reference=references[0],
            further=references[1:],
            consent=consent,
            tier=photo_set.tier,
        )


def _tell(photos: Sequence[Photo]) -> None:
    Photo.objects.bulk_update(photos, ["outcome"])


def _patiently(slow: Callable[[], T], on_tick: OnTick) -> T:
    """What `slow` answers, or raises, while the lease is held. Who must stop does not wait."""

    def beside() -> T:
        try:
            return slow()
        finally:
            connection.close()  # this thread's own

    on_tick()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="photo")
    try:
        answer = pool.submit(beside)
        while not wait([answer], timeout=TICK_S).done:
            on_tick()
        return answer.result()
    finally:
        pool.shutdown(wait=False)
