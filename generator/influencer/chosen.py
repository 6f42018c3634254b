"""The faces a person drew: which one is meant, what it was asked for with."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import User
from generator.assets.models import Asset
from generator.engine.attributes import Attributes, InvalidAttribute
from generator.jobs.models import Generation

INDEX_DIGITS = 4  # far more pictures than one generation has


def faces(user: User | AnonymousUser) -> QuerySet[Generation]:
    """This person's face generations with their pictures."""
    if not isinstance(user, User):
        return Generation.objects.none()
    rows = Generation.objects.filter(owner=user, kind=Generation.Kind.FACE)
    return rows.select_related("pose").prefetch_related("assets")


def find(user: User | AnonymousUser, text: str) -> tuple[Generation | None, int]:
    """`<generation>[.<index>]` of this person, else nothing."""
    id, _, index = text.partition(".")
    try:
        generation = faces(user).filter(id=uuid.UUID(id)).first()
    except ValueError:
        return None, 0
    is_number = index.isascii() and index.isdigit() and len(index) <= INDEX_DIGITS
    return generation, int(index) if is_number else 0


def picture(generation: Generation | None, index: int) -> Asset | None:
    """The finished picture at this place, if there is one."""
    if generation is None:
        return None
    return next((asset for asset in generation.assets.all() if asset.index == index), None)


def attributes_of(generation: Generation) -> Attributes | None:
    """What the form said, or None where it does not hold any more."""
    try:
        return Attributes.from_dict(generation.attributes)
    except (InvalidAttribute, TypeError):
        return None


def own_pose(user: User | AnonymousUser, id: Any) -> Asset | None:
    """A picture of this person, to take a pose from."""
    try:
        wanted = uuid.UUID(str(id))
    except ValueError:
        return None
    return Asset.objects.filter(id=wanted, owner=user).first() if user.is_authenticated else None
