"""The painter: obeys the form, repeats itself, shows every control; its captions' language."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import numpy.typing as npt
import pytest

from generator.engine import attributes as words
from generator.engine.attributes import COUNTRIES, Attributes
from generator.engine.miniature.captions import LABELS, caption, scene_caption
from generator.engine.miniature.painter import Person, Shot, paint
from generator.engine.miniature.painter.identity import BEARDS, GLASSES
from generator.engine.miniature.painter.looks import LOOK_OF, LOOKS

FORM = Attributes(
    gender="woman", age=34, height_cm=172, weight_kg=64, country="JP", country2="BR",
    build="slim", eyes="green", hair_style="long wavy", hair_color="red", dimple=True,
    suntan=True, details="freckles, round glasses",
)  # fmt: skip
PLAIN = Shot("studio", "tank top", "teal", "neutral", "daylight", "facing the camera")


def _person(**changes: object) -> Person:
    return Person.random(random.Random(7), FORM).with_(**changes)


def _difference(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> int:
    """How many pixels differ clearly."""
    gap = np.abs(first.astype(int) - second.astype(int)).max(axis=2)
    return int((gap > 12).sum())


def test_a_person_obeys_every_control_of_the_form() -> None:
    for seed in range(20):
        person = Person.random(random.Random(seed), FORM)
        assert (person.gender, person.age, person.build) == ("woman", 34, "slim")
        assert (person.hair_style, person.hair_color) == ("long wavy", "red")
        assert (person.eye_color, person.glasses, person.beard) == ("green", "round", "none")
        assert person.dimple and person.suntan and person.freckles
        assert (person.country, person.country2) == ("JP", "BR")


def test_a_beard_is_drawn_exactly_when_the_form_asks() -> None:
    for seed in range(20):
        asked = dataclasses.replace(FORM, gender="man", beard=True)
        assert Person.random(random.Random(seed), asked).beard != "none"
        asked = dataclasses.replace(FORM, gender="man", beard=False)
        assert Person.random(random.Random(seed), asked).beard == "none"


def test_typed_words_are_understood_or_softly_ignored() -> None:
    typed = dataclasses.replace(
        FORM, eyes="deep blue, almond shaped", hair_style="messy bun", hair_color="auburn",
        build="rather athletic",
    )  # fmt: skip
    person = Person.random(random.Random(1), typed)
    assert (person.eye_color, person.hair_style, person.hair_color, person.build) == (
        "blue", "bun", "red", "athletic",
    )  # fmt: skip
    nonsense = dataclasses.replace(FORM, eyes="xyzzy", hair_style="xyzzy", hair_color="xyzzy")
    assert Person.random(random.Random(1), nonsense).eye_color in words.EYES


def test_every_country_has_a_look() -> None:
    assert set(LOOK_OF) == set(COUNTRIES) and len(LOOKS) >= 26
    assert set(LOOK_OF.values()) == set(LOOKS)


def test_two_countries_blend() -> None:
    def tone(*countries: str) -> float:
        form = dataclasses.replace(FORM, country=countries[0], country2=countries[-1])
        return float(np.mean([Person.random(random.Random(n), form).skin_tone for n in range(40)]))

    assert tone("SE") < tone("SE", "NG") < tone("NG")


def test_the_same_seed_paints_the_same_pixels() -> None:
    def once() -> npt.NDArray[np.uint8]:
        rng = random.Random(3)
        return paint(Person.random(rng), Shot.random(rng))

    assert np.array_equal(once(), once())


@pytest.mark.parametrize("size_px", [128, 256, 512])
def test_a_picture_has_the_asked_size(size_px: int) -> None:
    picture = paint(_person(), PLAIN, size_px)
    assert picture.shape == (size_px, size_px, 3) and picture.dtype == np.uint8


def test_every_word_of_every_scene_can_be_painted() -> None:
    shots = [dataclasses.replace(PLAIN, scene=scene) for scene in words.SCENES]
    shots += [dataclasses.replace(PLAIN, outfit=outfit) for outfit in words.OUTFITS]
    shots += [dataclasses.replace(PLAIN, outfit_color=color) for color in words.OUTFIT_COLORS]
    shots += [dataclasses.replace(PLAIN, expression=mood) for mood in words.EXPRESSIONS]
    shots += [dataclasses.replace(PLAIN, light=light) for light in words.LIGHTS]
    shots += [dataclasses.replace(PLAIN, yaw=yaw) for yaw in (-0.43, 0.43)]
    pictures = {paint(_person(), shot, 128).tobytes() for shot in shots}
    assert len(pictures) == len(shots) - 4  # PLAIN itself comes back once in each list of words


@pytest.mark.parametrize(
    "changes",
    [
        {"dimple": False}, {"suntan": False}, {"freckles": False}, {"glasses": "none"},
        {"age": 80}, {"height_cm": 205, "weight_kg": 92}, {"weight_kg": 120, "build": "heavy"},
        {"eye_color": "blue"}, {"hair_color": "blonde"}, {"beard": "moustache"},
        {"gender": "man"}, {"earrings": "hoops"}, {"skin_tone": 0.9},
    ]
    + [{"hair_style": style} for style in words.HAIR_STYLES if style != "long wavy"],
)  # fmt: skip
def test_every_control_shows(changes: dict[str, object]) -> None:
    before = paint(_person(earrings="none"), PLAIN)
    after = paint(_person(**({"earrings": "none"} | changes)), PLAIN)
    assert _difference(before, after) > 60


def test_vectors_have_one_length_and_stay_near_one() -> None:
    vectors = [Person.random(random.Random(seed)).vector() for seed in range(50)]
    assert len({vector.shape for vector in vectors}) == 1
    assert max(float(np.abs(vector).max()) for vector in vectors) <= 1.01
    assert len({vector.tobytes() for vector in vectors}) == 50


def test_labels_are_indices_into_the_vocabularies() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        person, shot = Person.random(rng), Shot.random(rng)
        labels = person.labels() | shot.labels()
        assert set(labels) == set(LABELS)
        for name, value in labels.items():
            vocabulary = LABELS[name]
            assert 0 <= value <= 1 if vocabulary is None else value in range(len(vocabulary))


def test_turned_heads_look_where_their_caption_says() -> None:
    shots = [Shot.random(random.Random(seed)) for seed in range(100)]
    for shot in shots:
        expected = {"turned left": -0.4, "turned right": 0.4}.get(shot.pose, 0.0)
        assert abs(shot.yaw - expected) < 0.05
        assert abs(shot.shift_x) <= 0.015 and abs(shot.shift_y) <= 0.015


def test_a_full_caption_names_the_person_and_the_scene() -> None:
    text = caption(_person(), PLAIN, random.Random(2), drop=False)
    for word in ("woman from japan and brazil", "green eyes", "red", "teal", "freck", "glasses"):
        assert word in text
    assert text == text.lower()


def test_a_scene_caption_says_nothing_about_identity() -> None:
    for seed in range(100):
        text = scene_caption(PLAIN, random.Random(seed))
        assert not any(word in text for word in ("eyes", "hair", "woman", "year", "skin", "from"))


def test_the_forms_prompt_speaks_the_captions_words() -> None:
    rng = random.Random(0)
    spoken: set[str] = set()
    for _ in range(6000):
        spoken |= set(caption(Person.random(rng), Shot.random(rng), rng).replace(",", "").split())
    for _ in range(200):
        said = set(Attributes.random(rng).to_prompt().replace(",", "").split())
        assert said <= spoken, said - spoken


def test_everybody_is_an_adult_with_a_known_beard_and_glasses() -> None:
    for seed in range(200):
        person = Person.random(random.Random(seed))
        assert person.age >= 18 and person.beard in BEARDS and person.glasses in GLASSES
