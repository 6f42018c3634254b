"""Every kind of generation: what it may ask for, what it costs, what is stored of it."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from accounts.models import User
from billing import ledger
from billing.plans import cost
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.engine.interface import AnimateCall, Clip, FaceScore, GenerateCall, GeneratedImage
from generator.jobs import calls, lifecycle, requests, services
from generator.jobs.models import Generation
from generator.portraits.models import PortraitModel
from generator.portraits.services import delete_portrait_model
from tests import job_parts
from tests.job_parts import assert_invariants, claim, png, refunds, row


@pytest.fixture
def ada(alice: User) -> PortraitModel:
    return job_parts.ready_model(alice)


@pytest.fixture
def byron(alice: User) -> PortraitModel:
    model = job_parts.ready_model(alice)
    PortraitModel.objects.filter(pk=model.pk).update(name="Byron")
    model.refresh_from_db()
    return model


def ask(user: User, kind: str = "image", prompt: str = "at the beach", **fields: Any) -> Generation:
    return services.submit_generation(user, id=uuid.uuid4(), kind=kind, prompt=prompt, **fields)


def drawn(user: User, model: PortraitModel, **fields: Any) -> Asset:
    """A finished picture of one person."""
    asked = claim(ask(user, people=[model], **fields))
    scores = tuple(FaceScore(88) for _ in asked.appearances.all())
    lifecycle.finish_generation(asked, [GeneratedImage(png(side=256), 7, scores)])
    return Asset.objects.get(generation=asked)


def clip() -> Clip:
    face = FaceScore(90, turned=0.4)
    return Clip(
        mp4=b"film", webm=b"another", poster=png("red"), seed=7, frames=72, fps=24, width=64,
        height=64, faces=(face,), worst=(FaceScore(61),), worst_frame=30, worst_picture=png(),
    )  # fmt: skip


# --- asking -----------------------------------------------------------------------------
def test_each_kind_asks_the_engine_for_what_its_row_says(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    source, style = drawn(alice, ada), drawn(alice, byron)
    image = calls.of_generation(
        ask(
            alice, prompt="@Ada and @Byron in red", aspect_ratio="16:9", quality="fine",
            style="noir-man", count=2, best_of=2, likeness_floor=60, style_picture=style,
        )
    )  # fmt: skip
    assert isinstance(image, GenerateCall) and len(image.adapters) == 2
    asked = image.request
    assert asked.prompt.startswith(f"[[{ada.pk}]] and [[{byron.pk}]] in red, in the city at night")
    assert (asked.aspect_ratio, asked.look, asked.size_px) == ("16:9", "noir", 1024)
    assert (asked.num_images, asked.best_of, asked.likeness_floor) == (2, 2, 60)
    assert asked.style_image and not asked.recognise
    edit = calls.of_generation(
        ask(alice, "edit", "in the snow", people=[ada, byron], source=source)
    )
    assert isinstance(edit, GenerateCall)
    assert edit.request.recognise and edit.request.image and edit.request.people_shown == 1
    enhance = calls.of_generation(ask(alice, "enhance", "", source=source, size_px=1024))
    assert isinstance(enhance, GenerateCall) and enhance.request.size_px == 1024
    video = calls.of_generation(ask(alice, "video", "", people=[ada], source=source, seconds=3))
    assert isinstance(video, AnimateCall)
    assert (video.request.seconds, video.request.fps) == (3.0, 24) and video.request.image
    for kind in ("restyle", "vary"):
        made = calls.of_generation(ask(alice, kind, "", source=source, style_picture=style))
        assert isinstance(made, GenerateCall) and made.request.kind == kind


@pytest.mark.parametrize(
    ("fields", "credits"),
    [
        ({"count": 3}, cost("image", 3)),
        ({"quality": "draft"}, cost("image", 1, quality="draft")),
        ({"count": 2, "best_of": 3}, cost("image", 6)),
        ({"kind": "video", "seconds": 4}, cost("video", seconds=4)),
    ],
)
def test_the_price_is_that_of_everything_drawn(
    fields: dict[str, Any], credits: int, alice: User, ada: PortraitModel
) -> None:
    before = ledger.balance(alice)
    assert ask(alice, people=[ada], **fields).charged == credits
    assert ledger.balance(alice) == before - credits


def test_kinds_from_a_picture_have_prices_of_their_own(alice: User, ada: PortraitModel) -> None:
    source = drawn(alice, ada)
    for kind, more, credits in (
        ("edit", {}, cost("edit")),
        ("vary", {"count": 4}, cost("image", 4)),
        ("restyle", {"style_picture": source}, cost("edit")),
        ("enhance", {"size_px": 512}, cost("enhance")),
    ):
        assert ask(alice, kind, "in the snow", source=source, **more).charged == credits


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "edit", "prompt": "in the snow"}, "source_missing"),
        ({"kind": "enhance", "prompt": ""}, "prompt_missing"),
        ({"prompt": ""}, "prompt_missing"),
        ({"kind": "video", "prompt": "x"}, "bad_seconds"),
        ({"kind": "video", "prompt": "x", "seconds": 60}, "bad_seconds"),
        ({"kind": "video", "prompt": "x", "seconds": 3, "count": 2}, "bad_count"),
        ({"aspect_ratio": "2:1"}, "bad_aspect_ratio"),
        ({"quality": "best"}, "bad_quality"),
        ({"style": "unknown"}, "bad_style"),
        ({"best_of": 9}, "bad_best_of"),
        ({"likeness_floor": 101}, "bad_floor"),
        ({"prompt": "[[1]]"}, "not_found"),
    ],
)
def test_a_bad_request_is_refused_and_costs_nothing(
    fields: dict[str, Any], code: str, alice: User
) -> None:
    before = ledger.balance(alice)
    with pytest.raises(Refusal) as refused:
        ask(alice, **fields)
    assert refused.value.code == code
    assert ledger.balance(alice) == before and not Generation.objects.exists()


def test_a_picture_to_start_from_is_the_persons_own_and_still_there(
    alice: User, bob: User, ada: PortraitModel
) -> None:
    source = drawn(alice, ada)
    Asset.objects.filter(pk=source.pk).update(is_public=True)
    with pytest.raises(Refusal, match="no such picture"):
        ask(bob, "edit", "in the snow", source=source)
    Asset.objects.filter(pk=source.pk).update(deleted_at=source.created_at)
    with pytest.raises(Refusal, match="no such picture"):
        ask(alice, "edit", "in the snow", source=source)


def test_a_clip_is_no_picture_to_start_from_and_shows_one_person(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    both = drawn(alice, ada, prompt="@Ada and @Byron")
    assert both.measures["people"] == 2
    with pytest.raises(Refusal, match="shows two"):
        ask(alice, "video", "", source=both, seconds=2)
    with pytest.raises(Refusal, match="at most one person"):
        ask(alice, "video", "@Ada and @Byron", seconds=2)
    moving = claim(ask(alice, "video", people=[ada], seconds=3))
    lifecycle.finish_clip(moving, clip())
    with pytest.raises(Refusal, match="clip cannot be used"):
        ask(alice, "edit", "in the snow", source=moving.assets.get())


def test_two_people_need_room_beside_each_other(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    with pytest.raises(Refusal, match="auto, 4:3 or 16:9"):
        ask(alice, prompt="@Ada and @Byron", aspect_ratio="9:16")
    with pytest.raises(Refusal, match="at most 2 people"):
        third = job_parts.ready_model(alice)
        ask(alice, people=[ada, byron, third])


def test_a_small_plan_draws_no_large_pictures(bob: User) -> None:
    for fields in ({"quality": "fine"}, {"kind": "enhance", "size_px": 1024}):
        source = Asset.objects.create(
            owner=bob, kind="image", file="x.png", width=9, height=9
        ) if "kind" in fields else None  # fmt: skip
        with pytest.raises(Refusal) as refused:
            ask(bob, **{"kind": "image", **fields}, source=source)
        assert (refused.value.code, refused.value.status) == ("max_px", 403)


def test_a_model_whose_owner_does_not_allow_it_is_not_there(
    alice: User, bob: User, ada: PortraitModel
) -> None:
    PortraitModel.objects.filter(pk=ada.pk).update(others_may_use=False)
    with pytest.raises(Refusal) as refused:
        ask(bob, people=[ada])
    assert refused.value.status == 404


# --- what comes of it --------------------------------------------------------------------
def test_a_picture_under_the_floor_is_given_and_not_charged(
    alice: User, ada: PortraitModel
) -> None:
    asked = claim(ask(alice, people=[ada], count=3, likeness_floor=60))
    made = [
        GeneratedImage(png(), 1, (FaceScore(80),)),
        GeneratedImage(png(), 2, (FaceScore(40),), below_floor=True),
    ]
    lifecycle.finish_generation(asked, made)  # and the third did not come out
    assert refunds(asked) == [cost("image", 2)]
    assert row(asked).uncharged == 2 and asked.assets.count() == 2
    assert_invariants()


def test_a_picture_keeps_who_is_in_it_and_how_alike(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    asked = claim(ask(alice, prompt="@Ada and @Byron"))
    scores = (FaceScore(82, (0.1, 0.2, 0.3, 0.4), turned=0.41), FaceScore(12, missing=True))
    lifecycle.finish_generation(asked, [GeneratedImage(png(), 1, scores)])
    kept = asked.assets.get()
    first, second = kept.measures["faces"]
    assert (first["model"], first["likeness"], first["turned"]) == (str(ada.pk), 82, 23)
    assert (second["model"], second["missing"]) == (str(byron.pk), True)
    assert kept.likeness == 12
    assert kept.color == "#008080"


def test_somebody_only_looked_for_is_not_said_to_be_missing(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    source = drawn(alice, ada)
    there, missing = FaceScore(82), FaceScore(3, missing=True)
    for prompt, scores, found in (
        ("in the snow", (there, missing), [ada]),
        ("@Byron in the snow", (missing, there), [byron, ada]),  # who is named comes first
    ):
        asked = claim(ask(alice, "edit", prompt, people=[ada, byron], source=source))
        lifecycle.finish_generation(asked, [GeneratedImage(png(), 1, scores)])
        faces = asked.assets.get().measures["faces"]
        assert [face["model"] for face in faces] == [str(model.pk) for model in found]


def test_a_clip_is_stored_with_its_poster_its_other_format_and_its_worst_frame(
    alice: User, ada: PortraitModel, alice_client: Client, charlie_client: Client,
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    asked = claim(ask(alice, "video", people=[ada], seconds=3))
    lifecycle.finish_clip(asked, clip())
    kept = asked.assets.get()
    assert (kept.kind, kept.likeness, kept.color) == ("video", 90, "#ff0000")
    assert kept.measures["worst"][0]["likeness"] == 61 and kept.measures["seconds"] == 3
    address = f"/media/{kept.id}/"
    for query, content_type, body in (
        ("", "video/mp4", b"film"),
        ("?format=webm", "video/webm", b"another"),
        ("?size=512", "image/webp", None),
        ("?size=worst", "image/webp", None),
    ):
        answer = alice_client.get(address + query)
        assert (answer.status_code, answer["Content-Type"]) == (200, content_type)
        assert body is None or answer.content == body
        assert charlie_client.get(address + query).status_code == 404
    assert_invariants()
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_generation(row(asked))
    assert_invariants()


def test_a_drawn_picture_says_that_a_machine_made_it(alice: User, ada: PortraitModel) -> None:
    first = drawn(alice, ada)
    with first.file.open("rb") as file, Image.open(io.BytesIO(file.read())) as picture:
        assert "trainedAlgorithmicMedia" in picture.info["XML:com.adobe.xmp"]
        assert "compositeWith" not in picture.info["XML:com.adobe.xmp"]
        assert picture.tobytes() == Image.open(io.BytesIO(png(side=256))).convert("RGB").tobytes()
    second = drawn(alice, ada, kind="edit", source=first)
    with second.file.open("rb") as file, Image.open(io.BytesIO(file.read())) as picture:
        assert "compositeWithTrained" in picture.info["XML:com.adobe.xmp"]


# --- again ---------------------------------------------------------------------------------
def test_recreating_asks_for_the_very_same(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    style = drawn(alice, byron)
    first = ask(
        alice, prompt="@Ada and @Byron in red", negative_prompt="hats", aspect_ratio="4:3",
        quality="draft", style="cafe-woman", count=2, best_of=2, likeness_floor=50, seed=99,
        style_picture=style, pose=style,
    )  # fmt: skip
    again = services.recreate(first, id=uuid.uuid4())
    assert vars(calls.of_generation(again)) == vars(calls.of_generation(first))
    assert again.charged == first.charged and again.pk != first.pk


def test_recreating_one_picture_draws_its_own_seed_alone(alice: User, ada: PortraitModel) -> None:
    asked = claim(ask(alice, people=[ada], count=2, best_of=3, likeness_floor=90))
    made = [GeneratedImage(png(), seed, (FaceScore(80),)) for seed in (11, 5_000)]
    lifecycle.finish_generation(asked, made)
    picture = asked.assets.get(index=1)
    again = services.recreate(asked, id=uuid.uuid4(), picture=picture)
    assert (again.seed, again.count, again.best_of, again.likeness_floor) == (5_000, 1, 1, 0)
    assert again.charged == cost("image")


def test_what_was_made_of_a_deleted_picture_cannot_be_made_again(
    alice: User, ada: PortraitModel
) -> None:
    source = drawn(alice, ada)
    made = ask(alice, "edit", "in the snow", source=source)
    source.delete()
    made.refresh_from_db()
    with pytest.raises(Refusal) as refused:
        services.recreate(made, id=uuid.uuid4())
    assert refused.value.code == "source_gone"


# --- leaving nothing behind ------------------------------------------------------------------
def test_deleting_a_model_takes_every_picture_it_is_in(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    both, alone = drawn(alice, ada, prompt="@Ada and @Byron"), drawn(alice, ada)
    waiting = ask(alice, prompt="@Ada and @Byron")
    delete_portrait_model(byron)
    assert not Asset.objects.filter(pk=both.pk).exists()
    assert not Generation.objects.filter(pk__in=[both.generation_id, waiting.pk]).exists()
    assert Asset.objects.filter(pk=alone.pk).exists()


def test_an_upload_is_kept_as_long_as_something_was_made_of_it(
    alice: User, ada: PortraitModel
) -> None:
    source = drawn(alice, ada)
    Asset.objects.filter(pk=source.pk).update(kind="upload", expires_at=source.created_at)
    first, second = (ask(alice, "edit", "in the snow", source=source) for _ in range(2))
    source.refresh_from_db()
    assert source.expires_at is None
    services.delete_generation(first)
    source.refresh_from_db()
    assert source.expires_at is None
    services.delete_generation(second)
    source.refresh_from_db()
    assert source.expires_at is not None


def test_a_plan_without_advanced_settings_has_no_poses(bob: User) -> None:
    pose = Asset.objects.create(owner=bob, kind="upload", file="x.png", width=9, height=9)
    with pytest.raises(Refusal) as refused:
        ask(bob, pose=pose)
    assert refused.value.code == "advanced_settings"


def test_every_kind_has_a_price() -> None:
    for kind in Generation.Kind:
        assert requests.price(kind, seconds=2) > 0
