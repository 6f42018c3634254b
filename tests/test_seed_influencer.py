"""The help page on the AI influencer generator, sentence by sentence, in a real browser.

Large: 1440 × 900 with a mouse; phone: 390 × 844 with a finger. One studio draws for all of them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import photos, servers
from tests.conftest import NewPage
from tests.seed_parts import DESK, PHONE, SCREENS, is_phone, press
from tests.servers import Studio

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.engine, pytest.mark.timeout(900)]

DRAWN_MS = 480_000  # two busy cores
GENERATE = "#face-generate"
IN_USE = "Properties from the selected outcome are now in use!"
DRAW_SCRIPT = """
import uuid
from accounts.models import User
from billing.models import Subscription
from generator.engine.attributes import Attributes
from generator.influencer.services import generate_faces
person = User.objects.get(email={email!r})
Subscription.objects.update_or_create(user=person, defaults=dict(plan="macro"))
asked = Attributes(gender="man", age=41, height_cm=188, weight_kg=90, country="JP", country2="BR",
    build="slim", hair_style="afro", hair_color="black", suntan=True, details="round glasses")
print("made", generate_faces(person, id=uuid.uuid4(), attributes=asked, count=2).id)
"""
expect.set_options(timeout=60_000)  # ms


@dataclass(frozen=True)
class Artist:
    """Somebody on a paid plan whose history holds one generation of two faces."""

    email: str
    faces: str  # the generation's id


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with servers.studio(tmp_path_factory.mktemp("house")) as studio:
        yield studio


@pytest.fixture(scope="module")
def artist(house: Studio, browser: Browser) -> Artist:
    email = somebody()
    key = house.session_for(email)
    words = house.manage("shell", "-v0", "-c", DRAW_SCRIPT.format(email=email)).split()
    context = browser.new_context(base_url=house.address)
    context.add_cookies([{"name": "sessionid", "value": key, "url": house.address}])
    drawn = lambda: "size=256" in context.request.get("/influencer/history/").text()  # noqa: E731
    servers.wait_for(drawn, "two faces", timeout_s=DRAWN_MS / 1000)
    context.close()
    return Artist(email, words[words.index("made") + 1])


def somebody() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.com"


def generator(page: Page) -> Page:
    page.goto("/influencer/")
    return page


def selected(page: Page, artist: Artist, index: int = 1) -> Page:
    """The generator with one of the artist's faces under Selected image."""
    page.goto(f"/influencer/?selected={artist.faces}.{index}")
    return page


def set_drawer(page: Page, *, is_open: bool) -> None:
    """On a phone, where the controls lie over the pictures."""
    drawer = page.locator("[data-drawer]")
    if is_phone(page) and (drawer.get_attribute("data-open") == "yes") != is_open:
        press(page, "[data-drawer-toggle]", force=False)


def open_panel(page: Page) -> Locator:
    """The full-screen panel over the create page."""
    page.add_init_script("localStorage.setItem('photo-tutorial-seen', 'yes')")
    page.goto("/models/new/")
    if is_phone(page):
        press(page, ".preview__tap", force=False)
        press(page, "#reference-sheet [data-generator]", force=False)
    else:
        page.locator(".tile [data-generator]").click()
    panel = page.locator("#influencer-panel")
    expect(panel.locator(GENERATE)).to_be_visible()
    return panel


def generated(page: Page) -> Locator:
    """Press Generate; the article of the new generation."""
    before = page.locator("article.faces").count()
    page.locator(GENERATE).click()
    expect(page.locator("article.faces")).to_have_count(before + 1)
    return page.locator("article.faces").first


def choose(page: Page, control: str, typed: str, wanted: str) -> None:
    """Search the choices of a control and take one."""
    page.locator(control).fill(typed)
    page.locator(".choices__one", has_text=re.compile(f"^{wanted}$")).click()
    expect(page.locator(control)).to_have_value(wanted)


