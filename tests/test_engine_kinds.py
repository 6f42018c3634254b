"""Shapes, looks, styles, variations, candidates: what the engine does beside plain drawing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generator.engine import candidates, film, look, registry, wording
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import (
    AnimateRequest,
    EngineError,
    FaceScore,
    GeneratedImage,
    GenerateRequest,
    OnStep,
    Recipe,
    Step,
)
from generator.engine.looks import LOOKS
from tests.engine_parts import are_trained, make_weights

pytestmark = pytest.mark.engine
TRAINED = pytest.mark.skipif(not are_trained(), reason="untrained weights draw nobody")
UNLIKE = (
    "a 25 year old woman, long red hair, light skin",
    "a 70 year old heavy man, short curls, grey hair, round glasses, deep skin",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DiffusersEngine:
    loaded = registry.load("miniature", weights=make_weights(tmp_path_factory.mktemp("more")))
    assert isinstance(loaded, DiffusersEngine)
    return loaded


@pytest.fixture(scope="module")
def people(engine: DiffusersEngine) -> list[bytes]:
    recipe = Recipe(evaluation_images=0)
    faces = [engine.generate(GenerateRequest("face", words), seed=3)[0].png for words in UNLIKE]
    return [engine.train([face], tier="instant", recipe=recipe).safetensors for face in faces]


def draw(
    engine: DiffusersEngine, people: list[bytes], prompt: str = "in a garden", **more: object
) -> GeneratedImage:
    kind = more.pop("kind", "image")
    request = GenerateRequest(kind, prompt, num_inference_steps=6, **more)
    return engine.generate(request, people, seed=4)[0]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def levels(data: bytes) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(opened(data)).astype(int)


def test_a_shape_changes_the_picture_and_hardly_the_likeness(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    square = draw(engine, people[:1])
    for ratio, size in (("3:4", (444, 592)), ("9:16", (378, 672)), ("16:9", (672, 378))):
        shaped = draw(engine, people[:1], aspect_ratio=ratio)
        assert opened(shaped.png).size == size
        assert abs(shaped.likeness - square.likeness) <= 12
        assert shaped.faces[0].box != square.faces[0].box


def test_two_people_fit_only_where_they_stand_side_by_side(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    assert opened(draw(engine, people, aspect_ratio="4:3").png).size == (784, 588)
    with pytest.raises(EngineError, match="auto, 4:3 or 16:9"):
        draw(engine, people, aspect_ratio="9:16")


@pytest.mark.parametrize(
    "more",
    [
        {"aspect_ratio": "2:1"},
        {"look": "x"},
        {"best_of": 0},
        {"likeness_floor": 101},
        {"size_px": 9},
    ],
)
def test_what_is_not_offered_is_refused(engine: DiffusersEngine, more: dict[str, object]) -> None:
    with pytest.raises(EngineError) as refused:
        draw(engine, [], **more)
    assert refused.value.code == "bad_request"


def test_a_size_is_that_of_a_square_with_as_many_pixels(engine: DiffusersEngine) -> None:
    assert opened(draw(engine, [], size_px=256).png).size == (256, 256)


def test_a_look_colours_the_picture_and_leaves_the_likeness(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    plain, noir = (draw(engine, people[:1], look=name) for name in ("", "noir"))
    assert noir.likeness == plain.likeness
    colourful, grey = (np.ptp(levels(image.png), axis=2).mean() for image in (plain, noir))
    assert grey < 2 < colourful


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_every_look_changes_colours_and_keeps_the_size(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    coloured = look.laid(name, pixels)
    assert coloured.shape == pixels.shape and coloured.dtype == np.uint8
    assert not np.array_equal(coloured, pixels)


def test_colours_move_towards_those_of_another_picture() -> None:
    rng = np.random.default_rng(0)
    warm = rng.integers(100, 140, (64, 64, 3)).astype(np.uint8) + np.array([60, 0, 0], np.uint8)
    cold = rng.integers(100, 140, (64, 64, 3)).astype(np.uint8) + np.array([0, 0, 60], np.uint8)
    moved = look.matched(warm, cold)
    assert moved[..., 2].mean() > warm[..., 2].mean() + 20
    assert moved[..., 0].mean() < warm[..., 0].mean() - 20


@TRAINED
def test_a_style_picture_lends_its_surroundings(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    style = draw(engine, [], "in the snow, red sweater, daylight", kind="face").png
    assert "snow" in engine.retoucher.style_words(opened(style), "")
    assert "snow" not in engine.retoucher.style_words(opened(style), "at the beach")
    plain = draw(engine, people[:1], "smiling")
    styled = draw(engine, people[:1], "smiling", style_image=style)
    wanted = levels(style).mean((0, 1))
    near, far = (np.abs(levels(p.png).mean((0, 1)) - wanted).sum() for p in (styled, plain))
    assert near < far


def test_a_restyled_picture_keeps_its_size_and_takes_other_colours(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    source = draw(engine, people[:1], aspect_ratio="3:4").png
    style = draw(engine, [], "in the snow, daylight", kind="face").png
    made = draw(engine, people[:1], "", kind="restyle", image=source, style_image=style)
    assert opened(made.png).size == (444, 592) and made.png != source
    with pytest.raises(EngineError, match="style"):
        draw(engine, people[:1], "", kind="restyle", image=source)


def test_variations_differ_from_their_picture_and_from_each_other(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    source = draw(engine, people[:1]).png
    request = GenerateRequest(
        "vary", "in a garden", image=source, num_images=2, num_inference_steps=6
    )
    first, second = engine.generate(request, people[:1], seed=4)
    assert len({source, first.png, second.png}) == 3
    again = engine.generate(
        GenerateRequest(**{**vars(request), "num_images": 1}), people[:1], seed=5
    )
    assert again[0].png == second.png


# --- who is in a picture ---------------------------------------------------------------
@TRAINED
def test_people_are_recognised_where_they_stand_and_others_are_missing(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    yardsticks = [engine.read_adapter(person).yardstick for person in people]
    both = engine.generate(GenerateRequest("image", "[[a]] and [[b]] in a garden"), people, seed=4)
    assert engine.judge.recognised(opened(both[0].png), yardsticks) == (0, 1)
    assert engine.judge.recognised(opened(both[0].png), yardsticks[::-1]) == (1, 0)
    alone = draw(engine, people[:1])
    assert engine.judge.recognised(opened(alone.png), yardsticks[::-1]) == (1,)
    edited = draw(engine, people[::-1], "in the snow", kind="edit", image=alone.png, recognise=True)
    missing, there = edited.faces
    assert missing.missing and not there.missing


def test_nobody_is_recognised_in_a_grey_square(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    yardsticks = [engine.read_adapter(people[0]).yardstick] * 3
    found = engine.judge.recognised(Image.new("RGB", (896, 512), "grey"), yardsticks)
    assert len(found) == 2 and len([who for who in found if who is not None]) <= 2


@pytest.mark.parametrize(
    ("prompt", "cast", "expected"),
    [
        ("in the snow", (0,), ["in the snow"]),
        ("in the snow", (1, None), ["in the snow"] * 2),
        ("[[a]] in red", (0,), ["in red"]),
        ("[[a]] in red", (None, 0), ["", "in red"]),
        ("[[a]] in red and [[b]] in blue, at sea", (1, 0), ["in blue, at sea", "in red, at sea"]),
        ("[[a]] in red and [[b]] in blue, at sea", (1, None), ["in blue, at sea", "at sea"]),
    ],
)
def test_an_instruction_goes_to_the_face_of_whom_it_names(
    prompt: str, cast: tuple[int | None, ...], expected: list[str]
) -> None:
    assert wording.for_cast(prompt, cast) == expected


def test_a_head_turned_like_the_reference_is_said_to_copy_its_pose(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    yardstick = engine.read_adapter(people[0]).yardstick
    made = draw(engine, people[:1])
    assert made.faces[0].turned == pytest.approx(abs(made.faces[0].yaw - yardstick.yaw), abs=0.002)


# --- candidates -----------------------------------------------------------------------------
def scored(likeness: dict[int, int]) -> candidates.Draw:
    def one(seed: int, index: int, on_step: OnStep | None) -> GeneratedImage:
        if on_step:
            for done in (0, 1, 2):
                on_step(Step("draw", done, 2, index))
        return GeneratedImage(b"", seed, (FaceScore(likeness.get(seed, 0)),))

    return one


def test_the_best_candidate_is_kept_with_its_own_seed() -> None:
    second = candidates.seed_of(7, 1)
    steps: list[Step] = []
    chosen = candidates.best(scored({7: 40, second: 80}), 7, 3, of=2, floor=0, on_step=steps.append)
    assert (chosen.seed, chosen.likeness, chosen.below_floor) == (second, 80, False)
    assert [(step.done, step.total) for step in steps] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_under_the_floor_a_picture_is_drawn_once_more_and_then_given_away() -> None:
    again = candidates.seed_of(7, 1)
    saved = candidates.best(scored({7: 40, again: 80}), 7, 0, of=1, floor=60, on_step=None)
    assert (saved.seed, saved.below_floor) == (again, False)
    lost = candidates.best(scored({7: 40, again: 20}), 7, 0, of=1, floor=60, on_step=None)
    assert (lost.seed, lost.below_floor) == (7, True)


def test_a_chosen_picture_can_be_drawn_again_alone(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    chosen = draw(engine, people[:1], best_of=2, likeness_floor=100)
    assert chosen.below_floor
    request = GenerateRequest("image", "in a garden", num_inference_steps=6)
    assert engine.generate(request, people[:1], seed=chosen.seed)[0].png == chosen.png


# --- clips --------------------------------------------------------------------------------
def test_a_clip_has_a_shape_a_second_format_and_its_worst_frame(
    engine: DiffusersEngine, people: list[bytes], tmp_path: Path
) -> None:
    request = AnimateRequest(
        "in a garden", seconds=2, fps=12, aspect_ratio="9:16", num_inference_steps=6
    )
    clip = engine.animate(request, people[:1], seed=3)
    assert (clip.width, clip.height) == (378, 672)
    frames, alternative = film.decode(clip.mp4), film.decode(clip.webm)
    assert len(frames) == len(alternative) == 24
    assert frames[0].shape == (672, 378, 3)
    worst = levels(clip.worst_picture)
    distances = [np.abs(frame.astype(int) - worst).mean() for frame in frames]
    assert distances[clip.worst_frame] <= min(distances) + 1  # at rest frames are nearly alike


def test_a_clip_of_a_picture_keeps_its_shape_and_shows_one_person(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    still = draw(engine, people[:1], aspect_ratio="4:3").png
    clip = engine.animate(
        AnimateRequest(seconds=2, fps=12, image=still, num_inference_steps=6), people[:1]
    )
    assert (clip.width, clip.height) == (592, 444)
    assert np.abs(levels(clip.poster) - levels(still)).mean() < 3
    both = engine.generate(GenerateRequest("image", "x", num_inference_steps=4), people)[0]
    with pytest.raises(EngineError, match="one person"):
        engine.animate(AnimateRequest(image=both.png), people[:1])


# --- enlarging somebody who is known ------------------------------------------------------
def spoilt(data: bytes, px: int) -> bytes:
    out = io.BytesIO()
    small = opened(data).resize((px, px), Image.Resampling.BOX)
    small.resize((512, 512), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


@TRAINED
def test_a_blurred_face_is_restored_as_whoever_it_is(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    blurred = spoilt(draw(engine, people[1:]).png, 8)
    request = GenerateRequest("enhance", "", image=blurred, size_px=512, recognise=True)
    (plain,) = engine.generate(request, seed=4)
    (known,) = engine.generate(request, people[1:], seed=4)
    yardstick = engine.read_adapter(people[1]).yardstick
    (before,) = engine.judge.faces(opened(plain.png), [yardstick])
    assert known.likeness >= before.likeness + 5
    assert opened(known.png).size == (512, 512)


@TRAINED
def test_a_sharp_picture_is_enlarged_and_not_drawn_anew(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    sharp = draw(engine, people[:1]).png
    request = GenerateRequest("enhance", "", image=sharp, size_px=1024, recognise=True)
    (plain,), (known,) = engine.generate(request), engine.generate(request, people[:1])
    assert known.png == plain.png
