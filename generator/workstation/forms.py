"""The composer: what a person asks for, read from the form that is on the page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.http import QueryDict

from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.engine import attributes
from generator.jobs import boxes
from generator.jobs.boxes import Boxes
from generator.jobs.models import Generation
from generator.jobs.requests import CANDIDATES_MAX, FROM_A_PICTURE, RECOGNISED
from generator.portraits.models import PortraitModel

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
PICTURES = ("source", "pose", "style_picture", "mask")
# What the person chose last is there again the next time. Words and pictures are not.
REMEMBERED = (
    "kind", "count", "aspect_ratio", "quality", "seconds", "size_px", "best_of", "likeness_floor",
)  # fmt: skip
FIRST: dict[str, Any] = {
    "kind": "image", "prompt": "", "negative_prompt": "", "count": 1, "seed": "", "style": "",
    "aspect_ratio": "auto", "quality": "standard", "seconds": 3, "size_px": 1024, "best_of": 1,
    "likeness_floor": 0, "boxes": "",
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A readable request. The service decides whether it is allowed."""

    id: uuid.UUID
    kind: str
    prompt: str
    people: list[PortraitModel]
    boxes: Boxes
    fields: dict[str, Any] = field(default_factory=dict)  # of the generation's row

    @classmethod
    def read(cls, user: User, sent: QueryDict) -> Wanted:
        """Raises Refusal: bad_kind, no_model, not_found, bad_count, bad_seed and the like."""
        kind = sent.get("kind", "image")
        if kind not in Generation.Kind.values or kind == Generation.Kind.FACE:
            raise Refusal("bad_kind", "There is no such kind of picture.")
        fields: dict[str, Any] = {
            "negative_prompt": sent.get("negative_prompt", ""),
            "count": _number(sent, "count", 1, "bad_count", "how many pictures to make"),
            "best_of": _number(sent, "best_of", 1, "bad_best_of", "how many to choose from"),
            "likeness_floor": _number(sent, "likeness_floor", 0, "bad_floor", "a likeness"),
            "seed": _seed(sent.get("seed", "")) if sent.get("seed_mode") == "fixed" else None,
            "quality": sent.get("quality", "standard"),
            "style": sent.get("style", ""),
            **{name: own_picture(user, sent.get(name, "")) for name in PICTURES},
        }
        return cls(
            id=as_uuid(sent.get("id", "")) or uuid.uuid4(),
            kind=kind,
            prompt=sent.get("prompt", ""),
            people=_people(user, sent, kind),
            boxes=boxes.read(sent.get("boxes", "")) if kind == "image" else {},
            fields=fields | _of_kind(kind, sent),
        )

    @property
    def remembered(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in {"kind": self.kind, **self.fields}.items()
            if name in REMEMBERED and value is not None
        }


def _of_kind(kind: str, sent: QueryDict) -> dict[str, Any]:
    """What only some kinds have; what other kinds left in the form is not theirs."""
    only: dict[str, Any] = {"aspect_ratio": "auto", "seconds": None, "size_px": None}
    if kind in ("image", "video"):
        only["aspect_ratio"] = sent.get("aspect_ratio", "auto")
    if kind == "video":
        only |= {"seconds": _number(sent, "seconds", 3, "bad_seconds", "how long the clip lasts")}
    if kind == "enhance":
        only |= {"size_px": _number(sent, "size_px", 0, "bad_size", "how large it becomes")}
    if kind in ("video", "enhance"):
        only |= {"count": 1, "best_of": 1, "likeness_floor": 0}
    if kind != "image":
        only["pose"] = None
    if kind not in FROM_A_PICTURE and kind != "video":
        only["source"] = None
    if kind != "edit":
        only["mask"] = None
    if kind not in ("image", "restyle"):
        only["style_picture"] = None
    if kind not in ("image", "video"):
        only["style"] = ""
    return only


def initial(generation: Generation | None = None, picture: Asset | None = None) -> dict[str, Any]:
    """What the composer holds at first, or the properties of an outcome."""
    if generation is None:
        return dict(FIRST)
    names = set(FIRST) | set(PICTURES)
    values = {name: getattr(generation, name) for name in names - {"prompt", "boxes"}}
    values["boxes"] = boxes.written(generation.appearances.all())
    if picture is not None and picture.seed is not None:
        values["seed"] = picture.seed
    return {name: FIRST.get(name) if value is None else value for name, value in values.items()}


def typed(user: User, sent: QueryDict) -> dict[str, Any]:
    """What the composer held when it was sent, for showing it again; the usual for what is odd."""
    values = dict(FIRST)
    for name, usual in FIRST.items():
        text = sent.get(name, "")
        if isinstance(usual, str):
            values[name] = text
        elif text.isascii() and text.isdigit() and len(text) <= 5:
            values[name] = int(text)
    values["kind"] = values["kind"] if values["kind"] in Generation.Kind.values else "image"
    values["seed"] = values["seed"] if sent.get("seed_mode") == "fixed" else ""
    values["people"] = sent.getlist("person")
    return values | {name: own_if_any(user, sent.get(name, "")) for name in PICTURES}


def as_uuid(sent: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(sent)
    except ValueError:
        return None


def own_picture(user: User, sent: str) -> Asset | None:
    """One of this person's own pictures; None where none was sent. Raises Refusal."""
    if not sent:
        return None
    asked = as_uuid(sent)
    live = Asset.objects.filter(owner=user, deleted_at__isnull=True)
    own = live.filter(id=asked).first() if asked else None
    if own is None:
        raise Refusal("not_found", "There is no such picture.", status=404)
    return own


def own_if_any(user: User, sent: str) -> Asset | None:
    """For showing: a broken address is the plain page."""
    try:
        return own_picture(user, sent)
    except Refusal:
        return None


def _people(user: User, sent: QueryDict, kind: str) -> list[PortraitModel]:
    """Whom an image or a clip shows, or who may be in the picture that is worked on."""
    if kind in RECOGNISED:
        wanted = [found for found in map(as_uuid, sent.getlist("person")) if found]
        usable = PortraitModel.objects.usable_by(user).filter(id__in=wanted[:CANDIDATES_MAX])
        return list(usable)
    asked = as_uuid(sent.get("model", ""))
    found = PortraitModel.objects.usable_by(user).filter(id=asked).first() if asked else None
    if found is None:
        raise Refusal("no_model", "Please choose a portrait model first.")
    return [found]


def _number(sent: QueryDict, name: str, usual: int, code: str, what: str) -> int:
    text = sent.get(name, "").strip() or str(usual)
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise Refusal(code, f"Please choose {what}.")
    return int(text)


def _seed(sent: str) -> int:
    sent = sent.strip()
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 10 and int(sent) <= SEED_MAX):
        raise Refusal("bad_seed", f"A fixed seed is a whole number from 0 to {SEED_MAX:,}.")
    return int(sent)
