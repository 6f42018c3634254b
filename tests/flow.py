"""The whole of the main job in a browser, against a studio that is already running.

    make run                                            # in one terminal
    python -m tests.flow http://127.0.0.1:8000 --out pictures

Somebody new signs up in the dialog, gives one photo, watches the training, asks for pictures
and downloads them. Prints what each part took and fails where a page does.
"""

from __future__ import annotations

import argparse
import re
import shutil
import time
import uuid
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests import photos

TRAINED_MS = DRAWN_MS = 300_000
PROMPTS = ("in a garden, smiling", "at the beach, wearing a red hoodie, golden light")


class Watch:
    """Prints every part of the way with its seconds."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def split(self, words: str) -> None:
        now = time.monotonic()
        print(f"{now - self.last:7.1f} s  {words}", flush=True)
        self.last = now


def sign_up(page: Page) -> None:
    """By typing a name while signed out, which opens the dialog in place."""
    page.goto("/models/new/")
    page.locator("#model-name").press_sequentially("A")
    page.locator("#dialog label", has_text="Sign up").click()
    page.fill("#dialog [name=email]", f"{uuid.uuid4().hex[:12]}@example.com")
    page.fill("#dialog [name=password1]", "a rather long one")
    page.click("#dialog button:has-text('Create account')")
    expect(page.locator("#dialog")).to_be_hidden()


def give_photo(page: Page, photo: Path) -> None:
    """The tips open before the first upload."""
    page.locator(".tile [data-choose]").click()
    with page.expect_file_chooser() as chooser:
        page.locator("[data-tutorial-done]").click()
    chooser.value.set_files(photo)
    expect(page.locator("#reference-preview")).to_have_attribute("data-state", "ready")
    page.locator(".consent label", has_text="An invented person").click()


def create(page: Page) -> None:
    page.fill("#model-name", "Ada")
    page.click("#create-button")
    page.wait_for_url(re.compile(r"/create/\?model="))


def generate(page: Page, prompt: str, out: Path, number: int) -> None:
    before = page.locator(".picture__download").count()
    page.fill("textarea[name=prompt]", prompt)
    page.click("[data-generate]")
    expect(page.locator(".picture__download")).not_to_have_count(before, timeout=DRAWN_MS)
    with page.expect_download() as download:
        page.locator(".picture__download").first.click()
    download.value.save_as(out / f"{number}.png")


def flow(page: Page, photo: Path, out: Path) -> None:
    watch = Watch()
    sign_up(page)
    watch.split("signed up")
    give_photo(page, photo)
    watch.split("photo uploaded and framed")
    create(page)
    watch.split("model created")
    ready = page.locator("#model-state")
    expect(ready).to_have_attribute("data-ready", "true", timeout=TRAINED_MS)
    watch.split("trained")
    for number, prompt in enumerate(PROMPTS, 1):
        generate(page, prompt, out, number)
        watch.split(f"{prompt}: {out / f'{number}.png'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--photo", type=Path, help="instead of a painted person's")
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(
            base_url=asked.address, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
        )
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        flow(page, asked.photo or photos.saved(asked.out), asked.out)
        browser.close()
    if errors:
        raise SystemExit("Errors in the console: " + "; ".join(errors))


if __name__ == "__main__":
    main()
