"""Small words and pictures for templates: icons, job states, time left, likeness."""

from __future__ import annotations

import uuid
from datetime import datetime
from functools import cache
from operator import itemgetter

from django import template
from django.conf import settings
from django.db.models import Subquery
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from billing.payments.prices import Offer
from billing.plans import cost
from generator.assets.models import Asset
from generator.engine.wording import clean
from generator.jobs import pace, turns
from generator.jobs.models import Generation, Job, Training
from generator.library.shelves import Tile
from generator.portraits.mentions import REFERENCE, shown
from generator.portraits.models import PortraitModel
from generator.portraits.surplus import is_surplus
from generator.styles import catalogue

register = template.Library()

STATE_WORDS = {
    "queued": "Waiting",
    "running": "Running",
    "succeeded": "Ready",
    "failed": "Failed",
    "canceled": "Canceled",
}
PHASE_WORDS = {
    "load": "Waking up",
    "read": "Reading the reference",
    "views": "Making views of the face",
    "prior": "Drawing other people to compare",
    "train": "Learning the face",
    "draw": "Drawing",
    "save": "Saving",
}
ETA_AFTER_PERCENT = 8  # before that, the speed is a guess


class OnceNode(template.Node):
    def __init__(self, nodes: template.NodeList) -> None:
        self.nodes = nodes
        self.kept: SafeString | None = None

    def render(self, context: template.Context) -> SafeString:
        if self.kept is None:
            # Nothing of this request can get in, so nothing of it can be kept.
            self.kept = self.nodes.render(context.new({"SITE_NAME": settings.SITE_NAME}))
        return self.kept


@register.tag
def once(parser: template.base.Parser, token: template.base.Token) -> OnceNode:
    """`{% once %}…{% endonce %}`: rendered for the first page and kept for all others.

    For what is the same for everybody: it sees no variable but SITE_NAME.
    """
    nodes = parser.parse(("endonce",))
    parser.delete_first_token()
    return OnceNode(nodes)


@register.simple_tag
@cache
def icon(name: str, extra: str = "") -> SafeString:
    """One picture of the sprite; decoration only, so hidden from screen readers."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        extra, static("icons.svg"), name,
    )  # fmt: skip


@register.filter
def state_words(job: Job) -> str:
    """What a job is doing, in one or two words."""
    if job.cancel_requested and not job.is_finished:
        return "Canceling"
    if job.state == Job.State.RUNNING:
        return PHASE_WORDS.get(job.phase, STATE_WORDS["running"])
    return STATE_WORDS[job.state]


@register.filter
def time_left(job: Job) -> str:
    """`about 2 min left`, from the steps done so far; nothing while that would be a guess."""
    if job.state != Job.State.RUNNING or not job.started_at or job.percent < ETA_AFTER_PERCENT:
        return ""
    spent = (timezone.now() - job.started_at).total_seconds()
    left = spent * (job.total - job.done) / job.done
    if left < 5:
        return "a moment left"
    return f"about {round(left)} s left" if left < 90 else f"about {round(left / 60)} min left"


@register.filter
def credits(amount: int) -> str:
    """`1 credit`, `4 credits`."""
    return f"{amount:,} credit{'' if amount == 1 else 's'}"


@register.filter
def cost_of(kind: str) -> str:
    """`"training"|cost_of` is `20 credits`."""
    return credits(cost(kind))


@register.filter
def offer_of(offers: dict[str, Offer] | None, plan: str) -> Offer | None:
    """The price at which a plan is sold, where payments are set up."""
    return (offers or {}).get(plan)


@register.filter
def is_read_only(portrait_model: PortraitModel) -> bool:
    """Beyond what its owner's plan holds; marked where a page shows many."""
    return is_surplus(portrait_model)


@register.simple_tag
def new_id() -> str:
    """The id of the row a form will make: sent twice, it is still one row."""
    return str(uuid.uuid4())


@register.filter
def latest_training(portrait_model: PortraitModel) -> Training | None:
    """Prefetched where a page shows many, one query where a socket sends one."""
    known: list[Training] | None = getattr(portrait_model, "latest_trainings", None)
    if known is not None:
        return next(iter(known), None)
    return portrait_model.trainings.order_by("-created_at").first()


@register.filter
def ahead(generation: Generation) -> int:
    """How many jobs stand before this one; lists annotate it, a single fragment counts."""
    known = getattr(generation, "jobs_ahead", None)
    if known is not None:
        return int(known)
    waiting = turns.in_turn(Generation.objects.filter(state__in=["queued", "running"]))
    mine = waiting.filter(pk=generation.pk).values("turn")[:1]
    return waiting.filter(turn__lt=Subquery(mine)).count()


@register.filter
def pictures(generation: Generation) -> list[Asset]:
    """In the order they were drawn; the model's own order is newest first."""
    live = [asset for asset in generation.assets.all() if asset.deleted_at is None]
    return sorted(live, key=lambda asset: asset.index)


@register.filter
def words(generation: Generation) -> str:
    """The prompt as it was typed, with names; nothing else is asked where it names nobody."""
    if "[[" not in generation.prompt:
        return generation.prompt
    return shown(generation.prompt, people(generation))


@register.filter
def people(generation: Generation) -> list[PortraitModel]:
    """Whom it shows or looked for, in their order; prefetched where a page shows many."""
    rows = generation.appearances.all()
    if "appearances" not in getattr(generation, "_prefetched_objects_cache", {}):
        rows = rows.select_related("portrait_model")
    return [one.portrait_model for one in rows]


