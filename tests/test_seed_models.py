"""The help page's part "Managing your models", sentence by sentence, at the real studio."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import NewPage
from tests.seed_parts import DESK, PHONE, SCREENS, People, menu
from tests.servers import Studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
expect.set_options(timeout=60_000)  # ms; two busy cores
Screen = dict[str, Any]
ROOMY = ["Ada", "Bea", "Cleo", "Dora", "Edda", "Fay", "Gwen"]  # each test takes its own


@pytest.fixture(scope="module")
def people(live_studio: Studio) -> People:
    return People(
        live_studio,
        ("owner", "mega", ROOMY),
        ("frugal", "nano", ["Ivy"]),
        ("guest", "nano", []),
    )


def model(people: People, name: str) -> str:
    return people.models("owner")[ROOMY.index(name)]


def listed(people: People, new_page: NewPage, screen: Screen, who: str = "owner") -> Page:
    page = people.window(new_page, who, screen)
    page.goto("/models/")
    return page


def card(page: Page, id: str) -> Any:
    return page.locator(f"#portrait-model-{id}")


# --- How do I rename or edit a model later? -------------------------------------------------
@SCREENS
def test_choose_edit_in_the_actions_menu_to_open_update_model_and_change_it(
    new_page: NewPage, people: People, screen: Screen
) -> None:
    """Name, description, Public and both links; Save is disabled until something changes."""
    id = model(people, "Ada" if screen is DESK else "Bea")
    page = listed(people, new_page, screen)
    menu(page, id, "Edit")
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Update model")
    save = dialog.get_by_role("button", name="Save")
    expect(save).to_be_disabled()
    dialog.get_by_label("Model name:").fill("Changed")
    expect(save).to_be_enabled()
    dialog.get_by_label("Model name:").fill("Ada" if screen is DESK else "Bea")
    expect(save).to_be_disabled()  # nothing has actually changed
    tiktok, instagram = dialog.get_by_label("TikTok link"), dialog.get_by_label("Instagram link")
    expect(tiktok).to_have_attribute("placeholder", "Enter your TikTok link")
    expect(instagram).to_have_attribute("placeholder", "Enter your Instagram link")
    dialog.get_by_label("Model name:").fill("Changed")
    dialog.get_by_label("Description:").fill("Calm")
    expect(dialog.locator("[data-count-for=model-description]")).to_have_text("4/512")
    dialog.locator(".switch:has([name=is_public])").click()
    tiktok.fill("tiktok.com/@ada?lang=en")
    instagram.fill("https://www.instagram.com/ada/")
    save.click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#notices")).to_contain_text("Saved.")
    expect(card(page, id)).to_contain_text("Changed")
    page.goto(f"/models/{id}/")
    about = page.locator(f"#model-about-{id}")
    expect(about).to_contain_text("Calm")
    expect(about).to_contain_text("Private")
    for site, address in (
        ("TikTok", "https://www.tiktok.com/@ada"),
        ("Instagram", "https://www.instagram.com/ada"),
    ):
        link = about.get_by_role("link", name=site)
        expect(link).to_have_attribute("href", address)
        expect(link).to_have_attribute("rel", "nofollow noopener ugc")


@SCREENS
def test_cancel_discards_the_changes(new_page: NewPage, people: People, screen: Screen) -> None:
    id = model(people, "Cleo")
    page = listed(people, new_page, screen)
    menu(page, id, "Edit")
    dialog = page.locator("#dialog")
    dialog.get_by_label("Model name:").fill("Never")
    dialog.get_by_role("link", name="Cancel").or_(
        dialog.get_by_role("button", name="Cancel")
    ).click()
    expect(dialog).to_be_hidden()
    menu(page, id, "Edit")
    expect(dialog.get_by_label("Model name:")).to_have_value("Cleo")


# --- TikTok and Instagram -------------------------------------------------------------------
def test_the_links_live_in_the_update_dialog_and_not_on_the_create_page(
    new_page: NewPage, people: People
) -> None:
    page = people.window(new_page, "owner", DESK)
    page.goto("/models/new/")
    expect(page.locator("#create-form")).to_be_visible()
    assert page.get_by_label("TikTok link").count() == 0
    assert page.get_by_label("Instagram link").count() == 0


def test_a_link_to_somewhere_else_is_refused_beside_its_field_and_nothing_typed_is_lost(
    new_page: NewPage, people: People
) -> None:
    page = listed(people, new_page, DESK)
    menu(page, model(people, "Cleo"), "Edit")
    dialog = page.locator("#dialog")
    dialog.get_by_label("Description:").fill("Typed")
    dialog.get_by_label("TikTok link").fill("https://tiktok.com.evil.example/@a")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("This is not a link to TikTok.")
    expect(dialog.get_by_label("Description:")).to_have_value("Typed")
    expect(dialog.get_by_role("button", name="Save")).to_be_enabled()


# --- How do I make a model public or private after creating it? ------------------------------
@SCREENS
def test_free_users_are_prompted_to_upgrade_when_they_switch_a_public_model_to_private(
    new_page: NewPage, people: People, screen: Screen
) -> None:
    (id,) = people.models("frugal")
    page = listed(people, new_page, screen, "frugal")
    menu(page, id, "Edit")
    dialog = page.locator("#dialog")
    dialog.get_by_label("Model name:").fill("Renamed")
    dialog.locator(".switch:has([name=is_public])").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("Upgrade to keep a model private.")
    expect(dialog.get_by_label("Model name:")).to_have_value("Renamed")
    page.reload()
    expect(card(page, id)).to_contain_text("Ivy")
    expect(card(page, id)).to_contain_text("Public")


# --- How do I delete a model? ----------------------------------------------------------------
@SCREENS
def test_click_delete_to_confirm_or_cancel_to_keep_it(
    new_page: NewPage, people: People, screen: Screen
) -> None:
    id = model(people, "Dora" if screen is DESK else "Edda")
    page = listed(people, new_page, screen)
    menu(page, id, "Delete")
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Delete model")
    expect(dialog).to_contain_text("Are you sure you want to delete this model?")
    dialog.locator(".dialog__actions [data-close]").click()
    expect(dialog).to_be_hidden()
    expect(card(page, id)).to_be_visible()
    menu(page, id, "Delete")
    dialog.locator(".dialog__actions [type=submit]").click()
    expect(page.locator("#notices")).to_contain_text("was deleted.")
    expect(card(page, id)).to_have_count(0)
    assert page.request.get(f"/models/{id}/").status == 404


def test_editing_and_deleting_are_only_available_on_models_you_own(
    new_page: NewPage, people: People
) -> None:
    id = model(people, "Fay")
    page = listed(people, new_page, DESK, "guest")
    page.goto(f"/models/{id}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fay")
    assert page.locator(".model-card__menu").count() == 0
    for dialog in ("edit", "delete"):
        assert page.request.get(f"/models/{id}/{dialog}/").status == 404


# --- Training, again and off -------------------------------------------------------------------
def test_train_again_shows_live_progress_and_cancel_training_ends_it(
    new_page: NewPage, people: People
) -> None:
    id = model(people, "Gwen")
    page = listed(people, new_page, PHONE)
    menu(page, id, "Train again")
    expect(page.locator("#notices")).to_contain_text("Training again.")
    expect(card(page, id).locator("progress")).to_be_visible()
    expect(card(page, id)).to_contain_text("Training")
    menu(page, id, "Cancel training")
    expect(card(page, id)).to_contain_text("Training canceled. Your 20 credits came back.")
    card(page, id).locator(".model-card__menu").click()
    expect(page.locator(f"#menu-{id}").get_by_text("Train again")).to_be_visible()


# --- How do I use my model after it's created? ---------------------------------------------------
@SCREENS
def test_select_it_and_it_becomes_the_active_character_for_generation(
    new_page: NewPage, people: People, screen: Screen
) -> None:
    id = model(people, "Fay")
    page = listed(people, new_page, screen)
    card(page, id).get_by_role("link", name="Create with it").click()
    page.wait_for_url(re.compile(rf"/create/\?model={id}"))
    expect(page.locator("input[name=model]:checked")).to_have_value(id)
    expect(page.locator("#model-state")).to_have_attribute("data-ready", "true")


# --- Without scripts ------------------------------------------------------------------------------
def test_without_scripts_a_model_is_edited_trained_canceled_and_deleted(
    new_page: NewPage, people: People
) -> None:
    id = people.models("frugal")[0]
    page = listed(people, new_page, DESK | {"java_script_enabled": False}, "frugal")
    menu(page, id, "Edit")
    expect(page.get_by_role("heading", level=1)).to_have_text("Update model")
    page.get_by_label("Model name:").fill("Plain")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1).first).to_have_text("Plain")
    page.goto("/models/")
    menu(page, id, "Train again")
    page.goto("/models/")
    menu(page, id, "Cancel training")
    page.wait_for_url("**/models/")
    menu(page, id, "Delete")
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete model")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#notices")).to_contain_text("Plain was deleted.")
