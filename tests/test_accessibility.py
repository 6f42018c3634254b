"""Every page and dialog, on a desk and on a phone, in both schemes: axe-core, narrow screens,
fingers, and people who do not want motion.

One studio for all, filled by tests/screens_rows.py; each place is opened once per size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, TimeoutError

from tests import photos, servers
from tests.screens_list import PLACES, SIZES, Screen, show
from tests.servers import BASE_DIR, Studio

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(300)]

AXE = (BASE_DIR / "tests/data/axe/axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
RUN_AXE = """async (asked) => {
    const found = await axe.run(document, {runOnly: asked,
        resultTypes: ["violations"]});
    return found.violations.map((rule) => rule.id + ": " + rule.help + "\\n    " +
        rule.nodes.map((node) => node.target.join(" ") + "  " + node.html.slice(0, 160) +
            "  " + (node.any[0] || node.all[0] || node.none[0])?.message).join("\\n    "));
}"""
NARROWEST = 320  # px
TARGET = 44  # px a side: what a finger needs
# What a finger can hit of each control in sight: its own box, its label's, and what ::after adds
# to it. Links inside a sentence are as high as its lines (WCAG 2.5.8 leaves them out, too).
SMALL_TARGETS = """(least) => {
    const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
    const controls = "a, button, summary, select, textarea, input:not([type=hidden])";
    const side = (element) => {
        const own = element.getBoundingClientRect();
        const grown = getComputedStyle(element, "::after");
        if (grown.content === "none" || grown.position !== "absolute") return own;
        const around = getComputedStyle(element).position === "static" && element.offsetParent;
        if (around) return around.getBoundingClientRect();
        const add = (name) => Math.max(0, -parseFloat(grown[name]) || 0);
        return { width: own.width + add("left") + add("right"), left: own.left, right: own.right,
                 height: own.height + add("top") + add("bottom"), top: own.top };
    };
    return [...top.querySelectorAll(controls)]
        .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: false })
            && !e.disabled && !e.matches("p a, li > span a, .skip-link, [tabindex='-1']"))
        .map((e) => [e, side(e.closest("label") ?? e)])
        .filter(([, box]) => box.width && (box.height < least || box.width < least))
        .map(([e, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ` +
            e.outerHTML.replace(/\\s+/g, " ").slice(0, 110));
}"""
TOO_WIDE = """(least) => [document.scrollingElement, ...document.querySelectorAll("dialog[open]")]
    .filter((e) => e.scrollWidth > Math.min(least, e.clientWidth + 1))
    .map((e) => `${e.tagName}: ${e.scrollWidth} px`)"""
FITS = f"(least) => innerWidth === least && !({TOO_WIDE})(least).length"
# Chromium tells old colours of what is too far down to be drawn.
DRAWN = """() => document.querySelectorAll(".generation, .tile")
    .forEach((e) => { e.style.contentVisibility = "visible"; })"""
# A colour that is inherited fades a frame later on every level.
SETTLED = """() => !document.getAnimations()
    .some((a) => a.playState === "running" && a.effect.getComputedTiming().iterations === 1)"""
MOVING = """() => document.getAnimations({ subtree: true })
    .filter((a) => a.playState === "running")
    .filter((a) => {
        const { duration, iterations } = a.effect.getComputedTiming();
        return duration > 1 && (iterations > 1 || duration > 50);
    }).map((a) => `${a.animationName ?? a.transitionProperty} on ${a.effect.target.className}`)"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio without the engine's weights: what is shown unfinished stays so."""
    folder = tmp_path_factory.mktemp("house")
    with servers.studio(folder, DJANGO_SETTINGS_MODULE="tests.screens_settings") as studio:
        yield studio


@pytest.fixture(scope="module")
def rows(house: Studio) -> dict[str, str]:
    script = "from tests import screens_rows; screens_rows.fill_and_tell()"
    said = house.manage("shell", "-v0", "-c", script).splitlines()[-1]
    filled: dict[str, str] = json.loads(said)
    return filled


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photos.saved(tmp_path_factory.mktemp("photos"))


def named(place: tuple[Screen, str]) -> str:
    return f"{place[0].name}-{place[1]}"


TOUCHED = [place for place in PLACES if place[1] == "phone"]  # a desk has a mouse


@pytest.fixture(scope="module", params=PLACES, ids=named)
def place(
    request: pytest.FixtureRequest, browser: Browser, house: Studio, rows: dict[str, str],
    photo: Path,
) -> Iterator[Page]:  # fmt: skip
    """One page or dialog at one size, opened once for all tests about it."""
    screen, size = request.param
    context = browser.new_context(
        base_url=house.address, color_scheme="dark", reduced_motion="reduce", **SIZES[size]
    )
    if screen.person:
        key = rows[screen.person]
        context.add_cookies([{"name": "sessionid", "value": key, "url": house.address}])
    page = context.new_page()
    show(page, screen, rows=rows, photo=photo)
    page.evaluate(DRAWN)
    yield page
    context.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(place: Page, scheme: Any) -> None:
    """WCAG 2.2 A and AA, and axe's best practices; of the light scheme, its colours."""
    place.emulate_media(color_scheme=scheme)
    place.wait_for_function(SETTLED)
    if not place.evaluate("typeof axe === 'object'"):
        place.evaluate(AXE)  # past the content security policy, which stays as it is
    asked = {"type": "tag", "values": TAGS}
    if scheme == "light":  # the page is the same one but for its colours
        asked = {"type": "rule", "values": COLOURS}
    found = place.evaluate(RUN_AXE, asked)
    assert not found, "\n".join(found)


def test_nothing_scrolls_sideways_at_320_px(place: Page) -> None:
    was = place.viewport_size
    assert was
    place.set_viewport_size({"width": NARROWEST, "height": 640})
    try:
        # Waited for: a dialog in the top layer may be laid out a frame after the page.
        place.wait_for_function(FITS, arg=NARROWEST, timeout=5_000)
    except TimeoutError:
        assert place.evaluate(TOO_WIDE, NARROWEST) == []
        raise
    finally:
        place.set_viewport_size(was)


@pytest.mark.parametrize("place", TOUCHED, ids=named, indirect=True, scope="module")
def test_fingers_get_room(place: Page) -> None:
    assert place.evaluate("matchMedia('(pointer: coarse)').matches")
    assert place.evaluate(SMALL_TARGETS, TARGET - 0.5) == []


def test_nothing_moves_for_those_who_asked_for_that(place: Page) -> None:
    assert place.evaluate(MOVING) == []
