"""From "make her hair blue" to the caption of the picture that is wanted. No torch.

An edit keeps what is seen in the picture and is not spoken of. The instruction is put into
the base model's words where its nouns and colours are known, and left alone elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from generator.engine import wording
from generator.engine.attributes import (
    EXPRESSIONS,
    EYES,
    HAIR_COLORS,
    LIGHTS,
    OUTFIT_COLORS,
    OUTFITS,
    SCENES,
)

_SAID_OTHERWISE = {
    "background": ("background", "park", "street", "woods", "sea", "winter", "coffee shop"),
    "outfit": ("clothes", "outfit", "wear", "wearing", "dressed", "tee", "pullover", "top"),
    "expression": ("smile", "smiles", "laugh", "laughs", "happy", "surprise", "expression"),
    "light": ("light", "lighting", "lit", "golden hour"),
    "pose": ("turn", "turned", "look", "looking", "facing", "face the camera"),
}
_KNOWN = {
    "background": SCENES,
    "outfit": OUTFITS,
    "expression": EXPRESSIONS,
    "light": LIGHTS,
    "pose": wording.POSES,
}
_LEAD = re.compile(
    r"^\s*(?:please\s+)?(?:make|change|turn|give|put|add|let|draw|set|dress|replace)\s+"
    r"(?:(?:the|his|her|their|my|him|them|it|a|an|some)\s+)*",
    re.IGNORECASE,
)
_REMOVE = re.compile(
    r"\b(?:remove|delete|take\s+off|take\s+away|without|no)\s+(?:(?:the|his|her|their|my|any)\s+)?"
    r"(\w+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Wish:
    """Captions for one person's part of a picture."""

    before: str  # what is seen
    after: str  # what is wanted
    negative: str  # what shall be gone


def wish(instruction: str, seen: dict[str, str]) -> Wish:
    """`seen`: words of attributes read in the picture, by name."""
    text = _plain(instruction)
    gone = _REMOVE.findall(text)
    text = _REMOVE.sub(lambda match: f"no {match.group(1)}", text)
    kept = {name: word for name, word in seen.items() if not speaks_of(text, name)}
    if "outfit" not in kept and "outfit_color" in kept:
        del kept["outfit_color"]  # it was the colour of the old one
    before, after = wording.circumstances(seen), [text, *wording.circumstances(kept)]
    return Wish(", ".join(before), ", ".join(part for part in after if part), ", ".join(gone))


def _plain(instruction: str) -> str:
    """ "make her hair blue" and "change the dress to red" as "blue hair" and "red dress"."""
    text = _LEAD.sub("", wording.clean(instruction))
    for nouns, colours in ((("hair",), HAIR_COLORS), (("eyes",), EYES), (OUTFITS, OUTFIT_COLORS)):
        said = rf"\b({_either(nouns)})\s+(?:(?:to|into|in|be|become|is|a|colou?r)\s+)*"
        text = re.sub(rf"{said}({_either(colours)})\b", r"\2 \1", text, flags=re.IGNORECASE)
    return text


def speaks_of(text: str, name: str) -> bool:
    """Whether a prompt says something of an attribute, so that nothing else may decide it."""
    words = (*_KNOWN.get(name, ()), *_SAID_OTHERWISE.get(name, ()))
    if name == "outfit_color":
        return bool(re.search(rf"\b(?:{_either(OUTFIT_COLORS)})\s+(?:{_either(OUTFITS)})\b", text))
    return bool(words) and bool(re.search(rf"\b(?:{_either(words)})\b", text, re.IGNORECASE))


def _either(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
