"""The help page's parts on photos, sentence by sentence: which are good, cropping, what fails.

In a real browser at the real studio, by mouse and by finger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests import photos, pictures
from tests.conftest import NewPage
from tests.seed_parts import (
    DESK,
    PHONE,
    PREVIEW,
    SCREENS,
    People,
    choose,
    drag,
    is_phone,
    opened,
    pinch,
    press,
    says,
    tap_upload,
    upload,
)  # fmt: skip
from tests.servers import Studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
expect.set_options(timeout=60_000)  # ms; the upload door works on the same two cores
Screen = dict[str, Any]


@pytest.fixture(scope="module")
def people(live_studio: Studio) -> People:
    return People(live_studio, ("reader", "mega", []))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return photos.saved(tmp_path)


# --- What makes a good reference photo? ---------------------------------------------------
@SCREENS
def test_when_you_start_an_upload_a_tutorial_contrasts_good_and_bad_photos(
    new_page: NewPage, people: People, screen: Screen, photo: Path
) -> None:
    """By itself the first time; reopened any time via View the … tutorial."""
    page = opened(people, new_page, screen, "reader", tips=True)
    tap_upload(page)
    tips = page.locator("#tutorial")
    for words in ("Pick one photo of yourself", "Good photos", "Bad photos", "High resolution",
                  "Low resolution", "Clear face & background", "Cluttered face & background",
                  "Simple composition", "Poor composition"):  # fmt: skip
        expect(tips).to_contain_text(words)
    drawn = "[...document.querySelectorAll('#tutorial img')].filter(image => image.naturalWidth)"
    expect(tips.locator("img")).to_have_count(6)
    tips.locator("img").last.scroll_into_view_if_needed()
    page.wait_for_function(f"() => {drawn}.length === 6")
    with page.expect_file_chooser() as chooser:
        press(page, "[data-tutorial-done]")
    chooser.value.set_files(photo)
    expect(page.locator(PREVIEW)).to_have_attribute("data-state", "ready")
    expect(tips).to_be_hidden()
    page.get_by_role("button", name="View the Portrait Model generation tutorial").click()
    expect(tips).to_be_visible()


@SCREENS
@pytest.mark.parametrize("kind", ["heic", "rotated", "24 MP"])
def test_a_photo_of_every_kind_a_phone_makes_arrives_upright_and_is_judged(
    new_page: NewPage, people: People, screen: Screen, tmp_path: Path, kind: str
) -> None:
    make = {"heic": lambda _: pictures.HEIC, "rotated": photos.sideways,
            "24 MP": photos.of_24_megapixels}[kind]  # fmt: skip
    page = opened(people, new_page, screen, "reader")
    upload(page, make(tmp_path))
    shown = page.locator(".preview__picture")
    answer = page.request.get(shown.get_attribute("src") or "")
    assert photos.size_of(answer.body()) == (512, 512)
    expect(page.locator(".photo-check")).to_contain_text("Face found")  # so it stands upright


@SCREENS
def test_a_photo_that_could_be_better_is_mended_with_one_button(
    new_page: NewPage, people: People, screen: Screen, tmp_path: Path
) -> None:
    photos.lying().save(tmp_path / "lying.jpg", quality=92)
    page = opened(people, new_page, screen, "reader")
    upload(page, tmp_path / "lying.jpg")
    check = page.locator(".photo-check")
    expect(check).to_contain_text("You can use this photo. One thing could be better.")
    expect(check).to_contain_text("This photo seems to lie on its side.")
    check.get_by_role("button", name="Rotate").click()
    expect(check).to_contain_text("A good photo.")
    if is_phone(page):
        return
    pictures.scene((900, 700)).save(tmp_path / "nobody.png")
    press(page, ".preview__button--trash")
    upload(page, tmp_path / "nobody.png")
    expect(check).to_contain_text("No face was found.")
    check.get_by_role("button", name="Use it anyway").click()
    expect(check).to_contain_text("This photo is used as it is.")


# --- Can I crop my photo? -----------------------------------------------------------------
def test_on_desktop_the_uploader_handles_framing_for_you(
    new_page: NewPage, people: People, photo: Path
) -> None:
    page = opened(people, new_page, DESK, "reader")
    upload(page, photo)
    frame = page.locator("[data-crop]")
    x, size = (float(frame.get_attribute(name) or 0) for name in ("data-x", "data-size"))
    assert x > 600 and size < 1100  # around the face, which is right of the middle


@SCREENS
def test_cropping_waits_for_the_upload_and_the_cropper_frames_one_to_one(
    new_page: NewPage, people: People, screen: Screen, photo: Path
) -> None:
    page = opened(people, new_page, screen, "reader")
    held: list[Route] = []
    page.route("**/uploads/", lambda route: held.append(route))
    choose(page, photo)
    expect(page.locator(PREVIEW)).to_have_attribute("data-state", "uploading")
    expect(page.locator(f"{PREVIEW} progress")).to_be_visible()
    press(page, "[data-crop]")
    says(page, "Please wait for the image upload to finish before cropping.")
    page.wait_for_function("() => true")
    held[0].continue_()
    expect(page.locator(PREVIEW)).to_have_attribute("data-state", "ready")
    scissors, frame = page.locator("[data-crop]"), page.locator(".preview__frame")
    at, around = scissors.bounding_box(), frame.bounding_box()
    assert at and around and at["x"] > around["x"] + around["width"] / 2  # bottom right
    assert at["y"] > around["y"] + around["height"] / 2
    x, size = (float(scissors.get_attribute(name) or 0) for name in ("data-x", "data-size"))
    before = page.locator(".preview__picture").get_attribute("src")
    press(page, "[data-crop]")
    page.wait_for_selector("#crop-dialog[data-ready]")
    box = page.locator("[data-stage]").bounding_box()
    assert box is not None and abs(box["width"] - box["height"]) < 1
    drag(page, (box["x"] + 80, box["y"] + 120), (box["x"] + 140, box["y"] + 120))
    with page.expect_response("**/crop/") as answer:
        press(page, "[data-crop-save]")
    assert answer.value.status == 200
    expect(page.locator(".preview__picture")).not_to_have_attribute("src", before or "")
    moved = float(page.locator("[data-crop]").get_attribute("data-x") or 0)
    assert abs((x - moved) - 60 * size / box["width"]) < 3  # px of the original


def test_on_phones_the_cropper_takes_a_pinch_and_never_leaves_the_photo(
    new_page: NewPage, people: People, photo: Path
) -> None:
    page = opened(people, new_page, PHONE, "reader")
    upload(page, photo)
    press(page, "[data-crop]")
    page.wait_for_selector("#crop-dialog[data-ready]")
    box = page.locator("[data-stage]").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    pinch(page, middle, start=30, end=110)  # closer
    zoom = page.locator("[data-zoom]")
    closer = float(zoom.input_value())
    pinch(page, middle, start=140, end=10)  # further than the photo is wide
    assert float(zoom.input_value()) < closer
    drag(page, middle, (middle[0] + 150, middle[1] + 150))
    with page.expect_response("**/crop/") as answer:
        press(page, "[data-crop-save]")
    assert answer.value.status == 200
    scissors = page.locator("[data-crop]")
    expect(scissors).to_have_attribute("data-y", "0")  # pulled beyond the edge, it stays inside
    assert int(scissors.get_attribute("data-size") or 0) <= 1100


# --- My image upload failed -----------------------------------------------------------------
def test_upload_failed_and_retry_tries_the_same_file_again(
    new_page: NewPage, people: People, photo: Path, console_errors: list[str]
) -> None:
    page = opened(people, new_page, DESK, "reader")
    page.route("**/uploads/", lambda route: route.abort(), times=1)
    choose(page, photo)
    preview = page.locator(PREVIEW)
    expect(preview).to_contain_text("Upload failed")
    page.get_by_role("button", name="Retry").click()
    expect(preview).to_have_attribute("data-state", "ready")
    console_errors.clear()  # the aborted request is named there


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("note.txt", b"a note", "The file must be an image."),
        ("note.jpg", b"a note", "The file must be an image."),
        ("cut.jpg", b"\xff\xd8\xff\xe0", "Failed to read the image. Please try again later."),
    ],
)
def test_a_file_that_is_no_image_or_cannot_be_read_is_told_so(
    new_page: NewPage, people: People, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    page = opened(people, new_page, DESK, "reader")
    (tmp_path / name).write_bytes(data)
    choose(page, tmp_path / name)
    expect(page.locator(PREVIEW)).to_contain_text("Upload failed")
    expect(page.locator(PREVIEW)).to_contain_text(words)


@SCREENS
def test_you_can_delete_the_image_bottom_left_and_start_over(
    new_page: NewPage, people: People, screen: Screen, photo: Path
) -> None:
    page = opened(people, new_page, screen, "reader")
    upload(page, photo)
    trash, frame = page.locator(".preview__button--trash"), page.locator(".preview__frame")
    at, around = trash.bounding_box(), frame.bounding_box()
    assert at and around and at["x"] < around["x"] + around["width"] / 2
    assert at["y"] > around["y"] + around["height"] / 2
    press(page, ".preview__button--trash")
    expect(page.locator(PREVIEW)).to_have_attribute("data-state", "empty")
    assert page.locator("[name=reference]").count() == 0
