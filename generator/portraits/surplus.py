"""Portrait models beyond the plan's number, after a move to a smaller plan.

Nothing is deleted: the oldest ones stay in use, as many as the plan holds, and the others are
read-only until the plan is larger again or another one is deleted. Nobody has to write that down:
it follows from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db.models import Count, OuterRef, Q, Subquery

from billing.plans import Plan, plan_of
from billing.refusals import Refusal
from generator.portraits.models import PortraitModel

if TYPE_CHECKING:
    from accounts.models import User

_OLDER = Q(created_at__lt=OuterRef("created_at"))
_OLDER |= Q(created_at=OuterRef("created_at"), id__lt=OuterRef("id"))
_OLDER_ONES = PortraitModel.objects.filter(_OLDER, owner=OuterRef("owner")).order_by()
# How many models its owner made before a model, within its own query; None: not one.
BEFORE = Subquery(_OLDER_ONES.values("owner").annotate(number=Count("id")).values("number"))


def mark(models: Iterable[PortraitModel], plan: Plan) -> None:
    """Sets `is_surplus` on all of one person's models, for lists."""
    oldest_first = sorted(models, key=lambda model: (model.created_at, model.id))
    for place, model in enumerate(oldest_first):
        model.is_surplus = place >= plan.portrait_models  # type: ignore[attr-defined]


def is_surplus(model: PortraitModel) -> bool:
    """As marked; else two queries."""
    known = getattr(model, "is_surplus", None)
    if known is not None:
        return bool(known)
    older = Q(created_at__lt=model.created_at) | Q(created_at=model.created_at, id__lt=model.id)
    before = PortraitModel.objects.filter(older, owner=model.owner_id).count()
    return before > 0 and before >= plan_of(model.owner).portrait_models


def check_usable(model: PortraitModel, user: User) -> None:
    """Raises Refusal("model_read_only")."""
    if not is_surplus(model):
        return
    if model.owner_id != user.pk:
        raise Refusal("model_read_only", f"{model.name} is not in use at the moment.", status=403)
    plan = plan_of(model.owner)
    holds = "1 model" if plan.portrait_models == 1 else f"{plan.portrait_models} models"
    raise Refusal(
        "model_read_only",
        f"The {plan.title} plan holds {holds}, so {model.name} is read-only. Upgrade to use it "
        "again, or delete another model.",
        status=403,
    )
