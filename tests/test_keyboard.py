"""Creating a model with a keyboard alone: Tab, Enter, Space, arrows, Esc. No mouse, no finger."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FileChooser, Page, expect

from tests import photos, servers
from tests.conftest import NewPage
from tests.servers import Studio

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(600)]

expect.set_options(timeout=60_000)  # ms; two busy cores
STEPS_MAX = 70  # presses of Tab; the longest page has fewer stops
# Where the focus is, whether its place is in sight, and whether anything marks it: an outline or
# a shadow on the control itself, or on the label that stands for it.
FOCUS = """async () => {
    let found;
    for (let turn = 0; turn < 60; turn += 1) { // a busy machine shows a focus some frames late
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        const at = document.activeElement;
        const shown = [at, at.closest("label")].filter(Boolean).some((e) => {
            const style = getComputedStyle(e);
            return parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== "none"
                || style.boxShadow !== "none";
        });
        const box = (at.closest("label") ?? at).getBoundingClientRect();
        const inSight = box.bottom > 0 && box.top < innerHeight && box.right > 0;
        found = { shown, inSight, html: at.outerHTML.slice(0, 120),
                  dialog: at.closest("dialog")?.id, isBody: at === document.body };
        if (found.isBody || (shown && inSight)) break;
    }
    return found;
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with servers.studio(tmp_path_factory.mktemp("house")) as studio:
        yield studio


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return photos.saved(tmp_path)


def tab_to(page: Page, selector: str, *, key: str = "Tab") -> None:
    """Goes on until `selector` has the focus. Every stop on the way must be seen."""
    for _ in range(STEPS_MAX):
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
        page.keyboard.press(key)
        stop = page.evaluate(FOCUS)
        assert stop["isBody"] or stop["shown"], f"nothing shows the focus on {stop['html']}"
        assert stop["isBody"] or stop["inSight"], f"the focus is out of sight: {stop['html']}"
    raise AssertionError(f"{selector} cannot be reached by {key}")


def stays_within(page: Page, dialog: str) -> None:
    """A whole round of Tab and back does not leave the dialog."""
    for key in ("Tab",) * 12 + ("Shift+Tab",) * 4:
        page.keyboard.press(key)
        stop = page.evaluate(FOCUS)
        assert stop["isBody"] or stop["dialog"] == dialog, f"left {dialog} for {stop['html']}"


def test_a_model_is_created_by_keyboard_alone(
    new_page: NewPage, house: Studio, photo: Path
) -> None:
    page = new_page(house, viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    choosers: list[FileChooser] = []
    page.on(
        "filechooser", lambda one: choosers.append(one)
    )  # from the start: asked for late, it comes too late
    page.goto("/models/new/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    page.keyboard.press("Enter")

    # Typing while signed out asks who is there; afterwards the typing goes on.
    tab_to(page, "#model-name")
    page.keyboard.type("A")
    dialog = page.locator("#dialog")
    expect(dialog).to_be_visible()
    stays_within(page, "dialog")
    tab_to(page, "#dialog [name=step]")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("[name=password1]")).to_be_visible()
    tab_to(page, "#dialog [name=email]")
    page.keyboard.type(f"{uuid.uuid4().hex[:12]}@example.com")
    tab_to(page, "#dialog [name=password1]")
    page.keyboard.type("a rather long one")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#balance")).to_be_visible()
    expect(page.locator("#model-name")).to_be_focused()
    page.keyboard.type("da")
    expect(page.locator("#model-name")).to_have_value("Ada")

    # The tips come first, then the system's chooser.
    tab_to(page, "#file", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#tutorial")).to_be_visible()
    stays_within(page, "tutorial")
    tab_to(page, "#tutorial [data-tutorial-done]")
    page.keyboard.press("Enter")
    while not choosers:
        page.wait_for_event("filechooser")
    choosers[0].set_files(photo)
    preview = page.locator("#reference-preview")
    expect(preview).to_have_attribute("data-state", "ready")

    # Cropping by arrows, plus and minus; Esc leaves it, Save keeps it.
    before = page.locator("[name=reference]").get_attribute("value") or ""
    tab_to(page, "[data-crop]", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#crop-dialog")).to_have_attribute("data-ready", "yes")
    page.keyboard.press("Escape")
    expect(page.locator("[data-crop]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#crop-dialog")).to_have_attribute("data-ready", "yes")
    tab_to(page, "#crop-dialog [data-stage]")
    for key in ("+", "+", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    tab_to(page, "#crop-dialog [data-crop-save]")
    page.keyboard.press("Enter")
    expect(page.locator(f"[name=reference]:not([value='{before}'])")).to_be_attached()
    expect(page.locator("[data-crop]")).to_be_focused()

    # The rest of the form.
    tab_to(page, "[name=consent]")
    page.keyboard.press("Space")
    tab_to(page, "#model-description")
    page.keyboard.type("Calm.")
    tab_to(page, "[name=is_public]")
    page.keyboard.press("Space")  # a free plan: the upgrade dialog instead
    expect(dialog).to_contain_text("private")
    page.keyboard.press("Escape")
    expect(page.locator("[name=is_public]")).to_be_focused()
    expect(page.locator("[name=is_public]")).to_be_checked()
    tab_to(page, "#create-button")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/create/\?model="))


OPENERS = {"tutorial": "[data-tutorial]", "influencer-panel": ".tile [data-generator]"}


@pytest.mark.parametrize("dialog", OPENERS)
def test_a_dialog_keeps_the_focus_and_gives_it_back(
    new_page: NewPage, house: Studio, dialog: str
) -> None:
    page = new_page(house, f"{uuid.uuid4().hex[:12]}@example.com", reduced_motion="reduce")
    page.goto("/models/new/")
    tab_to(page, OPENERS[dialog])
    page.keyboard.press("Enter")
    expect(page.locator(f"#{dialog} :is(h2, h3)").first).to_be_visible()
    stays_within(page, dialog)
    page.keyboard.press("Escape")
    expect(page.locator(f"#{dialog}")).to_be_hidden()
    expect(page.locator(OPENERS[dialog])).to_be_focused()
