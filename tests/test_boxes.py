"""Boxes of people: from a form or a program into a job, to its engine, and back again."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.refusals import Refusal
from generator.engine import checks, registry
from generator.engine.interface import EngineError, GenerateCall
from generator.jobs import boxes, calls, services
from generator.jobs.models import Generation
from generator.portraits.models import PortraitModel
from tests import job_parts, rows
from tests.api_parts import program

LEFT, RIGHT = (0.05, 0.1, 0.4, 0.9), (0.55, 0.1, 0.4, 0.9)
HUGE = "1" + "0" * 400
SOMEBODY = "5f0c9f6e-8f6d-4d5c-9a57-0d1f0a4d6f10"
HTMX = {"HTTP_HX_REQUEST": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(alice: User) -> PortraitModel:
    return _named(alice, "Ada")


@pytest.fixture
def byron(alice: User) -> PortraitModel:
    return _named(alice, "Byron")


def _named(owner: User, name: str) -> PortraitModel:
    model = job_parts.ready_model(owner)
    PortraitModel.objects.filter(pk=model.pk).update(name=name)
    model.refresh_from_db()
    return model


def ask(user: User, prompt: str = "@Ada and @Byron in red", **fields: Any) -> Generation:
    fields = {"kind": "image", **fields}
    return services.submit_generation(user, id=uuid.uuid4(), prompt=prompt, **fields)


def sent(*people: tuple[PortraitModel, tuple[float, ...]]) -> list[dict[str, Any]]:
    return [
        {"portrait_model_id": str(model.pk), **dict(zip(boxes.SIDES, box, strict=True))}
        for model, box in people
    ]


def regions_of(generation: Generation) -> tuple[tuple[float, ...], ...]:
    call = calls.of_generation(generation)
    assert isinstance(call, GenerateCall)
    return call.request.regions


# --- what they may be ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ([LEFT], "one box"),
        ([LEFT, RIGHT, (0.3, 0.0, 0.2, 0.2)], "one box"),
        ([LEFT, (0.55, 0.1, 0.5, 0.9)], "within the picture"),
        ([LEFT, (0.55, 0.2, 0.4, 0.9)], "within the picture"),
        ([LEFT, (-0.1, 0.1, 0.4, 0.9)], "within the picture"),
        ([LEFT, (0.55, 0.1, 0.05, 0.9)], "at least 10%"),
        ([LEFT, (0.55, 0.1, 0.4, -0.4)], "at least 10%"),
        ([LEFT, (float("nan"), 0.1, 0.4, 0.9)], "four numbers"),
        ([LEFT, (0.55, 0.1, float("inf"), 0.9)], "four numbers"),
        ([LEFT, (0.08, 0.1, 0.4, 0.9)], "on one another"),
    ],
)
def test_boxes_are_checked_in_one_place(drawn: list[Any], words: str) -> None:
    with pytest.raises(EngineError, match=words) as refused:
        checks.regions(drawn, 2, registry.describe("klein"))
    assert refused.value.code == "bad_request"


def test_boxes_that_meet_at_the_edges_are_good() -> None:
    engine = registry.describe("miniature")
    for drawn in (
        [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)],
        [(0.0, 0.0, 1.0, 1.0), (0.3, 0.3, 0.3, 0.4)],  # a child before somebody
        [(0.7, 0.1, 0.1 + 0.2, 0.9), LEFT],  # 0.1 + 0.2 is a little more than 0.3
    ):
        checks.regions(drawn, 2, engine)


@pytest.mark.parametrize(("name", "people"), [("miniature", 1), ("qwen-edit", 2), ("sdxl", 2)])
def test_an_engine_that_places_nobody_says_so(name: str, people: int) -> None:
    with pytest.raises(EngineError) as refused:
        checks.regions([LEFT, RIGHT][:people], people, registry.describe(name))
    assert refused.value.code == "boxes_unsupported"


def test_a_bad_box_is_refused_in_words_and_costs_nothing(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    stranger, before = uuid.uuid4(), ledger.balance(alice)
    both = {ada.pk: LEFT, byron.pk: RIGHT}
    for fields, code in (
        ({"boxes": {ada.pk: LEFT, byron.pk: (0.7, 0.1, 0.4, 0.9)}}, "bad_boxes"),
        ({"boxes": {ada.pk: LEFT, byron.pk: LEFT}}, "bad_boxes"),
        ({"boxes": {ada.pk: LEFT}}, "bad_boxes"),
        ({"boxes": {ada.pk: LEFT, stranger: RIGHT}}, "bad_boxes"),
        ({"boxes": {stranger: LEFT, uuid.uuid4(): RIGHT}}, "bad_boxes"),
        ({"boxes": both | {stranger: (0.3, 0.3, 0.2, 0.2)}}, "bad_boxes"),
        ({"boxes": {ada.pk: LEFT}, "prompt": "@Ada in red"}, "boxes_unsupported"),
        ({"boxes": both, "prompt": "@Ada in red"}, "boxes_unsupported"),
        ({"boxes": both, "prompt": "@Ada", "kind": "video", "seconds": 3}, "boxes_unsupported"),
    ):
        with pytest.raises(Refusal) as refused:
            ask(alice, **fields)  # type: ignore[arg-type]
        assert (refused.value.code, refused.value.status) == (code, 422), fields
    assert ledger.balance(alice) == before and not Generation.objects.exists()


# --- into the job and back -----------------------------------------------------------------
def test_boxes_reach_the_engine_in_the_order_of_the_prompt(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    asked = ask(alice, boxes={byron.pk: LEFT, ada.pk: RIGHT})
    assert [one.portrait_model for one in asked.appearances.all()] == [ada, byron]
    assert regions_of(asked) == (RIGHT, LEFT)
    assert regions_of(ask(alice)) == ()


def test_recreating_keeps_where_people_stand(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    asked = ask(alice, boxes={byron.pk: LEFT, ada.pk: RIGHT})
    again = services.recreate(asked, id=uuid.uuid4())
    assert vars(calls.of_generation(again)) == vars(calls.of_generation(asked))
    assert regions_of(again) == (RIGHT, LEFT)


def test_a_form_brings_boxes_into_the_job_and_its_properties_bring_them_back(
    alice: User, alice_client: Client, ada: PortraitModel, byron: PortraitModel
) -> None:
    drawn = sent((ada, RIGHT), (byron, LEFT))
    form = {"model": str(ada.pk), "prompt": "@Ada and @Byron", "kind": "image", "count": "1"}
    form |= {"boxes": json.dumps(drawn)}
    assert alice_client.post("/create/images/", form, **HTMX).status_code == 200
    made = Generation.objects.get()
    assert regions_of(made) == (RIGHT, LEFT)
    for address in (f"/create/?from={made.pk}", f"/create/composer/?from={made.pk}"):
        page = alice_client.get(address)
        assert json.loads(page.context["values"]["boxes"]) == drawn
        field = '<input type="hidden" name="boxes" value="[{&quot;portrait_model_id&quot;'
        assert field in page.content.decode()
    assert alice_client.get("/create/").context["values"]["boxes"] == ""


def test_boxes_left_in_the_form_of_another_kind_are_not_its_own(
    alice: User, alice_client: Client, ada: PortraitModel
) -> None:
    form = {"model": str(ada.pk), "prompt": "@Ada", "kind": "video", "seconds": "3", "boxes": "["}
    assert alice_client.post("/create/images/", form, **HTMX).status_code == 200
    assert [one.box for one in Generation.objects.get().appearances.all()] == [None]


@pytest.mark.parametrize(
    "text",
    ["[", "{}}", "5", '"ab"', "[5]", "[{}]", "[" * 3000, "[null]", "x" * 5000,
     '[{"portrait_model_id": "x", "x": 0, "y": 0, "width": 1, "height": 1}]',
     '[{"portrait_model_id": 5, "x": 0, "y": 0, "width": 1, "height": 1}]',
     f'[{{"portrait_model_id": "{SOMEBODY}", "x": [], "y": 0, "width": 1, "height": 1}}]',
     f'[{{"portrait_model_id": "{SOMEBODY}", "width": 1, "height": 1, "y": 0, "x": {HUGE}}}]'],
    ids=range(13),
)  # fmt: skip
def test_a_field_that_is_no_boxes_is_refused_in_words(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        boxes.read(text)
    assert refused.value.code == "bad_boxes"


def test_a_person_has_one_box(ada: PortraitModel) -> None:
    with pytest.raises(Refusal, match="one box"):
        boxes.read(json.dumps(sent((ada, LEFT), (ada, RIGHT))))


def test_the_details_of_a_picture_say_who_was_placed_where(
    alice: User, alice_client: Client, ada: PortraitModel, byron: PortraitModel
) -> None:
    made = job_parts.finish(ask(alice, boxes={byron.pk: LEFT, ada.pk: RIGHT}))
    picture = made.assets.get()
    text = alice_client.get(f"/pictures/{picture.pk}/").content.decode()
    assert "<dt>From left to right</dt><dd>Byron, Ada</dd>" in text
    plain = job_parts.finish(ask(alice))
    text = alice_client.get(f"/pictures/{plain.assets.get().pk}/").content.decode()
    assert "From left to right" not in text


# --- programs --------------------------------------------------------------------------------
def test_a_program_places_people_and_reads_where_they_stand(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    call, drawn = program(alice), sent((byron, LEFT), (ada, RIGHT))
    body = {"prompt": f"[[{ada.pk}]] and [[{byron.pk}]]", "boxes": drawn}
    answer = call("post", "/images", body, Idempotency_Key="one")
    assert answer.status_code == 202, answer.content
    made = Generation.objects.get()
    assert regions_of(made) == (RIGHT, LEFT)
    for told in (answer.json(), call("get", f"/jobs/{made.pk}").json()):
        assert told["boxes"] == drawn[::-1]
    assert call("post", "/images", body, Idempotency_Key="one").json()["id"] == str(made.pk)
    other = call("post", "/images", body | {"boxes": []}, Idempotency_Key="one")
    assert other.json()["error"]["code"] == "idempotency_conflict"
    unnamed = {"prompt": "in red", "portrait_model_ids": [str(ada.pk), str(byron.pk)]}
    assert call("post", "/images", unnamed | {"boxes": drawn}).status_code == 202


def test_a_program_is_told_what_is_wrong_with_its_boxes(
    alice: User, ada: PortraitModel, byron: PortraitModel
) -> None:
    call, named = program(alice), {"prompt": f"[[{ada.pk}]] and [[{byron.pk}]]"}
    left = sent((ada, LEFT))
    for drawn, status, code in (
        (left, 422, "bad_boxes"),
        (left * 2, 422, "bad_boxes"),
        (sent((ada, LEFT), (byron, LEFT)), 422, "bad_boxes"),
        (sent((ada, LEFT), (byron, (0.9, 0.1, 0.4, 0.9))), 422, "bad_boxes"),
        (sent((ada, LEFT), (byron, (1e308, 1e308, 1e308, 1e308))), 422, "bad_boxes"),
        ([{"portrait_model_id": str(ada.pk)}], 422, "invalid"),
        (left * 9, 422, "invalid"),
    ):
        answer = call("post", "/images", named | {"boxes": drawn})
        told = answer.json()["error"]
        assert (answer.status_code, told["code"]) == (status, code) and told["message"]
    huge = json.dumps(named | {"boxes": left}).replace("0.05", "1" + "0" * 400)
    assert call("post", "/images", huge).status_code in (400, 422)
    assert not Generation.objects.exists()


def test_the_schema_says_what_boxes_are_and_the_options_what_they_decide(alice: User) -> None:
    call = program(alice)
    assert call("get", "/options").json()["boxes"] == "order"
    schema = call("get", "/openapi.json").json()["components"]["schemas"]
    assert schema["ImageIn"]["properties"]["boxes"]["items"]["$ref"].endswith("/PersonBox")
    fields = schema["PersonBox"]["properties"]
    assert set(fields) == {"portrait_model_id", *boxes.SIDES}
    assert all("of the picture's" in fields[side]["description"] for side in boxes.SIDES)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("miniature", "boxes decide who is further left."),
        ("klein", "without a training, stands where your words put them."),
    ],
)
def test_the_composer_says_what_boxes_decide(
    engine: str, words: str, alice: User, alice_client: Client, settings: Settings
) -> None:
    settings.ENGINE_IMAGE = engine
    rows.portrait_model(alice)
    assert words in alice_client.get("/create/").content.decode()
