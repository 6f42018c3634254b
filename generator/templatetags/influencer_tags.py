"""The influencer generator's own words: slider readouts, what a face was asked for with."""

from __future__ import annotations

from collections.abc import Callable

from django import template
from django.forms import BoundField
from django.utils.safestring import SafeString

from generator.engine.countries import COUNTRIES
from generator.influencer.forms import FaceForm
from generator.influencer.measures import height_words, weight_words
from generator.jobs.models import Generation

register = template.Library()

DRAWING = (50, 980)  # per mille of the whole job: `BEGINS` of generator/jobs/runner.py
READOUTS: dict[str, Callable[[int, str], str]] = {
    "age": lambda years, units: f"{years} years",
    "height_cm": height_words,
    "weight_kg": weight_words,
}
GENDERS = {"man": "Man", "woman": "Woman", "secrecy": "Secrecy"}


@register.filter
def readout(field: BoundField, units: str) -> str:
    """What a slider says beside its label; a value that is no number as it was typed."""
    return in_words(field.name, field.value(), units)


@register.filter
def slider(field: BoundField, units: str) -> SafeString:
    """The slider itself, which says its value in words to a screen reader."""
    words = in_words(field.name, field.value(), units)
    return field.as_widget(attrs={"aria-valuetext": words})


@register.filter
def parameters(generation: Generation, units: str) -> list[tuple[str, str]]:
    """(label, words) of every control that was set, in the order of the form."""
    said: list[tuple[str, str]] = []
    for name, field in FaceForm.base_fields.items():
        value = generation.attributes.get(name)
        if value not in (None, "", False):
            said.append((str(field.label), in_words(name, value, units)))
    return said


@register.filter
def drawn_now(generation: Generation) -> int:
    """Which of its pictures is being drawn: they are drawn one after the other."""
    start, end = DRAWING
    share = (generation.done - start) / (end - start)
    return min(generation.count - 1, max(0, int(share * generation.count)))


def in_words(name: str, value: object, units: str) -> str:
    if name in READOUTS and str(value).lstrip("-").isdecimal():
        return READOUTS[name](int(str(value)), units)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if name in ("country", "country2"):
        return COUNTRIES.get(str(value), str(value))
    return GENDERS.get(str(value), str(value)) if name == "gender" else str(value)
