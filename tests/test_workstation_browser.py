"""The workstation and the dialogs in a real browser, by mouse, by keyboard, on a small phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accounts.models import User
from generator.jobs.models import Generation
from generator.portraits.models import PortraitModel
from tests import rows
from tests.conftest import NewWindow

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TARGET = 44  # px a side: what a finger needs
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
# Whether a tap on the grip meets the grip while something is being told.
GRIP_IS_FREE = """() => {
    const grip = document.querySelector("[data-sheet-toggle]");
    const { x, y, width, height } = grip.getBoundingClientRect();
    return document.querySelector("#notices .notice")
        && grip.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""


def test_ideas_become_words_and_the_button_says_the_cost(alice: User, window: NewWindow) -> None:
    rows.portrait_model(alice)
    page = window(alice)
    page.goto("/create/")
    button = page.locator("[data-generate]")
    expect(button).to_be_disabled()
    expect(page.locator("[data-why]")).to_have_text("Write what you want to see.")
    page.click("text=Scene")
    page.click("[data-word='in a cafe']")
    page.click("text=Light")
    page.click("[data-word='golden light']")
    expect(page.locator("#prompt")).to_have_value("in a cafe, golden light")
    page.click("label:has([name=count][value='4'])")
    expect(button).to_have_text("Generate · 16 credits")
    expect(button).to_be_enabled()


def test_a_new_generation_stands_on_top_and_the_form_is_fresh(
    alice: User, window: NewWindow
) -> None:
    old = rows.generation(rows.portrait_model(alice))
    page = window(alice)
    page.goto("/create/")
    before = page.input_value("#generation-id")
    page.fill("#prompt", "on the moon")
    page.click("[data-generate]")
    first = page.locator(".generation").first
    expect(first).to_contain_text("on the moon")
    expect(page.locator(f"#generation-{old.id}")).to_be_visible()
    assert page.input_value("#generation-id") != before
    expect(page.locator("#balance")).to_contain_text("3,996")


def test_properties_of_an_outcome_go_back_into_the_form(alice: User, window: NewWindow) -> None:
    other = rows.portrait_model(alice, "Byron")
    rows.generation(rows.portrait_model(alice))
    page = window(alice)
    page.goto(f"/create/?model={other.id}")
    page.click("text=Use properties")
    expect(page.locator("#prompt")).to_have_value("at the beach")
    expect(page.locator("#seed")).to_have_value("7")
    expect(page.locator(".model-choice:has(:checked)")).to_contain_text("Ada")
    expect(page.locator("#notices")).to_contain_text(
        "Properties from the selected outcome are now in use!"
    )


def test_deleting_by_keyboard_hides_the_card_and_undo_shows_it_again(
    alice: User, window: NewWindow
) -> None:
    made = rows.generation(rows.portrait_model(alice))
    page = window(alice)
    page.goto("/create/")
    card = page.locator(f"#generation-{made.id}")
    card.locator("[aria-label=Delete]").focus()
    page.keyboard.press("Enter")
    expect(card).to_be_hidden()
    assert Generation.objects.get().deleted_at
    page.locator("[data-undo-button]").focus()
    page.keyboard.press("Enter")
    expect(card).to_be_visible()
    assert not Generation.objects.get().deleted_at


def test_a_picture_opens_large_and_turns_by_arrow_keys(alice: User, window: NewWindow) -> None:
    rows.generation(rows.portrait_model(alice))
    page = window(alice)
    page.goto("/create/")
    page.locator("a.picture__open").first.click()
    page.click("#dialog summary:has-text('Parameters')")
    expect(page.locator("#dialog .facts")).to_contain_text("Seed7")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#dialog .viewer")).not_to_have_attribute("data-viewer", "")
    page.click("#dialog summary:has-text('Parameters')")
    expect(page.locator("#dialog .facts")).to_contain_text("Seed8")


def test_save_works_only_once_something_changed(alice: User, window: NewWindow) -> None:
    rows.portrait_model(alice)
    page = window(alice)
    page.goto("/models/")
    page.click(".model-card__menu")
    page.click(".menu__item:has-text('Edit')")
    save = page.locator("#dialog button:has-text('Save')")
    expect(save).to_be_disabled()
    page.fill("#model-name", "Byron")
    expect(save).to_be_enabled()
    page.fill("#model-name", "Ada")
    expect(save).to_be_disabled()
    page.fill("#model-name", "Byron")
    save.click()
    expect(page.locator(".model-card h2")).to_have_text("Byron")
    expect(page.locator("#dialog")).to_be_hidden()
    expect(page.locator(".model-card__menu")).to_be_focused()


def test_a_free_plan_meets_the_plans_and_keeps_the_words(bob: User, window: NewWindow) -> None:
    rows.portrait_model(bob)
    page = window(bob)
    page.goto("/models/")
    page.click(".model-card__menu")
    page.click(".menu__item:has-text('Edit')")
    page.fill("#model-name", "Typed")
    page.click("#dialog .switch:has([name=is_public])")
    page.click("#dialog button:has-text('Save')")
    expect(page.locator("#dialog .plan-list")).to_contain_text("Micro")
    expect(page.locator("#model-name")).to_have_value("Typed")
    assert PortraitModel.objects.get().is_public


@pytest.mark.parametrize("path", ["/", "/create/", "/models/", "/models/{id}/", "/billing/usage/"])
def test_nothing_scrolls_sideways_on_the_smallest_phone(
    path: str, alice: User, window: NewWindow
) -> None:
    model = rows.portrait_model(alice, "A name of thirty-two characters!")
    rows.training(rows.portrait_model(alice, is_ready=False))
    rows.generation(model)
    page = window(alice, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    page.goto(path.format(id=model.id))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


SMALL_TARGETS = """() => [...document.querySelectorAll('a, button, summary, label:has(input)')]
    .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.matches('p a, .skip-link'))
    .map((e) => [e, e.getBoundingClientRect()])
    .filter(([e, box]) => box.width && (box.height < LEAST || box.width < LEAST))
    .map(([e]) => e.outerHTML.slice(0, 90))""".replace("LEAST", str(TARGET - 0.5))


@pytest.mark.parametrize("path", ["/", "/create/", "/models/"])
def test_fingers_get_room(path: str, alice: User, window: NewWindow) -> None:
    rows.generation(rows.portrait_model(alice))
    page = window(alice, **PHONE)
    page.goto(path)
    small = page.evaluate(SMALL_TARGETS)
    # The balance, the name over a card and a picker's meta link reach further than their box.
    grown = ("balance", "model-card__link", "composer__grip", "/models/")
    assert [html for html in small if not any(word in html for word in grown)] == []


def test_notices_leave_the_grip_free_on_a_phone(alice: User, window: NewWindow) -> None:
    rows.generation(rows.portrait_model(alice))
    page = window(alice, **PHONE)
    page.goto("/create/")
    for _ in range(3):
        page.locator("text=Use properties").dispatch_event("click")  # the sheet may lie over it
        expect(page.locator("#notices")).to_contain_text("Properties from the selected outcome")
        expect(page.locator("#composer")).to_have_attribute("data-sheet", "open")
        page.wait_for_function(GRIP_IS_FREE)


def test_the_sheet_opens_and_closes_on_a_phone(alice: User, window: NewWindow) -> None:
    rows.generation(rows.portrait_model(alice))
    page = window(alice, **PHONE)
    page.goto("/create/")
    seed = page.locator("text=Random")
    expect(seed).to_be_hidden()
    page.click("[data-sheet-toggle]")
    expect(seed).to_be_visible()
    expect(page.locator("[data-generate]")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(seed).to_be_hidden()
