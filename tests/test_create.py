"""The create page: a name and one reference become a portrait model in training, once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from threading import Barrier
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from accounts import consent
from accounts.models import Consent, User
from billing import ledger
from billing.models import CreditEntry, Subscription
from billing.plans import PLANS, cost
from billing.refusals import Refusal
from generator.assets.drawn import store_generated, store_png
from generator.assets.models import Asset
from generator.engine.interface import GeneratedImage
from generator.jobs.models import Generation, Training
from generator.portraits import services
from generator.portraits.models import PortraitModel
from tests import pictures
from tests.conftest import signed_in

HTMX: dict[str, Any] = {"HTTP_HX_REQUEST": "true"}
URL = "/models/new/"


def reference_of(user: User) -> Asset:
    """A reference as the door stores it, without the child's second of work."""
    drawn = pictures.encoded(pictures.scene((512, 512)), "PNG")
    return store_png(drawn, owner=user, kind=Asset.Kind.REFERENCE)


def face_of(user: User) -> Asset:
    generation = Generation.objects.create(owner=user, kind="face", prompt="x", engine="miniature")
    drawn = pictures.encoded(pictures.scene((512, 512)), "PNG")
    return store_generated(generation, 0, GeneratedImage(drawn, seed=7))


def fields(reference: Asset | None, **changes: Any) -> dict[str, Any]:
    given = {
        "id": str(uuid.uuid4()),
        "name": "Ada",
        "description": "A note",
        "is_public": "on",
        "reference": str(reference.id) if reference else "",
        "consent": "me",
        "consent_version": consent.CURRENT,
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def create(client: Client, given: dict[str, Any]) -> HttpResponse:
    return client.post(URL, given, **HTMX)


# --- the page ---------------------------------------------------------------------------
def test_the_page_has_every_word_of_the_help_page(alice_client: Client) -> None:
    page = " ".join(unescape(alice_client.get(URL).content.decode()).split())
    for words in (
        "Model reference image",
        "Create with reference",
        "Upload a reference of yourself or any character to craft your custom model.",
        "Click to upload image",
        "Upload your own image as your model's reference image.",
        "Generate ideal influencer",
        "No reference? Let us create your ideal influencer for you.",
        "AI influencer generator",
        "Use Likeness's AI influencer generator to generate your model's reference image.",
        "Model name:",
        'placeholder="Name of the model."',
        "Description:",
        'placeholder="Please describe your desired artwork here"',
        "Public:",
        "Create your image model now",
        "View the Portrait Model generation tutorial",
        "Pick one photo of yourself",
        "Good photos",
        "Bad photos",
        "High resolution",
        "Low resolution",
        "Clear face & background",
        "Cluttered face & background",
        "Simple composition",
        "Poor composition",
        "Select reference image",
        "Upload or use our AI influencer generator",
        ">OR<",
    ):
        assert words in page, words


def test_the_page_is_open_to_the_signed_out(db: None, client: Client) -> None:
    response = client.get(URL)
    assert response.status_code == 200 and b'data-signed-in="false"' in response.content


def test_a_drawn_face_can_be_brought_along(alice: User, alice_client: Client) -> None:
    face = face_of(alice)
    page = alice_client.get(f"{URL}?reference={face.id}").content.decode()
    assert f'name="reference" value="{face.id}"' in page


def test_a_foreign_reference_is_not_shown(alice: User, charlie_client: Client) -> None:
    face = face_of(alice)
    page = charlie_client.get(f"{URL}?reference={face.id}").content.decode()
    assert str(face.id) not in page and 'data-state="empty"' in page


# --- creating ---------------------------------------------------------------------------
def test_creating_charges_once_and_starts_a_training(alice: User, alice_client: Client) -> None:
    reference = reference_of(alice)
    before = ledger.balance(alice)
    response = create(alice_client, fields(reference, name=" Ada\u202e ", description="Hello"))
    assert response.status_code == 200
    assert b"Congratulations! Your model should be ready soon!" in response.content
    made = PortraitModel.objects.get()
    assert (made.name, made.description, made.is_public) == ("Ada", "Hello", True)
    assert f"/create/?model={made.id}" in response.content.decode()
    training = Training.objects.get(portrait_model=made)
    assert training.state == "queued" and training.charged == cost("training")
    assert CreditEntry.objects.get(key=f"training:{training.id}:charge").amount == -cost("training")
    assert ledger.balance(alice) == before - cost("training")
    reference.refresh_from_db()
    assert reference.expires_at is None and reference.is_public


def test_a_form_without_scripts_creates_and_leads_on(alice: User, alice_client: Client) -> None:
    photo = SimpleUploadedFile("me.heic", pictures.HEIC.read_bytes())
    response = alice_client.post(URL, fields(None) | {"file": photo}, follow=True)
    made = PortraitModel.objects.get()
    assert response.redirect_chain == [(f"/create/?model={made.id}", 302)]
    assert made.reference.kind == "reference" and made.reference.source is not None


def test_a_form_without_scripts_keeps_what_was_typed(alice: User, alice_client: Client) -> None:
    reference = reference_of(alice)
    given = fields(reference, name=" ", description="My <b>note</b>", is_public=None)
    response = alice_client.post(URL, given)
    page = response.content.decode()
    assert response.status_code == 422 and "Please enter the name for your model." in page
    assert "My &lt;b&gt;note&lt;/b&gt;" in page and str(reference.id) in page
    assert given["id"] in page and not PortraitModel.objects.exists()


def test_the_signed_out_get_the_dialog_and_nothing_is_made(db: None, client: Client) -> None:
    response = create(client, fields(None))
    assert response.status_code == 401 and response["HX-Retarget"] == "#dialog"
    assert client.post(URL, fields(None)).status_code == 302


def test_a_drawn_face_is_copied_and_stays_in_the_history(alice: User, alice_client: Client) -> None:
    face = face_of(alice)
    for name in ("Ada", "Eve"):  # the same face may become two models
        assert create(alice_client, fields(face, name=name)).status_code == 200
    references = {model.reference_id for model in PortraitModel.objects.all()}
    assert len(references) == 2 and face.pk not in references
    assert Asset.objects.get(pk=face.pk).kind == "face"


def test_sending_the_form_twenty_times_makes_one_model(alice: User, alice_client: Client) -> None:
    given = fields(reference_of(alice))
    answers = [create(alice_client, given) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert PortraitModel.objects.count() == Training.objects.count() == 1
    assert CreditEntry.objects.filter(kind="charge").count() == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_submits_at_once_make_one_model_and_one_charge(alice: User) -> None:
    reference, id, start = reference_of(alice), uuid.uuid4(), Barrier(20)

    def submit(_: int) -> uuid.UUID:
        try:
            start.wait(30)
            made = services.create_portrait_model(
                alice, id=id, name="Ada", description="", is_public=True, reference=reference,
                consent=Consent(user=alice, kind="me", text_version=consent.CURRENT),
            )  # fmt: skip
            return made.id
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as people:
        assert set(people.map(submit, range(20))) == {id}
    assert PortraitModel.objects.count() == Training.objects.count() == 1
    assert CreditEntry.objects.filter(kind="charge").count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_pass_the_cap(alice: User) -> None:
    Subscription.objects.filter(user=alice).update(plan="micro")
    given = [(uuid.uuid4(), reference_of(alice)) for _ in range(8)]
    start = Barrier(8)

    def submit(pair: tuple[uuid.UUID, Asset]) -> bool:
        try:
            start.wait(30)
            services.create_portrait_model(
                alice, id=pair[0], name="Ada", description="", is_public=True, reference=pair[1],
                consent=Consent(user=alice, kind="me", text_version=consent.CURRENT),
            )  # fmt: skip
        except Refusal as refusal:
            return refusal.code != "model_limit"
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as people:
        assert sum(people.map(submit, given)) == PLANS["micro"].portrait_models
    assert PortraitModel.objects.count() == PLANS["micro"].portrait_models


# --- refusals ---------------------------------------------------------------------------
def refused(client: Client, given: dict[str, Any], status: int, words: str) -> HttpResponse:
    models, entries = PortraitModel.objects.count(), CreditEntry.objects.filter(kind="charge")
    charges = entries.count()
    response = create(client, given)
    assert response.status_code == status and words in response.content.decode()
    assert (PortraitModel.objects.count(), entries.count()) == (models, charges)
    return response


@pytest.mark.parametrize("name", ["", " ", "\u200b\u200d", "\ufeff", "\u0301"])
def test_a_model_needs_a_name(alice: User, alice_client: Client, name: str) -> None:
    words = "Please enter the name for your model."
    refused(alice_client, fields(reference_of(alice), name=name), 422, words)


@pytest.mark.parametrize("reference", ["", "nonsense", str(uuid.UUID(int=1))])
def test_a_model_needs_an_image(alice_client: Client, reference: str) -> None:
    words = "Please provide an image for creating your model."
    refused(alice_client, fields(None) | {"reference": reference}, 422, words)


@pytest.mark.parametrize("id", ["", "1", "nonsense", None])
def test_a_page_without_an_id_is_not_initialized(
    alice: User, alice_client: Client, id: str | None
) -> None:
    words = "The page is not initialized yet."
    refused(alice_client, fields(reference_of(alice), id=id), 422, words)


def test_bob_is_offered_an_upgrade_for_a_private_model(bob: User, bob_client: Client) -> None:
    given = fields(reference_of(bob), is_public=None)
    response = refused(bob_client, given, 403, "On the Nano plan models are public.")
    assert response["HX-Retarget"] == "#dialog"


def test_alice_keeps_a_model_private(alice: User, alice_client: Client) -> None:
    reference = reference_of(alice)
    assert create(alice_client, fields(reference, is_public=None)).status_code == 200
    reference.refresh_from_db()
    assert not PortraitModel.objects.get().is_public and not reference.is_public


def test_switching_public_off_asks_first(alice_client: Client, bob_client: Client) -> None:
    assert alice_client.get("/models/new/private/", **HTMX).status_code == 204
    offer = bob_client.get("/models/new/private/", **HTMX)
    assert offer["HX-Retarget"] == "#dialog" and "stay-public" in offer["HX-Trigger"]
    assert b"Upgrade to keep a model private" in offer.content


def test_the_free_cap_and_the_paid_cap_speak_differently(alice: User, bob: User) -> None:
    Subscription.objects.filter(user=alice).update(plan="micro")
    for user, plan, words in (
        (bob, "nano", "The free Nano plan holds 1 model. Upgrade to create more."),
        (alice, "micro", "You have reached the 2 models of your Micro plan."),
    ):
        client = signed_in(user)
        for _ in range(PLANS[plan].portrait_models):
            assert create(client, fields(reference_of(user))).status_code == 200
        response = refused(client, fields(reference_of(user)), 403, words)
        assert response["HX-Retarget"] == "#dialog"


def test_without_credits_nothing_is_made(bob: User, bob_client: Client) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PLANS, "nano", replace(PLANS["nano"], credits=3))
        response = refused(bob_client, fields(reference_of(bob)), 402, "This costs 20 credits")
    assert response["HX-Retarget"] == "#dialog"


def test_charlie_cannot_learn_from_alices_reference(alice: User, charlie_client: Client) -> None:
    reference = reference_of(alice)
    Asset.objects.filter(pk=reference.pk).update(is_public=True)  # seeing is not owning
    words = "Please provide an image for creating your model."
    refused(charlie_client, fields(reference), 422, words)


def test_charlie_cannot_take_alices_id(
    alice: User, charlie: User, alice_client: Client, charlie_client: Client
) -> None:
    given = fields(reference_of(alice))
    create(alice_client, given)
    taken = fields(reference_of(charlie), id=given["id"])
    refused(charlie_client, taken, 404, "There is no such model.")


def test_one_reference_belongs_to_one_model(alice: User, alice_client: Client) -> None:
    reference = reference_of(alice)
    create(alice_client, fields(reference))
    refused(alice_client, fields(reference), 409, "Another model already learns from this image.")


def test_an_upload_itself_is_no_reference(alice: User, alice_client: Client) -> None:
    upload = reference_of(alice)
    Asset.objects.filter(pk=upload.pk).update(kind="upload")
    refused(alice_client, fields(upload), 422, "Please provide an image")


def test_fields_of_no_form_change_nothing(alice: User, charlie: User, alice_client: Client) -> None:
    more = {"owner": charlie.pk, "status": "ready", "credits": 999, "weights": "x", "plan": "mega"}
    create(alice_client, fields(reference_of(alice)) | more)
    made = PortraitModel.objects.get()
    assert made.owner == alice and not made.is_ready
    assert Subscription.objects.get(user=alice).plan == "macro"


# --- who is in the photo ------------------------------------------------------------------
def test_the_answer_is_kept_with_the_words_that_were_shown(
    alice: User, alice_client: Client
) -> None:
    create(alice_client, fields(reference_of(alice), consent="permission"))
    given = PortraitModel.objects.get().consent
    assert given is not None and given.user == alice and given.kind == "permission"
    assert given.text_version in consent.TEXTS and given.given_at is not None


@pytest.mark.parametrize(
    "changes",
    [{"consent": None}, {"consent": "nobody"}, {"consent_version": None},
     {"consent_version": "1999-01"}],
)  # fmt: skip
def test_a_photo_needs_an_answer(
    alice: User, alice_client: Client, changes: dict[str, Any]
) -> None:
    words = "Please say who is in this photo."
    response = refused(alice_client, fields(reference_of(alice), **changes), 422, words)
    assert 'data-refusal="consent_missing"' in response.content.decode()
    assert not Consent.objects.exists()


def test_a_drawn_face_needs_no_answer_and_keeps_none(alice: User, alice_client: Client) -> None:
    assert create(alice_client, fields(face_of(alice), consent="me")).status_code == 200
    assert PortraitModel.objects.get().consent is None and not Consent.objects.exists()


def test_a_form_without_scripts_asks_again_and_keeps_photo_and_answer(
    alice: User, alice_client: Client
) -> None:
    photo = SimpleUploadedFile("me.heic", pictures.HEIC.read_bytes())
    sent = fields(None, consent=None) | {"file": photo}
    page = alice_client.post(URL, sent)
    assert page.status_code == 422 and b"Please say who is in this photo." in page.content
    kept = Asset.objects.get(kind="reference")
    assert str(kept.id) in page.content.decode()
    again = alice_client.post(URL, fields(kept, name="", consent="invented"))
    assert b'value="invented" checked' in again.content


def test_the_answer_goes_with_its_model(alice: User, alice_client: Client) -> None:
    create(alice_client, fields(reference_of(alice)))
    services.delete_portrait_model(PortraitModel.objects.get())
    assert not Consent.objects.exists()


# --- after ------------------------------------------------------------------------------
def test_deleting_a_model_leaves_nothing_and_returns_the_credits(
    alice: User, alice_client: Client
) -> None:
    before = ledger.balance(alice)
    create(alice_client, fields(reference_of(alice)))
    services.delete_portrait_model(PortraitModel.objects.get())
    assert not Asset.objects.exists() and not Training.objects.exists()
    assert ledger.balance(alice) == before


def test_a_public_model_made_private_hides_its_reference(alice: User, alice_client: Client) -> None:
    create(alice_client, fields(reference_of(alice)))
    services.update_portrait_model(PortraitModel.objects.get(), is_public=False)
    assert not PortraitModel.objects.get().reference.is_public


def test_training_again_is_charged_once(alice: User, alice_client: Client) -> None:
    create(alice_client, fields(reference_of(alice)))
    made = PortraitModel.objects.get()
    Training.objects.update(state="failed")
    id = uuid.uuid4()
    again = [services.train_again(made, training_id=id) for _ in range(3)]
    assert {training.id for training in again} == {id}
    assert Training.objects.count() == 2
    assert CreditEntry.objects.filter(kind="charge").count() == 2
