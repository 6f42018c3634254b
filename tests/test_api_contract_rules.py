"""The rules of Phota's contract: enums, defaults, errors, formats. Nothing is trained for them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests import contract_parts as parts
from tests import pictures
from tests.contract_parts import Account, encoded, refused

pytestmark = [pytest.mark.live, pytest.mark.engine, pytest.mark.timeout(900)]
DRY = {"X-Dry-Run": "1"}  # everything is looked at, nothing is made
LATER = {"async": True, "response_mode": "urls"}
PHOTO = encoded(parts.PHOTO)
UNKNOWN = "abc123"
account = parts.account
ask = parts.asking("/v1/phota", "X-API-Key")


# --- how many photos -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("tier", "count"),
    [
        (None, 1), (None, 4), (None, 5), (None, 9), (None, 10), (None, 50), ("instant", 1),
        ("instant", 4), ("fast", 5), ("fast", 10), ("standard", 10), ("standard", 50),
    ],
)  # fmt: skip
def test_a_tier_takes_its_number_of_photos(tier: str | None, count: int, ask: httpx.Client) -> None:
    body = {"image_urls": ["https://1.1.1.1/photo.jpg"] * count, "training_tier": tier}
    answer = ask.post("/profiles/add", json=body, headers=DRY)
    assert answer.status_code == 200 and set(answer.json()) == {"profile_id"}, answer.text


@pytest.mark.parametrize(
    ("tier", "count"), [("fast", 4), ("fast", 11), ("standard", 9), ("standard", 1)]
)
def test_too_few_and_too_many_photos_of_a_tier_are_400(
    tier: str, count: int, ask: httpx.Client
) -> None:
    body = {"image_urls": [PHOTO] * count, "training_tier": tier}
    answer = ask.post("/profiles/add", json=body)
    assert refused(answer, 400) == "BAD_IMAGES"
    assert tier in answer.json()["detail"] and f"{count} came" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"image_urls": []}, {"image_urls": ["x"] * 51}, {"image_urls": "x"},
        {"image_urls": ["x"], "training_tier": "slow"}, {"image_urls": ["x"], "tag": ""},
        {"image_urls": ["x"], "tag": "x" * 129},
    ],
    ids=str,
)  # fmt: skip
def test_a_profile_of_the_wrong_shape_is_422(body: Any, ask: httpx.Client) -> None:
    answer = ask.post("/profiles/add", json=body)
    assert refused(answer, 422) == "INVALID_REQUEST"
    for wrong in answer.json()["detail"]:
        assert {"loc", "msg", "type"} <= set(wrong)


def test_a_tag_has_up_to_128_characters(ask: httpx.Client) -> None:
    body = {"image_urls": [PHOTO], "tag": "x" * 128}
    assert ask.post("/profiles/add", json=body, headers=DRY).status_code == 200


@pytest.mark.parametrize("count", [0, 11])
def test_an_edit_takes_1_to_10_images(count: int, ask: httpx.Client) -> None:
    body = {"prompt": "Make it snow", "images": ["x"] * count}
    assert refused(ask.post("/edit", json=body), 422)


# --- enums and defaults ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "field",
    [{"aspect_ratio": one} for one in ("auto", "1:1", "3:4", "4:3", "9:16", "16:9")]
    + [{"resolution": one} for one in ("1K", "2K")]
    + [{"base_model": "nb2", "resolution": one} for one in ("1K", "2K")]
    + [{"base_model": "gpt-image-2", "resolution": one} for one in ("1K", "2K")]
    + [{"base_model": "qwen-image-2", "resolution": one} for one in ("1K", "2K")]
    + [{"base_model": "flux-2", "resolution": one} for one in ("1K", "2K")]
    + [{"base_model": "reve", "resolution": "1K"}]
    + [{"base_model": "gpt-image-2", "quality": q} for q in ("auto", "low", "medium", "high")]
    + [{"output_format": one} for one in ("png", "jpg")]
    + [{"response_mode": one} for one in ("bytes", "urls")]
    + [{"num_output_images": one} for one in (1, 2, 3, 4)],
    ids=str,
)
def test_every_word_of_an_enum_is_taken(field: Any, ask: httpx.Client) -> None:
    answer = ask.post("/generate", json={"prompt": "a garden", **field}, headers=DRY)
    assert answer.status_code == 200, answer.text


def test_an_edit_takes_every_field_of_generate(ask: httpx.Client) -> None:
    body = {
        "prompt": "Make it snow", "images": [PHOTO], "num_output_images": 4, "quality": "high",
        "aspect_ratio": "16:9", "resolution": "2K", "base_model": "gpt-image-2",
        "output_format": "jpg", "response_mode": "urls",
    }  # fmt: skip
    assert ask.post("/edit", json=body, headers=DRY).status_code == 200


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ({"base_model": "midjourney"}, "INVALID_BASE_MODEL"),
        ({"base_model": "qwen-image-2", "resolution": "4K"}, "INVALID_RESOLUTION"),
        ({"base_model": "flux-2", "resolution": "4K"}, "INVALID_RESOLUTION"),
        ({"base_model": "reve", "resolution": "2K"}, "INVALID_RESOLUTION"),
        ({"resolution": "4K"}, "INVALID_RESOLUTION"),  # ours: the engine has none
        ({"quality": "high"}, "INVALID_QUALITY"),
        ({"base_model": "flux-2", "quality": "auto"}, "INVALID_QUALITY"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/generate", "/edit"])
def test_what_a_base_model_has_not_is_400(
    path: str, field: Any, wanted: str, ask: httpx.Client
) -> None:
    body = {"prompt": "a garden", "images": [PHOTO], **field}
    assert refused(ask.post(path, json=body), 400) == wanted


@pytest.mark.parametrize(
    "field",
    [
        {"aspect_ratio": "2:1"}, {"resolution": "8K"}, {"output_format": "webp"}, {"quality": "x"},
        {"response_mode": "stream"}, {"num_output_images": 0}, {"num_output_images": 5},
    ],
    ids=str,
)  # fmt: skip
def test_a_word_outside_an_enum_is_422(field: Any, ask: httpx.Client) -> None:
    answer = ask.post("/generate", json={"prompt": "a garden", **field})
    assert refused(answer, 422) == "INVALID_REQUEST"
    (name,) = field
    assert [wrong["loc"][-1] for wrong in answer.json()["detail"]] == [name]


# --- async ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"async": True}, "INVALID_REQUEST"),
        ({"async": True, "response_mode": "bytes"}, "INVALID_REQUEST"),
        ({"callback_url": "https://1.1.1.1/done"}, "INVALID_REQUEST"),
        ({**LATER, "callback_url": "http://1.1.1.1/done"}, "INVALID_CALLBACK_URL"),
        ({**LATER, "callback_url": "https://127.0.0.1/done"}, "INVALID_CALLBACK_URL"),
        ({**LATER, "callback_url": "done"}, "INVALID_CALLBACK_URL"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/generate", "/edit", "/enhance", "/remix"])
def test_async_needs_urls_and_a_callback_needs_async_and_https(
    path: str, fields: Any, wanted: str, ask: httpx.Client
) -> None:
    body = {"prompt": "a garden", "images": [PHOTO], "image": PHOTO, **fields}
    body |= {"input_image": PHOTO, "reference_image": PHOTO}
    assert refused(ask.post(path, json=body), 400) == wanted


# --- errors --------------------------------------------------------------------------------------
def test_no_header_is_403_and_a_wrong_key_401(account: Account) -> None:
    for key, wanted in (("", (403, "KEY_MISSING")), ("lk_nobodys", (401, "KEY_INVALID"))):
        with account.client("/v1/phota", "X-API-Key", key) as client:
            answer = client.get("/profiles/ids")
        assert (answer.status_code, refused(answer, wanted[0])) == wanted


def test_a_key_that_may_only_look_is_403(account: Account) -> None:
    with account.client("/v1/phota", "X-API-Key", account.reader) as client:
        assert client.get("/profiles/ids").status_code == 200
        assert refused(client.post("/generate", json={"prompt": "x"}), 403) == "SCOPE_MISSING"
        assert refused(client.delete(f"/profiles/{UNKNOWN}"), 403) == "SCOPE_MISSING"


def test_spent_credits_are_402(account: Account) -> None:
    before = account.balance()
    with account.client("/v1/phota", "X-API-Key", account.poor) as client:
        answer = client.post("/generate", json={"prompt": "a garden", **LATER})
    assert refused(answer, 402) == "INSUFFICIENT_CREDITS" and account.balance() == before


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_what_is_no_request_is_400_or_422(body: bytes, ask: httpx.Client) -> None:
    answer = ask.post("/generate", content=body, headers={"Content-Type": "application/json"})
    assert refused(answer, answer.status_code) and answer.status_code in (400, 422)


def test_an_empty_prompt_for_nobody_is_400(ask: httpx.Client) -> None:
    assert refused(ask.post("/generate", json={}), 400) == "PROMPT_MISSING"


@pytest.mark.parametrize("path", ["/status", "/profile_picture"])
def test_an_unknown_profile_is_404(path: str, ask: httpx.Client) -> None:
    assert refused(ask.get(f"/profiles/{UNKNOWN}{path}"), 404) == "PROFILE_NOT_FOUND"


def test_every_good_answer_has_a_request_id(ask: httpx.Client) -> None:
    ids = {ask.get("/profiles/ids").headers["X-Request-Id"] for _ in range(2)}
    assert len(ids) == 2


# --- input rules ---------------------------------------------------------------------------------
TAKEN = {
    "jpeg": lambda: parts.PHOTO,
    "png": lambda: pictures.encoded(pictures.scene(), "PNG"),
    "webp": lambda: pictures.encoded(pictures.scene(), "WEBP"),
    "heic": pictures.HEIC.read_bytes,
    "5000 px": lambda: pictures.encoded(pictures.scene((5000, 600)), "JPEG"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_these_formats_are_taken(name: str, ask: httpx.Client) -> None:
    body = {"prompt": "Make it snow", "images": [encoded(TAKEN[name]())]}
    answer = ask.post("/edit", json=body, headers=DRY)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "image",
    ["nothing", encoded(b"hello, no picture"), "http://127.0.0.1/a.jpg", "ftp://1.1.1.1/a.jpg"],
)
def test_what_is_no_picture_is_400(image: str, ask: httpx.Client) -> None:
    body = {"prompt": "Make it snow", "images": [image]}
    assert refused(ask.post("/edit", json=body), 400) == "INVALID_IMAGE"
