"""`/api/key`: every sentence of TryItOnAI's page on training, and every row that we know of."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import User
from billing import ledger
from billing.models import CreditEntry
from billing.plans import cost
from billing.refusals import Refusal
from generator.api.docs import APIS
from generator.api.tryiton import automatic, training
from generator.api.tryiton.models import Slot
from generator.api.tryiton.results import INSTRUCTIONS
from generator.assets.models import Asset
from generator.jobs import lifecycle, sweeper
from generator.jobs.models import Generation, Training
from generator.photos import services as photos
from generator.photos.models import PhotoSet
from generator.portraits.models import PortraitModel
from generator.styles import catalogue
from tests import photo_parts, pictures
from tests.api_parts import Program, program
from tests.job_parts import adapter, claim, finish, ready_model, submit

pytestmark = pytest.mark.django_db(transaction=True)  # photos are read by a thread
HEADER = "x-tryiton-key"
STYLES = [one.id for one in catalogue.of("man")[:3]]
SITE = "http://127.0.0.1:8000"


@pytest.fixture
def ask(alice: User) -> Program:
    return program(alice, base="/api/key", header=HEADER)


def upload(ask: Program, size: tuple[int, int] = (640, 640)) -> dict[str, Any]:
    data = pictures.encoded(pictures.scene(size), "PNG")
    file = SimpleUploadedFile("me.png", data, "image/png")
    answer = ask.client.post(ask.base + "/upload-image", {"file": file}, headers=ask.headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def unused(ask: Program) -> str:
    found = [one["id"] for one in ask("get", "/models").json() if not one["is_used"]]
    return str(found[0])


def train(ask: Program, *, headers: dict[str, str] | None = None, **changes: Any) -> HttpResponse:
    body = {
        "modelId": changes.pop("modelId", None) or unused(ask),
        "gender": "man",
        "styles": STYLES,
        "customizations": "wearing glasses, thick beard, mohawk haircut",
        "imageUrls": changes.pop("imageUrls", None) or [upload(ask)["imageUrl"]],
        **changes,
    }
    answer = ask("post", "/train-model", body, **(headers or {}))
    for photo_set in PhotoSet.objects.filter(state="queued"):
        photo_parts.made(photo_set)
    return answer


def learns_as(slot_id: str) -> uuid.UUID:
    id = Slot.objects.get(pk=slot_id).learns_as
    assert id is not None
    return id


def learn(slot_id: str) -> None:
    """The training of this model, done."""
    training = Training.objects.get(portrait_model=learns_as(slot_id))
    lifecycle.finish_training(claim(training), adapter())


def trained(ask: Program, **changes: Any) -> str:
    """The id of a model that has learnt and whose styles were asked for."""
    answer = train(ask, **changes)
    assert answer.status_code == 200, answer.content
    id = str(answer.json()["modelId"])
    learn(id)
    sweeper.sweep()
    return id


def refused(answer: HttpResponse, status: int) -> str:
    assert answer.status_code == status, answer.content
    assert set(answer.json()) == {"status", "message"} and answer.json()["status"] == "error"
    return str(answer.json()["message"])


def path_of(url: str) -> str:
    return url.removeprefix(SITE)


# --- the header, and how it says no ------------------------------------------------------------
def test_the_header_is_x_tryiton_key(alice: User, ask: Program) -> None:
    assert ask("get", "/models").status_code == 200
    assert HEADER in refused(Program("", base="/api/key")("get", "/models"), 401)
    refused(Program("lk_nobodys", base="/api/key", header=HEADER)("get", "/models"), 401)
    reader = program(alice, scopes=("read",), base="/api/key", header=HEADER)
    refused(train(ask, modelId=str(uuid.uuid4())), 404)
    refused(reader("post", "/recreate", {}), 403)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/train-model", {}),
        ("post", "/train-model", {"modelId": 5}),
        ("post", "/recreate", {"imageUrl": "x", "category": "shoes", "prompt": "red"}),
        ("get", "/styles?gender=dog", None),
        ("get", "/styles", None),
        ("get", "/results", None),
        ("post", "/upload-image", {}),
    ],
)
def test_nonsense_is_an_error_with_a_message(
    method: str, path: str, body: Any, ask: Program
) -> None:
    assert refused(ask(method, path, body), 400)


def test_unknown_and_foreign_models_are_told_alike(ask: Program, bob: User) -> None:
    theirs = unused(program(bob, base="/api/key", header=HEADER))
    said = {refused(ask("get", f"/results?modelId={id}"), 404) for id in (theirs, "x", "0")}
    assert len(said) == 1
    assert refused(train(ask, modelId=theirs), 404) in said


# --- models ------------------------------------------------------------------------------------
def test_models_are_as_many_as_the_plan_holds_and_keep_their_ids(ask: Program, alice: User) -> None:
    told = ask("get", "/models").json()
    assert len(told) == 8
    assert {(one["is_used"], one["is_trained"], one["email_sent"]) for one in told} == {
        (False, False, False)
    }
    assert [one["id"] for one in ask("get", "/models").json()] == [one["id"] for one in told]
    ready_model(alice)  # made in the studio: one fewer may be trained here
    assert [one["id"] for one in ask("get", "/models").json()] == [one["id"] for one in told[:7]]


def test_is_used_begins_with_the_training_and_is_trained_ends_it(ask: Program) -> None:
    id = str(train(ask).json()["modelId"])
    told = {one["id"]: one for one in ask("get", "/models").json()}
    assert len(told) == 8
    assert (told[id]["is_used"], told[id]["is_trained"], told[id]["gender"]) == (True, False, "man")
    learn(id)
    told = {one["id"]: one for one in ask("get", "/models").json()}
    assert (told[id]["is_used"], told[id]["is_trained"]) == (True, True)


def test_a_model_is_trained_once_and_never_again(ask: Program, alice: User) -> None:
    id = train(ask).json()["modelId"]
    balance = ledger.balance(alice)
    assert "used already" in refused(train(ask, modelId=id), 409)
    assert ledger.balance(alice) == balance
    assert Slot.objects.filter(used_at__isnull=False).count() == 1


def test_a_full_plan_offers_no_model(bob: User) -> None:
    ask = program(bob, base="/api/key", header=HEADER)
    spare = [Slot.objects.create(owner=bob) for _ in range(2)][1]
    assert train(ask).status_code == 200
    assert [one["is_used"] for one in ask("get", "/models").json()] == [True]
    assert "plan" in refused(train(ask, modelId=str(spare.pk)), 403)
    # on a plan without private models it is as public as one made on the page
    assert PortraitModel.objects.get(owner=bob).is_public


# --- styles ------------------------------------------------------------------------------------
@pytest.mark.parametrize("gender", ["man", "woman"])
def test_the_previous_endpoint_gets_all_the_available_styles_per_gender(
    gender: str, ask: Program
) -> None:
    told = ask("get", f"/styles?gender={gender}").json()
    assert [one["id"] for one in told] == [one.id for one in catalogue.of(gender)]
    assert {one["gender"] for one in told} == {gender}
    assert told[0]["previewUrl"].startswith(SITE)


def test_at_least_one_style_available_for_the_chosen_gender(ask: Program, alice: User) -> None:
    balance = ledger.balance(alice)
    assert "at least one style" in refused(train(ask, styles=[]), 400)
    foreign = catalogue.of("woman")[0].id
    assert "for a man" in refused(train(ask, styles=[STYLES[0], foreign]), 400)
    assert ledger.balance(alice) == balance and not Slot.objects.filter(used_at__isnull=False)


def test_an_uploaded_style_is_used_by_its_key(ask: Program) -> None:
    key = upload(ask)["imageKey"]
    id = trained(ask, styles=[key])
    made = Generation.objects.get(set_id=learns_as(id))
    assert str(made.style_picture_id) == key and made.style == ""


def test_an_uploaded_style_is_used_within_24_hours(ask: Program) -> None:
    told = upload(ask)
    assert told["expiresAt"] > (timezone.now() + timedelta(hours=23)).isoformat()
    late = timezone.now() - timedelta(seconds=1)
    Asset.objects.filter(pk=told["imageKey"]).update(expires_at=late)
    assert "24 hours" in refused(train(ask, styles=[told["imageKey"]]), 400)
    assert not PortraitModel.objects.exists()


def test_an_unused_style_is_deleted_automatically_thereafter(ask: Program) -> None:
    used, left = upload(ask)["imageKey"], upload(ask)["imageKey"]
    train(ask, styles=[used])
    late = timezone.now() - timedelta(seconds=1)
    Asset.objects.filter(expires_at__isnull=False).update(expires_at=late)
    sweeper.expire_uploads()
    assert Asset.objects.filter(pk=used).exists()  # in time: it stays until it was drawn
    assert not Asset.objects.filter(pk=left).exists()
    assert "24 hours" in refused(train(ask, styles=[left]), 404)


def test_nobody_uses_somebody_elses_upload(ask: Program, bob: User) -> None:
    theirs = upload(program(bob, base="/api/key", header=HEADER))
    refused(train(ask, styles=[theirs["imageKey"]]), 404)
    refused(train(ask, imageUrls=[theirs["imageUrl"]]), 404)
    refused(train(ask, imageUrls=[theirs["imageKey"]]), 404)


# --- customizations ----------------------------------------------------------------------------
def test_features_are_separated_by_comma_and_space(ask: Program) -> None:
    id = train(ask, customizations="wearing glasses,thick beard ,  mohawk haircut,").json()
    kept = Slot.objects.get(pk=id["modelId"])
    assert kept.customizations == "wearing glasses, thick beard, mohawk haircut"
    assert id["warnings"] == []


def test_no_need_to_specify_no_beard_or_no_glasses(ask: Program) -> None:
    told = train(ask, customizations="green eyes, no beard, Without glasses").json()
    assert Slot.objects.get(pk=told["modelId"]).customizations == "green eyes"
    assert [line.split("”")[0] for line in told["warnings"]] == ["“no beard", "“Without glasses"]


def test_features_are_drawn_in_every_style(ask: Program) -> None:
    id = trained(ask, customizations="thick beard")
    made = Generation.objects.filter(set_id=learns_as(id))
    assert {one.prompt for one in made} == {"thick beard"}


def test_features_do_not_outgrow_a_description(ask: Program) -> None:
    assert "characters" in refused(train(ask, customizations="x" * 600), 400)
    refused(train(ask, customizations="a\x00b"), 400)


# --- imageUrls ---------------------------------------------------------------------------------
def test_square_images_of_640_are_taken_as_they_are(ask: Program) -> None:
    assert train(ask, imageUrls=[upload(ask)["imageUrl"]]).json()["warnings"] == []


def test_images_that_are_not_square_are_cropped_and_the_response_warns(ask: Program) -> None:
    sent = [upload(ask)["imageUrl"], upload(ask, (640, 480))["imageUrl"]]
    (warning,) = train(ask, imageUrls=sent).json()["warnings"]
    assert warning.startswith("Photo 2 is 640 × 480") and "cropped" in warning
    reference = PortraitModel.objects.get().reference
    assert reference.width == reference.height


def test_square_images_of_another_size_are_scaled(ask: Program) -> None:
    (warning,) = train(ask, imageUrls=[upload(ask, (800, 800))["imageUrl"]]).json()["warnings"]
    assert "scaled" in warning


def test_image_urls_of_other_hosts_are_fetched(
    ask: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures.encoded(pictures.scene((700, 640)), "PNG")
    monkeypatch.setattr("generator.assets.fetch.get", lambda url: data)  # what the host answers
    told = train(ask, imageUrls=["https://photos.example/me.png"]).json()
    assert "700 × 640" in told["warnings"][0]


@pytest.mark.parametrize("url", ["ftp://a.example/b.png", "http://127.0.0.1:8080/x", "nothing"])
def test_an_image_that_cannot_be_had_is_named_and_costs_nothing(
    url: str, ask: Program, alice: User
) -> None:
    balance = ledger.balance(alice)
    sent = [upload(ask)["imageUrl"], url]
    assert refused(train(ask, imageUrls=sent), 400).startswith("Photo 2")
    assert ledger.balance(alice) == balance and not PortraitModel.objects.exists()


def test_images_are_1_to_20(ask: Program) -> None:
    one = upload(ask)["imageUrl"]
    refused(train(ask, imageUrls=[one] * 21), 400)
    body = {"modelId": unused(ask), "gender": "man", "styles": STYLES, "imageUrls": []}
    refused(ask("post", "/train-model", body), 400)


def test_our_own_upload_endpoint_gives_urls_that_certainly_work(ask: Program) -> None:
    told = upload(ask)
    assert Program("", base="")("get", path_of(told["imageUrl"])).status_code == 200
    Asset.objects.filter(pk=told["imageKey"]).update(expires_at=timezone.now())
    assert "24 hours" in refused(train(ask, imageUrls=[told["imageUrl"]]), 400)


# --- the body's enums, and the response --------------------------------------------------------
@pytest.mark.parametrize("gender", ["man", "woman"])
def test_gender_is_man_or_woman(gender: str, ask: Program) -> None:
    styles = [catalogue.of(gender)[0].id]
    answer = train(ask, gender=gender, styles=styles, platform="modal")
    told = answer.json()
    assert answer.status_code == 200 and isinstance(told, dict)
    assert told["status"] == "success" and told["modelId"] and told["message"]
    refused(train(ask, gender="dog"), 400)
    refused(train(ask, platform="elsewhere"), 400)


def test_the_training_is_charged_with_the_photos_and_the_styles_after_it(
    ask: Program, alice: User
) -> None:
    before = ledger.balance(alice)
    id = train(ask).json()["modelId"]
    assert ledger.balance(alice) == before - cost("training")
    learn(id)
    sweeper.sweep()
    assert ledger.balance(alice) == before - cost("training") - 3 * cost("image")


def test_without_credits_nothing_is_trained(alice: User) -> None:
    limited = program(alice, spend_limit=1, base="/api/key", header=HEADER)
    refused(train(limited), 402)
    assert not Slot.objects.filter(used_at__isnull=False).exists()


def test_a_trial_run_leaves_nothing(ask: Program, alice: User) -> None:
    sent, model, before = [upload(ask)["imageUrl"]], unused(ask), ledger.balance(alice)
    answer = train(ask, modelId=model, imageUrls=sent, headers={"X_Dry_Run": "1"})
    assert answer.status_code == 200, answer.content
    assert ledger.balance(alice) == before and not PortraitModel.objects.exists()
    assert not Slot.objects.get(pk=model).used_at


def test_the_same_idempotency_key_trains_once(ask: Program) -> None:
    sent, model = [upload(ask)["imageUrl"]], unused(ask)
    once = [
        train(ask, modelId=model, imageUrls=sent, headers={"Idempotency_Key": "one"})
        for _ in range(2)
    ]
    assert [one.status_code for one in once] == [200, 200]
    assert Slot.objects.filter(used_at__isnull=False).count() == 1


# --- what follows a training -------------------------------------------------------------------
def test_every_style_is_drawn_once_after_the_training(ask: Program) -> None:
    id = str(train(ask).json()["modelId"])
    sweeper.sweep()
    assert not Generation.objects.exists()
    learn(id)
    for _ in range(3):
        sweeper.sweep()
    made = Generation.objects.filter(set_id=learns_as(id))
    assert sorted(one.style for one in made) == sorted(STYLES)


def test_a_sweeper_that_dies_in_between_leaves_no_picture_out_or_twice(ask: Program) -> None:
    id = trained(ask)
    charged = CreditEntry.objects.count()
    Slot.objects.filter(pk=id).update(over_at=None, asked={})  # as if it was never written
    sweeper.sweep()
    assert Generation.objects.filter(kind="image").count() == len(STYLES)
    assert CreditEntry.objects.count() == charged


def test_pictures_that_cannot_be_paid_now_are_asked_for_later(alice: User) -> None:
    limit = cost("training") + cost("image")
    key = program(alice, spend_limit=limit, base="/api/key", header=HEADER)
    id = trained(key)
    assert Generation.objects.filter(kind="image").count() == 1
    told = key("get", f"/results?modelId={id}").json()
    assert told["status"] == "processing" and "Nothing was charged" in told["message"]
    alice.api_keys.update(spend_limit=None)
    sweeper.sweep()
    assert Generation.objects.filter(kind="image").count() == 1  # a minute is waited
    Slot.objects.update(look_at=timezone.now())
    sweeper.sweep()
    assert Generation.objects.filter(kind="image").count() == len(STYLES)


def test_a_style_deleted_meanwhile_leaves_the_others(ask: Program) -> None:
    key = upload(ask)["imageKey"]
    id = str(train(ask, styles=[key, STYLES[0]]).json()["modelId"])
    learn(id)
    Asset.objects.filter(pk=key).delete()
    sweeper.sweep()
    first, second = ask("get", f"/results?modelId={id}").json()["images"]
    assert (first["status"], first["message"]) == ("error", "The uploaded style was deleted.")
    assert second["status"] == "processing"


def test_photos_that_make_no_model_free_the_place(
    ask: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = upload(ask)["imageKey"]
    id = str(train(ask, styles=[key]).json()["modelId"])
    PortraitModel.objects.filter(pk=learns_as(id)).delete()
    told = photos.Status("ERROR", "No photo shows a face large enough to learn.")
    monkeypatch.setattr(automatic.photos, "status", lambda user, id: told)
    sweeper.sweep()
    (free,) = [one for one in ask("get", "/models").json() if one["id"] == id]
    assert not free["is_used"]
    result = ask("get", f"/results?modelId={id}").json()
    assert (result["status"], result["message"]) == ("error", told.message)
    assert Asset.objects.get(pk=key).expires_at  # the style has a last day again
    assert train(ask, modelId=id).status_code == 200


def test_a_model_deleted_in_the_studio_is_over(ask: Program) -> None:
    id = str(train(ask).json()["modelId"])
    PortraitModel.objects.filter(pk=learns_as(id)).delete()
    sweeper.sweep()
    told = ask("get", f"/results?modelId={id}").json()
    assert told["status"] == "error" and "deleted" in told["message"]
    assert Slot.objects.get(pk=id).over_at


# --- results -----------------------------------------------------------------------------------
def test_results_are_polled_until_every_picture_is_there(ask: Program) -> None:
    id = str(train(ask).json()["modelId"])
    told = ask("get", f"/results?modelId={id}").json()
    assert told["status"] == "processing" and told["imageUrls"] == []
    assert [one["status"] for one in told["images"]] == ["waiting"] * 3
    learn(id)
    sweeper.sweep()
    first, *others = [
        Generation.objects.get(pk=automatic.generation_id(Slot.objects.get(pk=id), style))
        for style in STYLES
    ]
    finish(first)
    told = ask("get", f"/results?modelId={id}").json()
    assert told["status"] == "processing"
    assert [one["status"] for one in told["images"]] == ["success", "processing", "processing"]
    assert told["imageUrls"] == [told["images"][0]["imageUrl"]]
    picture = Program("", base="")("get", path_of(told["imageUrls"][0]))
    assert picture.status_code == 200
    for one in others:
        finish(one)
    told = ask("get", f"/results?modelId={id}").json()
    assert told["status"] == "success" and len(told["imageUrls"]) == len(told["imageKeys"]) == 3


def test_a_picture_that_failed_says_why(ask: Program) -> None:
    id = trained(ask, styles=STYLES[:1])
    lifecycle.fail(claim(Generation.objects.get(kind="image")), "too_dark", "It is too dark.")
    told = ask("get", f"/results?modelId={id}").json()
    assert told["status"] == "error" and told["images"][0]["message"] == "It is too dark."


def test_an_unused_model_has_no_results(ask: Program) -> None:
    told = ask("get", f"/results?modelId={unused(ask)}").json()
    assert told["status"] == "waiting" and told["images"] == []


# --- recreate ----------------------------------------------------------------------------------
@pytest.fixture
def picture(alice: User) -> Asset:
    made = finish(submit(alice, kind="image", prompt="a park", portrait_model=ready_model(alice)))
    return Asset.objects.get(generation=made)


@pytest.mark.parametrize("category", ["fullMakeover", "background", "clothes", "hair"])
def test_recreate_gives_urls_before_the_pictures_exist(
    category: str, ask: Program, alice: User, picture: Asset
) -> None:
    before = ledger.balance(alice)
    body = {"imageUrl": f"{SITE}/media/{picture.pk}", "category": category, "prompt": "red silk"}
    answer = ask("post", "/recreate", body)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["status"] == "success" and set(told) == {
        "status", "message", "imageUrls", "imageKeys"
    }  # fmt: skip
    made = Generation.objects.get(pk=told["imageKeys"][0])
    assert made.kind == "edit" and made.source == picture
    assert made.prompt == INSTRUCTIONS[category].format(prompt="red silk")
    assert made.portrait_model == PortraitModel.objects.get()  # who is in it stays
    assert ledger.balance(alice) == before - cost("edit")
    guest, path = Program("", base=""), path_of(told["imageUrls"][0])
    waiting = guest("get", path)
    refused(waiting, 404)
    finish(made)
    there = guest("get", path)
    assert there.status_code == 200 and there["Content-Type"] == "image/png"
    assert there.getvalue().startswith(b"\x89PNG")
    refused(guest("get", path[:-2]), 404)  # another signature
    refused(guest("get", path.replace(str(made.pk), str(picture.generation_id))), 404)


def test_an_address_of_a_picture_that_failed_says_so(ask: Program, picture: Asset) -> None:
    body = {"imageUrl": str(picture.pk), "category": "hair", "prompt": "blue"}
    told = ask("post", "/recreate", body).json()
    made = claim(Generation.objects.get(pk=told["imageKeys"][0]))
    lifecycle.fail(made, "no_face", "No face was found.")
    said = refused(Program("", base="")("get", path_of(told["imageUrls"][0])), 410)
    assert said == "No face was found."


def test_what_recreate_gave_can_be_recreated(ask: Program, picture: Asset) -> None:
    body = {"imageUrl": str(picture.pk), "category": "hair", "prompt": "blue"}
    told = ask("post", "/recreate", body).json()
    again = {**body, "imageUrl": told["imageUrls"][0]}
    refused(ask("post", "/recreate", again), 404)  # there is no picture yet
    finish(Generation.objects.get(pk=told["imageKeys"][0]))
    for image in (told["imageUrls"][0], told["imageKeys"][0]):
        answer = ask("post", "/recreate", {**again, "imageUrl": image})
        assert answer.status_code == 200, answer.content


def test_recreate_takes_an_upload_too(ask: Program) -> None:
    body = {"imageUrl": upload(ask)["imageUrl"], "category": "background", "prompt": "a beach"}
    assert ask("post", "/recreate", body).status_code == 200


def test_recreate_wants_a_prompt_and_a_picture_of_ones_own(
    ask: Program, bob: User, picture: Asset
) -> None:
    body = {"imageUrl": str(picture.pk), "category": "hair", "prompt": "blue"}
    refused(ask("post", "/recreate", {**body, "prompt": " "}), 400)
    refused(ask("post", "/recreate", {**body, "imageUrl": ""}), 400)
    stranger = program(bob, base="/api/key", header=HEADER)
    refused(stranger("post", "/recreate", body), 404)
    assert not Generation.objects.filter(kind="edit").exists()


# --- documentation -----------------------------------------------------------------------------
def test_what_the_original_does_not_publish_says_so() -> None:
    schema = APIS["tryiton"].get_openapi_schema()
    ours = "the original is not public"
    known = {
        "TrainIn": {"styles", "customizations", "imageUrls", "gender"},
        "RecreateIn": {"imageUrl", "category", "prompt"},
        "RecreateOut": {"status", "message", "imageUrls", "imageKeys"},
        "ModelOut": {"is_used", "is_trained", "email_sent"},
        "Problem": {"status", "message"},
    }
    for name, said in schema["components"]["schemas"].items():
        if name in ("FileParams", "UploadImageFileParams", "Input") or "Params" in name:
            continue
        for field, about in said.get("properties", {}).items():
            is_known = field in known.get(name, set())
            assert is_known or ours in about.get("description", ""), f"{name}.{field}"
    theirs = {"/api/key/train-model", "/api/key/recreate"}
    for path, methods in schema["paths"].items():
        for about in methods.values():
            assert path in theirs or ours in about.get("description", ""), path


def test_features_refuse_in_words() -> None:
    with pytest.raises(Refusal):
        training.features("x" * 506)
    assert training.features("") == ("", [])
