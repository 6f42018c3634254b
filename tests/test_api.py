"""The studio's own API: what each operation does, and how it says no."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts import keys
from accounts.models import User
from billing import ledger
from billing.plans import PLANS, cost
from generator.assets.models import Asset
from generator.engine.interface import FaceScore, GeneratedImage
from generator.jobs import lifecycle
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel
from tests import pictures, rows, sheet_parts
from tests.api_parts import Program, program
from tests.job_parts import claim, finish, png, ready_model, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(alice: User) -> PortraitModel:
    return ready_model(alice)


@pytest.fixture
def ask(alice: User) -> Program:
    return program(alice)


def photo() -> str:
    return base64.b64encode(pictures.encoded(pictures.scene((640, 640)), "PNG")).decode()


# --- who may ask -------------------------------------------------------------------------------
def test_without_a_key_nothing_is_said(alice: User) -> None:
    for secret, code in (("", "key_missing"), ("lk_nobodys", "key_invalid")):
        answer = Program(secret)("get", "/account")
        assert answer.status_code == 401 and answer.json()["error"]["code"] == code
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"]["request_id"] == answer["X-Request-Id"]


def test_a_key_works_as_a_bearer_token_too(alice: User) -> None:
    key, secret = keys.create(alice, name="script", scopes=["read"])
    answer = Program("")("get", "/account", Authorization=f"Bearer {secret}")
    assert answer.status_code == 200 and answer.json()["key"]["prefix"] == secret[:10]
    keys.revoke(key)
    assert Program(secret)("get", "/account").status_code == 401


def test_a_key_does_what_its_scopes_say(alice: User, ada: PortraitModel) -> None:
    reader = program(alice, scopes=("read",))
    for method, path, body in (
        ("post", "/images", {"prompt": "at the beach"}),
        ("post", "/portrait-models", {"name": "Ada", "image": photo()}),
        ("delete", f"/portrait-models/{ada.pk}", None),
    ):
        answer = reader(method, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")
    assert PortraitModel.objects.filter(pk=ada.pk).exists()
    assert not Generation.objects.exists()


def test_a_minute_has_as_many_requests_as_the_plan_says(
    alice: User, ask: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLANS, "macro", replace(PLANS["macro"], api_requests=2))
    left = [ask("get", "/account") for _ in range(3)]
    assert [one.status_code for one in left] == [200, 200, 429]
    assert left[0]["RateLimit"].startswith('"minute";r=1;t=')
    assert left[0]["RateLimit-Policy"] == '"minute";q=2;w=60'
    assert 0 < int(left[2]["Retry-After"]) <= 60
    assert left[2].json()["error"]["code"] == "rate_limited"


def test_a_key_spends_no_more_than_its_limit(alice: User, ada: PortraitModel) -> None:
    asked = program(alice, spend_limit=2 * cost("image"))
    body = {"prompt": "at the beach", "portrait_model_ids": [str(ada.pk)]}
    answers = [asked("post", "/images", body) for _ in range(3)]
    assert [one.status_code for one in answers] == [202, 202, 402]
    assert answers[2].json()["error"]["code"] == "key_limit"
    asked("post", f"/jobs/{answers[0].json()['id']}/cancel")  # a refund counts for the key
    assert asked("post", "/images", body).status_code == 202
    assert asked("get", "/account").json()["key"]["spent"] == 2 * cost("image")
    # a person is not bound by it
    submit(alice, kind="image", portrait_model=ada)


# --- what there is -----------------------------------------------------------------------------
def test_the_account_says_what_is_left(alice: User, ask: Program) -> None:
    told = ask("get", "/account").json()
    assert told["balance"] == ledger.balance(alice) and told["plan"]["name"] == "macro"
    assert told["key"]["scopes"] == ["read", "generate", "train"]


def test_options_and_styles_are_what_the_pages_offer(ask: Program) -> None:
    options = ask("get", "/options").json()
    assert "video" in options["kinds"] and "9:16" in options["aspect_ratios"]
    assert "smiling" in options["expressions"] and options["people_max"] == 2
    found = ask("get", "/styles?gender=man").json()["items"]
    assert found and {one["gender"] for one in found} == {"man"}


def test_an_estimate_is_the_price(ask: Program) -> None:
    told = ask("post", "/estimate", {"kind": "video", "seconds": 3}).json()
    assert told["credits"] == cost("video", seconds=3) and told["is_enough"]
    assert ask("post", "/estimate", {"kind": "sculpture"}).status_code == 422


# --- pictures ----------------------------------------------------------------------------------
def test_a_generation_is_asked_for_watched_and_fetched(
    alice: User, ask: Program, ada: PortraitModel
) -> None:
    before = ledger.balance(alice)
    body = {"prompt": f"[[{ada.pk}]] at the beach", "count": 2, "seed": 7, "aspect_ratio": "3:4"}
    answer = ask("post", "/images", body)
    assert answer.status_code == 202
    told = answer.json()
    assert (told["state"], told["credits"]) == ("queued", 2 * cost("image"))
    assert told["portrait_model_ids"] == [str(ada.pk)] and told["prompt"].startswith("@")
    assert ledger.balance(alice) == before - told["credits"]
    made = claim(Generation.objects.get(pk=told["id"]))
    scores = (FaceScore(88),)
    lifecycle.finish_generation(made, [GeneratedImage(png(), seed, scores) for seed in (7, 8)])
    over = ask("get", f"/jobs/{told['id']}").json()
    assert over["state"] == "succeeded" and over["percent"] == 100 and len(over["assets"]) == 2
    one = over["assets"][0]
    assert one["faces"][0]["portrait_model_id"] == str(ada.pk)
    guest = Program("", base="")
    path = one["url"].removeprefix("http://127.0.0.1:8000").removeprefix("http://testserver")
    path = path[path.index("/media/") :]
    assert guest("get", path).status_code == 200
    assert guest("get", path[:-2]).status_code == 404  # another signature
    other = path.replace(one["id"], over["assets"][1]["id"])
    assert guest("get", other).status_code == 404  # a signature is of one picture
    content = ask("get", f"/assets/{one['id']}/content")
    assert content.content.startswith(b"\x89PNG")
    again = ask("get", f"/assets/{one['id']}/content", If_None_Match=content["ETag"])
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "kind", "more"),
    [
        ("/videos", "video", {"seconds": 2}),
        ("/edits", "edit", {"prompt": "in the snow"}),
        ("/enhancements", "enhance", {"size_px": 1024}),
        ("/variations", "vary", {}),
        ("/restyles", "restyle", {"style_picture": "image"}),
    ],
)
def test_every_kind_starts_from_a_picture_of_the_library(
    path: str, kind: str, more: dict[str, Any], alice: User, ask: Program, ada: PortraitModel
) -> None:
    made = finish(submit(alice, kind="image", portrait_model=ada))
    image = str(Asset.objects.get(generation=made).pk)
    more = {name: image if value == "image" else value for name, value in more.items()}
    body = {"image": image, "portrait_model_ids": [str(ada.pk)], **more}
    answer = ask("post", path, body)
    assert answer.status_code == 202, answer.content
    asked = Generation.objects.get(pk=answer.json()["id"])
    assert (asked.kind, str(asked.source_id)) == (kind, image)


def test_a_picture_may_come_with_the_request(ask: Program, ada: PortraitModel) -> None:
    body = {"image": photo(), "prompt": "in the snow", "portrait_model_ids": [str(ada.pk)]}
    answer = ask("post", "/edits", body)
    assert answer.status_code == 202, answer.content
    asked = Generation.objects.get(pk=answer.json()["id"])
    assert asked.source and asked.source.kind == "reference"


def test_somebody_is_invented_and_learnt(alice: User, ask: Program) -> None:
    told = ask("post", "/faces", {"gender": "man", "age": 40, "country": "FR"}).json()
    finish(Generation.objects.get(pk=told["id"]))
    face = ask("get", f"/jobs/{told['id']}").json()["assets"][0]["id"]
    answer = ask("post", "/portrait-models", {"name": "Jean", "image": face})
    assert answer.status_code == 201, answer.content
    assert answer.json()["training"]["state"] == "queued"
    model = PortraitModel.objects.get(pk=answer.json()["id"])
    assert model.owner == alice and not model.is_public
    changed = ask("patch", f"/portrait-models/{model.pk}", {"name": "Jean-Luc"})
    assert changed.json()["name"] == "Jean-Luc"
    assert ask("delete", f"/portrait-models/{model.pk}").status_code == 204
    assert ask("get", f"/portrait-models/{model.pk}").status_code == 404


def test_views_are_listed_and_rejected_once_for_the_same_key(
    ask: Program, ada: PortraitModel, alice: User, client: Client, settings: Settings
) -> None:
    settings.ENGINE_IMAGE = "klein"
    path = f"/portrait-models/{ada.pk}/views"
    assert ask("get", path).json() == {"items": [], "next": None}
    first, *others = sheet_parts.give(ada, sheet_parts.sheet())
    told = ask("get", path).json()["items"]
    assert [one["name"] for one in told] == [first.name, *(view.name for view in others)]
    assert (told[0]["words"], told[0]["likeness"]) == (first.words, 71)
    assert [one["likeness"] for one in told] == [71, 40, None, 88]
    url = told[0]["url"].removeprefix(settings.SITE_URL)
    assert client.get(url).content == first.jpeg
    assert client.get(url.replace(first.name, others[0].name)).status_code == 302  # sign in
    before, body = ledger.balance(alice), {"names": [first.name]}
    trial = ask("post", f"{path}/reject", body, X_Dry_Run="1")
    assert trial.status_code == 202 and trial.json()["is_trial"]
    made = [ask("post", f"{path}/reject", body, Idempotency_Key="v") for _ in range(2)]
    assert made[0].status_code == 202 and made[0].json() == made[1].json()
    assert Training.objects.get(pk=made[0].json()["id"]).rejected_views == [first.name]
    assert ledger.balance(alice) == before - cost("training")
    for names, key, status, code in (
        (["0" * 64], "", 422, "unknown_view"), ([], "", 422, "unknown_view"),
        ([others[0].name], "", 409, "training_unfinished"),
        ([others[0].name], "v", 409, "idempotency_conflict"),
    ):  # fmt: skip
        answer = ask("post", f"{path}/reject", {"names": names}, Idempotency_Key=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_face_is_nobodys_who_is_too_young(ask: Program) -> None:
    assert ask("post", "/faces", {"age": 12}).status_code == 422
    assert ask("post", "/faces", {"age": 30, "details": "a little girl"}).status_code == 422
    assert not Generation.objects.exists()


def test_an_upload_is_a_multipart_file(ask: Program, alice: User) -> None:
    file = SimpleUploadedFile("me.png", base64.b64decode(photo()), "image/png")
    answer = ask.client.post("/api/v1/assets", {"file": file}, headers=ask.headers)
    assert answer.status_code == 201, answer.content
    listed = ask("get", "/assets").json()["items"]
    assert [one["id"] for one in listed] == [answer.json()["id"]]
    assert ask("delete", f"/assets/{listed[0]['id']}").status_code == 204
    assert ask("get", "/assets").json()["items"] == []
    wrong = SimpleUploadedFile("me.png", b"no picture", "image/png")
    answer = ask.client.post("/api/v1/assets", {"file": wrong}, headers=ask.headers)
    assert answer.status_code in (400, 415, 422)


# --- once --------------------------------------------------------------------------------------
def test_the_same_key_is_the_same_generation(alice: User, ask: Program, ada: PortraitModel) -> None:
    body = {"prompt": "at the beach", "portrait_model_ids": [str(ada.pk)]}
    before = ledger.balance(alice)
    first = ask("post", "/images", body, Idempotency_Key="one")
    again = ask("post", "/images", body, Idempotency_Key="one")
    assert first.json()["id"] == again.json()["id"]
    assert ledger.balance(alice) == before - cost("image")
    other = ask("post", "/images", {**body, "count": 2}, Idempotency_Key="one")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


def test_the_same_key_is_the_same_model(alice: User, ask: Program) -> None:
    body = {"name": "Ada", "image": photo()}
    made = [ask("post", "/portrait-models", body, Idempotency_Key="m").json() for _ in range(2)]
    assert made[0]["id"] == made[1]["id"] and Training.objects.count() == 1


def test_a_trial_run_prices_and_leaves_nothing(
    alice: User, ask: Program, ada: PortraitModel
) -> None:
    before = (ledger.balance(alice), Asset.objects.count(), PortraitModel.objects.count())
    body = {"prompt": "at the beach", "portrait_model_ids": [str(ada.pk)], "count": 3}
    told = ask("post", "/images", body, X_Dry_Run="1").json()
    assert told["is_trial"] and told["credits"] == 3 * cost("image")
    model = ask("post", "/portrait-models", {"name": "Eve", "image": photo()}, X_Dry_Run="1")
    assert model.json()["training"]["credits"] == cost("training")
    assert ask("post", "/images", {"prompt": ""}, X_Dry_Run="1").status_code == 422
    after = (ledger.balance(alice), Asset.objects.count(), PortraitModel.objects.count())
    assert after == before and not Generation.objects.exists()


# --- how it goes -------------------------------------------------------------------------------
def test_jobs_are_listed_page_by_page(alice: User, ask: Program, ada: PortraitModel) -> None:
    made = {str(rows.generation(ada).pk) for _ in range(25)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = ask("get", f"/jobs?before={cursor.replace('+', '%2B')}").json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == 25 and set(seen) == made


def test_canceling_and_recreating(alice: User, ask: Program, ada: PortraitModel) -> None:
    body = {"prompt": "at the beach", "portrait_model_ids": [str(ada.pk)], "seed": 9}
    first = ask("post", "/images", body).json()
    before = ledger.balance(alice)
    assert ask("post", f"/jobs/{first['id']}/cancel").json()["state"] == "canceled"
    assert ledger.balance(alice) == before + cost("image")
    again = ask("post", f"/jobs/{first['id']}/recreate")
    assert again.status_code == 202 and again.json()["seed"] == 9
    assert ask("delete", f"/jobs/{first['id']}").status_code == 204
    assert ask("get", f"/jobs/{first['id']}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_progress_is_streamed_until_the_end(alice: User, ada: PortraitModel) -> None:
    _, secret = keys.create(alice, name="stream", scopes=["read"])
    made = submit(alice, kind="image", portrait_model=ada)

    async def listen() -> list[str]:
        address = f"/api/v1/jobs/{made.pk}/events"
        answer = await AsyncClient().get(address, headers={"X-API-Key": secret})
        assert answer["Content-Type"] == "text/event-stream"
        heard = []
        async for part in answer.streaming_content:
            heard.append(part.decode())
            if len(heard) == 1:
                await sync_to_async(finish)(made)
        return heard

    heard = async_to_sync(listen)()
    assert heard[0].startswith("event: progress\ndata: ")
    assert heard[-1].startswith("event: end\ndata: ")
    assert json.loads(heard[-1].split("data: ")[1])["state"] == "succeeded"


# --- webhooks ----------------------------------------------------------------------------------
def test_a_program_hears_of_its_jobs(alice: User, ask: Program, ada: PortraitModel) -> None:
    made = ask("post", "/webhooks", {"url": "https://1.1.1.1/hook"})
    assert made.status_code == 201 and len(made.json()["events"]) == 6
    again = ask("post", "/webhooks", {"url": "https://1.1.1.1/hook"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "endpoint_exists")
    inner = ask("post", "/webhooks", {"url": "https://127.0.0.1/hook"})
    assert inner.status_code == 400
    finish(submit(alice, kind="image", portrait_model=ada))
    (told,) = ask("get", "/webhooks/deliveries").json()["items"]
    assert (told["event"], told["state"]) == ("generation.succeeded", "pending")
    assert json.loads(told["body"])["data"]["state"] == "succeeded"
    assert ask("post", f"/webhooks/{made.json()['id']}/test").json()["event"] == "test"
    assert ask("post", f"/webhooks/deliveries/{told['id']}/send-again").status_code == 202
    assert ask("get", "/webhooks/secret").json()["secret"].startswith("whsec_")
    assert ask("delete", f"/webhooks/{made.json()['id']}").status_code == 204
    assert ask("get", "/webhooks").json()["items"] == []


# --- what is somebody else's -------------------------------------------------------------------
def test_foreign_and_unknown_ids_are_told_alike(alice: User, bob: User, ask: Program) -> None:
    foreign = submit(bob, kind="image", portrait_model=ready_model(bob))
    for path in ("/jobs/{}", "/assets/{}", "/portrait-models/{}", "/jobs/{}/events"):
        theirs, nobodys = (ask("get", path.format(id)) for id in (foreign.pk, uuid.uuid4()))
        assert theirs.status_code == nobodys.status_code == 404
        same = [{**one.json()["error"], "request_id": ""} for one in (theirs, nobodys)]
        assert same[0] == same[1]


def test_nonsense_is_told_in_words(ask: Program) -> None:
    for method, path, body in (
        ("post", "/images", {"prompt": 5}),
        ("post", "/images", {"count": "many"}),
        ("get", "/jobs/nonsense", None),
        ("post", "/images", {"portrait_model_ids": ["x"]}),
    ):
        answer = ask(method, path, body)
        assert answer.status_code == 422, (path, answer.content)
        assert answer.json()["error"]["code"] == "invalid"
    broken = ask.client.post(
        "/api/v1/images", b"{", content_type="application/json", headers=ask.headers
    )
    assert broken.status_code in (400, 422)
