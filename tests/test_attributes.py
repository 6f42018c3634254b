"""The influencer form's values: bounds, words, prompt."""

from __future__ import annotations

import random

import pytest

from generator.engine.attributes import (
    COUNTRIES,
    EYES,
    HAIR_STYLES,
    Attributes,
    InvalidAttribute,
)

PLAIN = Attributes(gender="woman", age=34, height_cm=172, weight_kg=61, country="JP")


def test_there_are_all_249_countries_of_the_standard() -> None:
    assert len(COUNTRIES) == 249
    assert all(len(code) == 2 and code.isupper() and name for code, name in COUNTRIES.items())


def test_a_prompt_says_every_control_in_the_captions_words() -> None:
    attributes = Attributes(
        gender="woman", age=34, height_cm=172, weight_kg=61, country="JP", country2="BR",
        build="slim", eyes="green", hair_style="long wavy", hair_color="black", dimple=True,
        beard=True, suntan=True, details="a scar on the chin", prompt_start="Photo",
        prompt_end="in the rain",
    )  # fmt: skip
    assert attributes.to_prompt() == (
        "Photo, a portrait of a 34 year old woman from japan and brazil, 170 cm tall, 60 kg, "
        "slim build, long wavy black hair, green eyes, dimples, suntan, beard, "
        "a scar on the chin, in the rain"
    )


def test_words_a_person_typed_are_kept_as_typed() -> None:
    prompt = Attributes.from_dict(
        PLAIN.to_dict() | {"eyes": "Almond eyes", "hair_style": "Space buns {x}", "build": "Lanky"}
    ).to_prompt()
    assert "Almond eyes" in prompt and "Lanky" in prompt and "Space buns {x}" in prompt


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_every_hair_style_makes_a_phrase_without_braces(style: str) -> None:
    prompt = Attributes.from_dict(PLAIN.to_dict() | {"hair_style": style}).to_prompt()
    assert "{" not in prompt and "  " not in prompt


def test_attributes_survive_a_round_trip_through_a_dict() -> None:
    attributes = Attributes.random(random.Random(3))
    assert Attributes.from_dict(attributes.to_dict()) == attributes


def test_random_attributes_repeat_with_the_seed() -> None:
    assert Attributes.random(random.Random(5)) == Attributes.random(random.Random(5))
    assert Attributes.random(random.Random(5)).eyes in EYES


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gender", "robot"), ("age", 17), ("age", 91), ("age", True), ("age", "34"),
        ("height_cm", 139), ("weight_kg", 151), ("country", ""), ("country", "XX"),
        ("country2", "jp"), ("beard", "yes"), ("details", "x" * 501), ("nose", "big"),
        ("gender", []), ("country", []), ("country2", ["JP"]),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_its_field(field: str, value: object) -> None:
    with pytest.raises(InvalidAttribute) as caught:
        Attributes.from_dict(PLAIN.to_dict() | {field: value})
    assert caught.value.field == field and caught.value.sentence.endswith(".")


def test_a_missing_control_is_named() -> None:
    with pytest.raises(InvalidAttribute) as caught:
        Attributes.from_dict({"gender": "man"})
    assert caught.value.field == "age"
