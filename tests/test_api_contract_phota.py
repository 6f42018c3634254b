"""Phota's contract, row by row, with a program's requests to a running studio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests import contract_parts as parts
from tests import pictures
from tests.contract_parts import Account, encoded, opened, refused

pytestmark = [pytest.mark.live, pytest.mark.engine, pytest.mark.timeout(900)]
STATUSES = {"VALIDATING", "QUEUING", "IN_PROGRESS", "READY", "ERROR", "INACTIVE"}
JOB_STATUSES = {"queued", "running", "succeeded", "failed", "canceled"}  # ours
LATER = {"async": True, "response_mode": "urls"}
PHOTO = encoded(parts.PHOTO)
NOBODY = encoded(pictures.encoded(pictures.scene((640, 640)), "PNG"))
UNKNOWN = "abc123"
account = parts.account
ask = parts.asking("/v1/phota", "X-API-Key")


@dataclass(frozen=True)
class Profile:
    id: str
    ids_before: Any
    added: Any
    said: list[Any]  # every status until it was READY


@pytest.fixture(scope="module")
def ada(account: Account, ask: httpx.Client) -> Profile:
    """Added by URL, as the guide does it, and polled until READY."""
    before = ask.get("/profiles/ids").json()
    body = {"image_urls": [account.address_of(parts.PHOTO)], "tag": "customer 7"}
    added = ask.post("/profiles/add", json=body)
    assert added.status_code == 200, added.text
    id = added.json()["profile_id"]
    said: list[Any] = []
    parts.polled(lambda: status(ask, id), is_settled, "the profile", said)
    assert said[-1]["status"] == "READY", said[-1]
    return Profile(id, before, added.json(), said)


@pytest.fixture(scope="module")
def drawn(ask: httpx.Client, ada: Profile) -> Any:
    """Two variations of her, as bytes: every field but the prompt and the number left out."""
    prompt = f"A photo of [[{ada.id}]] at a dinner party"
    answer = ask.post("/generate", json={"prompt": prompt, "num_output_images": 2})
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(ask: httpx.Client, id: str) -> Any:
    answer = ask.get(f"/profiles/{id}/status")
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_settled(told: Any) -> bool:
    return told["status"] in ("READY", "ERROR", "INACTIVE")


def job(ask: httpx.Client, id: str) -> Any:
    answer = ask.get(f"/jobs/{id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def finished(ask: httpx.Client, handle: httpx.Response) -> Any:
    """The result of a job that was accepted."""
    assert handle.status_code == 202, handle.text
    id = handle.json()["job_id"]
    over = parts.polled(
        lambda: job(ask, id), lambda told: told["status"] not in ("queued", "running"), "the job"
    )
    assert over["status"] == "succeeded", over
    return over["result"]


# --- POST /profiles/add ------------------------------------------------------------------------
def test_adding_gives_the_id_at_once_and_trains_afterwards(ada: Profile) -> None:
    assert ada.added == {"profile_id": ada.id}
    assert ada.said[0]["status"] != "READY"


# --- GET /profiles/ids, /status, /profile_picture, DELETE --------------------------------------
def test_ids_are_empty_first_and_then_hold_the_profile(ask: httpx.Client, ada: Profile) -> None:
    assert ada.ids_before == {"profiles": []}
    told = ask.get("/profiles/ids").json()
    assert set(told) == {"profiles"} and ada.id in told["profiles"]


def test_a_status_has_three_fields_and_one_of_six_words(ada: Profile) -> None:
    for said in ada.said:
        assert set(said) == {"profile_id", "status", "message"}
        assert said["profile_id"] == ada.id and said["status"] in STATUSES and said["message"]
    order = ["VALIDATING", "QUEUING", "IN_PROGRESS", "READY"]
    places = [order.index(said["status"]) for said in ada.said]
    assert places == sorted(places)


def test_photos_without_a_face_are_an_error_whose_message_helps(ask: httpx.Client) -> None:
    id = ask.post("/profiles/add", json={"image_urls": [NOBODY]}).json()["profile_id"]
    told = parts.polled(lambda: status(ask, id), is_settled, "the photos")
    assert told["status"] == "ERROR" and "face" in told["message"]
    assert refused(ask.post("/generate", json={"prompt": f"[[{id}]]"}), 404)
    assert ask.delete(f"/profiles/{id}").json() == {"profile_id": id, "status": "ok"}


def test_a_profile_picture_is_jpeg_bytes(ask: httpx.Client, ada: Profile) -> None:
    answer = ask.get(f"/profiles/{ada.id}/profile_picture")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "image/jpeg"
    assert opened(answer.content).format == "JPEG"


def test_a_deleted_profile_is_gone_for_good(ask: httpx.Client) -> None:
    id = ask.post("/profiles/add", json={"image_urls": [PHOTO]}).json()["profile_id"]
    parts.polled(lambda: status(ask, id), lambda told: told["status"] != "VALIDATING", "the photos")
    early = ask.post("/generate", json={"prompt": f"[[{id}]]"})
    assert early.status_code == 200 or refused(early, 400) == "PROFILE_NOT_READY"
    assert ask.delete(f"/profiles/{id}").json() == {"profile_id": id, "status": "ok"}
    for method, path in (("GET", "/status"), ("GET", "/profile_picture"), ("DELETE", "")):
        gone = ask.request(method, f"/profiles/{id}{path}")
        assert refused(gone, 404) == "PROFILE_NOT_FOUND"
    assert id not in ask.get("/profiles/ids").json()["profiles"]
    assert refused(ask.post("/generate", json={"prompt": f"[[{id}]]"}), 404)


# --- POST /generate ----------------------------------------------------------------------------
def test_the_default_answer_is_png_in_base64(drawn: Any) -> None:
    assert {"images", "download_urls", "known_subjects"} <= set(drawn)
    assert len(drawn["images"]) == 2 and drawn["download_urls"] == []
    assert {opened(one).format for one in drawn["images"]} == {"PNG"}


def test_subjects_are_counted_over_all_variations(drawn: Any, ada: Profile) -> None:
    counts = drawn["known_subjects"]["counts"]
    assert set(drawn["known_subjects"]) == {"counts"} and counts == {ada.id: 2}


def test_the_mode_urls_gives_addresses_of_pictures(ask: httpx.Client, ada: Profile) -> None:
    body = {
        "prompt": f"[[{ada.id}]] at the beach", "aspect_ratio": "16:9", "output_format": "jpg",
        "response_mode": "urls",
    }  # fmt: skip
    told = ask.post("/generate", json=body).json()
    assert told["images"] == [] and told["known_subjects"]["counts"] == {ada.id: 1}
    (picture,) = map(opened, told["download_urls"])
    assert picture.format == "JPEG" and picture.width > picture.height


def test_nobody_is_known_who_was_not_named(ask: httpx.Client, ada: Profile) -> None:
    body = {"prompt": "a woman in a garden", "profile_ids": [ada.id], "images": [PHOTO]}
    told = ask.post("/generate", json=body).json()  # it has neither of these fields
    assert len(told["images"]) == 1 and told["known_subjects"]["counts"] == {}


# --- POST /edit, /enhance, /remix ---------------------------------------------------------------
def test_an_edit_takes_base64_and_keeps_who_is_in_it(
    ask: httpx.Client, ada: Profile, drawn: Any
) -> None:
    body = {"prompt": "Make it snow", "images": drawn["images"][:1], "profile_ids": [ada.id]}
    told = ask.post("/edit", json=body)
    assert told.status_code == 200, told.text
    assert len(told.json()["images"]) == 1
    assert told.json()["known_subjects"]["counts"] == {ada.id: 1}


def test_an_edit_takes_addresses_and_merges_those_named_with_profile_ids(
    ask: httpx.Client, account: Account, ada: Profile
) -> None:
    source = account.address_of(parts.PHOTO)
    named = {"prompt": f"[[{ada.id}]] in the snow", "images": [source]}
    told = finished(ask, ask.post("/edit", json={**named, "profile_ids": [ada.id], **LATER}))
    assert told["known_subjects"]["counts"] == {ada.id: 1}  # once, though named twice
    # either list alone decides whether everybody is known
    for change in ({"profile_ids": [UNKNOWN]}, {"prompt": f"Add [[{UNKNOWN}]]"}):
        answer = ask.post("/edit", json={**named, "profile_ids": [ada.id], **change})
        assert refused(answer, 404) == "PROFILE_NOT_FOUND"


def test_an_edit_of_several_images_is_one_picture_and_says_what_it_did_not_use(
    ask: httpx.Client, ada: Profile, drawn: Any
) -> None:
    images = [*drawn["images"], drawn["images"][0]]
    body = {"prompt": "in the clothes of image 2", "images": images, "profile_ids": [ada.id]}
    told = ask.post("/edit", json=body).json()
    assert len(told["images"]) == 1 and told["known_subjects"]["counts"] == {ada.id: 1}
    assert [one[:17] for one in told["warnings"]] == ["Not used: image 3"]


def test_enhance_makes_one_picture_larger(ask: httpx.Client, ada: Profile, drawn: Any) -> None:
    image = drawn["images"][0]
    told = ask.post("/enhance", json={"image": image, "profile_ids": [ada.id]}).json()
    (larger,) = map(opened, told["images"])
    assert larger.width > opened(image).width
    assert told["known_subjects"]["counts"] == {ada.id: 1}
    assert refused(ask.post("/enhance", json={}), 422)


def test_remix_draws_one_picture_in_anothers_style(
    ask: httpx.Client, ada: Profile, drawn: Any
) -> None:
    body = {
        "input_image": drawn["images"][0], "reference_image": drawn["images"][1],
        "profile_ids": [ada.id], **LATER,
    }  # fmt: skip
    told = finished(ask, ask.post("/remix", json=body))
    assert len(told["download_urls"]) == 1 and opened(told["download_urls"][0]).width >= 512
    assert set(told["known_subjects"]["counts"]) <= {ada.id}
    assert refused(ask.post("/remix", json={"input_image": PHOTO}), 422)


# --- async ---------------------------------------------------------------------------------------
def test_an_async_request_is_a_handle_and_then_a_job(ask: httpx.Client, ada: Profile) -> None:
    answer = ask.post("/generate", json={"prompt": f"[[{ada.id}]] at the beach", **LATER})
    handle = answer.json()
    assert answer.status_code == 202 and set(handle) == {"job_id", "poll_url", "status"}
    asked = httpx.get(handle["poll_url"], headers=dict(ask.headers)).json()
    assert asked["job_id"] == handle["job_id"] and asked["status"] in JOB_STATUSES
    result = finished(ask, answer)
    assert result["images"] == [] and result["known_subjects"]["counts"] == {ada.id: 1}
    assert opened(result["download_urls"][0]).format == "PNG"
    assert refused(ask.get(f"/jobs/{UNKNOWN}"), 404) == "JOB_NOT_FOUND"


def test_the_same_client_request_id_is_the_first_job_charged_once(
    ask: httpx.Client, account: Account, ada: Profile
) -> None:
    before = account.balance()
    body = {"prompt": f"[[{ada.id}]]", "client_request_id": "order 7", **LATER}
    first, second = (ask.post("/generate", json=body).json()["job_id"] for _ in range(2))
    assert first == second
    assert account.balance() == before - account.cost(kind="image")
    other = ask.post("/generate", json={**body, "num_output_images": 2})
    assert refused(other, 409) == "IDEMPOTENCY_CONFLICT"
    other = ask.post("/generate", json={**body, "client_request_id": "order 8"})
    assert finished(ask, other) and other.json()["job_id"] != first


def test_there_is_one_webhook_secret(ask: httpx.Client) -> None:
    first, second = (ask.get("/webhook-secret").json() for _ in range(2))
    assert set(first) == {"secret"} and len(first["secret"]) > 30 and first == second