# --- what it is -------------------------------------------------------------------------
@SCREENS
def test_it_is_a_built_in_tool_and_one_image_becomes_the_models_reference(
    new_page: NewPage, house: Studio, artist: Artist, screen: dict[str, Any]
) -> None:
    page = new_page(house, artist.email, **screen)
    panel = open_panel(page)
    expect(panel.get_by_role("heading", name="AI influencer generator")).to_be_visible()
    panel.locator(f"[data-face='{artist.faces}.1']").click()
    shown = panel.locator("#selected-face img")
    expect(shown).to_be_visible()
    face = (shown.get_attribute("src") or "").split("?")[0]
    panel.get_by_role("link", name="Select this image as reference image").click()
    expect(panel).to_be_hidden()
    preview = page.locator("#reference-preview")
    expect(preview).to_have_attribute("data-state", "ready")
    expect(preview.locator(f"img[src^='{face}']")).to_be_visible()


# --- what can be customized -------------------------------------------------------------
def test_the_form_gives_you_a_random_shortcut(new_page: NewPage, house: Studio) -> None:
    page = generator(new_page(house, **DESK))
    page.locator("[name=count]").select_option("3")
    page.locator("#face-random").click()
    for control in ("build", "eyes", "hair_style", "hair_color", "details"):
        expect(page.locator(f"#id_{control}")).not_to_have_value("")
    expect(page.locator("[name=count]")).to_have_value("3")
    expect(page.locator("#face-random")).to_be_focused()


@SCREENS
def test_gender_is_man_woman_or_secrecy(
    new_page: NewPage, house: Studio, screen: dict[str, Any]
) -> None:
    page = generator(new_page(house, **screen))
    choices = page.get_by_role("group", name="Gender")
    assert choices.locator("label").all_inner_texts() == ["Man", "Woman", "Secrecy"]
    for word in ("Man", "Secrecy"):
        choices.locator("label", has_text=re.compile(f"^{word}$")).click()
        expect(choices.get_by_role("radio", name=word, exact=True)).to_be_checked()


@SCREENS
@pytest.mark.parametrize("who", ["signed in", "signed out"])
def test_age_height_and_weight_are_sliders_read_in_metric_or_imperial_units(
    new_page: NewPage, house: Studio, screen: dict[str, Any], who: str
) -> None:
    page = generator(new_page(house, somebody() if who == "signed in" else None, **screen))
    height, weight = (page.locator(f"[data-readout=id_{name}]") for name in HEIGHT_AND_WEIGHT)
    expect(page.locator("[data-readout=id_age]")).to_have_text("26 years")
    expect(height).to_have_text("168 cm")
    with page.expect_response("**/influencer/form/"):
        page.locator("[data-units] label", has_text="Imperial").click()
    expect(height).to_have_text("5′ 6″")
    expect(weight).to_have_text("132 lb")
    page.locator("#id_height_cm").focus()
    page.keyboard.press("ArrowRight")
    expect(height).to_have_text("5′ 7″")
    expect(page.locator("#id_height_cm")).to_have_attribute("aria-valuetext", "5′ 7″")
    page.reload()
    expect(height).to_have_text("5′ 6″")  # the choice is remembered


HEIGHT_AND_WEIGHT = ("height_cm", "weight_kg")


@SCREENS
def test_country_and_country_2_pick_one_or_blend_two(
    new_page: NewPage, house: Studio, screen: dict[str, Any]
) -> None:
    page = generator(new_page(house, **screen))
    page.locator("#id_country").click()
    expect(page.locator(".choices__one")).to_have_count(249)
    page.keyboard.press("Escape")
    expect(page.locator(".choices")).to_have_count(0)
    choose(page, "#id_country", "ger", "Germany")
    choose(page, "#id_country2", "brazil", "Brazil")
    page.locator("#id_country2").fill("cote")  # without its accent
    page.keyboard.press("Escape")
    page.locator("#id_country2").fill("jap")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#id_country2")).to_have_value("Japan")


@SCREENS
def test_build_eyes_hair_style_and_hair_color_choose_from_options_or_type_your_own(
    new_page: NewPage, house: Studio, screen: dict[str, Any]
) -> None:
    page = generator(new_page(house, **screen))
    options = {"build": "athletic", "eyes": "green", "hair_style": "bun", "hair_color": "red"}
    for name, word in options.items():
        choose(page, f"#id_{name}", word, word)
        page.locator(f"#id_{name}").fill("something of my own")
        page.keyboard.press("Tab")
        expect(page.locator(f"#id_{name}")).to_have_value("something of my own")
        page.locator(f"#id_{name}").fill("")
        page.locator(".choices__one", has_text="Leave it to chance").click()
        expect(page.locator(f"#id_{name}")).to_have_value("")


