"""Views of a portrait model in a browser: chosen with fingers, with keys, without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from accounts.models import User
from generator.jobs.models import Training
from tests import rows, servers, sheet_parts
from tests.conftest import NewPage, NewWindow
from tests.seed_parts import DESK, PHONE, People, press
from tests.servers import Studio

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(600)]
expect.set_options(timeout=60_000)  # ms; two busy cores
GIVE = """
from generator.portraits.models import PortraitModel
from tests import sheet_parts
for seed, model in enumerate(PortraitModel.objects.all()):
    sheet_parts.give(model, sheet_parts.sheet(seed=seed))
"""
TOLD = """
import json
from generator.jobs.models import Training
rows = Training.objects.filter(portrait_model={!r})
print("told", json.dumps([[row.tier, row.rejected_views, row.charged] for row in rows]))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """An engine that makes views, whose weights nobody fetched: nothing is ever learnt."""
    with servers.studio(tmp_path_factory.mktemp("house"), ENGINE_IMAGE="klein") as studio:
        yield studio


@pytest.fixture(scope="module")
def people(house: Studio) -> People:
    found = People(house, ("owner", "macro", ["Ada", "Bea"]))
    house.manage("shell", "-v0", "-c", GIVE)
    return found


def trainings(house: Studio, model: str) -> list[list[object]]:
    printed = house.manage("shell", "-v0", "-c", TOLD.format(model))
    told: list[list[object]] = json.loads(printed.partition("told ")[2])
    return told


def sheet_of(page: Page, model: str) -> Page:
    """Where the model's page leads to."""
    page.goto(f"/models/{model}/")
    page.get_by_role("link", name="Look at the views").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Views of")
    return page


def names_of(page: Page) -> list[str]:
    boxes = page.locator("[name=view]").all()
    return [str(box.get_attribute("value")) for box in boxes]


def test_two_views_are_chosen_with_a_finger_and_others_asked_for(
    new_page: NewPage, people: People, house: Studio
) -> None:
    model = people.models("owner")[0]
    page = sheet_of(people.window(new_page, "owner", PHONE), model)
    press(page, page.get_by_role("button", name="Train with other views"))
    expect(page.locator(".sheet__status")).to_have_text(
        "Choose the views that others shall take the place of."
    )
    names, views = names_of(page), page.locator("label.view")
    for place in (1, 2):
        views.nth(place).evaluate("e => e.scrollIntoView({block: 'center'})")  # clear of the bar
        press(page, views.nth(place))
    expect(page.locator("[name=view]:checked")).to_have_count(2)
    press(page, page.get_by_role("button", name="Train with other views"))
    page.wait_for_url(f"**/models/{model}/")
    expect(page.locator("#notices")).to_contain_text("Other views are being made.")
    assert trainings(house, model) == [["fast", sorted(names[1:3]), 20]]


def test_it_is_done_with_keys_alone_and_without_scripts(
    new_page: NewPage, people: People, house: Studio
) -> None:
    model = people.models("owner")[1]
    window = people.window(new_page, "owner", DESK | {"java_script_enabled": False})
    page = sheet_of(window, model)
    names = names_of(page)
    box = page.get_by_role("checkbox", name="Head turned to the left, talking")
    box.focus()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Train with other views")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/models/{model}/")
    expect(page.locator("#notices")).to_contain_text("Other views are being made.")
    assert trainings(house, model) == [["fast", [names[2]], 20]]


@pytest.mark.django_db(transaction=True)
def test_a_page_that_stays_open_leads_to_the_views_of_the_training_when_it_is_done(
    alice: User, settings: Settings, window: NewWindow
) -> None:
    settings.ENGINE_IMAGE = "klein"
    model = rows.portrait_model(alice)
    was = sheet_parts.give(model, sheet_parts.sheet())
    training = rows.training(model)
    page = window(alice, **PHONE)
    page.goto(f"/models/{model.pk}/views/")
    link = page.get_by_role("link", name="Look at the views it has now")
    expect(page.locator(".training")).to_be_visible()
    expect(link).to_be_hidden()
    now = sheet_parts.give(model, sheet_parts.sheet(seed=1))
    Training.objects.filter(pk=training.pk).update(state="succeeded")
    link.click()  # there within 15 s
    expect(page.get_by_role("button", name="Train with other views")).to_be_visible()
    assert names_of(page) == [view.name for view in now] != [view.name for view in was]
