"""What a person may ask for when inventing a face: the words, their bounds, the prompt they make.

Speaks the language of the captions the miniature model is trained on, so that a form and a typed
sentence mean the same. Knows nothing about torch, skia or Django.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from generator.engine.countries import COUNTRIES as COUNTRIES

GENDERS: Final = ("man", "woman", "secrecy")
BUILDS: Final = ("slim", "average", "athletic", "curvy", "muscular", "heavy")
EYES: Final = ("dark brown", "brown", "hazel", "amber", "green", "blue", "grey")
HAIR_STYLES: Final = (
    "bald", "buzz cut", "short crop", "side part", "slicked back", "short curls", "afro", "mohawk",
    "pixie cut", "bob", "bob with bangs", "long straight", "long wavy", "long curly",
    "long with bangs", "ponytail", "bun", "braids",
)  # fmt: skip
HAIR_COLORS: Final = (
    "black", "dark brown", "light brown", "blonde", "platinum", "red", "grey", "white", "pink",
    "blue", "purple",
)  # fmt: skip
AGE: Final = (18, 90)  # years; nobody younger is ever drawn
HEIGHT_CM: Final = (140, 210)
WEIGHT_KG: Final = (40, 150)

SCENES: Final = (
    "studio", "beach", "city", "city night", "forest", "office", "library", "cafe", "mountains",
    "sunset", "garden", "snow", "desert", "pool",
)  # fmt: skip
OUTFITS: Final = (
    "t-shirt", "hoodie", "suit", "blazer", "dress", "turtleneck", "shirt", "jacket", "sweater",
    "tank top",
)  # fmt: skip
OUTFIT_COLORS: Final = (
    "white", "black", "grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink",
    "beige",
)  # fmt: skip
EXPRESSIONS: Final = ("neutral", "smiling", "laughing", "surprised", "serious", "sad")
LIGHTS: Final = ("daylight", "golden", "cool", "dramatic", "neon")
POSES: Final = ("facing the camera", "turned left", "turned right")

# How a style and a colour join into words; {} is the colour with its space, or nothing.
_HAIR_PHRASES: Final = {
    "buzz cut": "{}buzz cut hair", "short crop": "short {}hair", "side part": "side part {}hair",
    "slicked back": "slicked back {}hair", "short curls": "short curly {}hair",
    "afro": "{}afro hair", "mohawk": "{}mohawk hair", "pixie cut": "{}pixie cut hair",
    "bob": "{}bob hair", "bob with bangs": "{}bob hair with bangs",
    "long with bangs": "long {}hair with bangs", "ponytail": "{}hair in a ponytail",
    "bun": "{}hair in a bun", "braids": "{}hair in braids",
}  # fmt: skip
_TEXT_LIMIT: Final = 500  # characters of free text in one field
_STEP: Final = 5  # heights and weights are said in steps of 5, as captions say them


class InvalidAttribute(ValueError):
    """A value outside the form's bounds. `field` names the control, `sentence` says what to do."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


