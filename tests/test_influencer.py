"""The AI influencer generator: words in, faces of adults out, and one of them selected."""

from __future__ import annotations

import random
import uuid
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from billing import ledger
from billing.models import CreditEntry
from billing.plans import PLANS
from billing.refusals import Refusal
from generator.assets.drawn import store_generated, store_png
from generator.engine.attributes import Attributes
from generator.engine.interface import GeneratedImage
from generator.influencer.forms import DEFAULTS, FaceForm, initial_from
from generator.influencer.services import generate_faces
from generator.influencer.starts import random_values
from generator.jobs.models import Generation
from generator.jobs.runner import BEGINS
from generator.templatetags.influencer_tags import DRAWING, drawn_now, parameters
from generator.workstation import history
from tests import photos, pictures

HTMX: dict[str, Any] = {"HTTP_HX_REQUEST": "true"}


def fields(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "gender": "woman",
        "age": "31",
        "height_cm": "172",
        "weight_kg": "64",
        "country": "Brazil",
        "country2": "Japan",
        "build": "slim",
        "eyes": "green",
        "hair_style": "long wavy",
        "hair_color": "red",
        "dimple": "on",
        "details": "a small scar on the chin",
        "count": "2",
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def generate(client: Client, given: dict[str, Any]) -> HttpResponse:
    return client.post("/influencer/faces/", given, **HTMX)


def finished(user: User, count: int = 1) -> Generation:
    attributes = Attributes(gender="man", age=40, height_cm=180, weight_kg=80, country="FR")
    generation = generate_faces(user, id=uuid.uuid4(), attributes=attributes, count=count)
    drawn = pictures.encoded(pictures.scene((512, 512)), "PNG")
    for index in range(count):
        store_generated(generation, index, GeneratedImage(drawn, seed=index))
    Generation.objects.filter(pk=generation.pk).update(state="succeeded")
    return Generation.objects.get(pk=generation.pk)


# --- the page ---------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["/influencer/", "/influencer/?panel=1"])
def test_the_generator_has_every_control_of_the_help_page(
    alice_client: Client, address: str
) -> None:
    page = " ".join(unescape(alice_client.get(address).content.decode()).split())
    for words in (
        "AI influencer generator", "Random", "Reset", ">Gender<", ">Man<", ">Woman<", ">Secrecy<",
        ">Age<", ">Height<", ">Weight<", ">Metric<", ">Imperial<", ">Country<", ">Country 2<",
        ">Build<", ">Eyes<", ">Hair style<", ">Hair color<", ">Dimple<", ">Beard<", ">Suntan<",
        ">Bespoke Details<",
        "unique traits, aesthetic nuances, or specific style requirements not covered above.",
        "Advanced settings", ">Prompt start<", ">Prompt end<", ">Negative prompt<",
        ">Pose reference image<", ">Generate<", "2 credits", ">History<",
        "Your generation will appear here.", ">Selected image<",
        "Select this image as reference image", "Please select an image!",
    ):  # fmt: skip
        assert words in page, words
    assert page.count("<option value=") >= 249 + 4


def test_advanced_settings_belong_to_the_plan(bob_client: Client, bob: User) -> None:
    assert b"Advanced settings" not in bob_client.get("/influencer/").content
    assert (
        generate(bob_client, fields(negative_prompt="glasses", prompt_end="x")).status_code == 200
    )
    made = Generation.objects.get()
    assert made.negative_prompt == "" and not made.prompt.endswith("x")


def test_random_fills_the_form_with_something_that_can_be_sent(alice_client: Client) -> None:
    for _ in range(5):
        page = alice_client.get("/influencer/form/?random=1").content.decode()
        assert page.startswith('<form id="influencer-form"')
    form = FaceForm(initial_from(DEFAULTS) | {"count": 1}, plan=PLANS["macro"])
    assert form.is_valid() and form.attributes == DEFAULTS


# --- generating -------------------------------------------------------------------------
def test_generating_turns_the_form_into_one_prompt(alice: User, alice_client: Client) -> None:
    before = ledger.balance(alice)
    response = generate(alice_client, fields())
    made = Generation.objects.get()
    assert response.status_code == 200 and f'id="generation-{made.id}"' in response.content.decode()
    assert (made.kind, made.count, made.owner) == ("face", 2, alice)
    for words in (
        "31 year old woman", "brazil and japan", "170 cm tall", "slim build",
        "long wavy red hair", "green eyes", "dimples", "a small scar on the chin",
    ):  # fmt: skip
        assert words in made.prompt, words
    assert made.attributes["country2"] == "JP" and "beard" not in made.prompt
    assert ledger.balance(alice) == before - 4


def test_the_answer_brings_a_new_id_and_selects_the_new_faces(alice_client: Client) -> None:
    given = fields()
    page = generate(alice_client, given).content.decode()
    assert 'id="face-form-id"' in page and given["id"] not in page.split("face-form-id")[1][:60]
    assert 'id="selected-face"' in page and "Please wait until the image is ready!" in page


def test_advanced_settings_reach_the_job(alice: User, alice_client: Client) -> None:
    drawn = pictures.encoded(pictures.scene((512, 512)), "PNG")
    pose = store_png(drawn, owner=alice, kind="reference")
    more = fields(prompt_start="film still", prompt_end="grain", negative_prompt="glasses")
    generate(alice_client, more | {"pose": str(pose.id)})
    made = Generation.objects.get()
    assert made.prompt.startswith("film still, ") and made.prompt.endswith(", grain")
    assert made.negative_prompt == "glasses" and made.pose == pose


def test_sending_twice_generates_once(alice_client: Client) -> None:
    given = fields()
    assert [generate(alice_client, given).status_code for _ in range(3)] == [200, 200, 200]
    assert Generation.objects.count() == CreditEntry.objects.filter(kind="charge").count() == 1


def test_a_form_without_scripts_shows_its_result(alice_client: Client) -> None:
    response = alice_client.post("/influencer/faces/", fields(), follow=True)
    made = Generation.objects.get()
    address = f"/influencer/?selected={made.id}&sent={made.id}"
    assert response.redirect_chain == [(address, 302)]
    assert f'id="generation-{made.id}"' in response.content.decode()


def test_the_signed_out_are_asked_to_sign_in(db: None, client: Client) -> None:
    response = generate(client, fields())
    assert response.status_code == 401 and not Generation.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("age", "17"), ("age", "0"), ("age", "-1"), ("age", "999"), ("age", "abc"), ("age", "NaN"),
        ("age", "1e309"), ("age", ""), ("height_cm", "139"), ("height_cm", "5'11"),
        ("weight_kg", "1000"), ("country", "Narnia"), ("country", ""), ("country2", "Atlantis"),
        ("gender", "robot"), ("gender", None), ("count", "5"), ("details", "x" * 501),
        ("eyes", "a\x00b"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_at_its_control(
    alice_client: Client, field: str, value: str | None
) -> None:
    response = generate(alice_client, fields(**{field: value}))
    assert response.status_code == 422 and response["HX-Retarget"] == "#influencer-form"
    assert "field__error" in response.content.decode() or field == "count"
    assert not Generation.objects.exists()


@pytest.mark.parametrize(
    "typed",
    [
        "a 12 year old girl",
        "16-year-old look",
        "looks like a child",
        "teenager",
        "17 yo",
        "schoolgirl",
    ],
)
def test_only_adults_are_drawn(alice: User, alice_client: Client, typed: str) -> None:
    for field in ("details", "build", "prompt_start"):
        response = generate(alice_client, fields(**{field: typed}))
        assert response.status_code == 422 and b"Only adults are drawn here." in response.content
    assert not Generation.objects.exists()


def test_the_service_refuses_minors_as_well(alice: User) -> None:
    young = Attributes(gender="man", age=18, height_cm=180, weight_kg=80, country="FR")
    object.__setattr__(young, "age", 17)
    with pytest.raises(Refusal, match="Only adults"):
        generate_faces(alice, id=uuid.uuid4(), attributes=young, count=1)


def test_grown_up_words_with_numbers_pass(alice_client: Client) -> None:
    given = fields(details="a 30 year old smile, scar of 4 cm, babyface no, 21 years of sun")
    assert generate(alice_client, given).status_code == 200


def test_half_a_surrogate_is_refused_not_a_crash(alice: User) -> None:
    odd = Attributes(
        gender="man", age=30, height_cm=180, weight_kg=80, country="FR", details="\ud800"
    )
    with pytest.raises(Refusal):
        generate_faces(alice, id=uuid.uuid4(), attributes=odd, count=1)


def test_without_credits_an_upgrade_is_offered(bob_client: Client) -> None:
    for _ in range(PLANS["nano"].credits // 8):
        assert generate(bob_client, fields(count="4")).status_code == 200
    response = generate(bob_client, fields(count="4"))
    assert response.status_code == 402 and response["HX-Retarget"] == "#dialog"


# --- selecting --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("queued", "Please wait until the image is ready!"),
        ("running", "This image is not ready yet!"),
        ("failed", "Please select an image!"),
    ],
)
def test_an_unfinished_face_cannot_be_selected(
    alice: User, alice_client: Client, state: str, words: str
) -> None:
    generate(alice_client, fields())
    made = Generation.objects.get()
    lease = made.created_at
    Generation.objects.update(state=state, lease_until=lease)
    page = alice_client.get(f"/influencer/selected/{made.id}/0/", **HTMX).content.decode()
    assert words in page and 'aria-disabled="true"' in page


def test_a_finished_face_becomes_the_reference(alice: User, alice_client: Client) -> None:
    face = finished(alice).assets.get()
    page = alice_client.get(
        f"/influencer/selected/{face.generation_id}/0/", **HTMX
    ).content.decode()
    assert f"/models/new/?reference={face.id}" in page and "aria-disabled" not in page
    assert f"/media/{face.id}/?download=1" in page and "Recreate" in page
    preview = alice_client.get(f"/uploads/preview/?reference={face.id}", **HTMX).content.decode()
    assert f'name="reference" value="{face.id}"' in preview and 'data-state="ready"' in preview


def test_properties_of_an_outcome_come_back_into_the_form(
    alice: User, alice_client: Client
) -> None:
    made = finished(alice)
    page = alice_client.get(f"/influencer/form/?use={made.id}", **HTMX).content.decode()
    assert "Properties from the selected outcome are now in use!" in page
    assert 'value="40"' in page and 'value="France"' in page and 'value="180"' in page


def test_recreating_draws_the_same_seed_in_a_new_generation(
    alice: User, alice_client: Client
) -> None:
    made = finished(alice)
    response = alice_client.post(
        f"/generations/{made.id}/recreate/", {"id": str(uuid.uuid4())}, **HTMX
    )
    again = Generation.objects.exclude(pk=made.pk).get()
    assert (again.seed, again.prompt, again.kind) == (made.seed, made.prompt, "face")
    assert f'id="generation-{again.id}" class="faces' in response.content.decode()


def test_nobody_sees_the_faces_of_another(
    alice: User, charlie_client: Client, client: Client
) -> None:
    made = finished(alice)
    face = made.assets.get()
    for address in (f"/influencer/selected/{made.id}/0/", f"/influencer/form/?use={made.id}"):
        assert charlie_client.get(address, **HTMX).status_code == 404
    for other in (charlie_client, client):
        page = other.get(f"/influencer/?selected={made.id}.0").content.decode()
        assert str(made.id) not in page and str(face.id) not in page


@pytest.mark.parametrize(
    "selected", ["nonsense", "", ".", f"{uuid.UUID(int=1)}.99999999999999", "x.²"]
)
def test_a_strange_selection_is_no_selection(alice_client: Client, selected: str) -> None:
    response = alice_client.get("/influencer/", {"selected": selected})
    assert response.status_code == 200 and b"Please select an image!" in response.content


def test_the_history_goes_on_where_it_stopped(alice: User, alice_client: Client) -> None:
    made = [finished(alice) for _ in range(14)]
    first = alice_client.get("/influencer/history/", **HTMX).content.decode()
    older = first.split('hx-get="/influencer/history/')[1].split('"')[0]
    second = alice_client.get(f"/influencer/history/{unescape(older)}", **HTMX).content.decode()
    shown = [page.count('<article id="generation-') for page in (first, second)]
    assert shown == [history.PAGE, 14 - history.PAGE] and f"generation-{made[0].id}" in second
    assert alice_client.get("/influencer/history/?before=2026-99-99", **HTMX).status_code == 200


def test_faces_made_at_the_same_moment_are_all_in_the_history(
    alice: User, alice_client: Client
) -> None:
    made = [finished(alice) for _ in range(13)]
    Generation.objects.update(created_at=made[0].created_at)
    first = alice_client.get("/influencer/history/", **HTMX).content.decode()
    older = first.split('hx-get="/influencer/history/')[1].split('"')[0]
    second = alice_client.get(f"/influencer/history/{unescape(older)}", **HTMX).content.decode()
    assert all(f"generation-{one.id}" in first + second for one in made)


def test_the_history_asks_no_more_of_the_database_when_it_is_longer(
    alice: User, alice_client: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        finished(alice, count=2)
    with django_assert_max_num_queries(9):
        alice_client.get("/influencer/")


# --- units ------------------------------------------------------------------------------
def renewed(client: Client, **typed: Any) -> str:
    response = client.post("/influencer/form/", fields(**typed), **HTMX)
    assert response.status_code == 200
    return str(response.content.decode())


def test_units_chosen_signed_out_are_remembered_by_the_browser(db: None, client: Client) -> None:
    assert ">168 cm<" in client.get("/influencer/").content.decode()
    assert ">5′ 8″<" in renewed(client, units="imperial", remember="1")
    page = client.get("/influencer/").content.decode()
    assert ">5′ 6″<" in page and ">132 lb<" in page and 'aria-valuetext="132 lb"' in page
    renewed(client, units="furlongs", remember="1")
    assert ">132 lb<" in client.get("/influencer/").content.decode()


def test_units_chosen_signed_in_are_remembered_by_the_account(
    alice: User, alice_client: Client
) -> None:
    renewed(alice_client, units="imperial", remember="1")
    alice.refresh_from_db()
    assert alice.units == "imperial"
    assert ">132 lb<" in alice_client.get("/influencer/").content.decode()


def test_a_form_sent_for_another_reason_changes_no_units(alice: User, alice_client: Client) -> None:
    User.objects.update(units="imperial")
    page = renewed(alice_client, units="metric")
    alice.refresh_from_db()
    assert alice.units == "imperial" and ">141 lb<" in page


def test_units_chosen_before_signing_in_place_come_along(alice: User, client: Client) -> None:
    renewed(client, units="imperial", remember="1")
    client.force_login(alice)
    assert ">141 lb<" in renewed(client)
    alice.refresh_from_db()
    assert alice.units == "imperial" and not client.cookies["units"].value


def test_other_units_keep_what_was_typed_without_scripts(db: None, client: Client) -> None:
    typed = fields(units="imperial", remember="1")
    page = client.post("/influencer/form/", typed).content.decode()
    assert page.lstrip().startswith("<!doctype html>") and ">5′ 8″<" in page
    assert "a small scar on the chin" in page and 'value="long wavy"' in page


# --- choosing and typing ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("brazil", "BR"),
        ("de", "DE"),
        ("USA", "US"),
        ("Côte d’Ivoire", "CI"),
        ("Curaçao", "CW"),
        ("Türkiye", "TR"),
        ("Åland Islands", "AX"),
        (" united kingdom ", "GB"),
        ("UK", "GB"),
    ],
)
def test_countries_are_known_by_more_than_one_name(typed: str, code: str) -> None:
    form = FaceForm(initial_from(DEFAULTS) | {"country": typed}, plan=PLANS["nano"])
    assert form.is_valid() and form.attributes and form.attributes.country == code


