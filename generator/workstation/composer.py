"""What the composer shows: models, choices with their prices, and what was chosen last."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.access import person
from billing import resume
from billing.plans import Plan, plan_of
from generator.assets.models import Asset
from generator.engine import registry
from generator.engine.interface import Description
from generator.jobs.models import Generation
from generator.jobs.requests import CANDIDATES_MAX, price
from generator.portraits import mentions, surplus
from generator.portraits.models import PortraitModel
from generator.portraits.views import with_training
from generator.styles import catalogue
from generator.templatetags.studio_tags import people
from generator.workstation import history
from generator.workstation.forms import (
    CHIPS,
    PICTURES,
    REMEMBERED,
    as_uuid,
    initial,
    own_if_any,
    typed,
)

LAST_MODEL = "portrait_model"  # session keys: the one picked last, and what was chosen last
LAST_CHOICES = "composer"
PUBLIC_SHOWN = 12  # public models of others in the picker
KINDS = (
    ("image", "Image", "image"), ("video", "Video", "film"), ("edit", "Edit", "wand"),
    ("enhance", "Enhance", "sparkles"), ("restyle", "Restyle", "palette"),
    ("vary", "Vary", "shuffle"),
)  # fmt: skip
PRICED = ("image", "video", "edit")  # by quality
BEST_OF = (1, 2, 4)
FLOORS = (0, 50, 60, 70, 80)


def context(request: HttpRequest) -> dict[str, Any]:
    """For `_composer.html`; the address may bring an outcome's properties or a picture."""
    own, public = _pickable(request)
    resumed = resume.take(request, reverse("generation_create"))
    values = typed(person(request), resumed.values) if resumed else _values(request)
    plan, engine = plan_of(request.user), registry.describe(history.engine())
    surplus.mark(own, plan)
    return {
        "own": own,
        "public": public,
        "selected": _selected(request, [*own, *public], values),
        "plan": plan,
        "kinds": [kind for kind in KINDS if kind[0] in engine.kinds],
        "counts": range(1, min(plan.max_count, 4) + 1),
        "more_counts": range(5, plan.max_count + 1),
        "chips": CHIPS,
        "values": values,
        "is_sent": bool(resumed and resumed.is_sent),
        "ratios": engine.aspect_ratios,
        "pair_ratios": engine.pair_ratios,
        "seconds": range(int(engine.clip_s[0]), int(engine.clip_s[1]) + 1),
        "sizes": [(px, px <= plan.max_px) for px in engine.enhance_px],
        "qualities": _qualities(engine, plan),
        "enhance_price": price("enhance"),
        "style": catalogue.styles().get(values["style"]),
        "best_of": BEST_OF,
        "floors": FLOORS,
        "candidates": _candidates(own, public, values),
        "people_max": engine.people_max,
        "boxes": engine.boxes,
        "pair_auto": engine.pair_auto,
    }


def _qualities(engine: Description, plan: Plan) -> list[dict[str, Any]]:
    """From the lowest to the highest, each with what one picture or second costs."""
    return [
        {
            "name": one.name,
            "title": one.title,
            "px": one.size_px,
            "is_open": one.size_px <= plan.max_px,
            **{kind: price(kind, quality=one.name, seconds=1) for kind in PRICED},
        }
        for one in sorted(engine.qualities, key=lambda one: one.steps)
    ]


def _values(request: HttpRequest) -> dict[str, Any]:
    """An outcome's properties, else what was chosen last, else the usual; then the address."""
    user, asked = person(request), request.GET
    source = as_uuid(asked.get("from", ""))
    reused = history.rows(user).filter(id=source).first() if source else None
    values = initial(reused, _picture_of(reused, asked.get("picture", "")))
    if reused is None:
        kept = request.session.get(LAST_CHOICES, {})
        values |= {name: kept[name] for name in REMEMBERED if name in kept}
        values["kind"] = "image"  # what one comes for; the others are asked for
    else:
        shows = people(reused)
        values["prompt"] = mentions.shown(reused.prompt, shows)
        values["people"] = [str(model.pk) for model in shows]
    if asked.get("kind") in Generation.Kind.values:
        values["kind"] = asked["kind"]
    if asked.get("style", "") in catalogue.styles():
        values["style"] = asked["style"]
    if asked.get("prompt"):
        values["prompt"] = asked["prompt"]
    for name in PICTURES:
        values[name] = own_if_any(user, asked.get(name, "")) or values.get(name)
    return values


def _picture_of(generation: Generation | None, index: str) -> Asset | None:
    if generation is None or not (index.isascii() and index.isdigit() and len(index) < 3):
        return None
    return next((a for a in generation.assets.all() if a.index == int(index)), None)


def _pickable(request: HttpRequest) -> tuple[list[PortraitModel], list[PortraitModel]]:
    own = with_training(PortraitModel.objects.filter(owner=person(request)))
    public = PortraitModel.objects.usable_by(person(request)).exclude(owner=person(request))
    asked = as_uuid(request.GET.get("model", ""))
    shown = list(public.exclude(weights="").select_related("reference")[:PUBLIC_SHOWN])
    if asked and asked not in {model.id for model in shown}:
        shown += list(public.filter(id=asked).select_related("reference"))
    return list(own), shown


def _selected(
    request: HttpRequest, models: list[PortraitModel], values: dict[str, Any]
) -> PortraitModel | None:
    """The one asked for, else the outcome's, the one picked last, the first that is ready."""
    by_id = {str(model.id): model for model in models}
    asked = by_id.get(request.GET.get("model", ""))
    if asked is not None:
        request.session[LAST_MODEL] = str(asked.id)
        return asked
    shown = next((by_id[id] for id in values.get("people", []) if id in by_id), None)
    ready = next((model for model in models if model.is_ready), None)
    last = by_id.get(request.session.get(LAST_MODEL, ""))
    return shown or last or ready or next(iter(models), None)


def _candidates(
    own: list[PortraitModel], public: list[PortraitModel], values: dict[str, Any]
) -> list[tuple[PortraitModel, bool]]:
    """Who may be in a picture that is worked on, and whether they are looked for."""
    ready = [model for model in (*own, *public) if model.is_ready]
    wanted = values.get("people")
    own_ids = {model.pk for model in own}
    return [
        (model, str(model.pk) in wanted if wanted else model.pk in own_ids)
        for model in ready[:CANDIDATES_MAX]
    ]
