"""Who is painted: every number and word that stays the same from picture to picture."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from generator.engine import attributes as words
from generator.engine.attributes import Attributes
from generator.engine.miniature.painter.looks import Look, looks_of, mean, pick

BEARDS: Final = ("none", "stubble", "moustache", "goatee", "short beard", "full beard")
GLASSES: Final = ("none", "round", "square", "cat-eye")
EARRINGS: Final = ("none", "studs", "hoops")
SWITCH: Final = ("no", "yes")
_CATEGORIES: Final = {
    "gender": words.GENDERS[:2], "build": words.BUILDS, "hair_style": words.HAIR_STYLES,
    "hair_color": words.HAIR_COLORS, "eye_color": words.EYES, "beard": BEARDS,
    "glasses": GLASSES, "earrings": EARRINGS,
}  # fmt: skip
_SWITCHES: Final = ("dimple", "suntan", "freckles")
SHAPES: Final = (
    "undertone", "face_width", "face_height", "jaw", "chin", "eye_size", "eye_gap", "eye_tilt",
    "eye_openness", "brow_thickness", "brow_arch", "nose_width", "nose_length", "mouth_width",
    "lips",
)  # fmt: skip
_MAN_STYLES: Final = {
    "bald": 0.6, "buzz cut": 1.4, "short crop": 2.2, "side part": 2.2, "slicked back": 1.4,
    "short curls": 1.4, "afro": 0.8, "mohawk": 0.6, "pixie cut": 0.2, "bob": 0.2,
    "long straight": 0.4, "long wavy": 0.4, "long curly": 0.3, "ponytail": 0.3, "bun": 0.5,
    "braids": 0.4,
}  # fmt: skip
_WOMAN_STYLES: Final = {
    "bald": 0.15, "buzz cut": 0.2, "side part": 0.25, "slicked back": 0.25, "short curls": 0.6,
    "afro": 1.0, "mohawk": 0.3, "pixie cut": 1.3, "bob": 1.3, "bob with bangs": 1.3,
    "long straight": 1.3, "long wavy": 1.3, "long curly": 1.3, "long with bangs": 1.3,
    "ponytail": 1.3, "bun": 1.3, "braids": 1.2,
}  # fmt: skip
_DYED: Final = ("pink", "blue", "purple", "platinum", "white", "grey")
_COLOR_WORDS: Final = {
    "blond": "blonde", "gold": "blonde", "platinum": "platinum", "silver": "grey", "gray": "grey",
    "grey": "grey", "white": "white", "pink": "pink", "blue": "blue", "purple": "purple",
    "violet": "purple", "red": "red", "ginger": "red", "auburn": "red", "copper": "red",
    "light brown": "light brown", "chestnut": "light brown", "brown": "dark brown",
    "brunette": "dark brown", "black": "black",
}  # fmt: skip
_STYLE_WORDS: Final = {
    "buzz": "buzz cut", "bald": "bald", "shaved": "buzz cut", "crop": "short crop", "afro": "afro",
    "mohawk": "mohawk", "pixie": "pixie cut", "bob": "bob", "pony": "ponytail", "bun": "bun",
    "braid": "braids", "dread": "braids", "short curl": "short curls", "curl": "long curly",
    "wav": "long wavy", "bang": "long with bangs", "fringe": "long with bangs",
    "slick": "slicked back", "part": "side part", "short": "short crop", "long": "long straight",
}  # fmt: skip
_EYE_WORDS: Final = {
    "dark brown": "dark brown", "black": "dark brown", "brown": "brown", "hazel": "hazel",
    "amber": "amber", "gold": "amber", "green": "green", "blue": "blue", "gray": "grey",
    "grey": "grey",
}  # fmt: skip


@dataclass(frozen=True)
class Person:
    """An identity. Shapes lie in [-1, 1], `skin_tone` in [0, 1] (fair to deep)."""

    gender: str
    age: int
    height_cm: int
    weight_kg: int
    country: str
    country2: str
    build: str
    hair_style: str
    hair_color: str
    eye_color: str
    beard: str
    glasses: str
    earrings: str
    dimple: bool
    suntan: bool
    freckles: bool
    skin_tone: float
    undertone: float
    face_width: float
    face_height: float
    jaw: float
    chin: float
    eye_size: float
    eye_gap: float
    eye_tilt: float
    eye_openness: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lips: float

    @property
    def fullness(self) -> float:
        """Face and body fullness in [-1, 1], from weight for height and from build."""
        body_mass_index = self.weight_kg / (self.height_cm / 100) ** 2
        leaning = {"slim": -0.7, "athletic": -0.1, "curvy": 0.35, "muscular": 0.1, "heavy": 0.9}
        return _clip(0.5 * (body_mass_index - 24) / 8 + 0.6 * leaning.get(self.build, 0.0))

    @classmethod
    def random(cls, rng: random.Random, attributes: Attributes | None = None) -> Person:
        """A person who obeys `attributes`; whatever they leave open is drawn from priors."""
        given = attributes or _attributes(rng)
        gender = given.gender if given.gender in words.GENDERS[:2] else rng.choice(("man", "woman"))
        looks = looks_of(given.country, given.country2)
        shapes = _shapes(looks, gender, rng)
        return cls(
            gender=gender, age=given.age, height_cm=given.height_cm, weight_kg=given.weight_kg,
            country=given.country, country2=given.country2,
            build=_build(given, gender, rng),
            hair_style=_hair_style(given.hair_style, gender, given.age, rng),
            hair_color=_hair_color(given.hair_color, looks, given.age, rng),
            eye_color=_read(given.eyes, _EYE_WORDS) or pick(looks, "eyes", rng),
            beard=_beard(given, gender, rng, asked=attributes is not None),
            dimple=given.dimple, suntan=given.suntan,
            freckles=_marked(given, "freckle", rng, 0.5 * (1 - min(1.0, 2 * shapes["skin_tone"]))),
            glasses=_glasses(given, rng),
            earrings=_earrings(given, gender, rng),
            **shapes,
        )  # fmt: skip

    def vector(self) -> npt.NDArray[np.float32]:
        """Every drawn parameter, in a fixed order: numbers in about [-1, 1], words one-hot."""
        numbers = [
            _unit(self.age, words.AGE), _unit(self.height_cm, words.HEIGHT_CM),
            _unit(self.weight_kg, words.WEIGHT_KG), self.fullness, 2 * self.skin_tone - 1,
        ]  # fmt: skip
        numbers += [float(getattr(self, name)) for name in SHAPES]
        numbers += [1.0 if getattr(self, name) else -1.0 for name in _SWITCHES]
        for name, choices in _CATEGORIES.items():
            numbers += [float(getattr(self, name) == choice) for choice in choices]
        return np.array(numbers, dtype=np.float32)

    def labels(self) -> dict[str, int | float]:
        """Indices into captions.LABELS; `age` (18 to 90) and `skin_tone` as fractions 0..1."""
        labels: dict[str, int | float] = {
            name: choices.index(getattr(self, name))
            for name, choices in _CATEGORIES.items()
            if name != "earrings"
        }
        labels |= {name: int(getattr(self, name)) for name in _SWITCHES}
        age = (self.age - words.AGE[0]) / (words.AGE[1] - words.AGE[0])
        return labels | {"age": age, "skin_tone": self.skin_tone}

    def with_(self, **changes: object) -> Person:
        """The same person, changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def _attributes(rng: random.Random) -> Attributes:
    """A form filled by chance, colours and styles left to the priors; countries by look."""
    drawn = Attributes.random(rng)
    age = drawn.age if rng.random() < 0.75 else rng.randint(18, 90)
    return dataclasses.replace(
        drawn, age=age, eyes="" if rng.random() < 0.5 else drawn.eyes, hair_style="",
        hair_color="" if rng.random() < 0.55 else drawn.hair_color,
    )  # fmt: skip


