"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing import ledger, plans


def site(request: HttpRequest) -> dict[str, Any]:
    """The studio's name, and for a signed-in person the header's balance and plan."""
    words: dict[str, Any] = {
        "SITE_NAME": settings.SITE_NAME,
        "HAS_MAIL": settings.HAS_MAIL,
        "is_htmx": bool(getattr(request, "htmx", False)),
    }
    user = getattr(request, "user", None)  # absent when a middleware answered early
    if user is not None and user.is_authenticated:
        # Lazy: most answers are fragments, which show neither.
        words["balance"] = SimpleLazyObject(lambda: ledger.balance(user))
        words["plan"] = SimpleLazyObject(lambda: plans.plan_of(user))
    return words