def test_random_rolls_every_control_of_the_face() -> None:
    rng = random.Random(4)
    rolled = [random_values(rng) for _ in range(60)]
    advanced = {"prompt_start", "prompt_end", "negative_prompt"}
    for name in set(rolled[0]) - advanced:
        assert len({values[name] for values in rolled}) > 1, name
    for values in rolled:
        form = FaceForm(values | {"count": 1}, plan=PLANS["nano"])
        assert form.is_valid(), form.errors


def test_random_leaves_the_advanced_settings_and_the_count(alice_client: Client) -> None:
    kept = {"random": "1", "count": "3", "prompt_start": "film still", "negative_prompt": "hats"}
    page = alice_client.get("/influencer/form/", kept, **HTMX).content.decode()
    assert '<option value="3" selected>' in page and "film still" in page and "hats" in page


# --- recreating -------------------------------------------------------------------------
def as_typed(made: Generation, **changes: Any) -> dict[str, Any]:
    values = initial_from(Attributes.from_dict(made.attributes))
    typed = {name: value for name, value in values.items() if value not in ("", False)}
    return typed | {"id": str(uuid.uuid4()), "count": "1"} | changes


def test_recreate_brings_the_properties_and_the_face_back(
    alice: User, alice_client: Client
) -> None:
    made = finished(alice, count=2)
    page = alice_client.get(f"/influencer/form/?recreate={made.id}.1", **HTMX).content.decode()
    assert f'name="recreate" value="{made.id}.1" checked' in page
    assert 'value="France"' in page and '<option value="1" selected>' in page


