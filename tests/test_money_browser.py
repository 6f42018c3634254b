"""The whole story of money in a browser: a cap, Checkout, a larger plan, the Portal, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from billing.plans import PLANS
from tests import photos, servers
from tests.conftest import NewPage
from tests.seed_parts import CREATE, DESK, SCREENS, People, answer_consent, press, upload
from tests.servers import Studio, wait_for
from tests.stripe_server import KEY, SECRET, Simulator, running

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(600)]
OWN = "article[id^=portrait-model-]"
expect.set_options(timeout=60_000)  # ms; two busy cores


@pytest.fixture(scope="module")
def stripe() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, stripe: Simulator) -> Iterator[Studio]:
    settings = {
        "STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": stripe.address,
    }  # fmt: skip
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("house")
        studio = stack.enter_context(servers.studio(folder, **settings))
        stripe.post_to(f"{studio.address}/billing/stripe/", times=2)
        yield studio


@pytest.fixture(scope="module")
def people(house: Studio) -> People:
    names = [("nano-desk", "nano", ["Solo"]), ("nano-phone", "nano", ["Solo"]),
             ("stays", "nano", ["Solo"]), ("short", "nano", ["Solo"])]  # fmt: skip
    return People(house, *names)


def the_statement_adds_up(page: Page) -> None:
    """The header, the page and the sum of its lines are one number. A job may end meanwhile."""

    def is_so() -> bool:
        page.goto("/billing/usage/")
        nets = page.locator("[data-net]").evaluate_all(
            "rows => rows.map((row) => Number(row.dataset.net))"
        )
        shown = page.locator("[data-balance]").inner_text().replace(",", "")
        header = page.locator("#balance span").first.inner_text().replace(",", "")
        return bool(int(shown) == int(header) == sum(nets))

    wait_for(is_so, "a statement that adds up to the balance", 30)


def reads(page: Page, path: str, words: str) -> None:
    """Open this page until it says so: Stripe tells in its own time."""

    def says() -> bool:
        page.goto(path)
        return words in page.locator("main").inner_text()

    wait_for(says, f"{words!r} on {path}")


@SCREENS
def test_a_cap_is_met_and_the_way_leads_through_checkout_and_back(
    people: People, new_page: NewPage, stripe: Simulator, screen: dict[str, object],
    tmp_path: Path, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    who = "nano-desk" if screen == DESK else "nano-phone"
    page = people.window(new_page, who, screen)
    page.goto("/models/new/")
    upload(page, photos.saved(tmp_path))
    answer_consent(page)
    page.fill("#model-name", "Ada")
    page.fill("#model-description", "Calm, always on the move.")
    press(page, CREATE)
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("You have reached your model limit")
    expect(dialog).to_contain_text("The free Nano plan holds 1 model.")

    press(page, dialog.get_by_role("button", name="$9 a month for Micro"))
    expect(page.locator("h1")).to_have_text("Likeness Micro")  # Stripe's page
    expect(page.locator("#amount")).to_have_text("9.00 USD per month")
    page.get_by_role("button", name="Pay with a card that is declined").click()
    expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    page.get_by_role("button", name="Pay", exact=True).click()

    page.wait_for_url(re.compile(r"/create/\?model="))  # the model was created by itself
    expect(page.locator("main")).to_contain_text("Ada")
    page.goto("/models/")
    expect(page.locator(OWN)).to_have_count(2)
    expect(page.locator("main")).to_contain_text("2 of 2 on the Micro plan")
    the_statement_adds_up(page)

    page.goto("/billing/plans/")
    press(page, page.get_by_role("button", name="Change to Mega"))
    expect(page.locator("h1")).to_have_text("Confirm your updates")
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/billing/usage/")
    expect(page.locator("#notices")).to_contain_text("You are on the Mega plan now.")
    the_statement_adds_up(page)
    left = int(page.locator("[data-balance]").inner_text().replace(",", ""))
    assert PLANS["mega"].credits - 100 < left <= PLANS["mega"].credits

    page.goto("/billing/plans/")
    press(page, page.get_by_role("button", name="Card, invoices, cancel"))
    page.get_by_role("button", name="Cancel plan").click()
    expect(page.locator("#state")).to_have_text("ends at the end of the period")
    page.get_by_role("link", name="Return").click()
    reads(page, "/billing/plans/", "Your plan ends on")

    with stripe.lock:
        stripe.advance(31)
    reads(page, "/billing/plans/", "You are on the Nano plan")
    page.goto("/models/")
    expect(page.locator("main")).to_contain_text("Your Nano plan holds 1 model, and you have 2.")
    expect(page.locator(OWN, has_text="Ada")).to_contain_text("Read-only")
    expect(page.locator(OWN, has_text="Solo")).not_to_contain_text("Read-only")
    the_statement_adds_up(page)


def test_whoever_turns_back_at_checkout_finds_everything_typed(
    people: People, new_page: NewPage, tmp_path: Path
) -> None:
    page = people.window(new_page, "stays", DESK)
    page.goto("/models/new/")
    upload(page, photos.saved(tmp_path))
    answer_consent(page)
    page.fill("#model-name", "Ada")
    press(page, ".switch:has([name=is_public])")
    expect(page.locator("#dialog")).to_contain_text("Keep this model private")
    press(page, page.locator("#dialog").get_by_role("button", name="$9 a month for Micro"))
    expect(page.locator("h1")).to_have_text("Likeness Micro")
    page.get_by_role("link", name="Back").click()
    expect(page.locator("#model-name")).to_have_value("Ada")
    expect(page.locator("#reference-preview")).to_have_attribute("data-state", "ready")
    expect(page.locator(".consent input:checked")).to_have_count(1)
    expect(page.locator("#notices")).to_contain_text("Nothing was bought")


def test_without_scripts_the_way_is_the_same(
    people: People, new_page: NewPage, tmp_path: Path
) -> None:
    page = people.window(new_page, "short", {**DESK, "java_script_enabled": False})
    page.goto("/models/new/")
    page.fill("#model-name", "Ada")
    page.set_input_files("#file", photos.saved(tmp_path))
    page.check("[name=consent] >> nth=0")
    page.click(CREATE, force=True)
    page.get_by_role("link", name="See the plans").click()
    page.get_by_role("button", name="Get Micro").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.locator("#model-name")).to_have_value("Ada")
    expect(page.locator("#reference-preview")).to_have_attribute("data-state", "ready")
    page.click(CREATE, force=True)
    page.wait_for_url(re.compile(r"/create/\?model="))
    the_statement_adds_up(page)


def test_credits_are_bought_once(people: People, new_page: NewPage) -> None:
    page = people.window(new_page, "stays", DESK)
    page.goto("/billing/plans/")
    page.get_by_role("button", name="$5 for 500 credits").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url(lambda url: "/billing/" in url or "/models/" in url)
    the_statement_adds_up(page)
    expect(page.locator("[data-balance]")).to_have_text("580")
    expect(page.locator("main")).to_contain_text("500 credits bought")
