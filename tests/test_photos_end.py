"""How sets of photos end: in a model, in an error, and with nothing left behind."""

from __future__ import annotations

import base64
import io
import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db.models.functions import Now
from PIL import Image

from accounts.models import Consent, User
from billing.models import Subscription
from billing.plans import PLANS
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.engine.interface import EngineError
from generator.engine.miniature.painter import Person, Shot, paint
from generator.engine.process import EngineProcess
from generator.jobs import lifecycle, runner, sweeper
from generator.jobs.lifecycle import State
from generator.jobs.models import Training
from generator.jobs.runner import Runner
from generator.photos import services, work
from generator.photos.models import Photo, PhotoSet
from generator.portraits import services as portraits
from generator.portraits.models import PortraitModel, Reference
from tests import job_parts
from tests.job_parts import assert_invariants, claim, row
from tests.photo_parts import SHOWN, made, nothing_is_stored, picture, read, submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def invariants_hold() -> Iterator[None]:
    yield
    assert_invariants()


# --- the end -----------------------------------------------------------------
def test_a_cap_that_filled_up_meanwhile_ends_the_set_in_words(bob: User) -> None:
    asked, photos = read(submit(bob))
    for _ in range(PLANS["nano"].portrait_models):
        job_parts.portrait_model(bob)
    with pytest.raises(Refusal, match="holds"):
        work.make(asked, photos, {1: SHOWN}, lambda: None)
    assert row(asked).state == State.RUNNING  # type: ignore[arg-type]
    assert not Training.objects.exists()


def test_every_state_has_its_word(alice: User, bob: User) -> None:
    asked = submit(alice)
    assert services.status(alice, asked.pk).state == "VALIDATING"
    model = made(asked)
    assert services.status(alice, asked.pk).state == "QUEUING"
    training = claim(Training.objects.get())
    assert services.status(alice, asked.pk).state == "IN_PROGRESS"
    lifecycle.finish_training(training, job_parts.adapter())
    assert services.status(alice, asked.pk).state == "READY"
    for who, id in ((bob, asked.pk), (alice, uuid.uuid4())):
        with pytest.raises(Refusal) as refusal:
            services.status(who, id)
        assert refusal.value.code == "not_found"
    older = [job_parts.portrait_model(alice) for _ in range(PLANS["nano"].portrait_models)]
    of_older = PortraitModel.objects.filter(pk__in=[one.pk for one in older])
    of_older.update(created_at="2020-01-01T00:00Z")
    Subscription.objects.filter(user=alice).update(plan="nano")
    assert services.status(alice, model.pk).state == "INACTIVE"


def test_a_training_that_failed_is_an_error_with_its_reason(alice: User) -> None:
    model = made(submit(alice))
    training = claim(Training.objects.get())
    lifecycle.fail(training, "engine_failed", "The engine failed.")
    status = services.status(alice, model.pk)
    assert status.state == "ERROR" and status.message.startswith("The engine failed.")
    again = portraits.train_again(model, training_id=uuid.uuid4())
    assert again.tier == "instant"
    assert services.status(alice, model.pk).state == "QUEUING"


def test_a_canceled_set_says_so(alice: User) -> None:
    asked = submit(alice)
    lifecycle.cancel(asked)
    assert services.status(alice, asked.pk).state == "ERROR"


# --- letting go --------------------------------------------------------------
def test_only_what_the_model_learns_from_is_kept(alice: User) -> None:
    model = made(submit(alice, 3))
    assert Asset.objects.filter(kind=Asset.Kind.REFERENCE).count() == 3
    assert list(Asset.objects.filter(kind=Asset.Kind.UPLOAD)) == [model.reference.source]
    assert nothing_is_stored()
    assert not Photo.objects.exclude(given="", file="", upload__isnull=True).exists()


def test_references_outlive_the_day_of_an_unused_upload(alice: User) -> None:
    made(submit(alice, 3))
    Asset.objects.filter(expires_at__isnull=False).update(expires_at=Now())
    sweeper.expire_uploads()
    assert Asset.objects.filter(kind=Asset.Kind.REFERENCE).count() == 3