def test_a_recreated_face_keeps_its_seed_when_something_changes(
    alice: User, alice_client: Client
) -> None:
    made = finished(alice, count=2)
    face = made.assets.get(index=1)
    changed = as_typed(made, recreate=f"{made.id}.1", hair_color="red")
    assert generate(alice_client, changed).status_code == 200
    again = Generation.objects.exclude(pk=made.pk).get()
    assert again.seed == face.seed and "red hair" in again.prompt


def test_a_face_recreated_unchanged_is_drawn_anew(alice: User, alice_client: Client) -> None:
    made = finished(alice)
    generate(alice_client, as_typed(made, recreate=f"{made.id}.0"))
    again = Generation.objects.exclude(pk=made.pk).get()
    assert again.prompt == made.prompt and again.seed != made.assets.get().seed


def test_nobody_recreates_the_face_of_another(
    alice: User, charlie: User, charlie_client: Client
) -> None:
    made = finished(alice)
    address = f"/influencer/form/?recreate={made.id}.0"
    assert charlie_client.get(address, **HTMX).status_code == 404
    generate(charlie_client, fields(recreate=f"{made.id}.0"))
    assert Generation.objects.get(owner=charlie).seed != made.assets.get().seed


def test_the_parameters_of_an_outcome_are_listed_in_the_persons_units(
    alice: User, alice_client: Client
) -> None:
    generate(alice_client, fields(beard="on"))
    said = dict(parameters(Generation.objects.get(), "imperial"))
    assert said["Gender"] == "Woman" and said["Age"] == "31 years" and said["Beard"] == "Yes"
    assert (said["Height"], said["Weight"]) == ("5′ 8″", "141 lb")
    assert (said["Country"], said["Country 2"]) == ("Brazil", "Japan") and "Suntan" not in said


