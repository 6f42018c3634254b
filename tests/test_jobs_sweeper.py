"""What the sweeper takes away, what it leaves alone, and what the audit notices."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now

from accounts.models import User
from generator.assets.models import Asset
from generator.jobs import audit, lifecycle, services, sweeper
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel
from tests import job_parts
from tests.job_parts import assert_invariants, claim, expire, row, submit

pytestmark = pytest.mark.django_db


def _file(name: str, *, age: timedelta = timedelta(hours=1)) -> str:
    stored = default_storage.save(name, ContentFile(b"left behind"))
    then = time.time() - age.total_seconds()
    os.utime(default_storage.path(stored), (then, then))
    return stored


# --- sweeping --------------------------------------------------------------------
def test_a_sweep_puts_both_kinds_of_jobs_back(alice: User) -> None:
    generation = claim(submit(alice))
    training = claim(job_parts.train(job_parts.portrait_model(alice)))
    expire(generation)
    expire(training)
    sweeper.sweep()
    assert row(generation).state == row(training).state == lifecycle.State.QUEUED


def test_files_without_a_row_go_once_they_are_old(alice: User) -> None:
    job_parts.ready_model(alice)
    old = [_file("assets/old.png"), _file("weights/old.1.safetensors")]
    young = _file("assets/young.png", age=timedelta(seconds=5))
    assert sweeper.remove_orphans() == 2
    assert not any(map(default_storage.exists, old)) and default_storage.exists(young)


def test_files_with_a_row_stay_however_old(alice: User) -> None:
    model = job_parts.ready_model(alice)
    for name in sweeper.referenced():
        os.utime(default_storage.path(name), (0, 0))
    assert sweeper.remove_orphans() == 0
    assert model.weights.read() == job_parts.WEIGHTS


def test_a_database_that_knows_none_of_the_files_removes_none(
    monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    monkeypatch.setattr(sweeper, "STRANGE", 2)
    for index in range(3):
        _file(f"assets/{index}.png")
    assert sweeper.remove_orphans() == 0 and len(sweeper.orphans()) == 3


def _asset(user: User, kind: str, *, source: Asset | None = None, expired: bool = True) -> Asset:
    drawn = job_parts.finish(submit(user))
    asset = Asset.objects.get(generation=drawn)
    expiry = Now() + timedelta(hours=-1 if expired else 1)
    Asset.objects.filter(pk=asset.pk).update(
        kind=kind, source=source, generation=None, expires_at=expiry
    )
    drawn.delete()
    asset.refresh_from_db()
    return asset


def test_unused_uploads_go_after_their_day(
    alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    old = _asset(alice, Asset.Kind.UPLOAD)
    young = _asset(alice, Asset.Kind.UPLOAD, expired=False)
    with django_capture_on_commit_callbacks(execute=True):
        assert sweeper.expire_uploads() == 1
    assert list(Asset.objects.all()) == [young]
    assert not default_storage.exists(old.file.name)


def test_an_upload_somebody_learns_from_stays_with_its_reference(alice: User) -> None:
    upload = _asset(alice, Asset.Kind.UPLOAD)
    reference = _asset(alice, Asset.Kind.REFERENCE, source=upload)
    PortraitModel.objects.create(owner=alice, name="Ada", reference=reference)
    assert sweeper.expire_uploads() == 0


def test_a_checkpoint_stays_as_long_as_its_training_is_unfinished(alice: User) -> None:
    training = job_parts.train(job_parts.portrait_model(alice))
    folder = services.resume_folder(training.pk)
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    sweeper.remove_old_checkpoints()
    assert folder.exists()
    lifecycle.cancel(training)
    sweeper.remove_old_checkpoints()
    assert not folder.exists()


# --- the audit -------------------------------------------------------------------
def _lost_file(alice: User) -> None:
    job = job_parts.finish(submit(alice))
    default_storage.delete(Asset.objects.get(generation=job).file.name)


def _double_charge(alice: User) -> None:
    job = submit(alice)
    Generation.objects.filter(pk=job.pk).update(charged=job.charged + 1)


def _failed_without_refund(alice: User) -> None:
    job = claim(submit(alice))
    lifecycle.fail(job, "engine_failed", "It failed.")
    _behind_the_ledgers_back("DELETE FROM billing_creditentry WHERE kind = 'refund'")


def _entries_that_do_not_add_up(alice: User) -> None:
    submit(alice)
    _behind_the_ledgers_back("UPDATE billing_creditentry SET amount = -1 WHERE kind = 'charge'")


def _behind_the_ledgers_back(sql: str) -> None:
    """Entries never change: only somebody with a database console can do that."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def _forgotten_job(alice: User) -> None:
    expire(claim(submit(alice)), by=timedelta(minutes=10))


def _weights_from_nowhere(alice: User) -> None:
    model = job_parts.ready_model(alice)
    Training.objects.filter(portrait_model=model).delete()


def _changed_weights(alice: User) -> None:
    model = job_parts.ready_model(alice)
    Path(model.weights.path).write_bytes(b"something else")


def _public_reference(alice: User) -> None:
    model = job_parts.ready_model(alice)
    PortraitModel.objects.filter(pk=model.pk).update(is_public=False)
    Asset.objects.filter(pk=model.reference_id).update(is_public=True)


def _success_without_pictures(alice: User) -> None:
    job = job_parts.finish(submit(alice))
    Asset.objects.filter(generation=job).delete()


def _too_many_errors(alice: User) -> None:
    Generation.objects.filter(pk=submit(alice).pk).update(engine_errors=4)


def _old_checkpoint(alice: User) -> None:
    folder = services.resume_folder("of-nobody")
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (_entries_that_do_not_add_up, "1"),
        (_double_charge, "2"),
        (_failed_without_refund, "2"),
        (_forgotten_job, "4"),
        (_too_many_errors, "4"),
        (_weights_from_nowhere, "5"),
        (_changed_weights, "5"),
        (_public_reference, "6"),
        (_old_checkpoint, "7"),
        (_success_without_pictures, "7"),
        (_lost_file, "8"),
        (lambda alice: _file("assets/of-nobody.png"), "8"),
    ],
)
def test_the_audit_notices(
    alice: User, harm: Callable[[User], object], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job_parts.ready_model(alice)
    assert_invariants()
    harm(alice)
    assert [line for line in audit.violations() if line.startswith(f"{code}: ")]
    with pytest.raises(SystemExit) as ended:
        call_command("audit", "--strict")
    assert ended.value.code == 1 and "broken promises" in capsys.readouterr().out


def test_the_audit_of_a_healthy_studio_says_so(
    alice: User, capsys: pytest.CaptureFixture[str]
) -> None:
    job_parts.ready_model(alice)
    call_command("audit", "--strict")
    assert "All is well." in capsys.readouterr().out


def test_a_plan_that_became_smaller_is_mentioned_and_no_fault(alice: User) -> None:
    for _ in range(2):
        job_parts.ready_model(alice)
    alice.subscription.plan = "nano"
    alice.subscription.save()
    told = [outcome for outcome in audit.audit() if outcome.found]
    assert [outcome.check.code for outcome in told] == ["3"] and not told[0].check.is_strict
    assert_invariants()
