"""What a plan does to results: the mark that leaves with them, and how long they are kept."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.db.models.functions import Now
from django.urls import reverse
from PIL import Image, ImageChops

from accounts.models import User
from billing.models import Subscription
from billing.plans import PLANS
from generator.assets import marks, services
from generator.assets.models import Asset
from generator.engine import film
from generator.engine.interface import Clip, FaceScore
from generator.jobs import lifecycle, retention, sweeper
from generator.jobs.models import Generation
from generator.library import zips
from generator.portraits.models import PortraitModel
from tests.conftest import signed_in
from tests.job_parts import assert_invariants, claim, finish, png, ready_model, submit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nano_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As somebody may set it who sells plans."""
    monkeypatch.setitem(PLANS, "nano", replace(PLANS["nano"], watermark=True))


@pytest.fixture
def free(bob: User) -> Asset:
    """A picture made on the free plan."""
    made = finish(submit(bob, kind="image", portrait_model=ready_model(bob)))
    return Asset.objects.get(generation=made)


def shown(asset: Asset, user: User, **query: str) -> Image.Image:
    answer = signed_in(user).get(reverse("asset", args=[asset.id]), query)
    assert answer.status_code == 200
    return Image.open(io.BytesIO(answer.content)).convert("RGB")


def move(user: User, plan: str) -> None:
    Subscription.objects.filter(user=user).update(plan=plan, plan_since=Now())


def differs(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is not None


# --- the mark ---------------------------------------------------------------------------------
def test_what_leaves_a_free_plan_is_marked_at_every_size(free: Asset, bob: User) -> None:
    clean = Image.open(io.BytesIO(png())).convert("RGB")
    assert free.is_marked
    assert differs(shown(free, bob), clean)
    assert differs(shown(free, bob, download="1"), clean)
    assert differs(shown(free, bob, size="256"), clean)
    with free.file.open("rb") as file:  # what another picture would start from
        assert not differs(Image.open(file).convert("RGB"), clean)


def test_a_larger_plan_takes_the_mark_off_what_was_made_before(free: Asset, bob: User) -> None:
    first = signed_in(bob).get(reverse("asset", args=[free.id]))
    move(bob, "micro")
    clean = Image.open(io.BytesIO(png())).convert("RGB")
    assert not differs(shown(free, bob), clean)
    again = signed_in(bob).get(
        reverse("asset", args=[free.id]), headers={"If-None-Match": first["ETag"]}
    )
    assert again.status_code == 200  # not the marked one from the browser's cache


def test_faces_and_paid_plans_have_no_mark(alice: User, bob: User) -> None:
    assert not Asset.objects.get(generation=finish(submit(bob))).is_marked
    made = finish(submit(alice, kind="image", portrait_model=ready_model(alice)))
    assert not Asset.objects.get(generation=made).is_marked


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_other_formats_and_archives_carry_the_mark(format: str, free: Asset, bob: User) -> None:
    clean = Image.open(io.BytesIO(png())).convert("RGB")
    other = shown(free, bob, download=format)
    assert differs(other.crop((0, 40, 64, 64)), clean.crop((0, 40, 64, 64)))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(zips.parts([free]))))
    with archive.open(archive.namelist()[0]) as file:
        assert differs(Image.open(file).convert("RGB"), clean)


def test_a_clip_is_marked_in_every_frame_and_format(bob: User) -> None:
    asked = claim(submit(bob, kind="video", portrait_model=ready_model(bob), seconds=2))
    grey = np.full((256, 256, 3), 90, np.uint8)
    mp4, webm = film.encode([grey] * 12, width=256, height=256, fps=6)
    face = FaceScore(88)
    lifecycle.finish_clip(
        asked,
        Clip(
            mp4, webm, png("red", 256), 7, frames=12, fps=6, width=256, height=256, faces=(face,),
            worst=(face,), worst_picture=png("teal", 256),
        ),
    )  # fmt: skip
    clip = Asset.objects.get(generation=asked)
    client = signed_in(bob)
    for query in ("", "?format=webm"):
        found = film.decode(client.get(reverse("asset", args=[clip.id]) + query).content)
        assert len(found) == 12
        for frame in found:
            corner = np.abs(frame.astype(int) - 90).max(2)
            assert corner[-30:, -90:].max() > 60 and corner[:200].max() < 12
    for size in ("256", "worst"):
        small = shown(clip, bob, size=size)
        assert np.asarray(small.crop((150, 220, 250, 256))).std() > 5
    assert all(default_storage.exists(name) for name in services.file_names(clip))
    assert_invariants()


def test_the_marked_copy_is_no_orphan_and_goes_with_its_picture(
    free: Asset, django_capture_on_commit_callbacks: Any
) -> None:
    assert_invariants()
    names = services.file_names(free)
    assert services.sibling(free, f"{marks.MARK}.png") in names
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_assets([free])
    assert not any(default_storage.exists(name) for name in names)


def test_the_mark_can_be_read_on_light_and_on_dark() -> None:
    for color in ("white", "black"):
        picture = Image.new("RGB", (512, 512), color)
        box = ImageChops.difference(marks.marked(picture), picture).getbbox()
        assert box and box[0] > 350 and box[1] > 450 and box[2] < 512 and box[3] < 512


# --- how long ---------------------------------------------------------------------------------
DAYS = 30


@pytest.fixture
def short_lived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLANS, "nano", replace(PLANS["nano"], retention_days=DAYS))


def age(job: Generation, days: int, *, on_plan: int = 1000) -> Generation:
    Generation.objects.filter(pk=job.pk).update(finished_at=Now() - timedelta(days=days))
    since = Now() - timedelta(days=on_plan)
    Subscription.objects.filter(user=job.owner).update(plan_since=since)
    return job


def test_old_results_go_and_younger_ones_stay(
    short_lived: None, bob: User, django_capture_on_commit_callbacks: Any
) -> None:
    old, young = finish(submit(bob)), finish(submit(bob))
    age(old, DAYS + 1)
    age(young, DAYS - 1)
    waiting = submit(bob)
    with django_capture_on_commit_callbacks(execute=True):
        sweeper.tidy()
    left = set(Generation.objects.values_list("pk", flat=True))
    assert left == {young.pk, waiting.pk}
    assert_invariants()


def test_whoever_came_to_the_plan_lately_has_the_whole_time(short_lived: None, bob: User) -> None:
    age(finish(submit(bob)), 10 * DAYS, on_plan=DAYS - 1)
    assert retention.expire_results() == 0
    Subscription.objects.update(plan_since=Now() - timedelta(days=DAYS + 1))
    assert retention.expire_results() == 1


def test_other_plans_keep_theirs_for_good(short_lived: None, alice: User) -> None:
    age(finish(submit(alice)), 10_000)
    assert retention.expire_results() == 0


def test_models_and_what_they_learnt_from_stay(short_lived: None, bob: User) -> None:
    model = ready_model(bob)
    for job in Generation.objects.filter(owner=bob):
        age(job, 10 * DAYS)
    retention.expire_results()
    kept = PortraitModel.objects.get(pk=model.pk)
    assert kept.is_ready and kept.reference.file.storage.exists(str(kept.reference.file.name))
