"""The help page's part "create", sentence by sentence, in a real browser at the real studio.

Each test is named after the sentence it shows; what a sentence says of phones stands at the end.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from generator.portraits.names import clean_description
from tests import photos
from tests.conftest import NewPage
from tests.seed_parts import (
    CREATE,
    DESK,
    PHONE,
    PREVIEW,
    SCREENS,
    STATUS,
    TRAINED_MS,
    People,
    answer_consent,
    is_phone,
    opened,
    press,
    says,
    seen_tips,
    tap_upload,
    upload,
)
from tests.servers import Studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
expect.set_options(timeout=60_000)  # ms; the upload door works on the same two cores
Screen = dict[str, Any]


@pytest.fixture(scope="module")
def people(live_studio: Studio) -> People:
    return People(
        live_studio,
        ("paid", "mega", []),
        ("reader", "mega", []),  # uploads are limited to 30 an hour each
        ("free", "nano", []),
        ("full", "nano", ["Only"]),
        ("micro", "micro", ["One", "Two"]),
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return photos.saved(tmp_path)


# --- How do I create one? ---------------------------------------------------------------
def test_open_the_model_creation_page_wherever_you_can_pick_a_model(
    new_page: NewPage, people: People
) -> None:
    page = people.window(new_page, "full", DESK)
    for address in ("/models/", "/create/"):
        page.goto(address)
        expect(page.locator("main a[href='/models/new/']").first).to_be_visible()
    page.locator("main a[href='/models/new/']").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Create Portrait Model")


@SCREENS
def test_click_create_and_the_model_then_trains_in_the_background_until_it_is_usable(
    new_page: NewPage, people: People, screen: Screen, photo: Path
) -> None:
    """Initializing, Congratulations, on to the workstation, progress, the first picture."""
    page = opened(people, new_page, screen)
    upload(page, photo)
    page.fill("#model-name", "Ada")
    page.fill("#model-description", "My note")
    answer_consent(page)
    held: list[Route] = []
    page.route("**/models/new/", lambda route: held.append(route))
    press(page, CREATE)
    says(page, "Initializing model creation…")
    held[0].continue_()
    says_in_time = page.locator(STATUS)
    expect(says_in_time).to_contain_text("Congratulations! Your model should be ready soon!")
    page.unroute("**/models/new/")
    page.wait_for_url(re.compile(r"/create/\?model="))
    live = page.locator("[data-training-state=queued], [data-training-state=running]")
    expect(live).to_be_visible()
    assert (page.locator("input[name=model]:checked").get_attribute("value") or "?") in page.url
    page.goto("/billing/usage/")  # wherever the person is in the studio
    notice = page.locator("#notices")
    expect(notice).to_contain_text("Ada is ready.", timeout=TRAINED_MS)
    notice.get_by_role("link", name="Create with it").click()
    page.fill("textarea[name=prompt]", "in a garden, smiling")
    press(page, "[data-generate]")
    page.locator(".picture__open img").first.wait_for(timeout=TRAINED_MS)
    answer = page.request.get(page.locator(".picture__download").first.get_attribute("href") or "")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.body().startswith(b"\x89PNG")


@SCREENS
def test_either_path_ends_the_same_way_one_reference_image_lands_in_the_preview(
    new_page: NewPage, people: People, screen: Screen
) -> None:
    page = opened(people, new_page, screen)
    expect(page.get_by_role("heading", name="Model reference image")).to_be_visible()
    if is_phone(page):
        press(page, ".preview__tap", force=False)
        press(page, "#reference-sheet [data-generator]", force=False)
    else:
        page.locator(".tile [data-generator]").click()
    panel = page.locator("#influencer-panel")
    panel.get_by_role("button", name=re.compile("Generate")).click()
    panel.locator(".face img[loading]").first.click(timeout=TRAINED_MS)
    panel.locator("[data-select]:not([aria-disabled=true])").click()
    expect(panel).to_be_hidden()
    expect(page.locator(PREVIEW)).to_have_attribute("data-state", "ready")
    expect(page.locator(".consent")).to_be_hidden()  # a drawn face is nobody
    page.fill("#model-name", "Nobody")
    press(page, CREATE)
    page.wait_for_url(re.compile(r"/create/\?model="))


def test_the_two_tiles_say_what_they_are_for(new_page: NewPage, people: People) -> None:
    page = opened(people, new_page, DESK)
    for tile, words in (
        ("Create with reference",
         "Upload a reference of yourself or any character to craft your custom model."),
        ("Generate ideal influencer",
         "No reference? Let us create your ideal influencer for you."),
    ):  # fmt: skip
        expect(page.locator(".tile", has=page.get_by_role("heading", name=tile))).to_contain_text(
            words
        )
    option = page.locator(".tile .option")
    expect(option.nth(0)).to_contain_text("Click to upload image")
    expect(option.nth(0)).to_contain_text("Upload your own image as your model's reference image.")
    expect(option.nth(1)).to_contain_text("AI influencer generator")
    expect(option.nth(1)).to_contain_text(
        "Use Likeness's AI influencer generator to generate your model's reference image."
    )


# --- Name, description, Public ------------------------------------------------------------
def test_the_name_can_be_up_to_32_characters_and_has_its_label_and_placeholder(
    new_page: NewPage, people: People
) -> None:
    page = opened(people, new_page, DESK)
    name = page.get_by_label("Model name:")
    expect(name).to_have_attribute("placeholder", "Name of the model.")
    count = page.locator("[data-count-for=model-name]")
    for typed, words in (("😀" * 32, "32/32"), ("e\u0301" * 32, "32/32"), (" a ", "1/32")):
        name.fill(typed)
        expect(count).to_have_text(words)
    name.fill("a" * 33)
    press(page, CREATE)
    expect(page.locator(STATUS)).to_contain_text("at most 32 characters; this has 33")


def test_the_description_is_optional_free_text_up_to_512_characters(
    new_page: NewPage, people: People
) -> None:
    page = opened(people, new_page, DESK)
    field = page.get_by_label("Description:")
    expect(field).to_have_attribute("placeholder", "Please describe your desired artwork here")
    field.fill("é" * 512)
    count = page.locator("[data-count-for=model-description]")
    expect(count).to_have_text("512/512")
    field.fill("é" * 513)
    expect(count).to_have_attribute("data-over", "")


def test_the_page_counts_characters_as_the_server_does(new_page: NewPage, people: People) -> None:
    texts = [
        "", "a", " a\u0085", "e\u0301" * 9, "\u202eab\u202c", "\ufeffx",
        "\U0001f469\u200d\U0001f680", "a\nb\n",
        "\u00a0x\u3000", "\ufb01", "\u1100\u1161\u11a8", "a\u0323\u0308", "\tx\ty\t",
        "\u200bx",
    ]  # fmt: skip
    page = opened(people, new_page, DESK)
    counted = page.evaluate(
        """texts => texts.map(text => {
            const field = document.getElementById("model-description");
            field.value = text;
            field.dispatchEvent(new Event("input", { bubbles: true }));
            return Number(field.dataset.counted);
        })""",
        texts,
    )
    assert counted == [len(clean_description(text)) for text in texts]


@SCREENS
def test_on_the_free_plan_turning_public_off_prompts_you_to_upgrade_instead_of_switching(
    new_page: NewPage, people: People, screen: Screen
) -> None:
    page = opened(people, new_page, screen, "free")
    page.fill("#model-name", "Ada")
    press(page, "[name=is_public]")
    expect(page.locator("#dialog")).to_contain_text("Upgrade to keep a model private")
    page.locator("#dialog [data-close]").last.click()
    expect(page.locator("[name=is_public]")).to_be_checked()
    expect(page.locator("#model-name")).to_have_value("Ada")


def test_the_public_toggle_controls_whether_others_see_the_finished_model(
    new_page: NewPage, people: People
) -> None:
    page = opened(people, new_page, DESK)
    with page.expect_response("**/models/new/private/") as answer:
        press(page, "[name=is_public]")
    assert answer.value.status == 204
    expect(page.locator("[name=is_public]")).not_to_be_checked()
    page.locator(".switch", has_text="Public:").click()
    expect(page.locator("[name=is_public]")).to_be_checked()


# --- Why is the button greyed out? ----------------------------------------------------------
@SCREENS
def test_the_button_is_disabled_until_there_is_a_name_and_an_image_and_warns_when_tapped(
    new_page: NewPage, people: People, screen: Screen, photo: Path
) -> None:
    page = opened(people, new_page, screen, "reader")
    button = page.locator(CREATE)
    expect(button).to_have_text("Create your image model now")
    expect(button).to_have_attribute("aria-disabled", "true")
    press(page, CREATE)
    says(page, "Please enter the name for your model.")
    page.fill("#model-name", "Ada")
    press(page, CREATE)
    says(page, "Please provide an image for creating your model.")
    upload(page, photo)
    press(page, CREATE)
    says(page, "Please say who is in this photo.")
    answer_consent(page, "I have this person's permission")
    expect(button).to_have_attribute("aria-disabled", "false")


def test_a_page_that_is_still_loading_says_that_it_is_not_initialized_yet(
    new_page: NewPage, people: People
) -> None:
    page = people.window(new_page, "paid", DESK)
    held: list[Route] = []
    page.route("**/fonts/inter-latin.woff2", lambda route: held.append(route))
    page.goto("/models/new/", wait_until="domcontentloaded")
    page.fill("#model-name", "Ada")
    press(page, CREATE)
    says(page, "The page is not initialized yet.")
    for route in held:
        route.continue_()


# --- Do I need an account? ------------------------------------------------------------------
@SCREENS
def test_typing_uploading_or_creating_while_signed_out_opens_the_sign_in_dialog(
    new_page: NewPage, live_studio: Studio, screen: Screen, photo: Path
) -> None:
    """In place: what was typed and answered is still there, and the action goes on."""
    page = new_page(live_studio, **screen)
    seen_tips(page)
    page.goto("/models/new/")
    dialog = page.locator("#dialog")
    tap_upload(page)
    expect(dialog.locator("form").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.locator("#model-name").press_sequentially("A")
    expect(dialog.locator("form").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.evaluate("document.getElementById('model-name').value = 'Ada of the dialog'")
    press(page, CREATE)
    dialog.locator("label", has_text="Sign up").click()
    page.fill("#dialog [name=email]", f"{uuid.uuid4().hex}@example.com")
    page.fill("#dialog [name=password1]", "a rather long one")
    page.click("#dialog button:has-text('Create account')")
    expect(dialog).to_be_hidden()
    says(page, "Please provide an image for creating your model.")  # the tap went on
    expect(page.locator("#model-name")).to_have_value("Ada of the dialog")
    upload(page, photo)  # with the new token
    answer_consent(page, "An invented person")  # it is asked with a photo
    press(page, CREATE)
    page.wait_for_url(re.compile(r"/create/\?model="))


# --- What does it cost, how many may I have? ------------------------------------------------
def test_there_is_no_quality_or_output_setting_and_the_cost_is_said(
    new_page: NewPage, people: People
) -> None:
    page = opened(people, new_page, DESK)
    names = page.locator("#create-form [name]").evaluate_all(
        "fields => [...new Set(fields.map(field => field.name))].sort()"
    )
    assert names == ["consent", "consent_version", "csrfmiddlewaretoken", "description", "file",
                     "id", "is_public", "name"]  # fmt: skip
    expect(page.locator(".create__cost")).to_have_text(
        "Training costs 20 credits. A training that fails gives them back."
    )


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("full", "The free Nano plan holds 1 model. Upgrade to create more."),
        ("micro", "You have reached the 2 models of your Micro plan."),
    ],
)
def test_at_your_cap_creation_fails_with_an_upgrade_prompt_for_free_or_paid_plans(
    new_page: NewPage, people: People, photo: Path, who: str, words: str
) -> None:
    page = opened(people, new_page, DESK, who)
    upload(page, photo)
    page.fill("#model-name", "One more")
    page.fill("#model-description", "My note")
    answer_consent(page)
    press(page, CREATE)
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("You have reached your model limit")
    expect(dialog).to_contain_text(words)
    dialog.locator("[data-close]").last.click()
    expect(page.locator("#model-name")).to_have_value("One more")  # nothing typed is lost
    expect(page.locator("#model-description")).to_have_value("My note")
    expect(page.locator(PREVIEW)).to_have_attribute("data-state", "ready")
    expect(page.locator("[name=consent]:checked")).to_have_value("me")


# --- If training fails ------------------------------------------------------------------------
def test_if_training_fails_you_are_notified_so_you_can_try_again(
    start_studio: Any, new_page: NewPage, photo: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "no-weights"
    empty.mkdir()
    studio = start_studio(ENGINE_WEIGHTS=str(empty))
    page = People(studio, ("ada", "mega", [])).window(new_page, "ada", DESK)
    page.goto("/models/new/")
    upload(page, photo)
    page.fill("#model-name", "Ada")
    answer_consent(page)
    press(page, CREATE)
    page.wait_for_url(re.compile(r"/create/\?model="))
    notice = page.locator("#notices .notice--bad")
    expect(notice).to_contain_text("Ada was not trained.", timeout=TRAINED_MS)
    expect(notice).to_contain_text("Your credits were returned.")
    state = page.locator("#model-state")
    expect(state).to_contain_text("Your 20 credits came back.")
    state.get_by_role("button", name="Train again").click()
    expect(page.locator("#notices")).to_contain_text("Training again.")


# --- On mobile --------------------------------------------------------------------------------
def test_on_phones_tapping_the_preview_opens_the_select_reference_image_sheet(
    new_page: NewPage, people: People
) -> None:
    page = opened(people, new_page, PHONE)
    press(page, ".preview__tap", force=False)
    sheet = page.locator("#reference-sheet")
    expect(sheet.get_by_role("heading")).to_have_text("Select reference image")
    expect(sheet).to_contain_text("Upload or use our AI influencer generator")
    boxes = [sheet.get_by_text(words, exact=True).bounding_box()
             for words in ("Click to upload image", "OR", "AI influencer generator")]  # fmt: skip
    heights = [box["y"] for box in boxes if box]
    assert len(heights) == 3 and heights == sorted(heights)  # stacked around the divider


def test_on_phones_the_create_button_sticks_to_the_bottom_as_you_scroll(
    new_page: NewPage, people: People
) -> None:
    page = opened(people, new_page, PHONE)
    for position in ("0", "document.body.scrollHeight"):
        page.evaluate(f"window.scrollTo(0, {position})")
        expect(page.locator(CREATE)).to_be_in_viewport(ratio=0.99)


def test_nothing_is_wider_than_a_small_phone(
    new_page: NewPage, people: People, tmp_path: Path
) -> None:
    small = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}
    page = opened(people, new_page, small, "reader")
    photos.two_people().save(tmp_path / "two.jpg", quality=92)
    upload(page, tmp_path / "two.jpg")
    expect(page.locator("[data-problem=several_faces]")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


# --- Without scripts --------------------------------------------------------------------------
def test_without_scripts_the_form_uploads_names_and_creates(
    new_page: NewPage, people: People, photo: Path
) -> None:
    page = opened(people, new_page, DESK | {"java_script_enabled": False}, "reader")
    page.fill("#model-name", "Ada")
    page.set_input_files("#file", photo)
    press(page, CREATE)
    expect(page.locator(STATUS)).to_have_text("Please say who is in this photo.")
    expect(page.locator(".preview__picture")).to_be_visible()  # the photo is kept
    expect(page.locator("#model-name")).to_have_value("Ada")
    page.get_by_label("This is me").check()
    press(page, CREATE)
    page.wait_for_url(re.compile(r"/create/\?model="))
