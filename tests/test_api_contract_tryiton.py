"""TryItOnAI's contract, row by row, with a program's requests to a running studio."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests import contract_parts as parts
from tests import pictures
from tests.contract_parts import Account, opened

pytestmark = [pytest.mark.live, pytest.mark.engine, pytest.mark.timeout(900)]
HEADER = "x-tryiton-key"
DRY = {"X-Dry-Run": "1"}  # everything is looked at, nothing is made
UNKNOWN = "00000000-0000-4000-8000-000000000000"
EXPIRE = """
from django.utils import timezone
from generator.assets.models import Asset
print(Asset.objects.filter(pk={key!r}).update(expires_at=timezone.now()))
"""
account = parts.account
ask = parts.asking("/api/key", HEADER)


def upload(ask: httpx.Client, data: bytes = parts.PHOTO) -> Any:
    answer = ask.post("/upload-image", files={"file": ("me.jpg", data)})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def photo(ask: httpx.Client) -> str:
    return str(upload(ask)["imageUrl"])


def models(ask: httpx.Client) -> dict[str, Any]:
    return {one["id"]: one for one in ask.get("/models").json()}


def styles(ask: httpx.Client, gender: str = "woman") -> list[str]:
    return [one["id"] for one in ask.get("/styles", params={"gender": gender}).json()]


def wanted(ask: httpx.Client, photo: str, **changes: Any) -> dict[str, Any]:
    """A body of train-model that is in order but for the changes."""
    unused = [one["id"] for one in models(ask).values() if not one["is_used"]]
    return {
        "modelId": unused[-1],
        "gender": "woman",
        "styles": styles(ask)[:1],
        "customizations": "wearing glasses, freckles",
        "imageUrls": [photo],
        **changes,
    }


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"status", "message"} and told["status"] == "error" and told["message"]
    return str(told["message"])


@dataclass(frozen=True)
class Trained:
    body: dict[str, Any]
    answer: Any
    paid: int  # until every picture was there
    said: list[Any]  # every look at its results
    rows: list[Any]  # of `GET /models`: before, while it learns, afterwards


@pytest.fixture(scope="module")
def ada(account: Account, ask: httpx.Client, photo: str) -> Trained:
    """Trained once, with a style of the catalogue and one of her own, and every picture drawn."""
    style = upload(ask, pictures.encoded(pictures.scene((512, 512)), "PNG"))["imageKey"]
    body = wanted(ask, photo, styles=[styles(ask)[0], style], platform="modal")
    id, before = body["modelId"], account.balance()
    rows = [models(ask)[id]]
    answer = ask.post("/train-model", json=body)
    assert answer.status_code == 200, answer.text
    rows.append(models(ask)[id])
    said: list[Any] = []
    parts.polled(
        lambda: results(ask, id),
        lambda told: told["status"] in ("success", "error"),
        "the pictures",
        said,
    )
    assert said[-1]["status"] == "success", said[-1]
    paid = before - account.balance()
    return Trained(body, answer.json(), paid, said, [*rows, models(ask)[id]])


def results(ask: httpx.Client, id: str) -> Any:
    answer = ask.get("/results", params={"modelId": id})
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- the header ----------------------------------------------------------------------------------
@pytest.mark.parametrize("key", ["", "lk_nobodys"])
def test_without_a_working_key_everything_is_401(key: str, account: Account) -> None:
    with account.client("/api/key", HEADER, key) as client:
        assert refused(client.get("/models"), 401)
        assert refused(client.post("/train-model", json={}), 401)
        assert refused(client.post("/recreate", json={}), 401)


def test_a_key_that_may_only_look_is_403(account: Account) -> None:
    with account.client("/api/key", HEADER, account.reader) as client:
        assert client.get("/models").status_code == 200
        assert refused(client.post("/recreate", json={}), 403)
        assert refused(client.post("/train-model", json={}), 403)


def test_the_balance_is_that_of_the_web_account(account: Account, ada: Trained) -> None:
    assert ada.paid == account.cost(kind="training") + 2 * account.cost(kind="image")


# --- GET /models, /styles ------------------------------------------------------------------------
def test_models_say_whether_they_are_used_and_trained(ada: Trained) -> None:
    fields = {"id", "is_used", "is_trained", "email_sent", "gender", "created_at"}
    assert all(set(row) == fields for row in ada.rows)
    said = [(row["is_used"], row["is_trained"], row["gender"]) for row in ada.rows]
    assert said == [(False, False, None), (True, False, "woman"), (True, True, "woman")]
    assert all(datetime.fromisoformat(row["created_at"]) <= datetime.now(UTC) for row in ada.rows)


@pytest.mark.parametrize("gender", ["man", "woman"])
def test_styles_are_those_of_the_gender(gender: str, ask: httpx.Client) -> None:
    told = ask.get("/styles", params={"gender": gender}).json()
    assert len(told) > 2 and {one["gender"] for one in told} == {gender}
    assert opened(told[0]["previewUrl"]).width > 100


@pytest.mark.parametrize("params", [{}, {"gender": "dog"}], ids=str)
def test_styles_of_no_gender_are_400(params: dict[str, str], ask: httpx.Client) -> None:
    assert refused(ask.get("/styles", params=params), 400)


# --- POST /upload-image --------------------------------------------------------------------------
def test_an_upload_is_a_key_and_an_address_for_24_hours(ask: httpx.Client) -> None:
    told = upload(ask)
    assert set(told) == {"status", "imageUrl", "imageKey", "expiresAt"}
    assert told["status"] == "success"
    left = datetime.fromisoformat(told["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=55) < left <= timedelta(hours=24)
    assert opened(told["imageUrl"]).size == (640, 640)


def test_after_24_hours_an_upload_is_neither_style_nor_photo(
    account: Account, ask: httpx.Client, photo: str
) -> None:
    old = upload(ask)
    script = EXPIRE.format(key=old["imageKey"])
    assert account.studio.manage("shell", "-v0", "-c", script).strip() == "1"
    for change in ({"styles": [old["imageKey"]]}, {"imageUrls": [old["imageUrl"]]}):
        answer = ask.post("/train-model", json=wanted(ask, photo, **change))
        # 404 once it is deleted, which happens by itself
        assert "24 hours" in refused(answer, answer.status_code) or "imageUrls" in change
        assert answer.status_code in (400, 404)


def test_what_is_no_picture_is_refused(ask: httpx.Client) -> None:
    answer = ask.post("/upload-image", files={"file": ("me.jpg", b"hello, no picture")})
    assert refused(answer, answer.status_code) and answer.status_code in (400, 415)
    assert refused(ask.post("/upload-image"), 400)


# --- POST /train-model ---------------------------------------------------------------------------
def test_a_training_is_told_at_once(ada: Trained) -> None:
    assert set(ada.answer) == {"status", "message", "modelId", "warnings"}
    assert ada.answer["status"] == "success" and ada.answer["modelId"] == ada.body["modelId"]
    assert ada.answer["warnings"] == []  # the photo is 640 × 640, both features are positive
    assert ada.said[0]["status"] == "processing"


def test_a_model_is_trained_once(ask: httpx.Client, ada: Trained, photo: str) -> None:
    answer = ask.post("/train-model", json=wanted(ask, photo, modelId=ada.body["modelId"]))
    assert "used already" in refused(answer, 409)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"styles": []}, 400),
        ({"styles": ["no-such-style"]}, 400),
        ({"styles": ["noir-man"]}, 400),  # of the other gender
        ({"styles": [UNKNOWN]}, 404),  # the key of no upload
        ({"gender": "dog"}, 400),
        ({"gender": None}, 400),
        ({"platform": "elsewhere"}, 400),
        ({"customizations": "x" * 600}, 400),
        ({"imageUrls": []}, 400),
        ({"imageUrls": ["nothing"]}, 400),
        ({"imageUrls": ["http://127.0.0.1/me.jpg"]}, 400),
        ({"imageUrls": ["https://1.1.1.1/me.jpg"] * 21}, 400),
        ({"modelId": UNKNOWN}, 404),
        ({"modelId": "x"}, 404),
        ({"modelId": None}, 400),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_told_and_costs_nothing(
    change: dict[str, Any], status: int, account: Account, ask: httpx.Client, photo: str
) -> None:
    before, unused = account.balance(), sum(not one["is_used"] for one in models(ask).values())
    assert refused(ask.post("/train-model", json=wanted(ask, photo, **change)), status)
    assert account.balance() == before
    assert sum(not one["is_used"] for one in models(ask).values()) == unused


def test_without_credits_nothing_is_trained(
    account: Account, ask: httpx.Client, photo: str
) -> None:
    body = wanted(ask, photo)
    with account.client("/api/key", HEADER, account.poor) as client:
        assert refused(client.post("/train-model", json=body), 402)
    assert not models(ask)[body["modelId"]]["is_used"]


@pytest.mark.parametrize(
    ("size", "word"), [((640, 480), "cropped"), ((480, 640), "cropped"), ((800, 800), "scaled")]
)
def test_photos_that_are_not_640_square_are_warned_about(
    size: tuple[int, int], word: str, ask: httpx.Client
) -> None:
    other = upload(ask, pictures.encoded(pictures.scene(size), "JPEG"))["imageUrl"]
    body = wanted(ask, other)
    (warning,) = ask.post("/train-model", json=body, headers=DRY).json()["warnings"]
    assert warning.startswith(f"Photo 1 is {size[0]} × {size[1]}") and word in warning


def test_features_that_are_not_there_are_left_out(ask: httpx.Client, photo: str) -> None:
    body = wanted(ask, photo, customizations="thick beard, no glasses")
    (warning,) = ask.post("/train-model", json=body, headers=DRY).json()["warnings"]
    assert "no glasses" in warning


# --- GET /results --------------------------------------------------------------------------------
def test_every_style_is_drawn_by_itself_after_the_training(ada: Trained) -> None:
    told = ada.said[-1]
    assert [one["style"] for one in told["images"]] == ada.body["styles"]
    assert [one["status"] for one in told["images"]] == ["success", "success"]
    assert told["imageUrls"] == [one["imageUrl"] for one in told["images"]]
    assert told["imageKeys"] == [one["imageKey"] for one in told["images"]]
    for address in told["imageUrls"]:
        assert opened(address).width >= 444


def test_results_of_a_model_that_is_not_trained_wait(ask: httpx.Client) -> None:
    unused = next(id for id, one in models(ask).items() if not one["is_used"])
    told = results(ask, unused)
    assert (told["status"], told["images"], told["imageUrls"]) == ("waiting", [], [])
    assert refused(ask.get("/results", params={"modelId": UNKNOWN}), 404)
    assert refused(ask.get("/results"), 400)


# --- POST /recreate ------------------------------------------------------------------------------
def test_recreate_gives_an_address_before_there_is_a_picture(
    account: Account, ask: httpx.Client, ada: Trained
) -> None:
    before, picture = account.balance(), ada.said[-1]["imageUrls"][0]
    body = {"imageUrl": picture, "category": "background", "prompt": "a beach"}
    told = ask.post("/recreate", json=body).json()
    assert set(told) == {"status", "message", "imageUrls", "imageKeys"}
    assert told["status"] == "success" and len(told["imageUrls"]) == len(told["imageKeys"]) == 1
    (address,) = told["imageUrls"]
    looks: list[int] = []
    parts.polled(lambda: httpx.get(address).status_code, lambda code: code != 404, "it", looks)
    assert looks[0] == 404 and looks[-1] == 200
    assert opened(address).size == opened(picture).size
    assert account.balance() == before - account.cost(kind="edit")  # ours; theirs: 20


@pytest.mark.parametrize("category", ["fullMakeover", "background", "clothes", "hair"])
def test_recreate_takes_each_category(category: str, ask: httpx.Client, ada: Trained) -> None:
    key = ada.said[-1]["imageKeys"][0]
    body = {"imageUrl": key, "category": category, "prompt": "red silk"}
    answer = ask.post("/recreate", json=body, headers=DRY)
    assert answer.status_code == 200 and answer.json()["status"] == "success", answer.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"imageUrl": None}, 400), ({"category": None}, 400), ({"prompt": None}, 400),
        ({"imageUrl": ""}, 400), ({"category": "shoes"}, 400), ({"prompt": " "}, 400),
        ({"imageUrl": UNKNOWN}, 404), ({"imageUrl": "http://127.0.0.1/a.jpg"}, 400),
    ],
    ids=str,
)  # fmt: skip
def test_recreate_wants_all_three(
    change: dict[str, Any], status: int, ask: httpx.Client, photo: str
) -> None:
    body = {"imageUrl": photo, "category": "hair", "prompt": "blue", **change}
    sent = {name: value for name, value in body.items() if value is not None}
    assert refused(ask.post("/recreate", json=sent), status)


def test_recreate_without_credits_is_402(account: Account, photo: str) -> None:
    body = {"imageUrl": photo, "category": "hair", "prompt": "blue"}
    with account.client("/api/key", HEADER, account.poor) as client:
        assert refused(client.post("/recreate", json=body), 402)
