"""Asking for faces of nobody: adults only, in the words of the form."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from billing.plans import plan_of
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.engine.attributes import AGE, Attributes
from generator.jobs.models import Generation
from generator.jobs.services import submit_generation

if TYPE_CHECKING:
    from accounts.models import User

# The slider starts at 18; these are the ways around it in typed words.
_TYPED_AGE = re.compile(r"\b(\d{1,3})[\s-]*(?:years?|yrs?|y\.?\s?o\.?)\b", re.IGNORECASE)
_MINORS = re.compile(
    r"\b(?:child(?:ren)?|kids?|toddlers?|bab(?:y|ies)|infants?|minors?|under-?age|pre-?teens?"
    r"|teen(?:ager)?s?|school-?(?:girl|boy)s?|little (?:girl|boy)s?)\b",
    re.IGNORECASE,
)


def generate_faces(
    user: User,
    *,
    id: uuid.UUID,
    attributes: Attributes,
    count: int,
    pose: Asset | None = None,
    recreated: Asset | None = None,
) -> Generation:
    """`count` pictures of one invented person each. The same `id` again is the same generation.

    `recreated` is a drawn face to keep: what is asked otherwise now is drawn otherwise, the rest
    stays. Raises Refusal: too_young, advanced_settings and what `submit_generation` raises.
    """
    refuse_minors(attributes)
    _check_plan(user, attributes)
    return submit_generation(
        user,
        id=id,
        kind=Generation.Kind.FACE,
        prompt=attributes.to_prompt(),
        negative_prompt=attributes.negative_prompt,
        attributes=attributes.to_dict(),
        count=count,
        seed=_seed(attributes, pose, recreated),
        pose=pose,
    )


def _check_plan(user: User, attributes: Attributes) -> None:
    """The other two advanced settings are checked by `submit_generation`, under the lock."""
    plan = plan_of(user)
    if (attributes.prompt_start or attributes.prompt_end) and not plan.advanced_settings:
        raise Refusal(
            "advanced_settings",
            f"Prompt start and Prompt end are not part of the {plan.title} plan.",
            status=403,
        )


def _seed(attributes: Attributes, pose: Asset | None, recreated: Asset | None) -> int | None:
    """That of the face to keep; a new one (None) where the very same picture would come back."""
    before = recreated.generation if recreated else None
    if recreated is None or before is None:
        return None
    is_same = before.attributes == attributes.to_dict() and before.pose_id == (pose and pose.pk)
    return None if is_same else recreated.seed


def refuse_minors(attributes: Attributes) -> None:
    """Raises Refusal("too_young") for typed words that ask for somebody under 18."""
    typed = " ".join(
        str(value)
        for name, value in attributes.to_dict().items()
        if isinstance(value, str) and name != "negative_prompt"
    )
    ages = (int(age) for age in _TYPED_AGE.findall(typed))
    if attributes.age < AGE[0] or _MINORS.search(typed) or any(age < AGE[0] for age in ages):
        raise Refusal("too_young", "Only adults are drawn here. Ask for somebody of 18 or more.")
