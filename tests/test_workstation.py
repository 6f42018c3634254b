"""The workstation: what is picked, what is asked for, what is shown."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing import ledger
from generator.assets.models import Asset
from generator.jobs import pace
from generator.jobs.models import Generation
from generator.jobs.notify import fragment, rows_of
from generator.library import services as library
from generator.portraits.models import PortraitModel
from generator.workstation import history
from tests import rows

HTMX = {"HTTP_HX_REQUEST": "true"}


def asked(model: PortraitModel, /, **changes: str) -> dict[str, str]:
    sent = {"id": str(uuid.uuid4()), "model": str(model.id), "prompt": "at the beach"}
    return sent | {"count": "2", "seed_mode": "random"} | changes


# --- the page -------------------------------------------------------------------------
def test_without_models_the_page_leads_to_creating_one(alice_client: Client) -> None:
    assert "Create Portrait Model" in alice_client.get("/create/").content.decode()


def test_the_signed_out_are_asked_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/create/")["Location"].startswith("/accounts/login/")
    answer = client.post("/create/images/", **HTMX)
    assert (answer.status_code, answer["HX-Retarget"]) == (401, "#dialog")


def test_own_models_come_before_public_ones_and_private_ones_of_others_never(
    alice: User, bob: User, alice_client: Client
) -> None:
    rows.portrait_model(bob, "Shared")
    rows.portrait_model(bob, "Hidden", is_public=False)
    rows.portrait_model(alice, "Mine")
    page = alice_client.get("/create/").content.decode()
    assert page.index("Mine") < page.index("Shared")
    assert "Hidden" not in page


def test_the_last_pick_is_remembered(alice: User, alice_client: Client) -> None:
    first, second = rows.portrait_model(alice, "First"), rows.portrait_model(alice, "Second")
    for model in (first, second):
        alice_client.get(f"/create/model/?model={model.id}", **HTMX)
        assert alice_client.get("/create/").context["selected"] == model


def test_an_untrained_pick_shows_its_training(alice: User, alice_client: Client) -> None:
    training = rows.training(rows.portrait_model(alice, is_ready=False))
    page = alice_client.get("/create/").content.decode()
    assert f'id="training-{training.id}"' in page
    assert "has to be trained first" in page


@pytest.mark.parametrize("is_ready", [True, False])
def test_a_phone_shows_the_whole_composer_to_who_needs_it(
    is_ready: bool, alice: User, alice_client: Client
) -> None:
    model = rows.portrait_model(alice, is_ready=is_ready)

    def is_open(address: str) -> bool:
        return b'data-sheet="open"' in alice_client.get(address).content

    assert is_open("/create/") is not is_ready  # it watches the model learn
    made = rows.generation(model)
    assert not is_open("/create/")
    assert is_open(f"/create/?model={model.pk}") is not is_ready
    assert is_open("/create/?kind=enhance")
    assert is_open(f"/create/composer/?from={made.pk}")


@pytest.mark.parametrize("query", ["?model=nonsense", "?model=&from=nonsense", "?before=nonsense"])
def test_a_broken_address_is_the_plain_page(query: str, alice: User, alice_client: Client) -> None:
    rows.portrait_model(alice)
    assert alice_client.get(f"/create/{query}").status_code == 200


@pytest.mark.parametrize("count", [1, 50])
def test_the_page_asks_the_database_at_most_twelve_times(
    count: int, alice: User, alice_client: Client, django_assert_max_num_queries: object
) -> None:
    model = rows.portrait_model(alice)
    for _ in range(count):
        rows.generation(model)
        rows.generation(model, state="queued")
    pace.learn()  # asked for once a minute
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        alice_client.get("/create/")


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "canceled"])
def test_a_polled_fragment_asks_for_its_row_and_its_pictures_only(
    state: str, alice: User, alice_client: Client, django_assert_max_num_queries: object
) -> None:
    lease = timezone.now() + timedelta(minutes=1)
    made = rows.generation(rows.portrait_model(alice))
    Generation.objects.filter(id=made.id).update(state=state, lease_until=lease)
    with django_assert_max_num_queries(4):  # type: ignore[operator]  # two of them: who asks
        answer = alice_client.get(f"/generations/{made.id}/")
    assert answer.content.decode().count(f'id="generation-{made.id}"') == 1


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "canceled"])
def test_a_fragment_asks_the_database_at_most_four_times(
    state: str, alice: User, django_assert_max_num_queries: object
) -> None:
    lease = timezone.now() + timedelta(minutes=1)
    made = rows.generation(rows.portrait_model(alice), state="queued")
    Generation.objects.filter(id=made.id).update(state=state, lease_until=lease)
    with django_assert_max_num_queries(4):  # type: ignore[operator]
        drawn = fragment(rows_of("generation").get(id=made.id))
    assert drawn.count(f'id="generation-{made.id}"') == 1
    assert 'hx-swap-oob="outerMorph"' in drawn


# --- asking for pictures -----------------------------------------------------------------
def test_alice_asks_for_pictures_and_sees_their_place(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    before = ledger.balance(alice)
    answer = alice_client.post("/create/images/", asked(model), **HTMX)
    made = Generation.objects.get()
    page = answer.content.decode()
    assert answer["HX-Retarget"] == "#generations"
    assert f'id="generation-{made.id}"' in page and "Next in line" in page
    assert ledger.balance(alice) == before - 8
    assert 'id="balance"' in page


def test_sending_the_same_form_twice_is_one_generation(alice: User, alice_client: Client) -> None:
    sent = asked(rows.portrait_model(alice))
    for _ in range(2):
        alice_client.post("/create/images/", sent, **HTMX)
    assert Generation.objects.count() == 1


def test_without_javascript_the_form_leads_back_to_the_page(
    alice: User, alice_client: Client
) -> None:
    answer = alice_client.post("/create/images/", asked(rows.portrait_model(alice)))
    assert answer["Location"] == f"/create/#generation-{Generation.objects.get().id}"


def test_a_fixed_seed_is_kept(alice: User, alice_client: Client) -> None:
    sent = asked(rows.portrait_model(alice), seed_mode="fixed", seed="42")
    alice_client.post("/create/images/", sent, **HTMX)
    assert Generation.objects.get().seed == 42


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": " "}, "Please write a prompt."),
        ({"count": "x"}, "Please choose how many pictures to make."),
        ({"count": "9"}, "1 to 8 pictures"),
        ({"seed_mode": "fixed", "seed": "-1"}, "A fixed seed is a whole number"),
        ({"seed_mode": "fixed", "seed": "٣"}, "A fixed seed is a whole number"),
        ({"model": "nonsense"}, "Please choose a portrait model first."),
    ],
)
def test_a_refusal_stands_beside_the_button(
    changes: dict[str, str], words: str, alice: User, alice_client: Client
) -> None:
    sent = asked(rows.portrait_model(alice), **changes)
    answer = alice_client.post("/create/images/", sent, **HTMX)
    assert answer["HX-Retarget"] == "#composer-error"
    assert words in answer.content.decode()
    assert not Generation.objects.exists()


def test_an_untrained_model_is_refused(alice: User, alice_client: Client) -> None:
    sent = asked(rows.portrait_model(alice, is_ready=False))
    answer = alice_client.post("/create/images/", sent, **HTMX)
    assert answer.status_code == 409 and "is not trained yet" in answer.content.decode()


def test_somebody_elses_private_model_is_not_there(alice: User, charlie_client: Client) -> None:
    sent = asked(rows.portrait_model(alice, is_public=False))
    answer = charlie_client.post("/create/images/", sent, **HTMX)
    assert "Please choose a portrait model first." in answer.content.decode()
    assert not Generation.objects.exists()


def test_bobs_plan_has_no_negative_prompt(bob: User, bob_client: Client) -> None:
    model = rows.portrait_model(bob)
    assert "Negative prompt" not in bob_client.get("/create/").content.decode()
    answer = bob_client.post("/create/images/", asked(model, negative_prompt="hats"), **HTMX)
    assert (answer.status_code, answer["HX-Retarget"]) == (403, "#dialog")


def test_without_credits_the_upgrade_dialog_opens(bob: User, bob_client: Client) -> None:
    model = rows.portrait_model(bob)
    answers = [
        bob_client.post("/create/images/", asked(model, count="4"), **HTMX) for _ in range(6)
    ]  # 80 credits a day, 16 each time
    assert [answer.status_code for answer in answers] == [200] * 5 + [402]
    assert answers[-1]["HX-Retarget"] == "#dialog"
    assert ledger.balance(bob) == 0


# --- history ------------------------------------------------------------------------------
def test_scrolling_shows_everything_once_newest_first(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice)
    made = [rows.generation(model) for _ in range(history.PAGE * 2 + 3)]
    Generation.objects.filter(id__in=[g.id for g in made[:9]]).update(created_at=timezone.now())
    seen, before = [], ""
    while True:
        page = history.page(alice, before=before)
        seen += page.generations
        before = page.before
        if not before:
            break
    assert len(seen) == len({generation.id for generation in seen}) == len(made)
    assert seen == sorted(seen, key=lambda one: (one.created_at, one.id), reverse=True)


def test_history_is_a_persons_own(alice: User, bob_client: Client, bob: User) -> None:
    made = rows.generation(rows.portrait_model(alice))
    rows.portrait_model(bob)
    assert str(made.id) not in bob_client.get("/create/").content.decode()
    assert str(made.id) not in bob_client.get("/create/history/").content.decode()


@pytest.mark.parametrize("path", ["", "delete/", "pictures/0/"])
def test_others_find_nothing_where_a_generation_is(
    path: str, alice: User, alice_client: Client, charlie_client: Client
) -> None:
    made = rows.generation(rows.portrait_model(alice))
    assert alice_client.get(f"/generations/{made.id}/{path}", **HTMX).status_code == 200
    assert charlie_client.get(f"/generations/{made.id}/{path}", **HTMX).status_code == 404


def test_recreating_asks_for_the_same_with_the_same_seed(alice: User, alice_client: Client) -> None:
    made = rows.generation(rows.portrait_model(alice))
    sent = {"id": str(uuid.uuid4())}
    for _ in range(2):
        alice_client.post(f"/generations/{made.id}/recreate/", sent, **HTMX)
    again = Generation.objects.exclude(id=made.id).get()
    assert (again.prompt, again.seed, again.count) == (made.prompt, made.seed, made.count)


def test_properties_come_back_into_the_form(alice: User, alice_client: Client) -> None:
    made = rows.generation(rows.portrait_model(alice))
    values = alice_client.get(f"/create/?from={made.id}").context["values"]
    assert (values["prompt"], values["seed"], values["count"]) == ("at the beach", 7, 2)


def test_deleting_pictures_hides_them_and_is_undone_until_they_are_gone(
    alice: User, alice_client: Client, charlie_client: Client
) -> None:
    made = rows.generation(rows.portrait_model(alice))
    address = f"/generations/{made.id}/delete/"
    assert charlie_client.post(address, **HTMX).status_code == 404
    assert "removed for good" in alice_client.get(address).content.decode()
    answer = alice_client.post(address, **HTMX)
    assert "deleted" in answer["HX-Trigger"] and "Undo" in answer.content.decode()
    assert f"generation-{made.id}" not in alice_client.get("/create/").content.decode()
    assert charlie_client.post(f"/generations/{made.id}/restore/", **HTMX).status_code == 404
    assert alice_client.post(f"/generations/{made.id}/restore/", **HTMX).status_code == 200
    assert f"generation-{made.id}" in alice_client.get("/create/").content.decode()
    alice_client.post(address, **HTMX)
    library.purge()
    assert Generation.objects.exists()  # the seconds of undoing are not over
    Generation.objects.update(deleted_at=timezone.now() - timedelta(minutes=1))
    library.purge()
    assert not Generation.objects.exists() and not Asset.objects.filter(kind="image").exists()
    assert alice_client.post(f"/generations/{made.id}/restore/", **HTMX).status_code == 404


def test_a_prompt_is_only_ever_text(alice: User, alice_client: Client) -> None:
    model = rows.portrait_model(alice, "<b>Ada</b>")
    made = rows.generation(model)
    Generation.objects.filter(id=made.id).update(prompt='"><script>alert(1)</script>')
    page = alice_client.get("/create/").content.decode()
    assert "<script>alert" not in page and "<b>Ada" not in page


def test_a_missing_picture_is_a_404(alice: User, alice_client: Client) -> None:
    made = rows.generation(rows.portrait_model(alice))
    assert alice_client.get(f"/generations/{made.id}/pictures/9/").status_code == 404
    assert alice_client.get("/help/design/").status_code == 404


def test_the_design_page_is_for_staff(alice: User, alice_client: Client) -> None:
    User.objects.filter(id=alice.id).update(is_staff=True)
    model = rows.portrait_model(alice)
    rows.generation(model)
    page = alice_client.get("/help/design/").content.decode()
    assert "Design system" in page
    assert f'id="portrait-model-{model.id}"' in page and "generation--succeeded" in page
    assert "A good photo." in page and "This photo seems to lie on its side." in page
