"""What a generation may ask for: by its kind, the engine, the plan and who the person is.

Reads rows and refuses in words; charges and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from billing.plans import Plan, check_size, cost
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.engine import registry
from generator.engine.interface import Description, Quality
from generator.jobs import boxes
from generator.jobs.boxes import Boxes
from generator.jobs.models import PROMPT_MAX, Generation
from generator.portraits import surplus
from generator.portraits.models import PortraitModel
from generator.styles import catalogue

if TYPE_CHECKING:
    from accounts.models import User

Kind = Generation.Kind
DRAWN = (Kind.FACE, Kind.IMAGE, Kind.VARY)
FROM_A_PICTURE = (Kind.EDIT, Kind.ENHANCE, Kind.RESTYLE, Kind.VARY)
ONE_AT_A_TIME = (Kind.VIDEO, Kind.ENHANCE)
RECOGNISED = (Kind.EDIT, Kind.RESTYLE, Kind.VARY, Kind.ENHANCE)  # people are looked for in it
CANDIDATES_MAX = 8  # as the engine's: more are guesses
BEST_OF_MAX = 4
CHARGED_AS = {Kind.RESTYLE: "edit", Kind.VARY: "image"}  # kinds without a price of their own


def price(
    kind: str,
    *,
    count: int = 1,
    best_of: int = 1,
    seconds: float | None = None,
    quality: str = "standard",
) -> int:
    """Credits of one request. Candidates are drawn like any other picture, so they count."""
    charged_as = CHARGED_AS.get(Kind(kind), kind)
    if kind in (Kind.FACE, Kind.ENHANCE):
        quality = "standard"
    return cost(charged_as, count * best_of, seconds=seconds, quality=quality)


def check(wanted: Generation, people: Sequence[PortraitModel], plan: Plan, placed: Boxes) -> None:
    """Raises Refusal; see `services.submit_generation` for its codes."""
    engine = registry.describe(wanted.engine)
    _check_words(wanted)
    _check_count(wanted, plan)
    _check_plan(wanted, plan)
    _check_pictures(wanted)
    _check_shape(wanted, people, engine)
    _check_size(wanted, plan, engine)
    _check_style(wanted)
    _check_people(wanted, people, engine)
    boxes.check(placed, people, wanted.kind, engine)


def quality_of(engine: Description, name: str) -> Quality:
    """Raises Refusal("bad_quality")."""
    found = next((one for one in engine.qualities if one.name == name), None)
    if found is None:
        raise Refusal("bad_quality", f"There is no quality “{name[:20]}”.")
    return found


def recipe(wanted: Generation) -> dict[str, object]:
    """What style and quality mean today, kept so that the same can be drawn again."""
    kept: dict[str, object] = {}
    engine = registry.describe(wanted.engine)
    if wanted.kind not in (Kind.FACE, Kind.ENHANCE):
        quality = quality_of(engine, wanted.quality)
        kept |= {"steps": quality.steps, "size_px": quality.size_px}
    if wanted.style:
        style = catalogue.style(wanted.style)
        kept |= {"words": style.prompt, "negative": style.negative, "look": style.look}
    return kept


def _check_words(wanted: Generation) -> None:
    is_open = wanted.style or wanted.source or wanted.style_picture
    if not wanted.prompt and (wanted.kind == Kind.EDIT or not is_open):
        what = "what should change" if wanted.kind == Kind.EDIT else "a prompt"
        raise Refusal("prompt_missing", f"Please write {what}.")
    for text, what in ((wanted.prompt, "prompt"), (wanted.negative_prompt, "negative prompt")):
        limit = Generation._meta.get_field("prompt").max_length if what == "prompt" else PROMPT_MAX
        if len(text) > (limit or PROMPT_MAX):
            raise Refusal(
                "prompt_too_long",
                f"The {what} is longer than {PROMPT_MAX:,} characters. Shorten it.",
            )


def _check_count(wanted: Generation, plan: Plan) -> None:
    most = 1 if wanted.kind in ONE_AT_A_TIME else plan.max_count
    if not 1 <= wanted.count <= most:
        raise Refusal(
            "bad_count",
            f"On the {plan.title} plan one request makes 1 to {plan.max_count} pictures."
            if most > 1
            else "One request makes one of these.",
        )
    if not 1 <= wanted.best_of <= BEST_OF_MAX:
        raise Refusal("bad_best_of", f"Choose the best of 1 to {BEST_OF_MAX}.")
    if not 0 <= wanted.likeness_floor <= 100:
        raise Refusal("bad_floor", "A likeness lies between 0 and 100.")


def _check_plan(wanted: Generation, plan: Plan) -> None:
    if (wanted.negative_prompt or wanted.pose) and not plan.advanced_settings:
        raise Refusal(
            "advanced_settings",
            f"Negative prompts and poses are not part of the {plan.title} plan.",
            status=403,
        )


def _check_pictures(wanted: Generation) -> None:
    """Each is the person's own, there, and a picture."""
    if wanted.kind in FROM_A_PICTURE and wanted.source is None:
        raise Refusal("source_missing", "Please choose a picture first.")
    if wanted.kind == Kind.RESTYLE and wanted.style_picture is None:
        raise Refusal("style_missing", "Please choose a picture whose style you want.")
    named = (wanted.source, wanted.pose, wanted.mask, wanted.style_picture)
    given = {picture.pk for picture in named if picture}
    if not given:
        return
    own = Asset.objects.filter(pk__in=given, owner=wanted.owner, deleted_at__isnull=True)
    if own.count() != len(given):
        raise Refusal("not_found", "There is no such picture.", status=404)
    if own.filter(kind=Asset.Kind.VIDEO).exists():
        raise Refusal("bad_source", "A clip cannot be used here. Please choose a picture.")