def test_a_further_reference_is_private_and_cannot_be_taken_or_deleted(
    alice: User, alice_client: Any
) -> None:
    model = made(submit(alice, 2))
    further = Reference.objects.get().asset
    assert model.reference.is_public and not further.is_public
    assert alice_client.post(f"/uploads/{further.pk}/delete/").status_code == 404
    with pytest.raises(Refusal) as refusal:
        portraits.create_portrait_model(
            alice,
            id=uuid.uuid4(),
            name="Eve",
            description="",
            is_public=True,
            reference=further,
            consent=Consent(user=alice, kind="me", text_version="2026-11"),
        )
    assert refusal.value.code == "reference_used"


def test_deleting_the_model_leaves_nothing_of_its_photos(alice: User) -> None:
    model = made(submit(alice, 3))
    portraits.delete_portrait_model(model)
    assert not Asset.objects.exists() and not PhotoSet.objects.exists()
    assert not default_storage.listdir("assets")[1]
    with pytest.raises(Refusal):
        services.status(alice, model.pk)


def test_the_sweeper_lets_go_of_what_a_lost_worker_left(alice: User) -> None:
    claimed, _ = read(submit(alice, 2))
    assert not nothing_is_stored()
    lifecycle.cancel_now(claimed)
    assert services.release_ended() == 1
    assert not Asset.objects.exists() and nothing_is_stored()
    assert services.release_ended() == 0


def test_the_sweeper_leaves_a_set_that_waits(alice: User) -> None:
    submit(alice, 2)
    sweeper.tidy()
    assert not nothing_is_stored()


def test_a_silent_worker_loses_its_set(alice: User) -> None:
    claimed = claim(submit(alice))  # type: ignore[arg-type]
    job_parts.expire(claimed)
    sweeper.sweep()
    assert row(claimed).state == State.QUEUED


# --- the whole way -----------------------------------------------------------
@pytest.fixture(scope="module")
def engine(engine_weights: Path) -> Iterator[EngineProcess]:
    with EngineProcess(weights=engine_weights, threads=1) as process:
        yield process


def painted(seed: int, shot: int) -> str:
    """A person, looking at the camera, whose face Haar finds."""
    looks = Shot.random(random.Random(shot))
    looks = replace(looks, pose="facing the camera", yaw=0.0, light="daylight")
    out = io.BytesIO()
    person = Person.random(random.Random(seed))
    Image.fromarray(paint(person, looks, 320)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@pytest.mark.engine
def test_photos_are_read_and_the_subject_found_by_the_worker(
    alice: User, engine: EngineProcess
) -> None:
    images = [painted(11, 0), painted(4, 1), painted(11, 2), picture()]
    asked = submit(alice, images=images)
    assert Runner(PhotoSet, engine).run_next()
    asked.refresh_from_db()
    assert asked.state == State.SUCCEEDED, (asked.error_code, asked.error_message)
    assert asked.summary.startswith("2 of 4 photos were used.")
    assert "Photo 2 shows other people only." in asked.summary
    assert engine.pid is None, "the base model stays in memory"
    assert services.status(alice, asked.pk).state == "QUEUING"


@pytest.mark.engine
def test_photos_without_a_face_end_in_an_error(alice: User, engine: EngineProcess) -> None:
    submit(alice, 2)
    assert Runner(PhotoSet, engine).run_next()
    asked = PhotoSet.objects.get()
    assert (asked.state, asked.error_code) == (State.FAILED, "NO_FACE")
    assert not Asset.objects.exists()


def test_an_engine_that_fails_is_asked_again(alice: User) -> None:
    claimed = claim(submit(alice))  # type: ignore[arg-type]
    run = runner.Run(claimed, Runner(PhotoSet).draining, runner.Progress("photoset"))
    broken = EngineError("engine_died", "The engine's process ended.", retryable=True)
    Runner(PhotoSet)._after_error(claimed, run, broken)
    assert row(claimed).state == State.QUEUED
