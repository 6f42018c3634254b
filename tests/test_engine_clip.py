"""Clips: a person moves, the scene stays, every browser plays it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generator.engine import film, motion, registry, wording
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import (
    AnimateRequest,
    Canceled,
    Clip,
    EngineError,
    GenerateRequest,
    Recipe,
    Step,
)
from tests.engine_parts import are_trained, make_weights

pytestmark = pytest.mark.engine
SHORT = AnimateRequest("in a garden", seconds=2.0, fps=12, num_inference_steps=6)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DiffusersEngine:
    loaded = registry.load("miniature", weights=make_weights(tmp_path_factory.mktemp("clip")))
    assert isinstance(loaded, DiffusersEngine)
    return loaded


@pytest.fixture(scope="module")
def face(engine: DiffusersEngine) -> bytes:
    request = GenerateRequest("face", "a young woman with long black hair, facing the camera")
    return engine.generate(request, seed=3)[0].png


@pytest.fixture(scope="module")
def person(engine: DiffusersEngine, face: bytes) -> bytes:
    recipe = Recipe(evaluation_images=0)
    return engine.train([face], tier="instant", recipe=recipe).safetensors


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return []


@pytest.fixture(scope="module")
def clip(engine: DiffusersEngine, person: bytes, steps: list[Step]) -> Clip:
    return engine.animate(SHORT, [person], seed=4, on_step=steps.append)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as caught:
        call()
    return caught.value.code


def test_a_clip_has_the_promised_length_size_and_rate(clip: Clip) -> None:
    frames = film.decode(clip.mp4)
    assert len(frames) == clip.frames == 24
    assert (clip.fps, clip.seconds) == (12, 2.0)
    assert frames[0].shape == (clip.height, clip.width, 3) == (512, 512, 3)
    assert Image.open(io.BytesIO(clip.poster)).size == (512, 512)


def test_a_clip_plays_while_it_loads_and_in_safari(clip: Clip) -> None:
    assert clip.mp4[4:8] == b"ftyp"
    assert clip.mp4.index(b"moov") < clip.mp4.index(b"mdat")
    assert b"avc1" in clip.mp4


@pytest.mark.skipif(not are_trained(), reason="untrained weights draw no heads")
def test_a_clip_moves_without_flicker_and_keeps_the_person(clip: Clip) -> None:
    assert clip.motion > 0.3
    assert clip.flicker < clip.motion
    (mean,), (worst,) = clip.faces, clip.worst
    assert mean.likeness >= worst.likeness > 0
    assert 0 <= clip.worst_frame < clip.frames


def test_every_frame_is_told_and_previews_are_small(clip: Clip, steps: list[Step]) -> None:
    assert [step.done for step in steps] == list(range(steps[0].total + 1))
    assert {step.phase for step in steps} == {"draw"}
    previews = [step.preview for step in steps if step.preview]
    assert len(previews) >= 3
    assert max(Image.open(io.BytesIO(previews[-1])).size) <= 128


def test_the_same_seed_makes_the_same_clip_of_a_picture_and_begins_with_it(
    engine: DiffusersEngine, person: bytes, face: bytes
) -> None:
    request = AnimateRequest("smiling", seconds=2.0, fps=12, image=face, num_inference_steps=6)
    first, second = (engine.animate(request, [person], seed=4) for _ in range(2))
    assert first.mp4 == second.mp4
    poster = np.asarray(Image.open(io.BytesIO(first.poster)))
    assert np.array_equal(poster, np.asarray(Image.open(io.BytesIO(face)).convert("RGB")))


def test_a_clip_can_be_stopped_among_its_frames(
    engine: DiffusersEngine, person: bytes, clip: Clip
) -> None:
    def stop(step: Step) -> None:
        if step.done == 15:
            raise Canceled

    with pytest.raises(Canceled):
        engine.animate(SHORT, [person], seed=4, on_step=stop)
    assert engine.animate(SHORT, [person], seed=4).poster == clip.poster


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (AnimateRequest(seconds=9.0), "bad_request"),
        (AnimateRequest(fps=5), "bad_request"),
        (AnimateRequest(moves=("smiling",) * 20), "bad_request"),
        (AnimateRequest(image=b"GIF89a"), "bad_picture"),
    ],
)
def test_clips_out_of_bounds_are_refused(
    engine: DiffusersEngine, request_: AnimateRequest, code: str
) -> None:
    assert code_of(lambda: engine.animate(request_)) == code


def test_a_clip_shows_one_person(engine: DiffusersEngine, person: bytes) -> None:
    assert code_of(lambda: engine.animate(SHORT, [person] * 2)) == "too_many_people"


# --- words and movement, without the model -----------------------------------------------
@pytest.mark.parametrize(
    ("prompt", "rest", "moves"),
    [
        ("at sea, smiling, then turning left", "at sea", ("smiling", "turned left")),
        ("in a red dress", "in a red dress", ()),
        ("she looks to the right and laughs", "she", ("turned right", "laughing")),
    ],
)
def test_movements_are_read_from_the_prompt(prompt: str, rest: str, moves: tuple[str, ...]) -> None:
    assert wording.moves(prompt) == (rest, moves)


def test_heads_pass_the_middle_and_expressions_face_the_camera() -> None:
    front = "facing the camera"
    assert wording.path(("turned left", "turned right", "smiling")) == [
        ("neutral", front),
        ("neutral", "turned left"),
        ("neutral", front),
        ("neutral", "turned right"),
        ("smiling", front),
    ]


def square_at(x: int) -> motion.Frame:
    frame = np.full((256, 256, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(120, 255, (60, 60, 3))
    frame[98:158, x : x + 60] = noise
    return frame


def test_between_two_keys_things_move_instead_of_fading() -> None:
    way = motion.Way(motion.Key(square_at(80)), motion.Key(square_at(100)))
    middle = way.frame(0.5, 0.0).astype(int)
    moved, faded = square_at(90), (square_at(80).astype(int) + square_at(100)) // 2
    inside = (slice(108, 148), slice(100, 140))
    assert np.abs(middle - moved)[inside].mean() < 0.5 * np.abs(faded - moved)[inside].mean()


def test_flicker_is_what_comes_and_goes_not_what_moves_on() -> None:
    even, wild = motion.Steadiness(), motion.Steadiness()
    for number in range(8):
        even.see(np.full((4, 4, 3), 10 * number, np.uint8))
        wild.see(np.full((4, 4, 3), 50 * (number % 2), np.uint8))
    assert (even.flicker, even.motion) == (0.0, 10.0)
    assert (wild.flicker, wild.motion) == (50.0, 50.0)


def test_eyes_close_and_open_again_and_no_eyes_no_blink() -> None:
    assert motion.closed(0.0) == 0.0
    assert motion.closed(motion.FIRST_BLINK_S + motion.BLINK_S[0]) == 1.0
    assert motion.closed(motion.FIRST_BLINK_S + 1.0) == 0.0
    assert motion.find_eyes(np.full((512, 512, 3), 128, np.uint8), 0.0) == ()
    plain = motion.Key(square_at(80))
    assert plain.blinking(1.0) is plain.picture


def test_a_film_keeps_its_frames(tmp_path: Path) -> None:
    shades = [np.full((64, 96, 3), level, np.uint8) for level in (0, 120, 240)]
    decoded = film.decode(film.encode(shades, width=96, height=64, fps=12)[0])
    assert [round(float(frame.mean()) / 120) for frame in decoded] == [0, 1, 2]
