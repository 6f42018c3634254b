"""Words for painted pictures: the sentences the miniature model learns its language from.

Paraphrased, shuffled, with clauses left out, always lower case. Attributes.to_prompt speaks the
same words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from generator.engine import attributes as words
from generator.engine.attributes import (
    COUNTRIES,
    build_phrase,
    eyes_phrase,
    hair_phrase,
    person_phrase,
    rounded,
)
from generator.engine.miniature.painter import Person, Shot
from generator.engine.miniature.painter.identity import BEARDS, GLASSES, SWITCH

# The name of each thing a picture is judged by -> its words, or None for a number in 0..1.
LABELS: Final[dict[str, tuple[str, ...] | None]] = {
    "background": words.SCENES, "outfit": words.OUTFITS, "outfit_color": words.OUTFIT_COLORS,
    "hair_style": words.HAIR_STYLES, "hair_color": words.HAIR_COLORS, "eye_color": words.EYES,
    "expression": words.EXPRESSIONS, "glasses": GLASSES, "beard": BEARDS,
    "gender": words.GENDERS[:2], "light": words.LIGHTS, "build": words.BUILDS, "age": None,
    "dimple": SWITCH, "suntan": SWITCH, "freckles": SWITCH, "skin_tone": None,
    "pose": words.POSES,
}  # fmt: skip

_SCENES: Final = {
    "studio": ("in a studio", "in the studio", "studio background", "plain background"),
    "beach": ("at the beach", "on a beach", "by the sea", "beach background"),
    "city": ("in the city", "in a city", "city background", "on a street"),
    "city night": ("in the city at night", "city night", "at night in the city", "city at night"),
    "forest": ("in a forest", "in the forest", "in the woods", "forest background"),
    "office": ("in an office", "at the office", "at work", "office background"),
    "library": ("in a library", "in front of bookshelves", "in the library", "among books"),
    "cafe": ("in a cafe", "at a cafe", "in a coffee shop", "cafe background"),
    "mountains": ("in the mountains", "mountains behind", "in front of mountains", "mountains"),
    "sunset": ("at sunset", "in front of a sunset", "sunset background", "sunset sky"),
    "garden": ("in a garden", "in the garden", "in a park", "among flowers"),
    "snow": ("in the snow", "in a snowy landscape", "in winter", "snow background"),
    "desert": ("in the desert", "in a desert", "among cacti", "desert background"),
    "pool": ("at the pool", "by the pool", "at a swimming pool", "pool background"),
}
_OUTFITS: Final = {
    "t-shirt": ("{} t-shirt", "{} tee"), "hoodie": ("{} hoodie",),
    "suit": ("{} suit", "{} suit and tie"), "blazer": ("{} blazer",),
    "dress": ("{} dress", "{} summer dress"), "turtleneck": ("{} turtleneck",),
    "shirt": ("{} shirt", "{} button shirt"), "jacket": ("{} jacket", "{} zip jacket"),
    "sweater": ("{} sweater", "{} pullover"), "tank top": ("{} tank top", "{} top"),
}  # fmt: skip
_EXPRESSIONS: Final = {
    "neutral": ("neutral", "neutral expression", "calm", "relaxed"),
    "smiling": ("smiling", "with a smile", "happy", "a friendly smile"),
    "laughing": ("laughing", "a big laugh", "laughing out loud", "very happy"),
    "surprised": ("surprised", "a surprised look", "amazed", "astonished"),
    "serious": ("serious", "serious expression", "a serious look", "stern"),
    "sad": ("sad", "looking sad", "unhappy", "a sad expression"),
}
_LIGHTS: Final = {
    "daylight": ("daylight", "soft daylight", "natural light", "soft light"),
    "golden": ("golden light", "golden hour", "warm light", "warm golden light"),
    "cool": ("cool light", "cool blue light", "cold light", "blue light"),
    "dramatic": ("dramatic light", "dramatic lighting", "side light", "dark shadows"),
    "neon": ("neon light", "neon lights", "pink and blue neon light", "neon lighting"),
}
_POSES: Final = {
    "facing the camera": ("facing the camera", "looking at the camera", "front view"),
    "turned left": ("turned left", "looking left", "turned to the left", "facing left"),
    "turned right": ("turned right", "looking right", "turned to the right", "facing right"),
}
_BEARDS: Final = {  # the first two of each say which
    "stubble": ("stubble", "with stubble", "unshaven"),
    "moustache": ("a moustache", "moustache", "mustache"),
    "goatee": ("a goatee", "goatee"),
    "short beard": ("a short beard", "short beard", "beard", "with a beard"),
    "full beard": ("a full beard", "full beard", "a long beard", "beard", "big beard"),
}
_FRAMES: Final = (
    "a portrait of {}", "portrait of {}", "a photo of {}", "{}", "a picture of {}", "photo of {}",
)  # fmt: skip
_KEEP: Final = 0.72  # the share of clauses that stay when some are dropped
_SHORT: Final = 0.3  # how often a caption has one to three clauses, as most prompts do
_NEGATIVE: Final = 0.08  # how often a caption says what is not there


def caption(person: Person, shot: Shot, rng: random.Random, *, drop: bool = True) -> str:
    """Everything about a picture; `drop` leaves clauses out, and says which beard or glasses,
    at random."""
    rest = _kept(_identity(person, rng, exact=not drop) + _shot(shot, rng), rng, drop=drop)
    if drop and rng.random() < 0.06:
        return ", ".join(rest) or _subject(person, rng)
    return ", ".join([rng.choice(_FRAMES).format(_subject(person, rng, drop=drop)), *rest])


def scene_caption(shot: Shot, rng: random.Random) -> str:
    """Only what is not identity: goes with identity tokens."""
    start = rng.choice(("a portrait", "portrait", "a photo", "a person", ""))
    clauses = [start, *_kept(_shot(shot, rng), rng, drop=rng.random() < 0.5)]
    return ", ".join(clause for clause in clauses if clause)


def _kept(clauses: list[str], rng: random.Random, *, drop: bool) -> list[str]:
    if drop and rng.random() < _SHORT:
        clauses = rng.sample(clauses, min(len(clauses), rng.randint(1, 3)))
    elif drop:
        share = rng.choice((_KEEP, 0.95, 0.4))
        clauses = [clause for clause in clauses if rng.random() < share]
    rng.shuffle(clauses)
    return clauses


def _subject(person: Person, rng: random.Random, *, drop: bool = False) -> str:
    gender = person.gender if not drop or rng.random() < 0.92 else "secrecy"
    noun = "person" if gender == "secrecy" else gender
    say_age = not drop or rng.random() < 0.85
    if say_age and rng.random() < 0.7:
        subject = person_phrase(gender, person.age)
    elif say_age:
        subject = f"{_age_word(person.age, rng)} {noun}"
    else:
        subject = f"a {noun}"
    if not drop or rng.random() < 0.6:
        codes = dict.fromkeys(code for code in (person.country, person.country2) if code)
        subject += " from " + " and ".join(COUNTRIES[code].lower() for code in codes)
    return subject


def _age_word(age: int, rng: random.Random) -> str:
    if age < 31:
        return "a young"
    if age < 46:
        return rng.choice(("an adult", "a grown"))
    return "a middle aged" if age < 63 else rng.choice(("an elderly", "an old", "a senior"))


def _identity(person: Person, rng: random.Random, *, exact: bool) -> list[str]:
    clauses = [
        _hair(person, rng),
        eyes_phrase(person.eye_color),
        rng.choice((build_phrase(person.build), build_phrase(person.build), person.build)),
        _size(person, rng),
        rng.choice(("{} skin", "{} skin tone")).format(_skin_word(person.skin_tone)),
    ]
    return clauses + _marks(person, rng, exact=exact)


def _hair(person: Person, rng: random.Random) -> str:
    if person.hair_style == "bald":
        return rng.choice(("bald", "bald head", "no hair"))
    whole = hair_phrase(person.hair_style, person.hair_color)
    return rng.choice((whole, whole, whole, f"{person.hair_color} hair, {person.hair_style}"))


def _size(person: Person, rng: random.Random) -> str:
    height, weight = rounded(person.height_cm), rounded(person.weight_kg)
    said = [f"{height} cm tall, {weight} kg", f"{height} cm tall", f"{weight} kg"]
    if person.height_cm >= 182:
        said.append("tall")
    if person.height_cm <= 160:
        said.append("short stature")
    return rng.choice(said)


def _skin_word(tone: float) -> str:
    return ("fair", "light", "olive", "tan", "brown", "dark brown", "deep")[min(6, int(tone * 7))]


def _marks(person: Person, rng: random.Random, *, exact: bool) -> list[str]:
    beards, style = _BEARDS.get(person.beard, ()), person.glasses
    glasses = (f"{style} glasses", f"wearing {style} glasses", "glasses")
    marks = [
        _mark(person.dimple, ("dimples", "dimple", "with dimples"), "no dimples", rng),
        _mark(person.suntan, ("suntan", "suntanned", "a suntan", "tanned"), "no suntan", rng),
        _mark(person.freckles, ("freckles", "with freckles", "freckled"), "no freckles", rng),
        _mark(person.beard != "none", beards[:2] if exact else beards, "no beard", rng),
        _mark(person.earrings != "none", (_earrings(person), "earrings"), "no earrings", rng),
    ]
    marks.append(_mark(style != "none", glasses[:2] if exact else glasses, "no glasses", rng))
    return [mark for mark in marks if mark]


def _earrings(person: Person) -> str:
    return "hoop earrings" if person.earrings == "hoops" else "stud earrings"


def _mark(present: bool, said: Sequence[str], absent: str, rng: random.Random) -> str:
    if present:
        return rng.choice(said)
    return absent if rng.random() < _NEGATIVE else ""


def _shot(shot: Shot, rng: random.Random) -> list[str]:
    outfit = rng.choice(_OUTFITS[shot.outfit]).format(shot.outfit_color)
    article = "an" if outfit[0] in "aeiou" else "a"
    wearing = rng.choice((f"wearing {article} {outfit}", f"in {article} {outfit}", outfit))
    tables = (
        (_SCENES, shot.scene), (_EXPRESSIONS, shot.expression), (_LIGHTS, shot.light),
        (_POSES, shot.pose),
    )  # fmt: skip
    return [wearing, *(rng.choice(table[word]) for table, word in tables)]
