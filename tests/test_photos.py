"""A portrait model from several photos: asking, reading, leaving out, charging."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from billing import ledger
from billing.models import CreditEntry
from billing.plans import PLANS, cost
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.engine.interface import Sighting
from generator.jobs import lifecycle
from generator.jobs.calls import of_training
from generator.jobs.lifecycle import State
from generator.jobs.models import Training
from generator.jobs.runner import Runner
from generator.photos import services, words, work
from generator.photos.models import GIVEN_MAX, Photo, PhotoSet
from generator.portraits.models import PortraitModel, Reference
from tests import job_parts
from tests.job_parts import assert_invariants, claim, row
from tests.photo_parts import SHOWN, made, nothing_is_stored, picture, read, submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def invariants_hold() -> Iterator[None]:
    yield
    assert_invariants()


def refused(user: User, count: int = 1, **fields: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        submit(user, count, **fields)
    assert not PhotoSet.objects.filter(owner=user).exists()
    return refusal.value.code


def run(photo_set: PhotoSet) -> PhotoSet:
    """By the real runner, for sets that end before an engine is asked."""
    assert Runner(PhotoSet).run_next()
    return PhotoSet.objects.get(pk=photo_set.pk)


# --- asking ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("count", "tier"),
    [(1, "instant"), (4, "instant"), (5, "fast"), (9, "fast"), (10, "standard"), (50, "standard")],
)
def test_the_number_of_photos_chooses_the_tier(alice: User, count: int, tier: str) -> None:
    asked = submit(alice, images=["https://example.com/a.jpg"] * count)
    assert (asked.tier, asked.is_tier_named) == (tier, False)


@pytest.mark.parametrize(
    ("tier", "count"), [("fast", 4), ("fast", 11), ("standard", 9), ("instant", 51), ("", 0)]
)
def test_a_tier_wants_its_number_of_photos(alice: User, tier: str, count: int) -> None:
    assert refused(alice, images=["https://example.com/a.jpg"] * count, tier=tier) == "bad_images"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tier": "gold"}, "bad_tier"),
        ({"images": [""]}, "bad_image"),
        ({"images": ["a\x00b"]}, "bad_image"),
        ({"images": ["\ud800"]}, "bad_image"),
        ({"images": ["!" * (GIVEN_MAX + 1)]}, "bad_image"),
        ({"images": ["https://example.com/" + "a" * GIVEN_MAX]}, "bad_url"),
        ({"name": " "}, "name_missing"),
        ({"name": "a" * 33}, "name_too_long"),
        ({"tag": "a" * 129}, "bad_tag"),
        ({"tag": "\x00"}, "bad_text"),
        ({"gender": "a" * 41}, "bad_gender"),
        ({"words": "a" * 513}, "description_too_long"),
        ({"consent": None}, "consent_missing"),
    ],
)
def test_a_bad_request_is_refused_in_words(alice: User, fields: dict[str, Any], code: str) -> None:
    assert refused(alice, **fields) == code
    assert nothing_is_stored()


def test_the_same_id_is_the_same_set(alice: User) -> None:
    first = submit(alice, 2)
    assert submit(alice, 3, id=first.pk, name="Eve") == first
    assert Photo.objects.count() == 2


def test_an_id_of_somebody_else_is_not_found(alice: User, bob: User) -> None:
    taken = submit(alice)
    assert refused(bob, id=taken.pk) == "not_found"
    model = job_parts.portrait_model(alice)
    assert refused(bob, id=model.pk) == "not_found"


def test_an_id_of_a_model_made_another_way_is_taken(alice: User) -> None:
    assert refused(alice, id=job_parts.portrait_model(alice).pk) == "id_used"


def test_who_cannot_have_a_model_hears_it_at_once(alice: User, bob: User) -> None:
    for _ in range(PLANS["nano"].portrait_models):
        job_parts.portrait_model(bob)
    assert refused(bob) == "model_limit"
    with transaction.atomic():
        subscription = ledger.locked(alice)
        ledger.charge(subscription, ledger.balance(alice) - 1, key="all", reason="gone")
    assert refused(alice) == "insufficient_credits"


def test_sets_on_their_way_count_against_the_cap(bob: User) -> None:
    for _ in range(PLANS["nano"].portrait_models):
        submit(bob)
    with pytest.raises(Refusal, match="holds"):
        submit(bob)


def test_a_private_model_needs_a_plan_that_has_them(bob: User) -> None:
    assert refused(bob, is_public=False) == "private_models"


# --- reading -----------------------------------------------------------------
def test_photos_become_a_model_that_learns_from_all_of_them(alice: User) -> None:
    asked = submit(alice, 5, tier="fast", words="short hair", gender="woman")
    model = made(asked)
    training = Training.objects.get(portrait_model=model)
    assert (model.name, model.description) == ("Ada", "woman, short hair")
    assert model.consent is not None and model.consent.kind == "me"
    assert training.tier == "fast"
    assert len(of_training(training).references) == 5
    assert len(set(of_training(training).references)) == 5
    assert training.charged == cost("training")
    assert services.status(alice, asked.pk).message.endswith("All 5 photos were used.")


def test_photos_that_show_somebody_else_are_left_out_and_named(alice: User) -> None:
    other, nobody = Sighting(reason="somebody_else"), Sighting(reason="no_face")
    tiny = Sighting((0.4, 0.4, 0.2), 0.1)
    model = made(submit(alice, 5), p2=other, p3=nobody, p4=other, p5=tiny)
    assert Reference.objects.count() == 0
    assert services.status(alice, model.pk).message.endswith(
        "1 of 5 photos was used. Photo 3 shows no face that could be found. Photo 5 shows the "
        "face too small. Photos 2 and 4 show other people only."
    )


def test_the_largest_face_comes_first(alice: User) -> None:
    asked = submit(alice, 2)
    model = made(asked, p1=replace(SHOWN, face=0.3), p2=replace(SHOWN, square=(0, 0, 1), face=0.9))
    assert model.reference.findings["frame"]["size"] == 320


def test_a_photo_that_came_twice_counts_once(alice: User) -> None:
    claimed, photos = read(submit(alice, images=[picture(1), picture(2), picture(1)]))
    assert [photo.outcome for photo in photos] == ["", "", "duplicate"]
    assert words.left_out(photos) == "Photo 3: It is the same as photo 1."
    assert Asset.objects.count() == 2
    lifecycle.fail(claimed, "x", "x")


def test_an_unreadable_photo_is_named_and_the_others_used(alice: User) -> None:
    garbage = base64.b64encode(b"\xff\xd8\xff" + bytes(3000)).decode()
    model = made(submit(alice, images=[picture(), garbage, "https://127.0.0.1/x", "AAAA"]))
    message = services.status(alice, model.pk).message
    assert "1 of 4 photos was used." in message
    assert all(f"Photo {place}: " in message or f" {place}" in message for place in (2, 3, 4))


def test_without_a_readable_photo_nothing_is_made_or_charged(alice: User) -> None:
    before = CreditEntry.objects.count()
    asked = run(submit(alice, images=["AAAA"]))
    status = services.status(alice, asked.pk)
    assert (asked.state, asked.error_code) == (State.FAILED, "INVALID_IMAGE")
    assert status.state == "ERROR" and "Photo 1: " in status.message
    assert not PortraitModel.objects.exists() and not Asset.objects.exists()
    assert CreditEntry.objects.filter(kind="charge").count() == 0
    assert CreditEntry.objects.count() - before <= 1  # the month's allowance


def test_a_named_tier_fails_when_too_few_photos_can_be_used(alice: User) -> None:
    asked = submit(alice, 5, tier="fast")
    with pytest.raises(work.Unusable, match="Only 4 photos can be used") as unusable:
        made(asked, p5=Sighting(reason="no_face"))
    assert unusable.value.code == "TOO_FEW_PHOTOS"


def test_a_tier_that_was_not_named_takes_what_is_left(alice: User) -> None:
    made(submit(alice, 5), p5=Sighting(reason="no_face"))
    assert Training.objects.get().tier == "fast"


def test_another_attempt_reads_no_photo_twice(alice: User) -> None:
    claimed, _ = read(submit(alice, 2))
    known = set(Asset.objects.values_list("pk", flat=True))
    lifecycle.requeue(claimed)
    read(claimed)
    assert set(Asset.objects.values_list("pk", flat=True)) == known
    lifecycle.cancel_now(claimed)


def test_an_attempt_that_was_overtaken_makes_nothing(alice: User) -> None:
    stale, photos = read(submit(alice))
    job_parts.expire(stale)  # type: ignore[arg-type]
    claim(row(stale))  # type: ignore[arg-type]
    with pytest.raises(lifecycle.Fenced):
        work.make(stale, photos, {1: SHOWN}, lambda: None)
    assert not PortraitModel.objects.exists()


def test_the_lease_is_held_while_a_photo_is_slow(alice: User) -> None:
    ticks: list[bool] = []

    def slow() -> str:
        while len(ticks) < 3:
            pass
        return "here"

    assert work._patiently(slow, lambda: ticks.append(True)) == "here"


def test_who_must_stop_does_not_wait_for_a_slow_photo(alice: User) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        work._patiently(lambda: "never asked", stop)
