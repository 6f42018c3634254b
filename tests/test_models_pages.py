"""My models, one model's page, the dialogs that change and delete it."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from accounts.models import User
from billing.models import CreditEntry
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.jobs.models import Training
from generator.portraits.links import canonical
from generator.portraits.models import PortraitModel
from tests import rows

HTMX = {"HTTP_HX_REQUEST": "true"}


def edited(model: PortraitModel, **changes: str) -> dict[str, str]:
    """What the form of "Update model" sends; `is_public=""` is a switch that is off."""
    sent = {"name": model.name, "description": model.description, "is_public": "on"} | changes
    return {name: value for name, value in sent.items() if name != "is_public" or value}


# --- the list -------------------------------------------------------------------------
def test_the_list_shows_own_models_and_others_ready_public_ones(
    alice: User, bob: User, alice_client: Client
) -> None:
    rows.portrait_model(alice, "Mine", is_public=False)
    rows.portrait_model(bob, "Shared")
    rows.portrait_model(bob, "Hidden", is_public=False)
    rows.portrait_model(bob, "Untrained", is_ready=False)
    page = alice_client.get("/models/").content.decode()
    assert "Mine" in page and "Shared" in page
    assert "Hidden" not in page and "Untrained" not in page


def test_an_empty_list_leads_to_both_ways_in(alice_client: Client) -> None:
    page = alice_client.get("/models/").content.decode()
    assert "Create Portrait Model" in page and "AI influencer generator" in page


def test_the_signed_out_are_asked_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/models/")["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("count", [1, 40])
def test_the_list_asks_the_database_a_fixed_number_of_times(
    count: int, alice: User, alice_client: Client, django_assert_max_num_queries: object
) -> None:
    for number in range(count):
        rows.training(rows.portrait_model(alice, f"Model {number}"))
    with django_assert_max_num_queries(9):  # type: ignore[operator]
        alice_client.get("/models/")


# --- one model ------------------------------------------------------------------------
def test_a_private_model_is_for_its_owner_only(
    alice: User, alice_client: Client, charlie_client: Client, client: Client
) -> None:
    model = rows.portrait_model(alice, is_public=False)
    address = f"/models/{model.id}/"
    assert alice_client.get(address).status_code == 200
    assert charlie_client.get(address).status_code == 404
    assert client.get(address).status_code == 404


def test_a_public_model_shows_no_actions_and_no_pictures_to_others(
    alice: User, charlie_client: Client, client: Client
) -> None:
    model = rows.portrait_model(alice)
    made = rows.generation(model)
    for visitor in (charlie_client, client):
        page = visitor.get(f"/models/{model.id}/").content.decode()
        assert "/edit/" not in page and "/delete/" not in page
        assert str(made.id) not in page


def test_links_of_a_model_are_given_no_weight(alice: User, client: Client) -> None:
    model = rows.portrait_model(alice)
    PortraitModel.objects.update(tiktok_url="https://www.tiktok.com/@ada")
    page = client.get(f"/models/{model.id}/").content.decode()
    assert 'href="https://www.tiktok.com/@ada" rel="nofollow noopener ugc"' in page


@pytest.mark.parametrize("path", ["edit/", "delete/", "card/"])
def test_only_the_owner_opens_the_dialogs(
    path: str, alice: User, alice_client: Client, charlie_client: Client
) -> None:
    model = rows.portrait_model(alice)
    assert alice_client.get(f"/models/{model.id}/{path}", **HTMX).status_code == 200
    assert charlie_client.get(f"/models/{model.id}/{path}", **HTMX).status_code == 404


# --- changing -------------------------------------------------------------------------
def test_the_owner_renames_and_links_a_model(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    sent = edited(model, name="Ada Byron", tiktok_url="tiktok.com/@ada?lang=en")
    answer = alice_client.post(f"/models/{model.id}/edit/", sent, **HTMX)
    model.refresh_from_db()
    assert (model.name, model.tiktok_url) == ("Ada Byron", "https://www.tiktok.com/@ada")
    assert "close-dialog" in answer["HX-Trigger"]


def test_others_cannot_change_or_delete(alice: User, charlie_client: Client) -> None:
    model = rows.portrait_model(alice)
    sent = edited(model, name="Stolen")
    assert charlie_client.post(f"/models/{model.id}/edit/", sent).status_code == 404
    assert charlie_client.post(f"/models/{model.id}/delete/").status_code == 404
    assert PortraitModel.objects.get().name == "Ada"


def test_a_free_plan_keeps_what_was_typed_when_it_may_not_be_private(
    bob: User, bob_client: Client
) -> None:
    model = rows.portrait_model(bob)
    sent = edited(model, name="New name", is_public="")
    answer = bob_client.post(f"/models/{model.id}/edit/", sent, **HTMX)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Upgrade" in page and 'value="New name"' in page and "Micro" in page
    model.refresh_from_db()
    assert (model.name, model.is_public) == ("Ada", True)


def test_a_paid_plan_hides_model_and_reference_together(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    alice_client.post(f"/models/{model.id}/edit/", edited(model, is_public=""), **HTMX)
    assert not PortraitModel.objects.get().is_public
    assert not Asset.objects.get(id=model.reference_id).is_public


def test_a_bad_link_is_refused_beside_its_field(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    sent = edited(model, instagram_url="https://evil.example/ada", name="Typed")
    page = alice_client.post(f"/models/{model.id}/edit/", sent, **HTMX).content.decode()
    assert "This is not a link to Instagram." in page and 'value="Typed"' in page


def test_a_name_that_cannot_be_shown_is_refused_in_words(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    answer = alice_client.post(f"/models/{model.id}/edit/", edited(model, name="A\x07"), **HTMX)
    assert answer.status_code == 422
    assert "This text contains characters that cannot be shown." in answer.content.decode()


@pytest.mark.parametrize(
    "sent",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "http://tiktok.com/@a",
        "https://evil.example/tiktok.com",
        "https://ｔiktok.com/@a",
        "https://www.instagram.com/a",
        "https://tiktok.com.evil.example/@a",
        "https://user@www.tiktok.com/@a",
        "https://www.tiktok.com:8443/@a",
        "https://www.tiktok.com",
        "https://www.tiktok.com/@a b",
        'https://www.tiktok.com/"><b>',
        "ftp://www.tiktok.com/@a",
        "//[::1",
        "https://www.tiktok.com/" + "a" * 300,
    ],
)
def test_no_other_address_passes_for_a_tiktok_link(sent: str) -> None:
    with pytest.raises(Refusal):
        canonical("TikTok", sent)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("", ""),
        (" tiktok.com/@ada/ ", "https://www.tiktok.com/@ada"),
        ("https://WWW.TikTok.com/@ada#x", "https://www.tiktok.com/@ada"),
        ("https://vm.tiktok.com/ZM1", "https://vm.tiktok.com/ZM1"),
    ],
)
def test_a_link_is_stored_in_one_spelling(sent: str, kept: str) -> None:
    assert canonical("TikTok", sent) == kept


# --- training again and deleting ----------------------------------------------------------
def test_a_double_click_on_train_again_is_one_training(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice, is_ready=False)
    sent = {"id": str(uuid.uuid4())}
    for _ in range(2):
        answer = alice_client.post(f"/models/{model.id}/train/", sent, **HTMX)
        assert answer.status_code == 200
        assert "3,980" in answer.content.decode()  # the balance in the header
    assert Training.objects.count() == 1
    assert CreditEntry.objects.filter(kind="charge").count() == 1


def test_training_without_credits_opens_the_upgrade_dialog(bob: User, bob_client: Client) -> None:
    model = rows.portrait_model(bob, is_ready=False)
    for _ in range(4):  # 80 credits a day, 20 a training
        bob_client.post(f"/models/{model.id}/train/", {"id": str(uuid.uuid4())}, **HTMX)
        Training.objects.update(state="failed")
    answer = bob_client.post(f"/models/{model.id}/train/", {"id": str(uuid.uuid4())}, **HTMX)
    assert (answer.status_code, answer["HX-Retarget"]) == (402, "#dialog")
    assert "Not enough credits" in answer.content.decode()


def test_deleting_asks_in_the_seeds_words_and_then_deletes(
    alice: User, alice_client: Client
) -> None:
    model = rows.portrait_model(alice)
    address = f"/models/{model.id}/delete/"
    asked = alice_client.get(address, **HTMX).content.decode()
    assert "Delete model" in asked and "Are you sure you want to delete this model?" in asked
    assert alice_client.post(address, **HTMX)["HX-Redirect"] == "/models/"
    assert not PortraitModel.objects.exists() and not Asset.objects.exists()


def test_training_again_in_the_workstation_answers_with_its_state(
    alice: User, alice_client: Client
) -> None:
    model = rows.portrait_model(alice, is_ready=False)
    rows.training(model, "failed")
    assert "data-train-again" in alice_client.get(f"/create/?model={model.id}").content.decode()
    sent = {"id": str(uuid.uuid4()), "answer": "state"}
    page = alice_client.post(f"/models/{model.id}/train/", sent, **HTMX).content.decode()
    assert 'id="model-state"' in page and 'data-training-state="queued"' in page
    assert "data-train-again" not in page


def test_the_menu_offers_what_the_state_allows(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    training = rows.training(model)
    page = alice_client.get("/models/").content.decode()
    assert f'action="/trainings/{training.id}/cancel/"' in page and "Train again" not in page
    Training.objects.update(state="canceled")
    page = alice_client.get("/models/").content.decode()
    assert f'action="/models/{model.id}/train/"' in page and "Cancel training" not in page


def test_everything_works_without_javascript(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    address = f"/models/{model.id}/"
    page = alice_client.get("/models/").content.decode()
    assert f'href="{address}edit/"' in page and f'href="{address}delete/"' in page
    training = rows.training(model)
    assert alice_client.post(f"/trainings/{training.id}/cancel/")["Location"] == "/models/"
    training.refresh_from_db()
    assert training.state == "canceled"
    assert "<!doctype html>" in alice_client.get(f"{address}edit/").content.decode()
    answer = alice_client.post(f"{address}edit/", edited(model, name="Byron"))
    assert answer["Location"] == address
    assert alice_client.post(f"{address}delete/")["Location"] == "/models/"
