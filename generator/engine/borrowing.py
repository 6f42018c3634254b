"""What the words of an edit take from another picture: "in the clothes of image 2". No torch.

The base model sees one picture at a time. What can be read in another one, its surroundings,
light and clothes, is put into words where the instruction points at that picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from generator.engine import instruction
from generator.engine.wording import REFERENCE

LENT = ("background", "light", "outfit_color", "outfit")
_NOUN = r"(?:images?|pictures?|photos?|photographs?)"
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
_POINTER = re.compile(
    rf"\b(?:(?P<word>{'|'.join(_ORDINALS)}|last|other|reference|both|10th|[1-9](?:st|nd|rd|th))"
    rf"\s+{_NOUN}|{_NOUN}\s*#?\s?(?P<number>10|[1-9]))\b",
    re.IGNORECASE,
)
_CLAUSES = re.compile(r"[,;.]|\band\b", re.IGNORECASE)
_PLACE = re.compile(r"\b(?:scene|place|surroundings|setting|scenery)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """An instruction, and what it takes from elsewhere."""

    rest: str  # the words that say what they want themselves
    names: tuple[str, ...] = ()  # attributes, of LENT


def pointed_at(prompt: str, pictures: int) -> int | None:
    """Which of several pictures, from 2, the words take from. The first one is edited."""
    for match in _POINTER.finditer(prompt):
        number = _number(match, pictures)
        if 2 <= number <= pictures:
            return number
    return None


def repointed(prompt: str, number: int) -> str:
    """For an engine that sees the other picture as that one of all it is given."""
    return _POINTER.sub(lambda m: f"image {number}" if _number(m, 2) > 1 else m[0], prompt)


def asked(prompt: str) -> Asked:
    """Clauses that point at another picture become names of attributes."""
    rest: list[str] = []
    names: set[str] = set()
    for clause in _CLAUSES.split(prompt):
        if not any(_number(match, 2) > 1 for match in _POINTER.finditer(clause)):
            rest.append(clause.strip())
            continue
        rest += REFERENCE.findall(clause)  # whom it is about
        names |= _names(clause)
    if not names:
        return Asked(prompt)
    words = ", ".join(part for part in rest if part)
    return Asked(words, tuple(one for one in LENT if one in names and not _decides(words, one)))


def _names(clause: str) -> set[str]:
    """All of them where none is named: "in the style of image 2"."""
    found = {name for name in LENT if instruction.speaks_of(clause, name)}
    if _PLACE.search(clause):
        found.add("background")
    if "outfit" in found:
        found.add("outfit_color")
    return found or set(LENT)


def _decides(words: str, name: str) -> bool:
    """ "a red dress" leaves no colour open either."""
    return instruction.speaks_of(words, "outfit" if name == "outfit_color" else name)


def _number(match: re.Match[str], pictures: int) -> int:
    if match["number"]:
        return int(match["number"])
    word = match["word"].lower()
    if word in _ORDINALS:
        return _ORDINALS.index(word) + 1
    if word == "last":
        return pictures
    return int(word[:-2]) if word[0].isdigit() else 2