@SCREENS
def test_dimple_beard_and_suntan_are_on_off_toggles(
    new_page: NewPage, house: Studio, screen: dict[str, Any]
) -> None:
    page = generator(new_page(house, **screen))
    for word in ("Dimple", "Beard", "Suntan"):
        toggle = page.get_by_label(word)
        page.locator(".toggles label", has_text=word).click()
        expect(toggle).to_be_checked()
        page.locator(".toggles label", has_text=word).click()
        expect(toggle).not_to_be_checked()


def test_bespoke_details_are_free_text_and_every_setting_is_asked_for(
    new_page: NewPage, house: Studio, artist: Artist
) -> None:
    page = generator(new_page(house, artist.email, **DESK))
    details = page.get_by_label("Bespoke Details")
    words = "unique traits, aesthetic nuances, or specific style requirements not covered above."
    expect(details).to_have_attribute("placeholder", words)
    details.fill("a scar on the chin")
    page.locator("label", has_text=re.compile("^Secrecy$")).click()
    choose(page, "#id_country2", "finl", "Finland")
    page.locator("#id_eyes").fill("one green, one blue")
    page.keyboard.press("Tab")
    page.locator(".toggles label", has_text="Dimple").click()
    page.locator("[name=count]").select_option("1")
    generated(page)
    page.locator("summary", has_text="Model parameters").click()
    said = page.locator(".parameters")
    for label, value in (
        ("Gender", "Secrecy"), ("Age", "26 years"), ("Country", "United States"),
        ("Country 2", "Finland"), ("Eyes", "one green, one blue"), ("Dimple", "Yes"),
        ("Bespoke Details", "a scar on the chin"),
    ):  # fmt: skip
        row = said.locator("div", has=page.locator("dt", has_text=re.compile(f"^{label}$")))
        expect(row.locator("dd")).to_have_text(value)


@SCREENS
def test_some_accounts_also_get_an_advanced_settings_section(
    new_page: NewPage, house: Studio, artist: Artist, screen: dict[str, Any], tmp_path: Path
) -> None:
    page = generator(new_page(house, artist.email, **screen))
    set_drawer(page, is_open=True)
    page.locator("summary", has_text="Advanced settings").click()
    for label in ("Prompt start", "Prompt end", "Negative prompt"):
        page.get_by_label(label).fill("film still")
    page.set_input_files("#pose-file", photos.saved(tmp_path))
    expect(page.get_by_label("Use this pose")).to_be_checked()
    expect(page.get_by_alt_text("The pose reference image")).to_be_visible()
    (tmp_path / "note.txt").write_text("no photo")
    page.set_input_files("#pose-file", tmp_path / "note.txt")
    expect(page.locator("#pose")).to_contain_text("The file must be an image.")
    page.locator("#face-random").click()
    expect(page.get_by_label("Prompt end")).to_have_value("film still")


def test_if_you_do_not_see_it_your_account_type_does_not_expose_those_extra_controls(
    new_page: NewPage, house: Studio
) -> None:
    page = generator(new_page(house, somebody(), **DESK))
    expect(page.locator(GENERATE)).to_be_visible()
    for words in ("Advanced settings", "Prompt start", "Negative prompt", "Pose reference image"):
        assert page.get_by_text(words).count() == 0, words


# --- generating and picking -------------------------------------------------------------
@SCREENS
def test_press_generate_and_results_land_in_history_on_the_left(
    new_page: NewPage, house: Studio, screen: dict[str, Any]
) -> None:
    page = generator(new_page(house, somebody(), **screen))
    empty = page.get_by_text("Your generation will appear here.")
    assert empty.count() == 1
    notices, select = page.locator("#notices"), page.locator("#select-face")
    set_drawer(page, is_open=False)
    press(page, select)
    expect(notices).to_contain_text("Please select an image!")
    expect(page.locator(GENERATE)).to_contain_text("4 credits")
    page.locator("[name=count]").select_option("1")
    expect(page.locator(GENERATE)).to_contain_text("2 credits")
    made = generated(page)
    expect(empty).to_be_hidden()
    # The button stays inactive until the chosen image has finished generating.
    expect(select).to_have_attribute("aria-disabled", "true")
    press(page, select)
    expect(notices).to_contain_text(
        re.compile("This image is not ready yet!|Please wait until the image is ready!")
    )
    expect(made.locator("progress")).to_be_visible()
    left = page.locator("#face-history").bounding_box()
    right = page.locator("#selected-face").bounding_box()
    assert left and right and (is_phone(page) or left["x"] + left["width"] <= right["x"])
    expect(made.locator("img[loading]")).to_be_visible(timeout=DRAWN_MS)
    # Wait for the image to finish, then select it: without a tap, where it stood.
    expect(page.locator("#selected-face img[src*='/media/']")).to_be_visible()
    expect(made.locator("[data-face]")).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("link", name="Select this image as reference image")).to_be_visible()