def _shapes(looks: list[Look], gender: str, rng: random.Random) -> dict[str, float]:
    manly = 1.0 if gender == "man" else -1.0
    centers = {
        "eye_tilt": mean(looks, "eye_tilt"), "eye_openness": mean(looks, "eye_openness"),
        "nose_width": mean(looks, "nose_width") + 0.2 * manly, "lips": mean(looks, "lips")
        - 0.25 * manly, "jaw": 0.45 * manly, "chin": 0.3 * manly, "eye_size": -0.25 * manly,
        "brow_thickness": 0.4 * manly, "brow_arch": -0.35 * manly, "face_height": 0.1 * manly,
    }  # fmt: skip
    shapes = {name: _clip(centers.get(name, 0.0) + rng.gauss(0, 0.48)) for name in SHAPES}
    tone = mean(looks, "skin") + rng.gauss(0, 0.06)
    return shapes | {"skin_tone": min(1.0, max(0.0, tone))}


def _build(given: Attributes, gender: str, rng: random.Random) -> str:
    typed = given.build.lower()
    for build in words.BUILDS:
        if build in typed:
            return build
    body_mass_index = given.weight_kg / (given.height_cm / 100) ** 2
    if body_mass_index < 20:
        return "slim"
    if body_mass_index > 29:
        return "heavy"
    return rng.choice(("average", "athletic", "muscular" if gender == "man" else "curvy"))


