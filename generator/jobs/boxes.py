"""Where people stand in a picture: a box for each, as pages and programs send it.

Four fractions of the picture, x and y of the upper left corner, then width and height. What a box
may be is decided by `engine.checks.regions`, for every way that one comes in.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from billing.refusals import Refusal
from generator.engine import checks
from generator.engine.framing import Box
from generator.engine.interface import Description, EngineError
from generator.jobs.models import Appearance, Generation

if TYPE_CHECKING:
    from generator.portraits.models import PortraitModel

Boxes = Mapping[uuid.UUID, Box]
"""Of each person, by the portrait model's id; empty: they stand in the prompt's order."""
SIDES = ("x", "y", "width", "height")
SENT_MAX = 4000  # characters: eight people take about a thousand; what is cut off is no JSON


def of(pairs: Iterable[tuple[uuid.UUID, Box]]) -> dict[uuid.UUID, Box]:
    """Raises Refusal("bad_boxes") for a person with two."""
    listed = list(pairs)
    if len(found := dict(listed)) < len(listed):
        raise Refusal("bad_boxes", "Give each person one box, or leave all boxes out.")
    return found


def read(sent: str) -> dict[uuid.UUID, Box]:
    """What `written` wrote, from a form's field. Raises Refusal("bad_boxes")."""
    if not sent:
        return {}
    try:
        listed = json.loads(sent[:SENT_MAX])
        return of(pair(one) for one in listed)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        words = "These boxes cannot be read. Place the people again."
        raise Refusal("bad_boxes", words) from None


def pair(one: Mapping[str, Any]) -> tuple[uuid.UUID, Box]:
    """Of one person, as `shown` shows it."""
    x, y, width, height = (float(one[side]) for side in SIDES)
    return uuid.UUID(str(one["portrait_model_id"])), (x, y, width, height)


def shown(appearances: Iterable[Appearance]) -> list[dict[str, object]]:
    """As programs send them; empty where none were drawn."""
    return [
        {"portrait_model_id": one.portrait_model_id, **dict(zip(SIDES, one.box, strict=True))}
        for one in appearances
        if one.box
    ]


def written(appearances: Iterable[Appearance]) -> str:
    """For the field of a form; blank where none were drawn."""
    found = shown(appearances)
    return json.dumps(found, default=str) if found else ""


def kept(appearances: Sequence[Appearance]) -> tuple[Box, ...]:
    """For the engine: one for each person, or none where somebody has none."""
    found = [tuple(one.box) for one in appearances if one.box]
    return tuple(found) if len(found) == len(appearances) else ()


def check(boxes: Boxes, people: Sequence[PortraitModel], kind: str, engine: Description) -> None:
    """Raises Refusal: boxes_unsupported, bad_boxes."""
    if not boxes:
        return
    if kind != Generation.Kind.IMAGE:
        raise Refusal("boxes_unsupported", "Boxes place people in a new picture, and nowhere else.")
    known = [boxes[person.pk] for person in people if person.pk in boxes]
    try:
        checks.regions(known or list(boxes.values()), len(people), engine)
    except EngineError as error:
        code = "bad_boxes" if error.code == "bad_request" else error.code
        raise Refusal(code, error.message) from error
    if len(known) < len(boxes):
        raise Refusal("bad_boxes", "A box is for somebody who is not in the picture.")