@SCREENS
def test_select_a_result_to_see_it_under_selected_image(
    new_page: NewPage, house: Studio, artist: Artist, screen: dict[str, Any]
) -> None:
    page = generator(new_page(house, artist.email, **screen))
    set_drawer(page, is_open=False)
    for index in (1, 0):
        face = page.locator(f"[data-face='{artist.faces}.{index}']")
        shown = (face.locator("img").get_attribute("src") or "").split("?")[0]
        press(page, face, force=False)
        expect(page.locator(f"#selected-face img[src^='{shown}']")).to_be_visible()
        expect(page.locator("#selected-face img")).to_be_in_viewport()
        expect(face).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Select this image as reference image").click()
    page.wait_for_url("**/models/new/?reference=*")
    expect(page.locator("#reference-preview")).to_have_attribute("data-state", "ready")


@SCREENS
def test_you_can_recreate_to_tweak_and_regenerate(
    new_page: NewPage, house: Studio, artist: Artist, screen: dict[str, Any]
) -> None:
    page = selected(new_page(house, artist.email, **screen), artist)
    page.get_by_role("link", name="Recreate").click()
    expect(page.get_by_label("Keep this face")).to_be_checked()
    expect(page.locator("#id_country2")).to_have_value("Brazil")
    expect(page.locator("[data-drawer]")).to_have_attribute("data-open", "yes")
    page.locator("#id_hair_color").fill("pink")
    page.keyboard.press("Tab")
    made = generated(page)
    expect(page.locator("[data-drawer]")).to_have_attribute("data-open", "no")
    page.locator("summary", has_text="Model parameters").click()
    expect(page.locator(".parameters")).to_contain_text("pink")
    made.get_by_role("button", name="Cancel").click()


def test_you_can_reset_the_form(new_page: NewPage, house: Studio) -> None:
    page = generator(new_page(house, **DESK))
    page.locator("#id_details").fill("a scar")
    page.locator("#id_age").fill("60")
    page.locator("#face-reset").click()
    expect(page.locator("#id_details")).to_have_value("")
    expect(page.locator("[data-readout=id_age]")).to_have_text("26 years")


@SCREENS
def test_you_can_download_a_result(
    new_page: NewPage, house: Studio, artist: Artist, screen: dict[str, Any]
) -> None:
    page = selected(new_page(house, artist.email, **screen), artist)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".png")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


@SCREENS
def test_use_properties_loads_that_outcomes_attributes_back_into_the_form(
    new_page: NewPage, house: Studio, artist: Artist, screen: dict[str, Any]
) -> None:
    page = selected(new_page(house, artist.email, **screen), artist)
    page.locator("summary", has_text="Model parameters").click()
    page.get_by_role("link", name="Use properties").click()
    expect(page.locator("#notices")).to_contain_text(IN_USE)
    for name, value in (
        ("country", "Japan"), ("country2", "Brazil"), ("build", "slim"), ("hair_style", "afro"),
        ("hair_color", "black"), ("details", "round glasses"), ("age", "41"), ("height_cm", "188"),
    ):  # fmt: skip
        expect(page.locator(f"#id_{name}")).to_have_value(value)
    expect(page.get_by_role("radio", name="Man", exact=True)).to_be_checked()
    expect(page.get_by_label("Suntan")).to_be_checked()
    expect(page.get_by_label("Beard")).not_to_be_checked()


@SCREENS
def test_a_wrong_value_is_told_at_its_control_and_in_sight(
    new_page: NewPage, house: Studio, screen: dict[str, Any]
) -> None:
    page = generator(new_page(house, somebody(), **screen))
    page.locator("#id_country").fill("Narnia")
    page.keyboard.press("Tab")
    page.locator("#id_details").fill("a scar on the chin")
    page.locator(GENERATE).click()
    error = page.get_by_text("Choose a country from the list.")
    expect(error).to_be_in_viewport()
    expect(page.locator("#id_country")).to_be_focused()
    expect(page.locator("#id_details")).to_have_value("a scar on the chin")


