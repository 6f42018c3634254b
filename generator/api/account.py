"""What the key's owner has, what the studio offers, and what things cost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.utils import timezone
from ninja import Field, Router, Schema

from billing import allowance, ledger
from billing.plans import STANDARD, cost
from generator.api.auth import api_key, owner
from generator.api.own import READ, answers
from generator.engine import attributes, registry
from generator.styles import catalogue
from generator.workstation import history

router = Router(tags=["account"])


class PlanOut(Schema):
    name: str
    title: str
    portrait_models: int = Field(description="How many one may have at once.")
    credits: int
    period: str
    private_models: bool
    advanced_settings: bool
    max_count: int
    max_px: int
    concurrency: int
    api_requests: int = Field(description="A minute.")


class KeyOut(Schema):
    name: str
    prefix: str
    scopes: list[str]
    spend_limit: int | None = Field(None, description="Credits a calendar month (UTC).")
    spent: int = Field(description="Credits of this month.")


class AccountOut(Schema):
    """The key's owner."""

    plan: PlanOut
    balance: int = Field(description="Credits that can be spent now.")
    next_refill: int = Field(description="Credits that the next refill adds.")
    next_refill_at: datetime
    key: KeyOut


@router.get("/account", auth=READ, response=answers(AccountOut), summary="Plan, credits and key")
def account(request: HttpRequest) -> Any:
    standing, key = allowance.standing(owner(request)), api_key(request)
    plan = standing.terms.plan
    refill = allowance.next_refill(
        standing.terms, allowance=standing.head.allowance, now=timezone.now()
    )
    return {
        "plan": {name: getattr(plan, name) for name in PlanOut.model_fields},
        "balance": standing.left,
        "next_refill": refill.amount,
        "next_refill_at": refill.at,
        "key": {
            "name": key.name,
            "prefix": key.prefix,
            "scopes": key.scopes,
            "spend_limit": key.spend_limit,
            "spent": ledger.spent(key),
        },
    }


class QualityOut(Schema):
    name: str
    title: str
    size_px: int


class OptionsOut(Schema):
    """What the engine of this studio can do."""

    engine: str
    title: str
    licence: str
    is_commercial: bool
    kinds: list[str]
    aspect_ratios: list[str]
    qualities: list[QualityOut]
    people_max: int
    boxes: str = Field(
        description='What boxes decide: "order" from left to right, "place", or nothing.'
    )
    seconds: tuple[float, float]
    enhance_px: list[int]
    genders: list[str]
    hair_styles: list[str]
    hair_colors: list[str]
    eye_colors: list[str]
    builds: list[str]
    scenes: list[str]
    outfits: list[str]
    expressions: list[str]
    lights: list[str]


@router.get("/options", auth=READ, response=answers(OptionsOut), summary="What can be asked for")
def options(request: HttpRequest) -> Any:
    engine = registry.describe(history.engine())
    return {
        "engine": engine.name,
        "title": engine.title,
        "licence": engine.licence,
        "is_commercial": engine.commercial,
        "kinds": engine.kinds,
        "aspect_ratios": engine.aspect_ratios,
        "qualities": [
            {"name": one.name, "title": one.title, "size_px": one.size_px}
            for one in engine.qualities
        ],
        "people_max": engine.people_max,
        "boxes": engine.boxes,
        "seconds": engine.clip_s,
        "enhance_px": engine.enhance_px,
        "genders": list(attributes.GENDERS),
        "hair_styles": list(attributes.HAIR_STYLES),
        "hair_colors": list(attributes.HAIR_COLORS),
        "eye_colors": list(attributes.EYES),
        "builds": list(attributes.BUILDS),
        "scenes": list(attributes.SCENES),
        "outfits": list(attributes.OUTFITS),
        "expressions": list(attributes.EXPRESSIONS),
        "lights": list(attributes.LIGHTS),
    }


class StyleOut(Schema):
    id: str
    title: str
    gender: str
    preview_url: str


class StylesOut(Schema):
    items: list[StyleOut]


@router.get("/styles", auth=READ, response=answers(StylesOut), summary="Styles to draw in")
def styles(request: HttpRequest, gender: str = "") -> Any:
    found = catalogue.of(gender) if gender else list(catalogue.styles().values())
    return {
        "items": [
            {
                "id": one.id,
                "title": one.title,
                "gender": one.gender,
                "preview_url": static(one.preview),
            }
            for one in found
        ]
    }


class EstimateIn(Schema):
    kind: str = Field(description='"training", "face", "image", "video", "edit" or "enhance"')
    count: int = 1
    seconds: float | None = Field(None, ge=0, le=3600)
    quality: str = STANDARD


class EstimateOut(Schema):
    credits: int
    balance: int
    is_enough: bool


@router.post(
    "/estimate", auth=READ, response=answers(EstimateOut, 400, 422), summary="What it would cost"
)
def estimate(request: HttpRequest, body: EstimateIn) -> Any:
    credits = cost(body.kind, body.count, seconds=body.seconds, quality=body.quality)
    left = allowance.balance(owner(request))
    return {"credits": credits, "balance": left, "is_enough": credits <= left}
