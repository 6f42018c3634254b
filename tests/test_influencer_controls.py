"""Every control of the influencer form changes the picture, in the direction asked for.

The form's own words go to the real embedded engine, the same seeds before and after. Where the
attribute reader knows the control it judges the pictures; where it does not, the words every
engine is given change as asked and the pixels follow.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from billing.plans import PLANS
from generator.engine import pictures, registry
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import GenerateRequest
from generator.influencer.forms import DEFAULTS, FaceForm, initial_from
from tests.engine_parts import are_trained

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not are_trained(), reason="untrained weights draw no attributes"),
]
SEED, SEEDS = 3, 3  # directions are read off the mean of three pictures
STEPS = 6  # half of the engine's own: coarse pictures show the same attributes
READ_PX = 128
Said = tuple[str, str]  # prompt and negative prompt
Changes = dict[str, object]


@pytest.fixture(scope="module")
def engine() -> DiffusersEngine:
    loaded = registry.load("miniature")
    assert isinstance(loaded, DiffusersEngine)
    return loaded


@cache
def drawn(
    engine: DiffusersEngine, said: Said, pose: bytes | None = None, count: int = SEEDS
) -> Tensor:
    """Pictures (count, 3, 128, 128) in [-1, 1]; the first of many is the one drawn alone."""
    prompt, negative = said
    request = GenerateRequest(
        "face",
        prompt,
        negative,
        num_images=count,
        num_inference_steps=STEPS,
        pose_image=pose,
    )
    images = engine.generate(request, seed=SEED)
    return torch.cat([pictures.to_tensor(pictures.read(image.png), READ_PX) for image in images])


def said(changes: Changes) -> Said:
    """What the engine is given for the form's first values with some `changes`."""
    values = initial_from(DEFAULTS) | {"count": SEEDS} | changes
    form = FaceForm(values, plan=PLANS["macro"])
    assert form.is_valid(), form.errors
    assert form.attributes is not None
    return form.attributes.to_prompt(), form.attributes.negative_prompt


@torch.no_grad()
def seen(engine: DiffusersEngine, pixels: Tensor, label: str, word: str | None) -> float:
    """Mean chance of `word`, or the mean of a number, as the reader sees the pictures."""
    reader = engine.judge.reader
    answers: Tensor = reader(pixels)[label]
    if word is None:
        return float(answers.mean())
    return float(answers.softmax(-1)[:, reader.words(label).index(word)].mean())


def moved(one: Tensor, other: Tensor) -> float:
    """Mean difference of the pixels, in the range 0 to 2."""
    return float((one - other).abs().mean())


MAN: Changes = {"gender": "man"}
NIGERIA: Changes = {"country": "Nigeria"}
SWEDEN: Changes = {"country": "Sweden"}

# control, before, after, what the reader looks for, and whether there is more (+1) or less of it
READ: list[tuple[str, Changes, Changes, str, str | None, int]] = [
    ("Gender: Man", {}, MAN, "gender", "man", +1),
    ("Gender: Secrecy", {}, {"gender": "secrecy"}, "gender", "woman", -1),
    ("Age", {}, {"age": 74}, "age", None, +1),
    ("Country", {}, NIGERIA, "skin_tone", None, +1),
    ("Country 2", SWEDEN, SWEDEN | {"country2": "Nigeria"}, "skin_tone", None, +1),
    ("Country 2 blends", NIGERIA, NIGERIA | {"country2": "Sweden"}, "skin_tone", None, -1),
    ("Build: slim", {}, {"build": "slim"}, "build", "slim", +1),
    ("Build: heavy", {}, {"build": "heavy"}, "build", "heavy", +1),
    ("Hair style: bald", {}, {"hair_style": "bald"}, "hair_style", "bald", +1),
    ("Hair style: afro", {}, {"hair_style": "afro"}, "hair_style", "afro", +1),
    ("Hair color: pink", {}, {"hair_color": "pink"}, "hair_color", "pink", +1),
    ("Hair color: black", {}, {"hair_color": "black"}, "hair_color", "black", +1),
    ("Beard", MAN, MAN | {"beard": True}, "beard", "none", -1),
    ("Suntan", {}, {"suntan": True}, "suntan", "yes", +1),
    ("Bespoke Details", {}, {"details": "round glasses"}, "glasses", "none", -1),
    ("Prompt start", {}, {"prompt_start": "in the snow"}, "background", "snow", +1),
    ("Prompt end", {}, {"prompt_end": "at the beach"}, "background", "beach", +1),
    ("Negative prompt", MAN, MAN | {"negative_prompt": "beard"}, "beard", "none", +1),
]