@register.filter
def placed(generation: Generation) -> list[PortraitModel]:
    """Whose places were drawn, from left to right; empty where the prompt's order decided."""
    rows = generation.appearances.all()
    middles = [(one.box[0] + one.box[2] / 2, one.portrait_model) for one in rows if one.box]
    return [model for _, model in sorted(middles, key=itemgetter(0))]


@register.filter
def tile_words(prompt: str | None) -> str:
    """A tile's text for those who do not see it: the prompt without ids, not too long."""
    plain = clean(prompt or "")
    return plain[:100] or "A picture"


TILE = (
    '<li class="tile" data-deletable="{id}" data-asset="{id}">'
    '<a class="picture__open" href="{page}" hx-get="{page}" hx-target="#dialog">'
    '<svg class="tone" aria-hidden="true"><rect width="100%" height="100%" fill="{color}"/></svg>'
    '<img src="{media}?size=256" srcset="{media}?size=256 256w, {media}?size=512'
    ' 512w" sizes="(max-width: 48rem) 33vw, 13rem" alt="{words}" width="256" height="256"'
    ' loading="lazy" decoding="async"></a><label class="tile__pick"><input type="checkbox"'
    ' name="picture" value="{id}" form="selection"><span class="visually-hidden">Choose this'
    " picture</span></label>{marks}</li>"
)
TILE_LIKENESS = (
    '<span class="badge badge--over tile__likeness">{}'
    '<span class="visually-hidden"> likeness of 100</span></span>'
)
TILE_MARK = '<span class="tile__mark">{}<span class="visually-hidden">{}</span></span>'


@cache
def _tile() -> str:
    """TILE with its addresses, which are looked up once."""
    nobody = uuid.UUID(int=0)
    places = (reverse(name, args=[nobody]) for name in ("picture", "asset"))
    page, media = (place.replace(str(nobody), "{id}") for place in places)
    return TILE.replace("{page}", page).replace("{media}", media)


def _one(one: Tile) -> str:
    marks = ""
    if one.likeness is not None:
        marks += TILE_LIKENESS.format(one.likeness)
    if one.is_favourite:
        marks += TILE_MARK.format(icon("heart"), "Favourite")
    if one.kind == Asset.Kind.VIDEO:
        marks += TILE_MARK.format(icon("film"), "Clip")
    # Escaped here is what a person wrote; ids and numbers hold nothing else.
    color, words = escape(one.color or "#808080"), escape(tile_words(one.prompt))
    return _tile().format(id=str(one.id), color=color, words=words, marks=marks)


@register.filter
def tiles(shown: list[Tile]) -> SafeString:
    """Pictures of the library. Thirty of them as a template took a third of the page's time."""
    return SafeString("".join(map(_one, shown)))


@register.filter
def style_title(generation: Generation) -> str:
    known = catalogue.styles().get(generation.style)
    return known.title if known else generation.style


WHAT = {
    "video": "A clip", "edit": "An edit", "enhance": "An enlargement", "restyle": "A restyling",
    "vary": "Variations",
}  # fmt: skip


@register.filter
def asked_for(generation: Generation) -> str:
    """`3 pictures`, `A clip`, `Variations`."""
    if generation.kind in WHAT:
        return WHAT[generation.kind]
    return f"{generation.count} picture{'' if generation.count == 1 else 's'}"


@register.filter
def shape(generation: Generation) -> str:
    """`16x9`: what its placeholders look like."""
    if generation.aspect_ratio == "auto":
        named = set(REFERENCE.findall(generation.prompt))  # no question to the database
        return "7x4" if generation.kind == "image" and len(named) > 1 else "1x1"
    return generation.aspect_ratio.replace(":", "x")


@register.filter
def looks(generation: Generation) -> list[bool]:
    """For each of its pictures whether there is something to see of it by now."""
    known = [length > 0 for length in generation.preview_lengths]
    if generation.preview and not known:
        known = [True]
    return (known + [False] * generation.count)[: generation.count]


@register.filter
def missing_words(generation: Generation) -> str:
    """`Asked for Ada and Byron: found Ada 82, Byron missing.`; nothing where all are there."""
    faces = [face for asset in pictures(generation) for face in asset.measures.get("faces", [])]
    if not any(face["missing"] for face in faces):
        return ""
    names = {str(model.pk): model.name for model in people(generation)}
    best: dict[str, int] = {}
    for face in faces:
        likeness = 0 if face["missing"] else face["likeness"]
        best[face["model"]] = max(best.get(face["model"], 0), likeness)
    asked = " and ".join(names.get(id, "somebody") for id in best)
    found = ", ".join(
        f"{names.get(id, 'somebody')} {likeness or 'missing'}" for id, likeness in best.items()
    )
    return f"Asked for {asked}: found {found}."


@register.filter
def uncharged_words(generation: Generation) -> str:
    """Why some of the credits came back although there are pictures."""
    back = credits(generation.charged * generation.uncharged // generation.count)
    made = len(pictures(generation))
    what = "was not alike enough or did not come out"
    if generation.count == made and generation.likeness_floor:
        what = f"stayed below a likeness of {generation.likeness_floor}"
    return f"{generation.uncharged} of {generation.count} {what}: {back} came back."


@register.filter
def wait_words(jobs_ahead: int) -> str:
    """`, about 2 min`, from how long generations take here; nothing while nobody knows."""
    seconds = pace.wait_s(jobs_ahead)
    if seconds < 1:
        return ""
    return f", about {round(seconds)} s" if seconds < 90 else f", about {round(seconds / 60)} min"


@register.filter
def times(count: int) -> range:
    return range(count)


@register.filter
def ago(moment: datetime) -> str:
    """`just now`, `4 min ago`, `3 h ago`, then the date."""
    minutes = int((timezone.now() - moment).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 24 * 60 else f"{moment:%-d %b %Y}"
