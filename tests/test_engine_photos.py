"""Whom several photos are about: painted people, alone and in groups."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

from generator.engine import facing, photo, pictures, registry, subject
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import EngineError, Sighting, Step
from generator.engine.miniature.painter import Person, Shot, paint
from tests.engine_parts import are_trained, make_weights

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not are_trained(), reason="an untrained reader knows nobody"),
]
SIDE = 320
SUBJECT, FRIEND, STRANGER = (Person.random(random.Random(seed)) for seed in (11, 4, 9))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DiffusersEngine:
    loaded = registry.load("miniature", weights=make_weights(tmp_path_factory.mktemp("engine")))
    assert isinstance(loaded, DiffusersEngine)
    return loaded


@cache
def portrait(person: Person, seed: int, *, is_found: bool = True) -> Image.Image:
    """A person in a shot in which Haar finds just their face, or nothing."""
    rng = random.Random(seed)
    for _ in range(20):
        shot = Shot.random(rng)
        if is_found:
            shot = replace(shot, pose="facing the camera", yaw=0.0, light="daylight")
        image = Image.fromarray(paint(person, shot, SIDE))
        boxes = photo.find_every_face(image)
        is_face = len(boxes) == 1 and facing.tilt(image, boxes[0]) is not None
        if is_face if is_found else not boxes:
            return image
    raise AssertionError("no such shot")


def group(large: Person, small: Person, seed: int, *, scale: float = 1.0) -> Image.Image:
    """Two people side by side, the second one `scale` times as large."""
    side = round(scale * SIDE)
    together = Image.new("RGB", (SIDE + side, SIDE), "gray")
    together.paste(portrait(large, seed), (0, 0))
    together.paste(portrait(small, seed + 1).resize((side, side)), (SIDE, SIDE - side))
    return together


def find(engine: DiffusersEngine, *images: Image.Image) -> list[Sighting]:
    return engine.find_subject([pictures.to_png(image) for image in images])


def cut(image: Image.Image, sighting: Sighting) -> Image.Image:
    assert sighting.square is not None, sighting.reason
    left, top, side = sighting.square
    box = [left * image.width, top * image.height, side * image.width, side * image.width]
    return image.crop(
        (round(box[0]), round(box[1]), round(box[0] + box[2]), round(box[1] + box[3]))
    )


def alike(engine: DiffusersEngine, image: Image.Image, person: Person) -> float:
    """Cosine between whoever is in this square and a plain portrait of a person."""
    plain = portrait(person, 77)
    one, other = (
        engine.judge.people(each, [(0, 0, each.width)])[0]
        for each in (image.resize((SIDE, SIDE)), plain)
    )
    return float(one @ other)


def test_the_most_frequent_of_a_group_is_the_subject_not_the_largest(
    engine: DiffusersEngine,
) -> None:
    photos = [
        group(FRIEND, SUBJECT, 10, scale=0.8),
        group(STRANGER, SUBJECT, 20, scale=0.8),
        portrait(SUBJECT, 30),
    ]
    found = find(engine, *photos)
    for image, sighting in zip(photos, found, strict=True):
        assert alike(engine, cut(image, sighting), SUBJECT) > subject.SAME
        assert sighting.face > 0


def test_photos_of_other_people_are_left_out(engine: DiffusersEngine) -> None:
    photos = [portrait(SUBJECT, 40), portrait(STRANGER, 41), portrait(SUBJECT, 42)]
    assert [one.reason for one in find(engine, *photos)] == ["", "somebody_else", ""]


def test_a_photo_of_nobody_is_left_out(engine: DiffusersEngine) -> None:
    photos = [portrait(SUBJECT, 50), Image.new("RGB", (SIDE, SIDE), "teal")]
    assert [one.reason for one in find(engine, *photos)] == ["", "no_face"]


def test_a_face_that_haar_misses_counts_once_it_is_known(engine: DiffusersEngine) -> None:
    missed = portrait(SUBJECT, 60, is_found=False)
    found = find(engine, missed, portrait(SUBJECT, 61))
    assert [one.reason for one in found] == ["", ""]
    assert [one.reason for one in find(engine, portrait(STRANGER, 62), missed)][1] == "no_face"


def test_without_any_face_there_is_no_subject(engine: DiffusersEngine) -> None:
    with pytest.raises(EngineError) as refused:
        find(engine, Image.new("RGB", (SIDE, SIDE), "teal"))
    assert refused.value.code == "no_face"


def test_two_people_who_are_in_every_photo_cannot_be_told_apart(engine: DiffusersEngine) -> None:
    couple = [group(SUBJECT, FRIEND, 70), group(SUBJECT, FRIEND, 80)]
    with pytest.raises(EngineError) as refused:
        find(engine, *couple)
    assert refused.value.code == "multiple_faces"
    assert "only one of them" in refused.value.message
    one_more = find(engine, *couple, portrait(FRIEND, 90))
    assert alike(engine, cut(couple[0], one_more[0]), FRIEND) > subject.SAME


def test_of_equally_frequent_people_the_larger_one_is_the_subject(engine: DiffusersEngine) -> None:
    small = Image.new("RGB", (SIDE + 80, SIDE + 80), "gray")
    small.paste(portrait(STRANGER, 95), (40, 40))
    assert [one.reason for one in find(engine, small, portrait(SUBJECT, 96))] == [
        "somebody_else",
        "",
    ]


def test_every_photo_is_a_step(engine: DiffusersEngine) -> None:
    steps: list[Step] = []
    photos = [pictures.to_png(portrait(SUBJECT, seed)) for seed in (97, 98)]
    engine.find_subject(photos, on_step=steps.append)
    assert [(step.phase, step.done, step.total) for step in steps] == [
        ("find", 1, 2),
        ("find", 2, 2),
    ]


def face(place: int, *vector: float, size: float = 0.4) -> subject.Face:
    values = np.array(vector, dtype=np.float32)
    return subject.Face(place, (0, 0, 100), size, values / np.linalg.norm(values))


def test_nobody_is_twice_in_one_photo() -> None:
    twins = [face(0, 1, 0), face(0, 1, 0.01), face(1, 1, 0)]
    assert sorted(len(person.faces) for person in subject.gathered(twins)) == [1, 2]


def test_groups_join_by_what_they_have_in_common_on_average() -> None:
    row = [face(0, 1, 0), face(1, 0.9, 0.44), face(2, 0.4, 0.92)]  # each like its neighbour only
    assert sorted(len(person.faces) for person in subject.gathered(row)) == [1, 2]
