"""The composer: what a person asks for, read from the form that is on the page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import QueryDict

from billing.refusals import Refusal
from generator.engine import attributes
from generator.jobs.models import Generation
from generator.portraits import mentions
from generator.portraits.models import PortraitModel
from generator.templatetags.studio_tags import people

if TYPE_CHECKING:
    from accounts.models import User

# The words the base model was taught, as (shown, written into the prompt).
_PLACES = {
    "beach": "at the beach", "city": "in the city", "city night": "in the city at night",
    "office": "in an office", "mountains": "in the mountains", "sunset": "at sunset",
    "snow": "in the snow", "desert": "in the desert", "pool": "at the pool",
}  # fmt: skip
CHIPS = (
    ("Scene", [(scene, _PLACES.get(scene, f"in a {scene}")) for scene in attributes.SCENES]),
    ("Outfit", [(outfit, outfit) for outfit in attributes.OUTFITS]),
    ("Expression", [(expression, expression) for expression in attributes.EXPRESSIONS]),
    ("Light", [
        (light, light if "light" in light else f"{light} light") for light in attributes.LIGHTS
    ]),
)  # fmt: skip
SEED_MAX = 2**32 - 1


@dataclass(frozen=True)
class Wanted:
    """A readable request. The service decides whether it is allowed."""

    id: uuid.UUID
    portrait_model: PortraitModel
    prompt: str
    negative_prompt: str
    count: int
    seed: int | None

    @classmethod
    def read(cls, user: User, sent: QueryDict) -> Wanted:
        """Raises Refusal: no_model, bad_count, bad_seed."""
        return cls(
            id=as_uuid(sent.get("id", "")) or uuid.uuid4(),
            portrait_model=chosen(user, sent.get("model", "")),
            prompt=sent.get("prompt", ""),
            negative_prompt=sent.get("negative_prompt", ""),
            count=_count(sent.get("count", "1")),
            seed=_seed(sent.get("seed", "")) if sent.get("seed_mode") == "fixed" else None,
        )


def initial(generation: Generation | None = None) -> dict[str, Any]:
    """What the composer holds at first: nothing, or the properties of an outcome."""
    if generation is None:
        return {"prompt": "", "negative_prompt": "", "count": 1, "seed": ""}
    return {
        "prompt": mentions.shown(generation.prompt, people(generation)),
        "negative_prompt": generation.negative_prompt,
        "count": generation.count,
        "seed": generation.seed,
    }


def typed(sent: QueryDict) -> dict[str, Any]:
    """What the composer held when it was sent, for showing it again."""
    count = sent.get("count", "1")
    return {
        "prompt": sent.get("prompt", ""),
        "negative_prompt": sent.get("negative_prompt", ""),
        "count": int(count) if count.isascii() and count.isdigit() and len(count) < 4 else 1,
        "seed": sent.get("seed", "") if sent.get("seed_mode") == "fixed" else "",
    }


def as_uuid(sent: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(sent)
    except ValueError:
        return None


def chosen(user: User, sent: str) -> PortraitModel:
    asked = as_uuid(sent)
    found = PortraitModel.objects.usable_by(user).filter(id=asked).first() if asked else None
    if found is None:
        raise Refusal("no_model", "Please choose a portrait model first.")
    return found


def _count(sent: str) -> int:
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 3):
        raise Refusal("bad_count", "Please choose how many pictures to make.")
    return int(sent)


def _seed(sent: str) -> int:
    sent = sent.strip()
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 10 and int(sent) <= SEED_MAX):
        raise Refusal("bad_seed", f"A fixed seed is a whole number from 0 to {SEED_MAX:,}.")
    return int(sent)
