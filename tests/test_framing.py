"""Shapes of pictures: what is cut and mirrored, and the way back to the canvas."""

from __future__ import annotations

import numpy as np
import pytest

from generator.engine import framing
from generator.engine.framing import AUTO, PAIR_RATIOS, RATIOS, Framing

ONE = [(ratio, 1) for ratio in (AUTO, *RATIOS)]
TWO = [(ratio, 2) for ratio in (AUTO, *PAIR_RATIOS)]
EVERY = pytest.mark.parametrize(("ratio", "people"), ONE + TWO)


def canvas_of(shape: Framing) -> framing.Picture:
    width, height = shape.canvas
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@EVERY
@pytest.mark.parametrize("side", [256, 512, 1024])
def test_a_picture_has_its_ratio_even_sides_and_leads_back(
    ratio: str, people: int, side: int
) -> None:
    shape = framing.framing(ratio, people, side)
    across, down = RATIOS.get(ratio, (7, 4) if people == 2 else (1, 1))
    assert shape.width * down == shape.height * across
    assert shape.width % 2 == shape.height % 2 == 0
    assert 0.9 < shape.width * shape.height / (framing.CANVAS[people] * side**2) < 1.1
    assert framing.of_picture(shape.width, shape.height, people) == shape
    assert framing.ratio_of(shape) == (AUTO if shape.is_native else ratio)


@EVERY
def test_framing_what_was_led_back_changes_no_pixel(ratio: str, people: int) -> None:
    shape = framing.framing(ratio, people, 512)
    picture = shape.shown(canvas_of(shape))
    assert picture.shape == (shape.height, shape.width, 3)
    canvas = shape.undone(picture)
    assert canvas.shape[:2] == shape.canvas[::-1]
    assert np.array_equal(shape.shown(canvas), picture)


def test_what_is_added_is_the_edge_mirrored() -> None:
    wide = framing.framing("16:9", 1, 512)
    picture, left = wide.shown(canvas_of(wide)), wide.left
    assert left > 0
    assert np.array_equal(picture[:, left - 1], picture[:, left])
    assert np.array_equal(picture[:, left - 2], picture[:, left + 1])
    tall = framing.framing("9:16", 1, 512)
    picture = tall.shown(canvas_of(tall))
    assert tall.top > 0
    assert np.array_equal(picture[tall.top - 3], picture[tall.top + 2])


@EVERY
def test_a_face_stays_inside_and_where_it_was(ratio: str, people: int) -> None:
    shape = framing.framing(ratio, people, 512)
    canvas = np.zeros((*shape.canvas[::-1], 3), np.uint8)
    width, height = shape.canvas
    x, y, side = 0.5 / people, 0.45, 0.02
    box = (x, y, side, side)
    left, top = round(x * width), round(y * height)
    canvas[top : top + 4, left : left + 4] = 255
    bx, by, bw, bh = shape.box(box)
    assert 0 <= bx <= bx + bw <= 1 and 0 <= by <= by + bh <= 1
    picture = shape.shown(canvas)
    rows, columns = np.nonzero(picture[..., 0])
    assert abs(columns.min() - bx * shape.width) <= 1 and abs(rows.min() - by * shape.height) <= 1


@pytest.mark.parametrize("size", [(300, 200), (200, 900)])
def test_other_shapes_are_nobodys(size: tuple[int, int]) -> None:
    assert framing.of_picture(*size) is None


def test_seven_to_four_is_two_people_and_sixteen_to_nine_is_one() -> None:
    for size, people in (((896, 512), 2), ((672, 378), 1)):
        found = framing.of_picture(*size)
        assert found is not None and found.people == people