@pytest.mark.parametrize(
    ("before", "after", "label", "word", "more"),
    [row[1:] for row in READ],
    ids=[row[0] for row in READ],
)
def test_a_control_changes_what_the_reader_sees(
    engine: DiffusersEngine,
    before: Changes,
    after: Changes,
    label: str,
    word: str | None,
    more: int,
) -> None:
    was, now = (
        seen(engine, drawn(engine, said(changes)), label, word) for changes in (before, after)
    )
    assert more * (now - was) > 0, (was, now)


# Too small for the reader at this size, or nothing it has a word for: the words, then the pixels.
WORDED: list[tuple[str, Changes, str]] = [
    ("Height", {"height_cm": 203}, "205 cm tall"),
    ("Weight", {"weight_kg": 118}, "120 kg"),
    ("Eyes: blue", {"eyes": "blue"}, "blue eyes"),
    ("Eyes: dark brown", {"eyes": "dark brown"}, "dark brown eyes"),
    ("Eyes: typed", {"eyes": "one green, one blue eye"}, "one green, one blue eye"),
    ("Build: typed", {"build": "broad shoulders"}, "broad shoulders"),
    ("Hair style: typed", {"hair_style": "wild dreadlocks"}, "wild dreadlocks"),
    ("Hair color: typed", {"hair_color": "teal"}, "teal hair"),
    ("Dimple", {"dimple": True}, "dimples"),
    ("Bespoke Details: typed", {"details": "a scar on the chin"}, "a scar on the chin"),
]


@pytest.mark.parametrize(
    ("changes", "words"), [row[1:] for row in WORDED], ids=[row[0] for row in WORDED]
)
def test_a_control_is_said_to_the_engine_and_changes_the_pixels(
    engine: DiffusersEngine, changes: Changes, words: str
) -> None:
    plain, changed = said({}), said(changes)
    assert words in changed[0] and words not in plain[0]
    assert moved(drawn(engine, plain)[:1], drawn(engine, changed, count=1)) > 0


def test_a_heavier_change_of_weight_changes_more(engine: DiffusersEngine) -> None:
    plain = drawn(engine, said({}))[:1]
    light, heavy = (drawn(engine, said({"weight_kg": kg}), count=1) for kg in (65, 140))
    assert moved(plain, light) < moved(plain, heavy)


FULL: Changes = {
    "country": "South Georgia", "country2": "Bosnia and Herzegovina", "build": "athletic",
    "eyes": "dark brown", "hair_style": "long with bangs", "hair_color": "light brown",
    "dimple": True, "suntan": True, "prompt_start": "cinematic film still",
    "details": "a small scar on the left cheek and freckles, round glasses",
}  # fmt: skip


def test_the_last_words_of_a_full_form_are_heard(engine: DiffusersEngine) -> None:
    at_the_beach = drawn(engine, said(FULL | {"prompt_end": "at the beach"}))
    assert seen(engine, at_the_beach, "background", "beach") > seen(
        engine, drawn(engine, said(FULL)), "background", "beach"
    )
    assert seen(engine, at_the_beach, "hair_style", "long with bangs") > seen(
        engine, drawn(engine, said({})), "hair_style", "long with bangs"
    )


@pytest.mark.parametrize("turn", ["turned left", "turned right"])
def test_the_pose_reference_turns_the_head(engine: DiffusersEngine, turn: str) -> None:
    example = engine.generate(
        GenerateRequest("face", f"a portrait of a man, {turn}", num_inference_steps=STEPS), seed=1
    )[0]
    plain = drawn(engine, said({}))
    posed = drawn(engine, said({}), example.png)
    assert seen(engine, posed, "pose", turn) > seen(engine, plain, "pose", turn)


def test_every_control_of_the_form_is_shown_here() -> None:
    changed = {name for row in READ for name in row[2]} | {
        name for row in WORDED for name in row[1]
    }
    posed = {"pose", "pose_file"}  # a test of its own, above
    how_many_and_which = {"count", "recreate"}  # tests/test_influencer.py
    assert changed | posed | how_many_and_which == set(FaceForm(plan=PLANS["macro"]).fields)
