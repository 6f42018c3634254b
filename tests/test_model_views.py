"""The views that a portrait model was learnt from: looking at them, and rejecting some."""

from __future__ import annotations

import re
import uuid
from html import unescape
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.models import CreditEntry, Subscription
from generator.engine.interface import Recipe, TrainedAdapter
from generator.engine.production import card, person
from generator.jobs import lifecycle
from generator.jobs.models import Training
from generator.portraits import sheets
from generator.portraits.models import PortraitModel
from tests import rows, sheet_parts
from tests.conftest import signed_in
from tests.job_parts import claim
from tests.production_parts import load, make, photo

HTMX = {"HTTP_HX_REQUEST": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def engine_for_a_gpu(settings: Settings) -> None:
    settings.ENGINE_IMAGE = "klein"


@pytest.fixture
def model(alice: User) -> PortraitModel:
    found = rows.portrait_model(alice)
    sheet_parts.give(found, sheet_parts.sheet())
    return found


def address(model: PortraitModel, view: card.View | None = None) -> str:
    return f"/models/{model.pk}/views/" + (f"{view.name}/" if view else "")


def words(answer: HttpResponse) -> str:
    """What a page says, without its marks."""
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", unescape(text))


def names(model: PortraitModel, *places: int) -> list[str]:
    return [sheets.views(model)[place].name for place in places]


def reject(
    client: Client,
    model: PortraitModel,
    chosen: list[str],
    id: uuid.UUID | str = "",
    **headers: str,
) -> HttpResponse:
    sent = {"view": chosen, "id": str(id or uuid.uuid4())}
    return client.post(address(model), sent, **headers)  # type: ignore[arg-type, return-value]


def refused(answer: HttpResponse, status: int, sentence: str) -> None:
    assert answer.status_code == status
    assert sentence in words(answer)


def state(model: PortraitModel) -> tuple[str, str, tuple[card.View, ...], int]:
    fresh = PortraitModel.objects.get(pk=model.pk)
    return (
        str(fresh.weights.name), fresh.weights_sha256, sheets.views(fresh),
        ledger.balance(fresh.owner),
    )  # fmt: skip


# --- looking -------------------------------------------------------------------------------
def test_each_view_is_shown_with_what_it_was_asked_and_how_alike_it_is(
    model: PortraitModel, alice_client: Client
) -> None:
    answer = alice_client.get(address(model))
    page, said = answer.content.decode(), words(answer)
    for view in sheets.views(model):
        assert f'src="{address(model, view)}"' in page
        assert f'name="view" value="{view.name}"' in page
    assert "Facing the camera, smiling Close-up in soft window light, at home" in said
    assert said.count("71 likeness") == 1 and "88 likeness" in said
    assert said.count("Likeness is not available") == 1
    assert f"/media/{model.reference_id}/?size=512" in page


def test_where_nothing_was_measured_that_is_said_once(
    model: PortraitModel, alice_client: Client
) -> None:
    sheet_parts.give(model, sheet_parts.sheet(likeness=[None] * 4))
    said = words(alice_client.get(address(model)))
    assert said.count("Likeness is not available: nothing here measures faces.") == 1
    assert said.count("not available") == 1 and " likeness" not in said


def test_a_view_comes_as_it_was_encoded_with_a_private_pictures_headers(
    model: PortraitModel, alice_client: Client
) -> None:
    view = sheets.views(model)[0]
    answer = alice_client.get(address(model, view))
    assert answer.content == view.jpeg
    assert {name: answer[name] for name in (
        "Content-Type", "Cache-Control", "X-Content-Type-Options", "Content-Security-Policy", "ETag"
    )} == {
        "Content-Type": "image/jpeg", "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox", "ETag": f'"{view.name}.jpg"',
    }  # fmt: skip
    again = alice_client.get(address(model, view), headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_nobody_else_sees_them_and_foreign_and_unknown_are_told_alike(
    model: PortraitModel, alice: User, bob: User, bob_client: Client, client: Client
) -> None:
    """However public the model is, and whoever has a view of the same name."""
    own = rows.portrait_model(bob)
    mine = sheet_parts.give(own, sheet_parts.sheet(seed=1))[0]
    view = sheets.views(model)[0]
    nobodys = PortraitModel(pk=uuid.uuid4())
    for path in (address(model), address(model, view), address(model, mine), address(own, view)):
        unknown = address(nobodys) if path == address(model) else address(nobodys, view)
        for headers in ({}, HTMX):
            theirs, nothing = bob_client.get(path, **headers), bob_client.get(unknown, **headers)
            assert theirs.status_code == nothing.status_code == 404
            assert without_path(theirs, path) == without_path(nothing, unknown)
            assert not theirs.has_header("ETag")
        assert client.get(path)["Location"].startswith("/accounts/login/")
    refused(bob_client.post(address(model), {"view": [view.name]}), 404, "")
    assert not Training.objects.exists()
    page = bob_client.get(f"/models/{model.pk}/").content.decode()
    assert "/views/" not in page and view.name not in page


def without_path(answer: HttpResponse, path: str) -> str:
    text = re.sub(r'csrf[^"]*"[^"]*"|"X-CSRFToken": "[^"]*"', "", answer.content.decode())
    return text.replace(path, "")


def test_the_models_page_leads_its_owner_to_them(
    model: PortraitModel, alice_client: Client
) -> None:
    page = alice_client.get(f"/models/{model.pk}/").content.decode()
    assert f'href="{address(model)}"' in page and "Look at the views" in page
    card_of_it = alice_client.get(f"/models/{model.pk}/card/", **HTMX).content.decode()
    assert f'id="model-views-{model.pk}"' in card_of_it and "Look at the views" in card_of_it


@pytest.mark.parametrize(
    "data", [b"what the embedded engine learnt", sheet_parts.weights(()), None]
)
def test_a_model_without_views_shows_nothing_of_it(
    data: bytes | None, alice: User, alice_client: Client
) -> None:
    """Learnt by the embedded engine, from photos alone, or with a file that is lost."""
    model = rows.portrait_model(alice)
    if data is not None:
        model.weights.name = default_storage.save("weights/x.safetensors", ContentFile(data))
        model.save()
    page = alice_client.get(f"/models/{model.pk}/").content.decode()
    assert "/views/" not in page and "Views it learned from" not in page
    assert alice_client.get(address(model)).status_code == 404
    assert reject(alice_client, model, ["0" * 64]).status_code == 404
    assert alice_client.get(f"/models/{model.pk}/views/{'0' * 64}/").status_code == 404


def test_what_is_no_jpeg_is_no_view(model: PortraitModel, alice_client: Client) -> None:
    bad = card.View(b"<svg onload=alert(1)>", "smiling")
    sheet_parts.give(model, [*sheet_parts.sheet(), bad])
    assert alice_client.get(address(model, bad)).status_code == 404
    assert bad.name not in alice_client.get(address(model)).content.decode()


# --- rejecting -----------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["form", "htmx"])
def test_rejected_views_are_one_training_charged_once_for_the_same_id(
    headers: dict[str, str], model: PortraitModel, alice: User, alice_client: Client
) -> None:
    chosen, id = names(model, 1, 2), uuid.uuid4()
    before = ledger.balance(alice)
    for _ in range(3):
        answer = reject(alice_client, model, chosen, id, **headers)
        where = answer["HX-Redirect"] if headers else answer["Location"]
        assert where == f"/models/{model.pk}/"
    training = Training.objects.get()
    assert (training.pk, training.tier, training.engine) == (id, "fast", "klein")
    assert training.rejected_views == sorted(chosen)
    assert ledger.balance(alice) == before - 20
    assert CreditEntry.objects.filter(kind="charge").count() == 1
    page = alice_client.get(f"/models/{model.pk}/")
    assert "Other views are being made. Ada stays in use as it is meanwhile." in words(page)
    assert 'data-training-state="queued"' in page.content.decode()


def test_the_button_says_what_it_does_and_what_it_costs(
    model: PortraitModel, alice_client: Client
) -> None:
    said = words(alice_client.get(address(model)))
    assert "Choose the views that others shall take the place of" in said
    assert "Train with other views 20 credits" in said
    assert "Training costs 20 credits." in said
    assert "A training that fails gives them back." in said


def test_choosing_none_is_refused_in_place(model: PortraitModel, alice_client: Client) -> None:
    for headers in ({}, HTMX):
        answer = reject(alice_client, model, [], **headers)
        refused(answer, 422, "Choose the views that others shall take the place of.")
        assert f'id="model-sheet-{model.pk}"' in answer.content.decode()
    assert not Training.objects.exists() and not CreditEntry.objects.filter(kind="charge").exists()


def test_only_views_it_was_trained_with_are_taken_and_the_choice_survives(
    model: PortraitModel, bob: User, alice_client: Client
) -> None:
    theirs = sheet_parts.give(rows.portrait_model(bob), sheet_parts.sheet(seed=1))[0].name
    (own,) = names(model, 2)
    for stranger in (theirs, "0" * 64, "", "'; --", "\x00", "é" * 4000):
        answer = reject(alice_client, model, [own, stranger])
        refused(answer, 422, "The model was not trained with these views.")
        assert re.findall(r'value="(\w+)"[^>]*checked', answer.content.decode()) == [own]
    assert not Training.objects.exists()


def test_a_training_that_is_going_on_is_not_joined_by_another_wish(
    model: PortraitModel, alice: User, alice_client: Client
) -> None:
    rows.training(model)
    before = state(model)
    for headers in ({}, HTMX):
        answer = reject(alice_client, model, names(model, 0), **headers)
        refused(answer, 409, "This model is being trained already.")
    assert state(model) == before and Training.objects.count() == 1
    page = alice_client.get(address(model))
    assert 'type="checkbox" name="view"' not in page.content.decode()
    assert "Ada is being trained. These are the views it has until that is done." in words(page)
    assert "<progress" in page.content.decode()


def test_the_same_wish_from_another_tab_meets_the_training(
    model: PortraitModel, alice_client: Client
) -> None:
    for _ in range(2):
        assert reject(alice_client, model, names(model, 0, 1)).status_code == 302
    assert Training.objects.count() == 1
    refused(reject(alice_client, model, names(model, 0)), 409, "being trained already")


def test_an_id_that_another_models_training_has_is_refused(
    model: PortraitModel, bob: User, alice: User, alice_client: Client
) -> None:
    for other in (rows.portrait_model(bob), rows.portrait_model(alice, "Mira")):
        taken = rows.training(other).pk
        refused(reject(alice_client, model, names(model, 0), taken), 404, "no such training")
        answer = alice_client.post(f"/models/{model.pk}/train/", {"id": str(taken)}, **HTMX)
        refused(answer, 404, "There is no such training.")
    assert not model.trainings.exists()


def test_without_credits_the_dialog_opens_and_the_page_says_it(bob: User) -> None:
    client, model = signed_in(bob), rows.portrait_model(bob)
    sheet_parts.give(model, sheet_parts.sheet())
    for _ in range(4):  # 80 credits a day, 20 a training
        assert reject(client, model, names(model, 0)).status_code == 302
        Training.objects.update(state="succeeded")
    dialog = reject(client, model, names(model, 0), **HTMX)
    assert (dialog.status_code, dialog["HX-Retarget"]) == (402, "#dialog")
    answer = reject(client, model, names(model, 1))
    refused(answer, 402, "See the plans")
    assert re.findall(r'value="(\w+)"[^>]*checked', answer.content.decode()) == names(model, 1)
    assert Training.objects.count() == 4


def test_beyond_the_plan_they_are_looked_at_only(
    model: PortraitModel, alice: User, alice_client: Client
) -> None:
    older = rows.portrait_model(alice, "Older")
    PortraitModel.objects.filter(pk=older.pk).update(created_at="2020-01-01T00:00Z")
    Subscription.objects.filter(user=alice).update(plan="nano")
    page = alice_client.get(address(model))
    assert "Read-only" in words(page) and 'type="checkbox" name="view"' not in page.content.decode()
    refused(reject(alice_client, model, names(model, 0)), 403, "Read-only: your plan holds fewer")
    assert not Training.objects.exists()


def test_an_engine_without_views_is_not_asked_for_any(
    model: PortraitModel, alice_client: Client, settings: Settings
) -> None:
    """Of a model that another engine learnt before."""
    settings.ENGINE_IMAGE = "miniature"
    page = alice_client.get(address(model))
    assert "The engine in use makes no views" in words(page)
    assert 'type="checkbox" name="view"' not in page.content.decode()
    refused(reject(alice_client, model, names(model, 0)), 409, "The engine in use makes no views")
    assert not Training.objects.exists()


# --- how it ends -----------------------------------------------------------------------------
@pytest.mark.parametrize("end", ["failed", "canceled", "canceled while running"])
def test_what_does_not_succeed_leaves_weights_and_sheet_and_returns_the_credits(
    end: str, model: PortraitModel, alice_client: Client
) -> None:
    before = state(model)
    reject(alice_client, model, names(model, 0))
    training = Training.objects.get()
    assert alice_client.get(f"/create/?model={model.pk}").status_code == 200  # still in use
    assert PortraitModel.objects.get(pk=model.pk).is_ready
    if end == "canceled":
        alice_client.post(f"/trainings/{training.pk}/cancel/")
    elif end == "failed":
        lifecycle.fail(claim(training), "too_few_views", "Too few views show this person.")
    else:
        lifecycle.end_canceled(claim(training))
    assert state(model) == before
    page = alice_client.get(address(model))
    assert "Your 20 credits came back." in words(page)
    assert 'type="checkbox" name="view"' in page.content.decode()


def test_what_succeeds_brings_the_new_sheet_and_the_old_views_are_gone(
    model: PortraitModel, alice_client: Client
) -> None:
    old = sheets.views(model)
    reject(alice_client, model, [old[0].name])
    new = (*old[1:], sheet_parts.sheet(seed=5)[0])
    adapter = TrainedAdapter(sheet_parts.weights(new), likeness=80, preview=photo(1))
    lifecycle.finish_training(claim(Training.objects.get()), adapter)
    model.refresh_from_db()
    assert sheets.views(model) == new
    assert alice_client.get(address(model, old[0])).status_code == 404
    assert alice_client.get(address(model, new[-1])).content == new[-1].jpeg
    answer = reject(alice_client, model, [old[0].name])  # a page from before
    refused(answer, 422, "Choose among those it has.")


@pytest.mark.engine
def test_what_an_engine_learnt_from_one_photo_is_looked_at_and_rejected(
    model: PortraitModel, alice_client: Client, tmp_path: Path
) -> None:
    """A true sheet, of a tiny klein."""
    engine = load("klein", make("klein", tmp_path))
    recipe = Recipe(steps=2, rank=4, evaluation_images=0, views=2)
    learnt = engine.train([photo(1)], tier="fast", recipe=recipe).safetensors
    model.weights.name = default_storage.save("weights/true.safetensors", ContentFile(learnt))
    model.save()
    views = person.read(learnt, family="klein").views
    assert sheets.views(model) == views and len(views) == 2
    assert alice_client.get(address(model, views[1])).content == views[1].jpeg
    assert "Facing the camera, with a calm face" in words(alice_client.get(address(model)))
    assert reject(alice_client, model, [views[1].name]).status_code == 302
    assert Training.objects.get().rejected_views == [views[1].name]
