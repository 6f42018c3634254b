"""Two people in one picture: side by side, each in their own words, neither blended."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from generator.engine import crowd, registry, wording
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.framing import Box
from generator.engine.interface import EngineError, GeneratedImage, GenerateRequest, Recipe
from generator.engine.likeness import _assigned
from tests.engine_parts import are_trained, make_weights

pytestmark = pytest.mark.engine
SCENE = "[[a]] and [[b]] in a garden, smiling"
UNLIKE = ("a 25 year old woman, long red hair, light skin", "a 70 year old man, bald, deep skin")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DiffusersEngine:
    loaded = registry.load("miniature", weights=make_weights(tmp_path_factory.mktemp("people")))
    assert isinstance(loaded, DiffusersEngine)
    return loaded


@pytest.fixture(scope="module")
def people(engine: DiffusersEngine) -> list[bytes]:
    """One learnt in a few steps, one from tokens alone: regions have to cope with both."""
    faces = [engine.generate(GenerateRequest("face", words), seed=3)[0].png for words in UNLIKE]
    trained = engine.train([faces[0]], recipe=Recipe(steps=4, evaluation_images=0))
    instant = engine.train([faces[1]], tier="instant", recipe=Recipe(evaluation_images=0))
    return [trained.safetensors, instant.safetensors]


def draw(engine: DiffusersEngine, people: list[bytes], prompt: str = SCENE) -> GeneratedImage:
    return engine.generate(GenerateRequest("image", prompt), people, seed=4)[0]


@pytest.fixture(scope="module")
def together(engine: DiffusersEngine, people: list[bytes]) -> GeneratedImage:
    return draw(engine, people)


def test_two_people_get_a_wider_picture_and_a_face_each(together: GeneratedImage) -> None:
    assert Image.open(io.BytesIO(together.png)).size == (896, 512)
    left, right = together.faces
    assert left.box[0] + left.box[2] < right.box[0]
    assert left.box[1] == right.box[1]


def test_boxes_decide_who_stands_where(
    engine: DiffusersEngine, people: list[bytes], together: GeneratedImage
) -> None:
    def placed(*boxes: Box) -> GeneratedImage:
        return engine.generate(GenerateRequest("image", SCENE, regions=boxes), people, seed=4)[0]

    ordered = placed((0.05, 0.1, 0.4, 0.9), (0.3, 0.2, 0.6, 0.6))  # as the prompt has it
    assert ordered.png == together.png
    swapped = placed((0.6, 0.1, 0.4, 0.9), (0.1, 0.2, 0.7, 0.6))
    assert swapped.png != together.png
    turned = draw(engine, people[::-1], "[[b]] and [[a]] in a garden, smiling")
    assert swapped.png == turned.png
    assert swapped.faces == turned.faces[::-1]  # in the order of the adapters all the same


@pytest.mark.skipif(not are_trained(), reason="untrained weights cannot tell people apart")
def test_people_whose_boxes_are_swapped_are_recognised_on_the_other_side(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    yardsticks = [engine.read_adapter(person).yardstick for person in people]
    left, right = (0.0, 0.1, 0.45, 0.9), (0.55, 0.1, 0.45, 0.9)
    for boxes, seen in (((left, right), (0, 1)), ((right, left), (1, 0))):
        request = GenerateRequest("image", SCENE, regions=boxes)
        (image,) = engine.generate(request, people, seed=4)
        picture = Image.open(io.BytesIO(image.png)).convert("RGB")
        assert engine.judge.recognised(picture, yardsticks) == seen
        lefts = [face.box[0] for face in image.faces]
        assert lefts.index(min(lefts)) == seen[0] and not any(one.missing for one in image.faces)


def test_boxes_that_make_no_sense_are_refused(engine: DiffusersEngine, people: list[bytes]) -> None:
    request = GenerateRequest("image", SCENE, regions=((0.0, 0.0, 0.5, 1.0),) * 2)
    with pytest.raises(EngineError, match="on one another"):
        engine.generate(request, people, seed=4)
    alone = GenerateRequest("image", SCENE, regions=((0.0, 0.0, 0.5, 1.0),))
    with pytest.raises(EngineError, match="two people"):
        engine.generate(alone, people[:1], seed=4)


def test_two_people_are_the_same_for_a_seed_and_leave_the_denoiser_plain(
    engine: DiffusersEngine, people: list[bytes], together: GeneratedImage, tmp_path: Path
) -> None:
    alone = GenerateRequest("face", UNLIKE[0])
    before = engine.generate(alone, seed=3)[0].png
    assert draw(engine, people).png == together.png
    assert engine.generate(alone, seed=3)[0].png == before


def test_each_adapter_bends_only_its_own_side(
    engine: DiffusersEngine, people: list[bytes], together: GeneratedImage
) -> None:
    others = draw(engine, [people[1], people[1]])
    first, second = (Image.open(io.BytesIO(image.png)) for image in (together, others))
    left = (0, 0, 256, 512)
    assert first.crop(left).tobytes() != second.crop(left).tobytes()
    difference = [
        sum(abs(a - b) for a, b in zip(x.tobytes(), y.tobytes(), strict=True)) / len(x.tobytes())
        for x, y in ((first.crop(box), second.crop(box)) for box in (left, (640, 0, 896, 512)))
    ]
    assert difference[0] > 3 * difference[1]


@pytest.mark.skipif(not are_trained(), reason="untrained weights cannot tell people apart")
def test_each_face_is_more_like_its_own_person(
    engine: DiffusersEngine, people: list[bytes], together: GeneratedImage
) -> None:
    swapped = engine.judge.faces(
        Image.open(io.BytesIO(together.png))
        .convert("RGB")
        .transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        [engine.read_adapter(person).yardstick for person in people],
    )
    assert swapped[0].box[0] > swapped[1].box[0]  # found on the other side, not mixed up
    assert all(not face.missing for face in together.faces)


def test_somebody_who_is_not_in_the_picture_is_said_to_be_missing(
    engine: DiffusersEngine, people: list[bytes]
) -> None:
    grey = Image.new("RGB", (512, 512), "grey")
    yardsticks = [engine.read_adapter(person).yardstick for person in people]
    found = engine.judge.faces(grey, yardsticks)
    assert len(found) == 2
    assert [face.missing for face in found] == [face.likeness < 25 for face in found]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("[[a]] and [[b]] at the beach", ["at the beach"] * 2),
        ("two friends in the snow", ["two friends in the snow"] * 2),
        ("[[a]] in red and [[b]] in blue, at sea", ["in red, at sea", "in blue, at sea"]),
        ("at sea, @ann in red, @bo in blue", ["at sea, in red", "at sea, in blue"]),
        ("[[a]] in red", ["in red"] * 2),
    ],
)
def test_words_go_to_the_person_they_follow(prompt: str, expected: list[str]) -> None:
    assert wording.for_each(prompt, 2) == expected


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_regions_share_every_column_out_completely(level: float) -> None:
    words = [torch.zeros(1, 1, 1)] * 2
    left, right = crowd.masks(crowd.regions(words, 8), 14, 8, level)
    assert torch.allclose(left + right, torch.ones(14))
    assert torch.equal(left[:6], torch.ones(6)) and torch.equal(right[8:], torch.ones(6))


def test_nobody_takes_a_face_that_is_better_somebody_elses() -> None:
    assert _assigned([[80, 10], [70, 60]], 2) == [0, 1]
    assert _assigned([[10, 80], [60, 70]], 2) == [1, 0]
    assert _assigned([[80], [60]], 1) == [0, 0]
