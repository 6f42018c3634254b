"""Placing people in the composer: by mouse, by finger and by keys, into the job and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from generator.jobs.models import Appearance, Generation
from generator.portraits.models import PortraitModel
from tests import rows
from tests.conftest import NewWindow
from tests.screens_list import SIZES

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
FIELD = "#composer [name=boxes]"
DESK, PHONE = SIZES["desk"], SIZES["phone"]
PLACES = "[data-places]"
SHEET = "document.getElementById('composer').scrollTop"
STILL = """async () => { let was = ""; for (;;) {
    const boxes = [...document.querySelectorAll(".place")].map((e) => e.getBoundingClientRect());
    const is = JSON.stringify(boxes);
    if (is === was) return true;
    was = is;
    await new Promise(requestAnimationFrame);
} }"""

HAS_SHAPE = """([frame, shape]) => {
    const { width, height } = frame.getBoundingClientRect();
    return Math.abs(width / height - shape) < 0.02;
}"""


@pytest.fixture
def people(alice: User) -> list[PortraitModel]:
    return [rows.portrait_model(alice, name) for name in ("Cleo", "Byron", "Ada")]


def opened(page: Page, prompt: str = "@Ada and @Byron in red") -> Locator:
    """The frame, open, with a box for each person of the prompt."""
    page.goto("/create/")
    grip = page.locator("[data-sheet-toggle]")
    if grip.is_visible():
        grip.click()
    expect(page.locator(PLACES)).to_be_hidden()
    page.fill("#prompt", prompt)
    page.locator(f"{PLACES} summary").click()
    expect(page.locator(".place")).to_have_count(prompt.count("@"))
    page.locator(".place").first.evaluate("e => e.scrollIntoView({ block: 'center' })")
    page.evaluate(STILL)
    return page.locator("[data-frame]")


def box_of(page: Page, name: str) -> Locator:
    return page.locator(".place", has_text=name)


def sent(page: Page) -> dict[str, dict[str, Any]]:
    """What the form would send, by person."""
    return {one["portrait_model_id"]: one for one in json.loads(page.input_value(FIELD))}


def by_mouse(page: Page, start: tuple[float, float], way: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    for part in (0.2, 0.6, 1.0):
        page.mouse.move(start[0] + part * way[0], start[1] + part * way[1])
    page.mouse.up()


def by_finger(page: Page, start: tuple[float, float], way: tuple[float, float]) -> None:
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        listed = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": listed})

    touch("touchStart", start)
    for part in (0.1, 0.3, 0.6, 1.0):
        touch("touchMove", (start[0] + part * way[0], start[1] + part * way[1]))
    touch("touchEnd")


def drag(page: Page, frame: Locator, start: tuple[float, float], way: tuple[float, float]) -> None:
    """`start` and `way` in fractions of the frame."""
    at = frame.bounding_box()
    assert at
    act = by_finger if page.evaluate("navigator.maxTouchPoints > 0") else by_mouse
    act(
        page,
        (at["x"] + start[0] * at["width"], at["y"] + start[1] * at["height"]),
        (way[0] * at["width"], way[1] * at["height"]),
    )


@pytest.mark.parametrize("screen", SIZES.values(), ids=SIZES)
def test_a_box_that_is_dragged_across_is_in_the_job_and_comes_back(
    screen: dict[str, Any], alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    ada, byron = people[2], people[1]
    page = window(alice, **screen)
    frame = opened(page)
    assert page.input_value(FIELD) == ""  # looking changes nothing
    scrolled = page.evaluate(SHEET)
    drag(page, frame, (0.25, 0.5), (0.3, 0.1))  # Ada; downwards she is at the edge already
    drag(page, frame, (0.85, 0.5), (-0.5, -0.05))  # what is seen of Byron beside her
    expect(page.locator("[data-said]")).to_contain_text("Byron: 5% from the left, 5% from the top")
    drag(page, frame, (0.42, 0.92), (0.1, -0.3))  # his corner
    drag(page, frame, (0.6, 0.7), (0.4, 0))  # Ada, as far as the edge
    assert page.evaluate(SHEET) == scrolled, "the sheet moved under the finger"
    expect(page.locator("[data-placed]")).to_be_visible()
    page.click("[data-generate]")
    expect(page.locator(".generation")).to_have_count(1)
    made = Generation.objects.get()
    found = {one.portrait_model_id: one.box for one in Appearance.objects.filter(generation=made)}
    assert found[ada.pk] == pytest.approx([0.6, 0.1, 0.4, 0.9], abs=0.02)
    assert found[byron.pk] == pytest.approx([0.05, 0.05, 0.5, 0.6], abs=0.02)
    page.goto(f"/create/?from={made.pk}")
    assert {id: list(one.values())[1:] for id, one in sent(page).items()} == {
        str(id): box for id, box in found.items()
    }
    expect(page.locator(f"{PLACES} summary")).to_have_count(1)


def test_keys_move_and_resize_a_box_and_say_where_it_is(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    page = window(alice, **DESK)
    opened(page)
    said, box = page.locator("[data-said]"), box_of(page, "Byron")
    box.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    expect(said).to_have_text("Byron: 53% from the left, 8% from the top, 40% wide, 90% high")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    expect(said).to_have_text("Byron: 53% from the left, 8% from the top, 42% wide, 88% high")
    for _ in range(40):  # as far as the edge, and no farther
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
    expect(said).to_have_text("Byron: 58% from the left, 8% from the top, 42% wide, 25% high")
    expect(box).to_be_focused()
    assert len(sent(page)) == 2
    page.click("[data-places-reset]")
    expect(page.locator(FIELD)).to_have_value("")
    expect(page.locator("[data-placed]")).to_be_hidden()
    assert "left: 55%" in str(box.get_attribute("style"))


def test_boxes_follow_who_is_named_and_are_kept_for_those_who_stay(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    cleo, byron, ada = (str(model.pk) for model in people)
    page = window(alice, **DESK)
    opened(page)
    box_of(page, "Ada").press("ArrowRight")
    kept = sent(page)[ada]
    page.fill("#prompt", "@Cleo and @Ada")
    expect(page.locator(".place__name")).to_have_text(["Ada", "Cleo"])
    assert sent(page)[ada] == kept and set(sent(page)) == {ada, cleo}
    assert sent(page)[cleo]["x"] > 0.5  # where there is room
    page.fill("#prompt", "@Ada alone")
    expect(page.locator(PLACES)).to_be_hidden()
    assert page.input_value(FIELD) == ""
    page.fill("#prompt", "@Ada and @Byron, @Ada laughing")
    assert sent(page)[ada] == kept and set(sent(page)) == {ada, byron}
    page.click(".kind:has([value=video])")
    expect(page.locator(PLACES)).to_be_hidden()


def test_the_properties_of_an_outcome_bring_its_boxes_and_those_of_another_take_them_away(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    _, byron, ada = people
    plain, placed = rows.generation(ada), rows.generation(ada)
    Generation.objects.update(prompt=f"[[{ada.pk}]] and [[{byron.pk}]] at sea")
    for made in (plain, placed):
        Appearance.objects.create(generation=made, portrait_model=byron, place=1)
    boxes = {ada: [0.6, 0.1, 0.4, 0.9], byron: [0.0, 0.2, 0.5, 0.6]}
    for model, box in boxes.items():
        Appearance.objects.filter(generation=placed, portrait_model=model).update(box=box)
    page = window(alice, **DESK)
    opened(page)
    page.locator(f"#generation-{placed.pk} >> text=Use properties").click()
    expect(page.locator("[data-placed]")).to_be_visible()
    assert {id: list(one.values())[1:] for id, one in sent(page).items()} == {
        str(model.pk): box for model, box in boxes.items()
    }
    page.locator(f"{PLACES} summary").click()
    expect(page.locator(".place__name")).to_have_text(["Ada", "Byron"])
    assert "left: 60%" in str(box_of(page, "Ada").get_attribute("style"))
    page.locator(f"#generation-{plain.pk} >> text=Use properties").click()
    expect(page.locator("[data-placed]")).to_be_hidden()
    expect(page.locator(FIELD)).to_have_value("")


def test_the_frame_has_the_shape_of_the_picture(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    page = window(alice, **DESK)
    frame = opened(page)
    for ratio, shape in (("auto", 7 / 4), ("4:3", 4 / 3), ("16:9", 16 / 9)):
        page.click(f".ratio:has([value='{ratio}'])")
        page.wait_for_function(HAS_SHAPE, arg=[frame.element_handle(), shape])


def test_an_opened_frame_comes_into_sight_above_the_button(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    page = window(alice, **DESK | {"viewport": {"width": 1440, "height": 640}})
    page.goto("/create/")
    page.fill("#prompt", "@Ada and @Byron in red")
    page.locator(f"{PLACES} summary").click()
    page.wait_for_function("""() => {
        const foot = document.querySelector(".places__foot").getBoundingClientRect();
        return foot.height && foot.bottom
            <= document.querySelector("[data-generate]").getBoundingClientRect().top;
    }""")


def test_a_handle_is_large_enough_for_a_finger(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    page = window(alice, **PHONE)
    opened(page)
    for handle in page.locator(".place__size").all():
        at = handle.bounding_box()
        assert at and min(at["width"], at["height"]) >= 44


def test_without_scripts_the_prompts_order_decides(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    made = rows.generation(people[2])
    Appearance.objects.filter(generation=made).update(box=[0.5, 0.1, 0.4, 0.9])
    page = window(alice, **DESK, java_script_enabled=False)
    page.goto(f"/create/?from={made.pk}")
    expect(page.locator(PLACES)).to_be_hidden()
    expect(page.locator(FIELD)).to_be_disabled()


def test_the_frames_script_comes_when_it_is_opened(
    alice: User, people: list[PortraitModel], window: NewWindow
) -> None:
    page = window(alice, **DESK)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/create/")
    page.fill("#prompt", "@Ada and @Byron")
    expect(page.locator(PLACES)).to_be_visible()
    assert not any("placing" in url for url in asked)
    page.locator(f"{PLACES} summary").click()
    expect(page.locator(".place")).to_have_count(2)
    assert any("placing" in url for url in asked)
