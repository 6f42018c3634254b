"""What people come for, from a model to sharing, by mouse and by finger, with the real engine.

Each result's file is fetched and opened: its size, its length, whether it moves, what it says
about itself.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import APIResponse, Locator, Page, expect

from tests import servers
from tests.conftest import NewPage
from tests.seed_parts import DESK, PHONE, is_phone, press
from tests.servers import Studio

pytestmark = [pytest.mark.timeout(900), pytest.mark.engine]
MADE_MS = 240_000  # two busy cores
# Two people who have learnt, by the product's own services: a training each takes ten seconds.
SETTLE_IN = """
import json, uuid
from django.contrib.auth import login
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpRequest
from accounts.models import User
from billing.models import Subscription
from generator.assets.drawn import store_png
from generator.engine.interface import GenerateCall, GenerateRequest, Recipe, TrainCall
from generator.engine.process import EngineProcess
from generator.jobs.models import Training
from generator.portraits.models import PortraitModel
import hashlib
told = {}
WORDS = {"Ada": "a 25 year old woman, long red hair, light skin", "Byron":
    "a 60 year old man, bald, deep skin"}
with EngineProcess() as engine:
    learnt = {}
    for name, words in WORDS.items():
        (face,) = engine.run(GenerateCall(GenerateRequest("face", words), seed=3))
        recipe = Recipe(evaluation_images=0)
        call = TrainCall([face.png], tier="instant", recipe=recipe)
        learnt[name] = (face.png, engine.run(call).safetensors)
for who in ("desk", "phone"):
    user = User.objects.create_user(f"{who}-{uuid.uuid4().hex}@example.com", "a long password")
    Subscription.objects.create(user=user, plan="mega")
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
    request.session.save()
    for name, (png, weights) in reversed(learnt.items()):
        model = PortraitModel.objects.create(owner=user, name=name,
            reference=store_png(png, owner=user, kind="reference", is_public=True),
            weights=default_storage.save(f"weights/{uuid.uuid4()}.safetensors",
                ContentFile(weights)), weights_sha256=hashlib.sha256(weights).hexdigest())
        Training.objects.create(owner=user, portrait_model=model, state="succeeded", charged=0,
            engine="miniature", finished_at=model.created_at)
    told[who] = request.session.session_key
print("told", json.dumps(told))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with servers.studio(tmp_path_factory.mktemp("story")) as studio:
        yield studio


@pytest.fixture(scope="module")
def keys(house: Studio) -> dict[str, str]:
    printed = house.manage("shell", "-v0", "-c", SETTLE_IN)
    told: dict[str, str] = json.loads(printed.partition("told ")[2].splitlines()[0])
    return told