# --- on mobile --------------------------------------------------------------------------
def test_on_phones_it_is_a_full_screen_panel_with_its_controls_in_a_slide_up_workstation_drawer(
    new_page: NewPage, house: Studio
) -> None:
    page = new_page(house, somebody(), **PHONE)
    panel = open_panel(page)
    box = panel.bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 390, 844)
    handle, fields = (
        page.get_by_role("button", name="Workstation"),
        page.locator("#face-form-fields"),
    )
    expect(fields).to_be_visible()
    press(page, handle, force=False)
    expect(fields).to_be_hidden()
    expect(handle).to_have_attribute("aria-expanded", "false")
    expect(page.locator(GENERATE)).to_be_in_viewport(ratio=0.99)
    for towards, is_open in ((-200, True), (200, False)):
        swipe(page, handle, towards)
        expect(fields).to_be_visible() if is_open else expect(fields).to_be_hidden()
    assert page.evaluate("document.getElementById('influencer-panel').scrollWidth") <= 390
    press(page, page.get_by_role("button", name="Close"), force=False)
    expect(panel).to_be_hidden()


def swipe(page: Page, handle: Locator, towards_px: int) -> None:
    """Pointer events as a finger sends them, up (negative) or down."""
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + towards_px, steps=4)
    page.mouse.up()


# --- signed out, and without scripts ----------------------------------------------------
def test_you_have_to_be_logged_in_to_generate_and_generating_goes_on_afterwards(
    new_page: NewPage, house: Studio
) -> None:
    page = generator(new_page(house, **DESK))
    page.locator("#id_details").fill("a scar on the chin")
    page.locator("[data-units] label", has_text="Imperial").click()
    page.locator("[name=count]").select_option("1")
    page.locator(GENERATE).click()
    page.locator("#dialog label", has_text="Sign up").click()
    page.fill("#dialog [name=email]", somebody())
    page.fill("#dialog [name=password1]", "a rather long one")
    page.click("#dialog button:has-text('Create account')")
    expect(page.locator("article.faces")).to_have_count(1)
    expect(page.locator("#id_details")).to_have_value("a scar on the chin")
    page.reload()
    expect(page.locator("[data-readout=id_height_cm]")).to_have_text("5′ 6″")


def test_without_scripts_the_form_generates_and_its_links_do_what_buttons_do(
    new_page: NewPage, house: Studio, artist: Artist
) -> None:
    page = new_page(house, artist.email, **DESK, java_script_enabled=False)
    generator(page)
    page.locator("[data-units] label", has_text="Imperial").click()
    page.click("[data-units] noscript button")  # Playwright reads no text inside of noscript
    expect(page.locator("[data-readout=id_height_cm]")).to_have_text("5′ 6″")
    page.fill("#id_details", "a scar on the chin")
    page.select_option("[name=count]", "1")
    page.click(GENERATE)
    page.wait_for_url("**/influencer/?selected=*")
    expect(page.locator("#selected-face noscript a")).to_be_visible()
    page.click(f"[data-face='{artist.faces}.1']")
    expect(page.locator("#selected-face img[src*='/media/']")).to_be_visible()
    page.locator("summary", has_text="Model parameters").click()
    page.get_by_role("link", name="Use properties").click()
    expect(page.locator("body")).to_contain_text(IN_USE)
    expect(page.locator("#id_country2")).to_have_value("Brazil")
    page.get_by_role("link", name="Select this image as reference image").click()
    expect(page.locator("#reference-preview")).to_have_attribute("data-state", "ready")


def test_the_drawer_fits_a_small_phone(new_page: NewPage, house: Studio, artist: Artist) -> None:
    small = PHONE | {"viewport": {"width": 320, "height": 640}}
    page = generator(new_page(house, artist.email, **small))
    set_drawer(page, is_open=True)
    page.locator("summary", has_text="Advanced settings").click()
    for part in ("[data-drawer]", "#face-form-fields", GENERATE):
        right = page.evaluate(
            "(part) => { const e = document.querySelector(part);"
            " return e.getBoundingClientRect().left + e.scrollWidth }",
            part,
        )
        assert right <= 320, part