def _check_shape(wanted: Generation, people: Sequence[PortraitModel], engine: Description) -> None:
    if wanted.aspect_ratio not in engine.aspect_ratios:
        raise Refusal("bad_aspect_ratio", "Please choose one of the aspect ratios.")
    if wanted.kind != Kind.IMAGE or len(people) < 2 or wanted.aspect_ratio in engine.pair_ratios:
        return
    *others, last = engine.pair_ratios
    raise Refusal(
        "bad_aspect_ratio",
        f"Several people fit into {', '.join(others)} or {last}. Please choose one of these.",
    )


def _check_size(wanted: Generation, plan: Plan, engine: Description) -> None:
    if wanted.kind == Kind.ENHANCE:
        if wanted.size_px not in engine.enhance_px:
            raise Refusal("bad_size", "Please choose how large the picture should become.")
        check_size(plan, wanted.size_px or 0)
    elif wanted.kind in (Kind.IMAGE, Kind.VIDEO):
        check_size(plan, quality_of(engine, wanted.quality).size_px)
    if wanted.kind != Kind.VIDEO:
        return
    shortest, longest = engine.clip_s
    if wanted.seconds is None or not shortest <= wanted.seconds <= longest:
        raise Refusal("bad_seconds", f"A clip lasts {shortest:g} to {longest:g} seconds.")


def _check_style(wanted: Generation) -> None:
    if wanted.style and wanted.style not in catalogue.styles():
        raise Refusal("bad_style", "There is no such style.")


def _check_people(wanted: Generation, people: Sequence[PortraitModel], engine: Description) -> None:
    is_looked_for = wanted.kind in RECOGNISED
    most = CANDIDATES_MAX if is_looked_for else engine.people_max
    if wanted.kind == Kind.VIDEO:
        most = 1
    if len(people) > most:
        what = "A clip" if wanted.kind == Kind.VIDEO else "A picture"
        raise Refusal("too_many_people", f"{what} shows at most {_counted(most)}.")
    if wanted.kind == Kind.VIDEO and people_shown(wanted.source) > 1:
        raise Refusal("too_many_people", "A clip shows one person, and this picture shows two.")
    if people:
        check_usable(wanted.owner, people)


def check_usable(user: User, people: Sequence[PortraitModel]) -> None:
    """Read again under the lock: a model may have been deleted or closed since."""
    wanted = [model.pk for model in people]
    usable = PortraitModel.objects.usable_by(user).filter(pk__in=wanted)
    by_id = {model.pk: model for model in usable}
    if len(by_id) != len(set(wanted)):
        raise Refusal("not_found", "There is no such model.", status=404)
    for model in by_id.values():
        surplus.check_usable(model, user)
        if not model.is_ready:
            raise Refusal(
                "model_not_ready",
                f"{model.name} is not trained yet. Nothing was charged.",
                status=409,
            )


def people_shown(picture: Asset | None) -> int:
    """How many faces the engine put, or keeps, into a picture; 1 where nobody counted."""
    return int(picture.measures.get("people", 1)) if picture else 1


def _counted(people: int) -> str:
    return "one person" if people == 1 else f"{people} people"