class Visit:
    """One person at the workstation."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def create(self) -> None:
        """Asks for what stands in the composer and waits for the newest card to be ready."""
        before = self.page.locator(".generation").count()
        press(self.page, "[data-generate]", force=False)
        expect(self.page.locator(".generation")).to_have_count(before + 1, timeout=MADE_MS)
        self.ready()

    def ready(self) -> None:
        first = self.page.locator(".generation").first
        expect(first).to_have_class(re.compile("generation--succeeded"), timeout=MADE_MS)

    def open(self) -> Locator:
        """The newest picture, large."""
        first = self.page.locator(".generation").first.locator("a.picture__open").first
        press(self.page, first, force=False)
        viewer = self.page.locator("#dialog [data-viewer]")
        expect(viewer).to_be_visible()
        return viewer

    def into(self, words: str, kind: str) -> None:
        """From the large picture into the composer, once that is filled."""
        press(self.page, self.page.locator("#dialog .menu__item", has_text=words), force=False)
        expect(self.page.locator("#dialog")).to_be_hidden()
        expect(self.page.locator("#composer [name=kind]:checked")).to_have_value(kind)

    def choose(self, name: str, value: str) -> None:
        press(self.page, f"#composer label:has([name={name}][value='{value}'])", force=False)

    def more(self) -> None:
        """Everything the composer has: behind its grip on a phone."""
        composer = self.page.locator("#composer")
        if is_phone(self.page) and composer.get_attribute("data-sheet") != "open":
            press(self.page, "[data-sheet-toggle]")
            expect(composer).to_have_attribute("data-sheet", "open")

    def id(self) -> str:
        return str(self.page.locator("[data-viewer]").get_attribute("data-viewer"))

    def file(self, query: str = "") -> APIResponse:
        return self.page.request.get(f"/media/{self.id()}/{query}")

    def close(self) -> None:
        self.page.keyboard.press("Escape")
        expect(self.page.locator("#dialog")).to_be_hidden()


def picture(answer: APIResponse) -> Image.Image:
    opened = Image.open(io.BytesIO(answer.body()))
    opened.load()
    return opened


def pixels(answer: APIResponse) -> np.ndarray[Any, Any]:
    return np.asarray(picture(answer).convert("RGB")).astype(int)


def frames(data: bytes) -> tuple[list[np.ndarray[Any, Any]], float]:
    with av.open(io.BytesIO(data), "r") as clip:
        found = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
        return found, float(clip.duration or 0) / 1_000_000


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_from_a_model_to_a_shared_picture(
    screen: dict[str, Any], house: Studio, keys: dict[str, str], new_page: NewPage, tmp_path: Path
) -> None:
    page = new_page(house, **screen)
    who = "phone" if screen is PHONE else "desk"
    cookie = {"name": "sessionid", "value": keys[who], "url": house.address}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    visit = Visit(page)
    page.goto("/create/")

    # an image, in a shape of its own
    page.fill("#prompt", "in a garden, smiling")
    visit.more()
    visit.choose("aspect_ratio", "3:4")
    visit.choose("seed_mode", "fixed")
    page.fill("#seed", "7")
    visit.create()
    visit.open()
    first, first_id = visit.file(), visit.id()
    assert (picture(first).format, picture(first).size) == ("PNG", (444, 592))
    assert "trainedAlgorithmicMedia" in picture(first).info["XML:com.adobe.xmp"]
    for format, kind in (("jpg", "JPEG"), ("webp", "WEBP")):
        assert picture(visit.file(f"?download={format}")).format == kind
    expect(page.locator(".likeness")).to_contain_text("Ada")

    # the same seed draws the same pixels
    press(page, page.locator("#dialog .menu__item", has_text="Recreate"), force=False)
    expect(page.locator(".generation")).to_have_count(2, timeout=MADE_MS)
    visit.ready()
    visit.open()
    assert visit.id() != first_id and np.array_equal(pixels(visit.file()), pixels(first))
    visit.close()

    # properties come back into the form
    press(page, page.locator(".generation").first.locator("text=Use properties"), force=False)
    expect(page.locator("#notices")).to_contain_text("Properties from the selected outcome")
    expect(page.locator("#prompt")).to_have_value("in a garden, smiling")
    expect(page.locator("#seed")).to_have_value("7")
    expect(page.locator("[name=aspect_ratio][value='3:4']")).to_be_checked()

    # a clip of the picture
    if is_phone(page):  # the properties opened the sheet over the pictures
        composer = page.locator("#composer")
        expect(composer).to_have_attribute("data-sheet", "open")
        press(page, "[data-sheet-toggle]", force=False)
        expect(composer).to_have_attribute("data-sheet", "closed")
    visit.open()
    visit.into("Make a video of it", "video")
    expect(page.locator("[data-cost]")).to_have_text("18 credits")
    visit.more()
    visit.choose("seconds", "2")
    expect(page.locator("[data-cost]")).to_have_text("12 credits")
    visit.create()
    visit.open()
    shown, length = frames(visit.file().body())
    assert (len(shown), shown[0].shape) == (48, (592, 444, 3)) and 1.9 < length < 2.1
    assert np.abs(shown[0].astype(int) - shown[12]).mean() > 1
    assert len(frames(visit.file("?format=webm").body())[0]) == 48
    data = visit.file().body()
    assert data.index(b"moov") < data.index(b"mdat") and b"trainedAlgorithmicMedia" in data
    part = page.request.get(f"/media/{visit.id()}/", headers={"Range": "bytes=0-99"})
    assert (part.status, len(part.body())) == (206, 100)
    page.wait_for_function("() => document.querySelector('#dialog video').readyState >= 2")
    expect(page.locator(".likeness")).to_contain_text("Worst frame")
    visit.close()

    # an edit of the first picture, by words
    page.goto(f"/pictures/{first_id}/")
    press(page, page.locator("main .menu__item", has_text=re.compile("^Edit$")), force=False)
    expect(page.locator("#slot-source img")).to_be_visible()
    page.fill("#prompt", "in the snow")
    visit.create()
    visit.open()
    edited, before = pixels(visit.file()), pixels(first)
    changed = (edited != before).any(2)
    assert edited.shape == before.shape and 0.05 < changed.mean() < 0.98
    assert "compositeWithTrained" in picture(visit.file()).info["XML:com.adobe.xmp"]
    slider = page.locator("[data-compare-slider]")
    slider.fill("80")
    assert page.locator("[data-compare]").evaluate("e => e.style.getPropertyValue('--at')") == "80%"

    # enlarged
    visit.into("Enhance", "enhance")
    visit.more()
    visit.choose("size_px", "1024")
    visit.create()
    visit.open()
    assert picture(visit.file()).height == 1024
    visit.close()

    # two people together, named in the prompt
    page.goto("/create/")
    visit.more()
    press(page, "[data-mention]", force=False)
    expect(page.locator("#prompt")).to_have_value("@Ada and @")
    page.locator("#prompt").press_sequentially("By")
    expect(page.locator("#mentions li")).to_have_text(["Byron"])
    press(page, "#mentions li", force=False)
    page.locator("#prompt").press_sequentially("at the beach")
    expect(page.locator(".prompt__pills mark")).to_have_text(["@Ada", "@Byron"])
    visit.create()
    visit.open()
    assert picture(visit.file()).size == (896, 512)
    expect(page.locator(".likeness")).to_have_count(2)
    expect(page.locator(".likeness--missing")).to_have_count(0)
    visit.close()

    # a complete set
    made = page.locator(".generation").count()
    visit.more()
    press(page, "#slot-style a", force=False)
    press(page, page.locator(".set-card", has_text="Four seasons").locator("button"), force=False)
    expect(page.locator(".generation")).to_have_count(made + 4, timeout=MADE_MS)
    expect(page.locator(".generation--succeeded", has_text="Four seasons")).to_have_count(
        4, timeout=MADE_MS
    )

    # found again in the library
    page.goto("/library/")
    expect(page.locator("#shelf .tile")).to_have_count(10)
    page.locator("select[name=kind]").select_option("edit")
    expect(page.locator("#shelf .tile")).to_have_count(1)
    page.goto("/library/?q=beach")
    expect(page.locator("#shelf .tile")).to_have_count(2)  # together, and of the set
    page.goto("/library/")
    for number in (0, 1):
        page.locator(".tile__pick").nth(number).click(force=True)
    with page.expect_download() as download:
        press(page, page.locator("#selection button", has_text="ZIP"), force=False)
    download.value.save_as(tmp_path / "chosen.zip")
    assert len(zipfile.ZipFile(tmp_path / "chosen.zip").namelist()) == 2

    # shared with whoever has the link, until it is revoked
    page.goto(f"/pictures/{first_id}/")
    press(page, "text=Share a link", force=False)
    address = page.locator("[data-share-url]").input_value()
    guest = new_page(house)
    guest.goto(address)
    shown_picture = guest.locator("img.shared__media")
    expect(shown_picture).to_be_visible()
    assert shown_picture.evaluate("e => e.decode().then(() => e.naturalWidth)") == 444
    press(page, "text=Revoke the link", force=False)
    expect(page.locator("text=Share a link")).to_be_visible()
    assert guest.request.get(address).status == 404

    # deleted, and brought back in time
    page.goto("/library/")
    page.locator(f"[data-asset='{first_id}'] .picture__open").click()
    expect(page.locator("#dialog [data-viewer]")).to_be_visible()
    press(page, page.locator("#dialog .viewer__delete"), force=False)
    expect(page.locator(f"[data-asset='{first_id}']")).to_be_hidden()
    press(page, "[data-undo-button]", force=False)
    expect(page.locator(f"[data-asset='{first_id}']")).to_be_visible()