def _hair_style(typed: str, gender: str, age: int, rng: random.Random) -> str:
    if typed in words.HAIR_STYLES:
        return typed
    read = _read(typed, _STYLE_WORDS)
    if read:
        return read
    weights = dict(_MAN_STYLES if gender == "man" else _WOMAN_STYLES)
    if gender == "man" and age > 45:
        weights["bald"] *= 2.5
    return rng.choices(list(weights), list(weights.values()))[0]


def _hair_color(typed: str, looks: list[Look], age: int, rng: random.Random) -> str:
    read = typed if typed in words.HAIR_COLORS else _read(typed, _COLOR_WORDS)
    if read:
        return read
    if rng.random() < (age - 45) / 30:
        return rng.choice(("grey", "white") if age > 60 else ("grey",))
    return pick(looks, "hair", rng)


def _beard(given: Attributes, gender: str, rng: random.Random, *, asked: bool) -> str:
    details = given.details.lower()
    if gender == "man" or given.beard:
        for word in ("stubble", "moustache", "goatee", "full beard", "short beard"):
            if word in details:
                return word
    if given.beard:
        return rng.choices(BEARDS[1:], (1, 1, 1, 1.5, 1.5) if not asked else (0, 0, 1, 2, 3))[0]
    return "none"


def _glasses(given: Attributes, rng: random.Random) -> str:
    details = given.details.lower()
    if "no glasses" in details:
        return "none"
    for style in GLASSES[1:]:
        if f"{style} glasses" in details:
            return style
    if "glasses" in details or (not details and rng.random() < 0.3):
        return rng.choice(GLASSES[1:])
    return "none"


def _earrings(given: Attributes, gender: str, rng: random.Random) -> str:
    details = given.details.lower()
    for word, style in (("hoop", "hoops"), ("stud", "studs"), ("earring", "hoops")):
        if word in details:
            return style
    return rng.choice(EARRINGS[1:]) if rng.random() < (0.1 if gender == "man" else 0.5) else "none"


def _marked(given: Attributes, word: str, rng: random.Random, chance: float) -> bool:
    details = given.details.lower()
    if f"no {word}" in details:
        return False
    return word in details or rng.random() < chance


def _read(typed: str, table: dict[str, str]) -> str:
    """The first word of `table` found in what a person typed, or nothing."""
    lowered = typed.lower()
    return next((value for word, value in table.items() if word in lowered), "")


def _unit(value: float, bounds: tuple[int, int]) -> float:
    return 2 * (value - bounds[0]) / (bounds[1] - bounds[0]) - 1


def _clip(value: float) -> float:
    return min(1.0, max(-1.0, value))
