"""The styles of this installation, and themed sets of them, read from `styles.toml`.

A style is a recipe: words that join the prompt, what to avoid, a look, a shape. Its words differ
by gender, so its id carries one: "noir-woman". Previews are drawn once by
`python -m generator.styles.draw` and lie in static/img/styles/<id>.webp.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from generator.engine.framing import AUTO, RATIOS
from generator.engine.looks import LOOKS

FILE = Path(__file__).with_name("styles.toml")
GENDERS = ("woman", "man")
SET_SIZES = (4, 12)


@dataclass(frozen=True)
class Style:
    id: str  # name and gender
    name: str
    title: str
    gender: str
    prompt: str  # joins what the person wrote
    negative: str = ""
    look: str = ""
    aspect_ratio: str = AUTO  # where the person leaves it to the style

    @property
    def preview(self) -> str:
        """Below static/."""
        return f"img/styles/{self.id}.webp"


@dataclass(frozen=True)
class StyleSet:
    """A theme: several styles asked for at once."""

    name: str
    title: str
    about: str
    styles: tuple[str, ...]  # names

    def of(self, gender: str) -> list[Style]:
        return [style(f"{name}-{gender}") for name in self.styles]


@cache
def styles() -> dict[str, Style]:
    """By id, in the order of the file. Raises ValueError for a file that cannot be used."""
    found = {}
    for name, table in _file()["style"].items():
        common = {key: value for key, value in table.items() if key not in GENDERS}
        for gender in GENDERS:
            made = Style(f"{name}-{gender}", name, gender=gender, prompt=table[gender], **common)
            _check(made)
            found[made.id] = made
    return found


@cache
def sets() -> dict[str, StyleSet]:
    """By name, in the order of the file."""
    found = {}
    for name, table in _file()["set"].items():
        made = StyleSet(name, table["title"], table["about"], tuple(table["styles"]))
        if not SET_SIZES[0] <= len(made.styles) <= SET_SIZES[1]:
            raise ValueError(f"The set {name} has {len(made.styles)} styles.")
        for gender in GENDERS:
            made.of(gender)
        found[name] = made
    return found


def style(id: str) -> Style:
    """Raises KeyError."""
    return styles()[id]


def of(gender: str) -> list[Style]:
    return [one for one in styles().values() if one.gender == gender]


def _check(one: Style) -> None:
    if one.look and one.look not in LOOKS:
        raise ValueError(f"The style {one.name} has no look “{one.look}”.")
    if one.aspect_ratio != AUTO and one.aspect_ratio not in RATIOS:
        raise ValueError(f"The style {one.name} has no shape “{one.aspect_ratio}”.")


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
