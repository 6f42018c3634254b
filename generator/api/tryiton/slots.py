"""Which models a person has: used ones, and as many others as their plan still has room for."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.db import transaction

from billing import ledger
from billing.plans import plan_named
from billing.refusals import Refusal
from generator.api.tryiton.models import Slot
from generator.portraits.models import PortraitModel
from generator.workstation.forms import as_uuid

if TYPE_CHECKING:
    from accounts.models import User


def listed(user: User) -> list[Slot]:
    """Those that are used, then the unused ones that fit. Made here, so their ids stay."""
    with transaction.atomic():
        subscription = ledger.locked(user)
        slots = list(Slot.objects.filter(owner=user))
        used = [slot for slot in slots if slot.used_at]
        unused = [slot for slot in slots if not slot.used_at]
        free = plan_named(subscription.plan).portrait_models - _taken(user, used)
        while len(unused) < free:
            unused.append(Slot.objects.create(owner=user))
    return [*used, *unused[: max(0, free)]]


def one(user: User, sent: str) -> Slot:
    """Raises Refusal("not_found") for unknown and foreign ids alike."""
    id = as_uuid(sent)
    found = Slot.objects.filter(owner=user, pk=id).first() if id else None
    if found is None:
        raise Refusal("not_found", "There is no such model.", status=404)
    return found


def trained(slots: list[Slot]) -> set[uuid.UUID]:
    """The ids of those whose training is done."""
    wanted = {slot.learns_as: slot.pk for slot in slots if slot.learns_as}
    ready = PortraitModel.objects.filter(pk__in=wanted).exclude(weights="")
    done = {wanted[pk] for pk in ready.values_list("pk", flat=True)}
    return done | {slot.pk for slot in slots if slot.asked}  # deleted in the studio since


def _taken(user: User, used: list[Slot]) -> int:
    """Portrait models, and those that are still to come of photos."""
    there = set(PortraitModel.objects.filter(owner=user).values_list("pk", flat=True))
    coming = [slot for slot in used if slot.learns_as not in there and not slot.over_at]
    return len(there) + len(coming)
