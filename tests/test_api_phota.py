"""Phota's shape: each row of what is known of it, and each sentence of its guide on profiles."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import threading
import uuid
from typing import Any

import pytest
from django.db import connection
from PIL import Image
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.plans import cost
from generator.api.phota import callbacks
from generator.api.phota.models import Callback
from generator.assets.models import Asset
from generator.engine.interface import FaceScore, GeneratedImage
from generator.jobs import lifecycle
from generator.jobs.models import Generation
from generator.photos.models import PhotoSet
from generator.portraits.models import PortraitModel
from generator.webhooks.models import Delivery
from tests import photo_parts, pictures
from tests.api_parts import Program, program
from tests.job_parts import claim, finish, png, portrait_model, ready_model, submit

pytestmark = pytest.mark.django_db
ASYNC = {"async": True, "response_mode": "urls"}


@pytest.fixture
def ask(alice: User) -> Program:
    return program(alice, base="/v1/phota")


@pytest.fixture
def ada(alice: User) -> PortraitModel:
    return ready_model(alice)


def photo() -> str:
    return base64.b64encode(pictures.encoded(pictures.scene((640, 640)), "PNG")).decode()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def drawn(job_id: str, count: int = 1) -> None:
    """As a worker ends it: Ada is in every picture but the last."""
    asked = claim(Generation.objects.get(pk=job_id))
    people = asked.appearances.count()
    images = [GeneratedImage(png(), seed, (FaceScore(88),) * people) for seed in range(count)]
    lifecycle.finish_generation(asked, images)


# --- errors ------------------------------------------------------------------------------------
def test_a_missing_header_is_403_and_a_wrong_key_401(alice: User) -> None:
    assert code(Program("", base="/v1/phota")("get", "/profiles/ids")) == (403, "KEY_MISSING")
    answer = Program("lk_x", base="/v1/phota")("get", "/profiles/ids")
    assert code(answer) == (401, "KEY_INVALID")
    assert answer.json()["request_id"] == answer["X-Request-Id"]


def test_values_of_the_wrong_shape_are_a_list_of_what_is_wrong(ask: Program) -> None:
    answer = ask("post", "/generate", {"num_output_images": 9})
    assert answer.status_code == 422
    (wrong,) = answer.json()["detail"]
    assert wrong["loc"][-1] == "num_output_images" and {"msg", "type"} <= set(wrong)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"base_model": "midjourney"}, (400, "INVALID_BASE_MODEL")),
        ({"base_model": "reve", "resolution": "2K"}, (400, "INVALID_RESOLUTION")),
        ({"resolution": "4K"}, (400, "INVALID_RESOLUTION")),
        ({"quality": "high"}, (400, "INVALID_QUALITY")),
        ({"async": True}, (400, "INVALID_REQUEST")),
        ({"callback_url": "https://example.com/"}, (400, "INVALID_REQUEST")),
        ({"prompt": "[[abc123]]"}, (404, "PROFILE_NOT_FOUND")),
        ({"prompt": ""}, (400, "PROMPT_MISSING")),
    ],
)
def test_what_cannot_be_is_400_or_404(
    change: dict[str, Any], wanted: tuple[int, str], ask: Program
) -> None:
    assert code(ask("post", "/generate", {"prompt": "a garden", **change})) == wanted
    assert not Generation.objects.exists()


def test_no_credits_are_402(bob: User) -> None:
    model = ready_model(bob)
    asked = program(bob, base="/v1/phota")
    body = {"prompt": f"[[{model.pk}]] at the beach", "num_output_images": 4, **ASYNC}
    answers = [asked("post", "/generate", body) for _ in range(6)]
    assert code(answers[-1])[0] == 402 and code(answers[-1])[1] == "INSUFFICIENT_CREDITS"


# --- profiles ----------------------------------------------------------------------------------
def test_a_profile_is_added_watched_listed_and_deleted(alice: User, ask: Program) -> None:
    assert ask("get", "/profiles/ids").json() == {"profiles": []}
    answer = ask("post", "/profiles/add", {"image_urls": [photo()], "tag": "customer 7"})
    assert answer.status_code == 200, answer.content
    id = answer.json()["profile_id"]
    status = ask("get", f"/profiles/{id}/status").json()
    assert (status["profile_id"], status["status"]) == (id, "VALIDATING") and status["message"]
    assert ask("get", "/profiles/ids").json() == {"profiles": [id]}
    assert ask("delete", f"/profiles/{id}").json() == {"profile_id": id, "status": "ok"}
    assert code(ask("get", f"/profiles/{id}/status")) == (404, "PROFILE_NOT_FOUND")
    assert not PhotoSet.objects.exists()


@pytest.mark.parametrize(
    ("images", "tier", "status"),
    [(1, None, 200), (3, None, 200), (4, "fast", 422), (6, "standard", 422), (51, None, 422)],
)
def test_tiers_want_their_number_of_photos(
    images: int, tier: str | None, status: int, ask: Program
) -> None:
    body = {"image_urls": [photo()] * images, "training_tier": tier}
    assert ask("post", "/profiles/add", body).status_code in {status, 400 if status == 422 else 0}


def test_a_ready_profile_has_a_picture(ask: Program, ada: PortraitModel) -> None:
    assert ask("get", f"/profiles/{ada.pk}/status").json()["status"] == "READY"
    answer = ask("get", f"/profiles/{ada.pk}/profile_picture")
    assert answer["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
    assert ask("delete", f"/profiles/{ada.pk}").status_code == 200
    assert not PortraitModel.objects.exists()


def test_a_profile_that_is_not_ready_is_400(alice: User, ask: Program) -> None:
    model = portrait_model(alice)
    answer = ask("post", "/generate", {"prompt": f"[[{model.pk}]]", **ASYNC})
    assert code(answer) == (400, "PROFILE_NOT_READY")


# --- pictures ----------------------------------------------------------------------------------
def test_generate_names_profiles_in_the_prompt_and_counts_who_is_found(
    alice: User, ask: Program, ada: PortraitModel
) -> None:
    before = ledger.balance(alice)
    body = {"prompt": f"A photo of [[{ada.pk}]] at a dinner party", "num_output_images": 2, **ASYNC}
    answer = ask("post", "/generate", body)
    assert answer.status_code == 202
    handle = answer.json()
    assert handle["poll_url"].endswith(f"/v1/phota/jobs/{handle['job_id']}")
    assert ledger.balance(alice) == before - 2 * cost("image")
    waiting = ask("get", f"/jobs/{handle['job_id']}").json()
    assert (waiting["status"], waiting["result"]) == ("queued", None)
    drawn(handle["job_id"], 2)
    over = ask("get", f"/jobs/{handle['job_id']}").json()
    assert over["status"] == "succeeded"
    assert over["result"]["known_subjects"]["counts"] == {str(ada.pk): 2}
    assert len(over["result"]["download_urls"]) == 2 and over["result"]["images"] == []
    for url in over["result"]["download_urls"]:
        assert Program("", base="")("get", url[url.index("/media/") :]).status_code == 200


def test_somebody_who_is_missing_is_not_counted(
    alice: User, ask: Program, ada: PortraitModel
) -> None:
    body = {"prompt": f"[[{ada.pk}]] at the beach", **ASYNC}
    id = ask("post", "/generate", body).json()["job_id"]
    asked = claim(Generation.objects.get(pk=id))
    lifecycle.finish_generation(asked, [GeneratedImage(png(), 1, (FaceScore(5, missing=True),))])
    assert ask("get", f"/jobs/{id}").json()["result"]["known_subjects"]["counts"] == {}


def test_an_edit_merges_profile_ids_with_those_in_the_prompt(
    alice: User, ask: Program, ada: PortraitModel
) -> None:
    other = ready_model(alice)
    body = {
        "prompt": f"Add [[{other.pk}]] to the photo", "images": [photo()],
        "profile_ids": [str(ada.pk), str(other.pk)], **ASYNC,
    }  # fmt: skip
    id = ask("post", "/edit", body).json()["job_id"]
    shows = Generation.objects.get(pk=id).appearances.values_list("portrait_model_id", flat=True)
    assert set(shows) == {ada.pk, other.pk}


def test_enhance_and_remix_start_from_pictures(
    alice: User, ask: Program, ada: PortraitModel
) -> None:
    own = str(
        Asset.objects.get(generation=finish(submit(alice, kind="image", portrait_model=ada))).pk
    )
    answer = ask("post", "/enhance", {"image": own, "profile_ids": [str(ada.pk)], **ASYNC})
    assert Generation.objects.get(pk=answer.json()["job_id"]).kind == "enhance"
    answer = ask("post", "/remix", {"input_image": own, "reference_image": own, **ASYNC})
    assert Generation.objects.get(pk=answer.json()["job_id"]).kind == "restyle"
    assert code(ask("post", "/enhance", {"image": own, "num_output_images": 2}))[0] == 400


def test_an_edit_takes_one_further_image_that_the_prompt_points_at(ask: Program) -> None:
    images = [
        base64.b64encode(pictures.encoded(pictures.scene((640, 640 + number)), "PNG")).decode()
        for number in range(4)
    ]
    body = {"prompt": "in the clothes of image 3", "images": images, **ASYNC}
    told = ask("post", "/edit", body).json()
    made = Generation.objects.get(pk=told["job_id"])
    assert made.style_picture is not None and made.style_picture.height == 642
    (warning,) = told["warnings"]
    assert warning.startswith("Not used: image 2, 4.")
    told = ask("post", "/edit", {**body, "prompt": "Make it snow"}).json()
    assert Generation.objects.get(pk=told["job_id"]).style_picture is None
    assert told["warnings"][0].startswith("Not used: image 2, 3, 4.")
    told = ask("post", "/edit", {**body, "images": images[:1]}).json()
    assert told["warnings"] == []
    broken = {**body, "images": [images[0], images[1], "nothing"]}
    assert code(ask("post", "/edit", broken)) == (400, "INVALID_IMAGE")


def test_the_same_client_request_id_is_the_same_job(
    alice: User, ask: Program, ada: PortraitModel
) -> None:
    before = ledger.balance(alice)
    body = {"prompt": f"[[{ada.pk}]]", "client_request_id": "order 7", **ASYNC}
    ids = {ask("post", "/generate", body).json()["job_id"] for _ in range(2)}
    assert len(ids) == 1 and ledger.balance(alice) == before - cost("image")


@pytest.mark.django_db(transaction=True)
def test_a_synchronous_answer_carries_the_bytes(
    alice: User, ask: Program, ada: PortraitModel, settings: Settings
) -> None:
    def work() -> None:
        while not (asked := Generation.objects.filter(state="queued").first()):
            threading.Event().wait(0.05)
        drawn(str(asked.pk))
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    body = {"prompt": f"[[{ada.pk}]] at the beach", "output_format": "jpg"}
    body |= {"client_request_id": "order 7"}
    answer = ask("post", "/generate", body)
    worker.join()
    assert answer.status_code == 200, answer.content
    told = answer.json()
    (image,) = told["images"]
    assert Image.open(io.BytesIO(base64.b64decode(image))).format == "JPEG"
    assert told["download_urls"] == [] and told["known_subjects"]["counts"] == {str(ada.pk): 1}
    settings.API_WAIT_S = 0  # what is charged is handed out, however late it is
    assert ask("post", "/generate", body).json() == told


def test_whoever_waits_too_long_pays_nothing(
    alice: User, ask: Program, ada: PortraitModel, settings: Settings
) -> None:
    settings.API_WAIT_S = 0.3
    before = ledger.balance(alice)
    answer = ask("post", "/generate", {"prompt": f"[[{ada.pk}]] at the beach"})
    assert code(answer) == (504, "TIMEOUT")
    assert ledger.balance(alice) == before
    assert Generation.objects.get().state == "canceled"


def test_a_callback_is_queued_once_and_signed(
    alice: User, ask: Program, ada: PortraitModel, settings: Settings
) -> None:
    settings.FETCH_ALLOW = ["127.0.0.1:9"]
    body = {"prompt": f"[[{ada.pk}]]", "callback_url": "http://127.0.0.1:9/done", **ASYNC}
    id = ask("post", "/generate", body).json()["job_id"]
    assert callbacks.tell() == 0
    drawn(id)
    assert (callbacks.tell(), callbacks.tell()) == (1, 0)
    sent = Delivery.objects.get()
    told = json.loads(sent.body)
    assert (told["job_id"], told["status"]) == (id, "succeeded") and told["result"]["download_urls"]
    assert Callback.objects.get(generation_id=id).told_at
    secret = ask("get", "/webhook-secret").json()["secret"]
    assert sent.signature_header == "X-Phota-Signature"
    assert hmac.new(secret.encode(), b"1." + sent.body.encode(), hashlib.sha256).hexdigest()


def test_a_callback_to_an_inner_address_is_refused_at_once(
    ask: Program, ada: PortraitModel
) -> None:
    body = {"prompt": f"[[{ada.pk}]]", "callback_url": "http://169.254.169.254/", **ASYNC}
    assert ask("post", "/generate", body).status_code == 400
    assert not Generation.objects.exists()


def test_a_trial_run_charges_nothing(alice: User, ask: Program, ada: PortraitModel) -> None:
    before = ledger.balance(alice)
    answer = ask("post", "/generate", {"prompt": f"[[{ada.pk}]]"}, X_Dry_Run="1")
    assert answer.status_code == 200 and ledger.balance(alice) == before
    assert not Generation.objects.exists()
    answer = ask("post", "/profiles/add", {"image_urls": [photo()]}, X_Dry_Run="1")
    assert answer.json()["profile_id"] and not PhotoSet.objects.exists()


def test_another_persons_profile_is_like_none(bob: User, ask: Program) -> None:
    theirs = ready_model(bob)
    for id in (theirs.pk, uuid.uuid4(), "abc123"):
        for method, path in (("get", "status"), ("get", "profile_picture"), ("delete", "")):
            answer = ask(method, f"/profiles/{id}/{path}".rstrip("/"))
            assert code(answer) == (404, "PROFILE_NOT_FOUND"), path
        answer = ask("post", "/generate", {"prompt": f"[[{id}]]", **ASYNC})
        assert code(answer) == (404, "PROFILE_NOT_FOUND")
    assert PortraitModel.objects.filter(pk=theirs.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_a_key_that_may_not_spend_trains_no_profile(alice: User) -> None:
    asked = program(alice, base="/v1/phota", spend_limit=cost("training"))
    id = asked("post", "/profiles/add", {"image_urls": [photo()]}).json()["profile_id"]
    photo_parts.made(PhotoSet.objects.get(pk=id))
    assert ledger.spent(alice.api_keys.get()) == cost("training")
    answer = asked("post", "/profiles/add", {"image_urls": [photo()]})
    assert code(answer) == (402, "INSUFFICIENT_CREDITS")