@dataclass(frozen=True)
class Attributes:
    """The influencer form. Empty text means: leave it to chance."""

    gender: str
    age: int  # years
    height_cm: int
    weight_kg: int
    country: str  # ISO 3166-1 alpha-2
    country2: str = ""
    build: str = ""
    eyes: str = ""
    hair_style: str = ""
    hair_color: str = ""
    dimple: bool = False
    beard: bool = False
    suntan: bool = False
    details: str = ""
    prompt_start: str = ""
    prompt_end: str = ""
    negative_prompt: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, str(field.type), getattr(self, field.name))
        if self.gender not in GENDERS:
            raise InvalidAttribute("gender", "Choose man, woman or secrecy.")
        _check_range("age", self.age, AGE, "years")
        _check_range("height_cm", self.height_cm, HEIGHT_CM, "cm")
        _check_range("weight_kg", self.weight_kg, WEIGHT_KG, "kg")
        _check_country("country", self.country)
        if self.country2:
            _check_country("country2", self.country2)

    def to_prompt(self) -> str:
        """One line of words; `prompt_start` first, `prompt_end` last, typed words as typed."""
        parts = [self.prompt_start, *self._clauses(), self.details, self.prompt_end]
        return ", ".join(part.strip() for part in parts if part.strip())

    def _clauses(self) -> list[str]:
        marks = (("dimples", self.dimple), ("suntan", self.suntan), ("beard", self.beard))
        return [
            f"a portrait of {person_phrase(self.gender, self.age)} {self._origin()}",
            f"{rounded(self.height_cm)} cm tall, {rounded(self.weight_kg)} kg",
            build_phrase(self.build),
            hair_phrase(self.hair_style, self.hair_color),
            eyes_phrase(self.eyes),
            *(word for word, wanted in marks if wanted),
        ]

    def _origin(self) -> str:
        codes = dict.fromkeys(code for code in (self.country, self.country2) if code)
        return "from " + " and ".join(COUNTRIES[code].lower() for code in codes)

    def to_dict(self) -> dict[str, str | int | bool]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Attributes:
        """The inverse of `to_dict`. Raises InvalidAttribute for unknown or missing fields."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in fields:
                raise InvalidAttribute(name, f"There is no control called {name}.")
        for name, field in fields.items():
            if name not in values and field.default is dataclasses.MISSING:
                raise InvalidAttribute(name, f"{name} is missing.")
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks each type

    @classmethod
    def random(cls, rng: random.Random) -> Attributes:
        """The form's Random button: every control set, sensible together."""
        gender = rng.choice(GENDERS[:2])
        height_cm = round(min(205, max(148, rng.gauss(178 if gender == "man" else 166, 8))))
        body_mass_index = min(36.0, max(17.5, rng.gauss(24, 4)))
        country = rng.choice(list(COUNTRIES))
        return cls(
            gender=gender,
            age=rng.randint(18, 65),
            height_cm=height_cm,
            weight_kg=min(150, max(40, round(body_mass_index * (height_cm / 100) ** 2))),
            country=country,
            country2=rng.choice(list(COUNTRIES)) if rng.random() < 0.5 else "",
            build=_build_for(body_mass_index, gender, rng),
            eyes=rng.choice(EYES),
            hair_style=rng.choice(HAIR_STYLES[1:] if gender == "man" else HAIR_STYLES[8:]),
            hair_color=rng.choice(HAIR_COLORS),
            dimple=rng.random() < 0.3,
            beard=gender == "man" and rng.random() < 0.4,
            suntan=rng.random() < 0.25,
        )


def person_phrase(gender: str, age: int) -> str:
    """`a 34 year old woman`; secrecy is a person."""
    article = "an" if str(age).startswith("8") or age == 18 else "a"
    return f"{article} {age} year old {'person' if gender == 'secrecy' else gender}"


def hair_phrase(style: str, color: str) -> str:
    """`long wavy black hair`; typed words are kept as they are; nothing for nothing."""
    style, color = style.strip(), color.strip()
    if style == "bald":
        return "bald"
    if not (style or color):
        return ""
    before = f"{color} " if color else ""
    if style in _HAIR_PHRASES:
        return _HAIR_PHRASES[style].format(before)
    if style and style not in HAIR_STYLES:
        return f"{style}, {before}hair" if color else style
    return f"{style} {before}hair".strip()


def eyes_phrase(eyes: str) -> str:
    """`green eyes`; typed words that already speak of eyes are kept as they are."""
    eyes = eyes.strip()
    return eyes if not eyes or "eye" in eyes.lower() else f"{eyes} eyes"


def build_phrase(build: str) -> str:
    """`slim build`; typed words are kept as they are."""
    build = build.strip()
    return f"{build} build" if build in BUILDS else build


def rounded(value: float) -> int:
    """To the nearest 5: the only heights (cm) and weights (kg) that captions say."""
    return int(_STEP * round(value / _STEP))


def _build_for(body_mass_index: float, gender: str, rng: random.Random) -> str:
    if body_mass_index < 20.5:
        return "slim"
    if body_mass_index > 29:
        return "heavy" if gender == "man" else rng.choice(("heavy", "curvy"))
    return rng.choice(("average", "athletic", "muscular" if gender == "man" else "curvy"))


def _check_range(field: str, value: int, bounds: tuple[int, int], unit: str) -> None:
    if type(value) is not int or not bounds[0] <= value <= bounds[1]:
        raise InvalidAttribute(
            field, f"Choose a whole number from {bounds[0]} to {bounds[1]} {unit}."
        )


def _check_country(field: str, code: str) -> None:
    if code not in COUNTRIES:
        raise InvalidAttribute(field, "Choose a country from the list.")


def _check_type(field: str, kind: str, value: object) -> None:
    if kind == "bool" and not isinstance(value, bool):
        raise InvalidAttribute(field, "Switch this on or off.")
    if kind == "str" and (not isinstance(value, str) or len(value) > _TEXT_LIMIT):
        raise InvalidAttribute(field, f"Write at most {_TEXT_LIMIT} characters.")
