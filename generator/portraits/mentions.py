"""People named in a prompt: "@Ada" as it is typed, "[[id]]" as it is kept.

A name is looked for as the longest one that fits after an @, among the models that were picked,
the person's own, then public ones; what fits nobody stays text. Ids are taken as they are, and
one that may not be used is refused like one that was never there.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django.db.models import Q

from billing.refusals import Refusal
from generator.jobs.models import NAMED_MAX
from generator.portraits.models import NAME_MAX, PortraitModel, PortraitModelQuerySet

if TYPE_CHECKING:
    from accounts.models import User

REFERENCE = re.compile(r"\[\[([A-Za-z0-9_-]+)\]\]")
AT = re.compile(r"(?<![\w.])@(?=\w)")  # not the @ of an address


def resolve(
    user: User, prompt: str, picked: Sequence[PortraitModel] = ()
) -> tuple[str, list[PortraitModel]]:
    """The prompt with ids, and whom it shows: those it names, else those picked.

    Raises Refusal: not_found, named_too_often.
    """
    known = [*picked, *_candidates(user, prompt)]
    kept = _with_ids(prompt, known)
    named = REFERENCE.findall(kept)
    if len(named) > NAMED_MAX:
        raise Refusal("named_too_often", f"Name people at most {NAMED_MAX} times in a prompt.")
    by_id = {str(model.pk): model for model in known}
    people: dict[str, PortraitModel] = {}
    for name in named:
        if name.lower() not in by_id:
            raise Refusal("not_found", "There is no such model.", status=404)
        people.setdefault(name.lower(), by_id[name.lower()])
    return kept, list(people.values()) or list(dict.fromkeys(picked))


def shown(prompt: str, people: Iterable[PortraitModel]) -> str:
    """The prompt as it was typed: names instead of ids."""
    names = {str(model.pk): model.name for model in people}
    return REFERENCE.sub(lambda found: f"@{names.get(found[1].lower(), 'somebody')}", prompt)


def _candidates(user: User, prompt: str) -> list[PortraitModel]:
    """Models the prompt may mean: own ones first."""
    ids = [found for found in map(_as_uuid, REFERENCE.findall(prompt)) if found]
    names = {name for at in AT.finditer(prompt) for name in _names(prompt[at.end() :])}
    if not ids and not names:
        return []
    usable: PortraitModelQuerySet = PortraitModel.objects.usable_by(user)
    found = usable.filter(Q(pk__in=ids) | Q(owner=user) | Q(name__in=names))
    return sorted(found, key=lambda model: model.owner_id != user.pk)


def _names(text: str) -> list[str]:
    """What a name may be that begins here: up to the end of every word, the longest first."""
    text = text[:NAME_MAX]
    ends = [found.end() for found in re.finditer(r"\S+?(?=$|\W)|\S+", text)]
    return [text[:end] for end in sorted(set(ends), reverse=True)]


def _with_ids(prompt: str, known: Sequence[PortraitModel]) -> str:
    by_name: dict[str, PortraitModel] = {}
    for model in known:
        by_name.setdefault(model.name.casefold(), model)
    parts, at = [], 0
    for found in AT.finditer(prompt):
        if found.start() < at:
            continue
        rest = prompt[found.end() :]
        name = next((name for name in _names(rest) if name.casefold() in by_name), "")
        if name:
            parts += [prompt[at : found.start()], f"[[{by_name[name.casefold()].pk}]]"]
            at = found.end() + len(name)
    return "".join([*parts, prompt[at:]])


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
