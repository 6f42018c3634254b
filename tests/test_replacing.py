"""Somebody takes the place of a person in a clip that was prepared frame by frame."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from generator.engine import pictures
from generator.engine.interface import Canceled, Step
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.families import Moving
from tests.production_parts import code_of, load, make, photo

pytestmark = pytest.mark.engine
FRAMES, SIDE = 6, 48
BOX = (12, 12, 36, 36)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> ProductionEngine:
    found = load("wan-animate", make("wan-animate", tmp_path_factory.mktemp("animate")))
    found.warm.weights = replace(found.warm.weights, steps=2)
    return found


def frames(start: int) -> list[Image.Image]:
    return [pictures.read(photo(start + number, side=SIDE)) for number in range(FRAMES)]


def moving(poses: int = 20) -> Moving:
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).rectangle((*BOX[:2], BOX[2] - 1, BOX[3] - 1), fill=255)
    faces = [one.resize((16, 16)) for one in frames(30)]
    return Moving(frames(10), frames(poses), faces, [mask] * FRAMES)


def test_somebody_stands_where_the_mask_is_white_and_nothing_else_changes(
    engine: ProductionEngine,
) -> None:
    told: list[Step] = []
    found = engine.replace(photo(1), moving(), seed=3, on_step=told.append)
    assert found.shape == (FRAMES, SIDE, SIDE, 3)
    before = np.stack([np.asarray(one) for one in moving().frames])
    left, top, right, bottom = BOX
    inside = np.zeros((SIDE, SIDE), bool)
    inside[top:bottom, left:right] = True
    assert (found[:, ~inside] == before[:, ~inside]).all()
    assert (found[:, inside] != before[:, inside]).mean() > 0.5
    done = [step.done for step in told]
    assert done == sorted(done) and done[-1] == 100


def test_person_movement_and_seed_decide_the_clip(engine: ProductionEngine) -> None:
    first, again = (engine.replace(photo(1), moving(), seed=3) for _ in range(2))
    assert (first == again).all()
    others = (
        engine.replace(photo(2), moving(), seed=3),
        engine.replace(photo(1), moving(poses=40), seed=3),
        engine.replace(photo(1), moving(), seed=4),
    )
    assert all((other != first).any() for other in others)


def test_a_long_clip_is_drawn_in_parts(
    engine: ProductionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.engine.production.families.wan_animate.SEGMENT", 5)
    told: list[Step] = []
    found = engine.replace(photo(1), moving(), seed=3, on_step=told.append)
    assert len(found) == FRAMES
    assert [step.done for step in told] == [25, 50, 75, 100]  # two parts of two steps each


def test_a_clip_that_is_prepared_in_part_is_refused(engine: ProductionEngine) -> None:
    whole = moving()
    one = [each[:1] for each in (whole.frames, whole.poses, whole.faces, whole.masks)]
    for wrong in (replace(whole, masks=whole.masks[:-1]), Moving([], [], [], []), Moving(*one)):
        assert code_of(lambda wrong=wrong: engine.replace(photo(1), wrong)) == "bad_request"  # type: ignore[misc]


def test_a_canceled_one_leaves_the_next_as_it_was_and_unloading_frees_it(
    engine: ProductionEngine,
) -> None:
    def stop(step: Step) -> None:
        raise Canceled

    before = engine.replace(photo(1), moving())
    with pytest.raises(Canceled):
        engine.replace(photo(1), moving(), on_step=stop)
    assert (engine.replace(photo(1), moving()) == before).all()
    part = weakref.ref(engine.warm.base.denoiser)
    engine.unload()
    gc.collect()
    assert part() is None
    assert (engine.replace(photo(1), moving()) == before).all()


def test_engines_that_replace_nobody_say_so(tmp_path: Path) -> None:
    wan = load("wan", make("wan", tmp_path))
    assert code_of(lambda: wan.replace(photo(1), moving())) == "bad_request"
