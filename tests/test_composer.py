"""The composer: what it offers, remembers and brings back, styles, sets and chosen pictures."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from accounts.models import User
from billing import ledger
from billing.plans import cost
from generator.assets.models import Asset
from generator.jobs.models import Generation
from generator.portraits.models import PortraitModel
from generator.styles import catalogue
from studio.bodies import limit_for
from tests import pictures, rows

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def ada(alice: User) -> PortraitModel:
    return rows.portrait_model(alice, "Ada")


@pytest.fixture
def source(ada: PortraitModel) -> Asset:
    return rows.generation(ada, count=1).assets.get()


def asked(model: PortraitModel, /, **changes: Any) -> dict[str, Any]:
    sent = {"id": str(uuid.uuid4()), "model": str(model.pk), "prompt": "at the beach"}
    return sent | {"kind": "image", "count": "1", "seed_mode": "random"} | changes


def test_every_kind_is_asked_for_by_its_form(
    alice: User, ada: PortraitModel, source: Asset, alice_client: Client
) -> None:
    person = {"person": [str(ada.pk)], "source": str(source.pk)}
    for sent, expected in (
        ({"aspect_ratio": "16:9", "quality": "fine", "best_of": "2", "likeness_floor": "60"},
         {"aspect_ratio": "16:9", "quality": "fine", "best_of": 2, "likeness_floor": 60}),
        ({"kind": "video", "seconds": "4", "count": "4"}, {"seconds": 4, "count": 1}),
        ({"kind": "video", "seconds": "2", "prompt": "", "source": str(source.pk)}, {"seconds": 2}),
        ({"kind": "edit", **person}, {"source": source, "style": ""}),
        ({"kind": "enhance", "size_px": "1024", "prompt": "", **person}, {"size_px": 1024}),
        ({"kind": "vary", "prompt": "", "count": "3", **person}, {"count": 3}),
        ({"kind": "restyle", "prompt": "", "style_picture": str(source.pk), **person},
         {"style_picture": source}),
    ):  # fmt: skip
        answer = alice_client.post("/create/images/", asked(ada, **sent), **HTMX)
        assert answer.status_code == 200, sent
        made = Generation.objects.exclude(assets=source).latest("created_at")
        assert made.kind == sent.get("kind", "image")
        assert {name: getattr(made, name) for name in expected} == expected
        assert [one.portrait_model for one in made.appearances.all()] == [ada]


def test_people_named_in_the_prompt_are_kept_as_ids_and_shown_as_names(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    byron = rows.portrait_model(alice, "Byron")
    answer = alice_client.post("/create/images/", asked(ada, prompt="@Ada and @Byron"), **HTMX)
    made = Generation.objects.latest("created_at")
    assert made.prompt == f"[[{ada.pk}]] and [[{byron.pk}]]"
    assert "@Ada and @Byron" in answer.content.decode()
    assert str(byron.pk) not in answer.content.decode()


def test_what_was_chosen_last_is_there_again(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    sent = asked(ada, aspect_ratio="9:16", quality="draft", count="3", likeness_floor="70")
    alice_client.post("/create/images/", sent, **HTMX)
    values = alice_client.get("/create/").context["values"]
    assert (values["aspect_ratio"], values["quality"], values["count"]) == ("9:16", "draft", 3)
    assert values["likeness_floor"] == 70 and values["prompt"] == ""


def test_use_properties_restores_every_field(
    alice: User, ada: PortraitModel, source: Asset, alice_client: Client
) -> None:
    byron = rows.portrait_model(alice, "Byron")
    sent = asked(
        byron, prompt="@Byron and @Ada in red", negative_prompt="hats", aspect_ratio="4:3",
        quality="draft", count="2", seed_mode="fixed", seed="42", style="noir-man", best_of="4",
        likeness_floor="80", pose=str(source.pk), style_picture=str(source.pk),
    )  # fmt: skip
    alice_client.post("/create/images/", sent, **HTMX)
    made = Generation.objects.latest("created_at")
    for address in (f"/create/?from={made.pk}", f"/create/composer/?from={made.pk}"):
        shown = alice_client.get(address).context
        values = shown["values"]
        assert {name: values[name] for name in ("prompt", "negative_prompt", "aspect_ratio")} == {
            "prompt": "@Byron and @Ada in red", "negative_prompt": "hats", "aspect_ratio": "4:3",
        }  # fmt: skip
        numbers = ("count", "seed", "best_of", "likeness_floor", "quality", "style")
        assert [values[name] for name in numbers] == [2, 42, 4, 80, "draft", "noir-man"]
        assert values["pose"] == values["style_picture"] == source
        assert shown["selected"] == byron


def test_properties_of_an_edit_bring_its_picture_and_its_people(
    alice: User, ada: PortraitModel, source: Asset, alice_client: Client
) -> None:
    rows.portrait_model(alice, "Byron")
    sent = asked(ada, kind="edit", person=[str(ada.pk)], source=str(source.pk))
    alice_client.post("/create/images/", sent, **HTMX)
    shown = alice_client.get(f"/create/?from={Generation.objects.latest('created_at').pk}").context
    assert (shown["values"]["kind"], shown["values"]["source"]) == ("edit", source)
    assert [(model.name, wanted) for model, wanted in shown["candidates"]] == [
        ("Byron", False), ("Ada", True),
    ]  # fmt: skip


def test_properties_of_one_picture_bring_its_own_seed(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    made = rows.generation(ada, count=2)  # seeds 7 and 8
    values = alice_client.get(f"/create/?from={made.pk}&picture=1").context["values"]
    assert values["seed"] == 8


def test_foreign_and_broken_addresses_are_the_plain_page(
    alice: User, ada: PortraitModel, source: Asset, bob_client: Client, bob: User
) -> None:
    rows.portrait_model(bob)
    for query in (f"source={source.pk}", "source=x", f"from={source.generation_id}", "kind=x",
                  "style=x", "picture=99&from=x"):  # fmt: skip
        answer = bob_client.get(f"/create/?{query}")
        assert answer.status_code == 200
        assert str(source.pk) not in answer.content.decode()


def test_somebody_elses_picture_is_refused(
    alice: User, source: Asset, bob: User, bob_client: Client
) -> None:
    sent = asked(rows.portrait_model(bob), kind="edit", source=str(source.pk))
    assert bob_client.post("/create/images/", sent, **HTMX).status_code == 404
    assert bob_client.get(f"/create/slot/source/?picture={source.pk}").status_code == 404


def test_the_button_of_each_quality_says_what_it_costs(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    page = alice_client.get("/create/").content.decode()
    for quality in ("draft", "standard", "fine"):
        prices = [cost(kind, quality=quality, seconds=1) for kind in ("image", "video", "edit")]
        wanted = 'data-image="{}" data-video="{}" data-edit="{}"'.format(*prices)
        assert f'value="{quality}" {wanted}' in page
    assert f'data-enhance-price="{cost("enhance")}"' in page


# --- pictures ------------------------------------------------------------------------------
def test_a_photo_is_uploaded_into_a_slot_as_a_square_around_its_face(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    with pictures.HEIC.open("rb") as file:
        answer = alice_client.post("/create/choose/source/", {"file": file}, **HTMX)
    assert answer["HX-Retarget"] == "#slot-source" and "close-dialog" in answer["HX-Trigger"]
    kept = Asset.objects.get(kind="reference", source__isnull=False)
    assert kept.width == kept.height and str(kept.pk) in answer.content.decode()
    assert limit_for("/create/choose/source/") > 20_000_000


def test_a_bad_upload_is_told_where_it_was_chosen(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    sent = {"file": SimpleUploadedFile("x.jpg", b"no picture")}
    answer = alice_client.post("/create/choose/source/", sent, **HTMX)
    assert answer.status_code == 422 and "must be an image" in answer.content.decode()
    assert alice_client.post("/create/choose/source/", {}, **HTMX).status_code == 422
    assert alice_client.get("/create/choose/nothing/").status_code == 404


def test_without_scripts_a_chosen_picture_leads_back_to_the_form(
    alice: User, ada: PortraitModel, source: Asset, alice_client: Client
) -> None:
    page = alice_client.get("/create/choose/source/?kind=edit").content.decode()
    assert f"/create/?kind=edit&amp;source={source.pk}" in page
    with pictures.HEIC.open("rb") as file:
        answer = alice_client.post("/create/choose/source/", {"file": file, "kind": "edit"})
    assert answer["Location"].startswith("/create/?kind=edit&source=")
    assert alice_client.get(answer["Location"]).context["values"]["source"].kind == "reference"


# --- styles and sets ------------------------------------------------------------------------
def test_every_style_has_a_drawn_preview() -> None:
    assert len(catalogue.styles()) >= 24
    for style in catalogue.styles().values():
        assert finders.find(style.preview), style.id
    for one in catalogue.sets().values():
        assert 4 <= len(one.styles) <= 12


def test_styles_are_shown_by_gender_and_picked(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    for gender, other in (("woman", "man"), ("man", "woman")):
        page = alice_client.get(f"/create/styles/?gender={gender}", **HTMX).content.decode()
        assert f"noir-{gender}" in page and f"noir-{other}" not in page
    assert "Noir" in alice_client.get("/create/style/?style=noir-man", **HTMX).content.decode()
    assert "noir" not in alice_client.get("/create/style/?style=nothing", **HTMX).content.decode()
    sent = asked(ada, prompt="", style="noir-man")
    alice_client.post("/create/images/", sent, **HTMX)
    made = Generation.objects.latest("created_at")
    assert made.recipe["look"] == "noir" and "black suit" in made.recipe["words"]


def test_a_complete_set_is_one_click_and_one_price(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    before, sent = (
        ledger.balance(alice),
        {"id": str(uuid.uuid4()), "model": str(ada.pk), "gender": "woman"},
    )
    page = alice_client.get(f"/create/styles/?model={ada.pk}", **HTMX).content.decode()
    assert f"6 pictures · {6 * cost('image')} credits" in page
    for _ in range(2):  # a double click
        answer = alice_client.post("/create/sets/weekend/", sent, **HTMX)
    assert answer.content.decode().count('class="generation ') == 6
    made = Generation.objects.filter(set_name="City weekend")
    assert made.count() == 6 and len({one.set_id for one in made}) == 1
    assert ledger.balance(alice) == before - 6 * cost("image")


def test_a_set_that_cannot_be_paid_makes_nothing(bob: User, bob_client: Client) -> None:
    model = rows.portrait_model(bob)
    with transaction.atomic():
        ledger.charge(ledger.locked(bob), 60, key="generation:1:charge", reason="pictures")
    sent = {"id": str(uuid.uuid4()), "model": str(model.pk), "gender": "man"}
    answer = bob_client.post("/create/sets/travel/", sent, **HTMX)  # 32 of 20 credits
    assert answer.status_code == 402 and answer["HX-Retarget"] == "#dialog"
    assert not Generation.objects.exists() and ledger.balance(bob) == 20


def test_a_set_that_does_not_fit_the_line_makes_nothing(bob: User, bob_client: Client) -> None:
    model = rows.portrait_model(bob)
    for _ in range(2):
        sent = {"id": str(uuid.uuid4()), "model": str(model.pk), "gender": "man"}
        answer = bob_client.post("/create/sets/travel/", sent, **HTMX)
    assert answer.status_code == 409 and answer["HX-Retarget"] == "#dialog"
    assert Generation.objects.count() == 8 and ledger.balance(bob) == 80 - 32


@pytest.mark.parametrize(("name", "gender"), [("nothing", "man"), ("travel", "x")])
def test_there_are_no_other_sets(
    name: str, gender: str, alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    sent = {"model": str(ada.pk), "gender": gender}
    assert alice_client.post(f"/create/sets/{name}/", sent, **HTMX).status_code == 404


# --- the feed ----------------------------------------------------------------------------------
def test_a_placeholder_shows_each_picture_as_far_as_it_is(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    made = rows.generation(ada, state="queued", count=3)
    Generation.objects.filter(pk=made.pk).update(
        preview=b"firstsecond", preview_lengths=[5, 6], aspect_ratio="9:16"
    )
    page = alice_client.get(f"/generations/{made.pk}/").content.decode()
    assert page.count("preview/?place=") == 2 and page.count("skeleton--picture") == 1
    assert "pictures--9x16" in page
    for place, look in (("0", b"first"), ("1", b"second"), ("2", b""), ("x", b"first")):
        answer = alice_client.get(f"/generations/{made.pk}/preview/?place={place}")
        assert answer.content == look


def test_the_feed_says_who_is_missing_and_what_came_back(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    byron = rows.portrait_model(alice, "Byron")
    made = rows.generation(ada, count=1)
    made.appearances.create(portrait_model=byron, place=1)
    faces = [
        {"model": str(ada.pk), "likeness": 82, "missing": False, "turned": 20},
        {"model": str(byron.pk), "likeness": 3, "missing": True, "turned": 0},
    ]
    Asset.objects.filter(generation=made).update(measures={"faces": faces, "people": 2}, likeness=3)
    Generation.objects.filter(pk=made.pk).update(uncharged=1, likeness_floor=60)
    page = alice_client.get("/create/").content.decode()
    assert "Asked for Ada and Byron: found Ada 82, Byron missing." in page
    assert "1 of 1 stayed below a likeness of 60: 4 credits came back." in page
    large = alice_client.get(f"/pictures/{made.assets.get().pk}/").content.decode()
    assert "Head 20° away from the reference." in large and "missing" in large
