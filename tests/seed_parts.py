"""What the tests of the help page share: people, screens, and the way through the create page.

`desk` is 1440 × 900 with a mouse, `phone` 390 × 844 with a finger.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.conftest import NewPage
from tests.servers import Studio

DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True,
    "reduced_motion": "reduce",
}  # fmt: skip
SCREENS = pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
TRAINED_MS = 480_000  # two busy cores
CREATE = "#create-button"
STATUS = "#create-status"
PREVIEW = "#reference-preview"

SETTLE_IN = """
import json, uuid
from django.contrib.auth import login
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from accounts.models import User
from billing.models import Subscription
from generator.assets.drawn import store_png
from generator.portraits.models import PortraitModel
from tests import pictures
told = {}
for name, plan, models in json.loads(PEOPLE):
    user = User.objects.create_user(f"{name}-{uuid.uuid4().hex}@example.com", "a long password")
    Subscription.objects.create(user=user, plan=plan)
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
    request.session.save()
    made = []
    for title in models:
        drawn = pictures.encoded(pictures.scene((512, 512)), "PNG")
        face = store_png(drawn, owner=user, kind="reference", is_public=True)
        made.append(str(PortraitModel.objects.create(
            owner=user, name=title, reference=face, weights="weights/learnt.safetensors").id))
    told[name] = {"key": request.session.session_key, "models": made}
print("told", json.dumps(told))
"""


class People:
    """Who lives in a studio: their session keys, and the ids of the models they were given."""

    def __init__(self, studio: Studio, *people: tuple[str, str, list[str]]) -> None:
        """`(name, plan, names of ready models)` each; one call, since each costs seconds."""
        self.studio = studio
        script = SETTLE_IN.replace("PEOPLE", repr(json.dumps(people)))
        printed = studio.manage("shell", "-v0", "-c", script)
        self.told: dict[str, Any] = json.loads(printed.partition("told ")[2])

    def models(self, name: str) -> list[str]:
        return list(self.told[name]["models"])

    def window(
        self, new_page: NewPage, name: str, screen: dict[str, Any], *, tips: bool = False
    ) -> Page:
        """A fresh window of this person, who has seen the photo tips unless told otherwise."""
        page = new_page(self.studio, **screen)
        key = self.told[name]["key"]
        cookie = {"name": "sessionid", "value": key, "url": self.studio.address}
        page.context.add_cookies([cookie])  # type: ignore[list-item]
        if not tips:
            seen_tips(page)
        return page


def opened(
    people: People,
    new_page: NewPage,
    screen: dict[str, Any],
    who: str = "paid",
    *,
    tips: bool = False,
) -> Page:
    page = people.window(new_page, who, screen, tips=tips)
    page.goto("/models/new/")
    return page


def seen_tips(page: Page) -> None:
    page.add_init_script("localStorage.setItem('photo-tutorial-seen', 'yes')")


def is_phone(page: Page) -> bool:
    size = page.viewport_size
    return size is not None and size["width"] < 500


LISTEN = """() => {
  window.heardTap = false;
  const hear = () => { window.heardTap = true; };
  document.addEventListener('click', hear, { capture: true, once: true });
}"""


def press(page: Page, target: str | Locator, *, force: bool = True) -> None:
    """Forced, since Playwright would wait for a button that only looks disabled.

    Chromium makes no click of a finger's tap that it takes for the end of a drag or, on a busy
    machine, for a long press. A person taps again, and so does this.
    """
    target = page.locator(target) if isinstance(target, str) else target
    target.scroll_into_view_if_needed()
    if not is_phone(page):
        target.click(force=force)
        return
    page.evaluate(LISTEN)
    for _ in range(5):
        target.tap(force=force)
        with suppress(PlaywrightTimeout):  # a page that has moved on knows of no tap
            page.wait_for_function("() => window.heardTap !== false", timeout=10_000)
            return
    raise AssertionError(f"five taps on {target} were no click")


def tap_upload(page: Page) -> None:
    """Through the sheet on a phone, through the tile elsewhere."""
    if is_phone(page):
        press(page, ".preview__tap", force=False)
        press(page, "#reference-sheet [data-choose]", force=False)
    else:
        page.locator(".tile [data-choose]").click()


def choose(page: Page, photo: Path) -> None:
    with page.expect_file_chooser() as chooser:
        tap_upload(page)
    chooser.value.set_files(photo)


def upload(page: Page, photo: Path) -> None:
    choose(page, photo)
    expect(page.locator(PREVIEW)).to_have_attribute("data-state", "ready")


Point = tuple[float, float]  # px of the window


def drag(page: Page, start: Point, end: Point) -> None:
    """With one finger on a phone, with the mouse elsewhere."""
    if is_phone(page):
        _touch(page, [[_between(start, end, part)] for part in STEPS])
        return
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=len(STEPS))
    page.mouse.up()


def pinch(page: Page, middle: Point, *, start: float, end: float) -> None:
    """Two fingers, each `start` and in the end `end` px left and right of the middle."""
    frames = []
    for part in STEPS:
        away = start + (end - start) * part
        frames.append([(middle[0] - away, middle[1]), (middle[0] + away, middle[1])])
    _touch(page, frames)


STEPS = [step / 8 for step in range(9)]


def _between(start: Point, end: Point, part: float) -> Point:
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


def _touch(page: Page, frames: list[list[Point]]) -> None:
    devtools = page.context.new_cdp_session(page)
    for number, fingers in enumerate(frames):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(fingers)]
        kind = "touchMove" if number else "touchStart"
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def answer_consent(page: Page, words: str = "This is me") -> None:
    page.locator(".consent label", has_text=words).click()


def menu(page: Page, model: str, entry: str) -> None:
    """An entry of a model's actions menu on "My models"."""
    card = page.locator(f"#portrait-model-{model}")
    card.locator(".model-card__menu").click()
    page.locator(f"#menu-{model}").get_by_text(entry, exact=True).click()


def says(page: Page, words: str) -> None:
    expect(page.locator(STATUS)).to_have_text(words)
