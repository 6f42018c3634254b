"""What a browser without JavaScript can do: every form is a form first."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import photos, servers
from tests.conftest import NewPage
from tests.servers import Studio

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(600)]
expect.set_options(timeout=60_000)  # ms; two busy cores


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with servers.studio(tmp_path_factory.mktemp("house")) as studio:
        yield studio


@pytest.fixture
def page(new_page: NewPage, house: Studio) -> Page:
    return new_page(house, java_script_enabled=False, reduced_motion="reduce")


def sign_up(page: Page) -> None:
    page.goto("/accounts/signup/?next=/models/new/")
    page.fill("[name=email]", f"{uuid.uuid4().hex[:12]}@example.com")
    page.fill("[name=password1]", "a rather long one")
    page.click("main [type=submit]")
    page.wait_for_url("**/models/new/")


def test_a_model_is_created_edited_and_deleted_without_scripts(page: Page, tmp_path: Path) -> None:
    sign_up(page)
    page.click("#create-button", force=True)  # nothing is there yet: the server says so
    expect(page.locator("#create-status")).to_have_text("Please enter the name for your model.")
    page.fill("#model-name", "Ada")
    page.set_input_files("#file", photos.saved(tmp_path))
    page.check("[name=consent] >> nth=0")
    page.click("#create-button", force=True)
    page.wait_for_url(re.compile(r"/create/\?model="))
    expect(page.locator("main")).to_contain_text("Ada")

    page.goto("/models/")
    page.click(".model-card__menu")
    page.click(".menu__item:has-text('Edit')")
    expect(page.locator("h1")).to_have_text("Update model")
    page.fill("[name=name]", "Byron")
    page.fill("[name=tiktok_url]", "https://example.com/@byron")
    page.click("main button:has-text('Save')")
    expect(page.locator("[name=tiktok_url][aria-invalid=true]")).to_be_visible()
    expect(page.locator("[name=name]")).to_have_value("Byron")
    page.fill("[name=tiktok_url]", "https://www.tiktok.com/@byron")
    page.click("main button:has-text('Save')")
    expect(page.locator("h1")).to_have_text("Byron")

    page.goto("/models/")
    page.click(".model-card__menu")
    page.click(".menu__item:has-text('Delete')")
    expect(page.locator("main")).to_contain_text("Are you sure you want to delete this model?")
    page.click("main button:has-text('Delete')")
    page.wait_for_url("**/models/")
    expect(page.locator(".model-card__menu")).to_have_count(0)


def test_faces_are_asked_for_without_scripts(page: Page) -> None:
    sign_up(page)
    page.goto("/influencer/")
    before = page.locator("[name=country]").input_value()
    for _ in range(5):  # chance may choose the same country twice
        page.click("text=Random")
        if page.locator("[name=country]").input_value() != before:
            break
    expect(page.locator("[name=country]")).not_to_have_value(before)
    page.check("[name=gender][value=woman]", force=True)
    page.fill("[name=age]", "44")
    page.fill("[name=hair_color]", "teal")
    page.click("button:has-text('Generate')")
    expect(page.locator("#face-history .face--waiting").first).to_be_visible()
    expect(page.locator("[name=age]")).to_have_value("44")
    expect(page.locator("[name=hair_color]")).to_have_value("teal")
