"""What the form starts with: its first values, random ones, or those of an outcome."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from django.http import Http404, HttpRequest

from generator.engine.attributes import Attributes
from generator.influencer import chosen
from generator.influencer.forms import ADVANCED, DEFAULTS, initial_from

IN_USE = "Properties from the selected outcome are now in use!"
# Random rolls every control of the face; how it is drawn and how often stays as it was.
KEPT_BY_RANDOM = (*ADVANCED, "count")
# Bespoke Details for Random: words the embedded base model knows.
DETAILS = (
    "freckles", "round glasses", "square glasses", "cat-eye glasses", "hoop earrings",
    "stud earrings", "a friendly smile", "a serious look", "golden light", "dramatic light",
    "in a garden", "in the city", "black turtleneck", "white shirt", "green sweater",
)  # fmt: skip


@dataclass(frozen=True)
class Start:
    values: dict[str, Any] = field(default_factory=dict)
    notice: str = ""  # what to tell about where they come from


def asked_for(request: HttpRequest) -> Start:
    """`?random=1`, `?use=<face>`, `?recreate=<face>`, else the form as it is at first.

    `?sent=<face>` is `use` without a word about it: what was just asked for, without JavaScript.

    Raises Http404 for a face that is not this person's.
    """
    if "random" in request.GET:
        kept = {name: request.GET[name] for name in KEPT_BY_RANDOM if name in request.GET}
        return Start(random_values(random.Random()) | kept)
    for way in ("use", "recreate", "sent"):
        if way in request.GET:
            start = _from_outcome(request, request.GET[way], keeps_the_face=way == "recreate")
            return Start(start.values) if way == "sent" else start
    return Start(initial_from(DEFAULTS))


def random_values(rng: random.Random) -> dict[str, Any]:
    """Every control that describes the face."""
    details = ", ".join(rng.sample(DETAILS, rng.choice((1, 2))))
    return initial_from(Attributes.random(rng)) | {"details": details}


def _from_outcome(request: HttpRequest, text: str, *, keeps_the_face: bool) -> Start:
    generation, index = chosen.find(request.user, text)
    attributes = chosen.attributes_of(generation) if generation else None
    if generation is None or attributes is None:
        raise Http404
    values = initial_from(attributes) | {"pose": generation.pose_id, "count": generation.count}
    if not keeps_the_face:
        return Start(values, IN_USE)
    drawn = chosen.picture(generation, index)
    kept = {"recreate": f"{generation.id}.{index}", "count": 1} if drawn else {}
    return Start(values | kept)