def test_the_preview_stands_where_its_picture_is_drawn(alice: User, alice_client: Client) -> None:
    assert (BEGINS["generation"]["draw"], BEGINS["generation"]["save"]) == DRAWING
    generate(alice_client, fields(count="4"))
    made = Generation.objects.get()
    for done, place in ((0, 0), (50, 0), (300, 1), (600, 2), (979, 3), (1000, 3)):
        made.done = done
        assert drawn_now(made) == place, done


# --- the pose reference -----------------------------------------------------------------
def pose_of(client: Client, photo: Path) -> HttpResponse:
    with photo.open("rb") as file:
        return client.post("/influencer/pose/", {"pose_file": file}, **HTMX)


def test_a_pose_reference_is_uploaded_and_comes_back_with_the_properties(
    alice: User, alice_client: Client, tmp_path: Path
) -> None:
    page = pose_of(alice_client, photos.saved(tmp_path)).content.decode()
    id = page.split('name="pose" value="')[1].split('"')[0]
    generate(alice_client, fields(pose=id))
    made = Generation.objects.get()
    assert str(made.pose_id) == id
    form = alice_client.get(f"/influencer/form/?use={made.id}", **HTMX).content.decode()
    assert f'name="pose" value="{id}" checked' in form and "<details" in form


def test_a_pose_reference_without_scripts_comes_with_the_form(
    alice_client: Client, tmp_path: Path
) -> None:
    with photos.saved(tmp_path).open("rb") as file:
        alice_client.post("/influencer/faces/", fields(pose_file=file))
    assert Generation.objects.get().pose is not None


def test_poses_belong_to_the_plan(bob_client: Client, tmp_path: Path) -> None:
    response = pose_of(bob_client, photos.saved(tmp_path))
    assert (
        response.status_code == 403 and b"Poses are not part of the Nano plan." in response.content
    )


def test_a_pose_that_is_gone_is_told_instead_of_dropped(alice_client: Client) -> None:
    response = generate(alice_client, fields(pose=str(uuid.uuid4())))
    assert response.status_code == 422 and b"Please choose it again." in response.content
    assert not Generation.objects.exists()


@pytest.mark.parametrize("control", ["prompt_start", "prompt_end"])
def test_the_service_refuses_what_the_plan_has_not(bob: User, control: str) -> None:
    asked = Attributes.from_dict(DEFAULTS.to_dict() | {control: "film still"})
    with pytest.raises(Refusal, match="not part of the Nano plan"):
        generate_faces(bob, id=uuid.uuid4(), attributes=asked, count=1)
