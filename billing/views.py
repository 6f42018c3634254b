"""What is left, when more comes, and where it went."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.access import person, sign_in_required
from billing import ledger
from billing.plans import PLANS, cost, plan_of
from billing.statement import statement

COST_WORDS = {
    "training": "Training of a portrait model",
    "face": "A face of the influencer generator",
    "image": "A picture",
    "video": "A second of a clip",
    "edit": "An edited picture",
    "enhance": "An enhanced picture",
}


@require_safe
@sign_in_required
def usage(request: HttpRequest) -> HttpResponse:
    user = person(request)
    before = request.GET.get("before", "")
    # 2**63 and more is no id; SQLite would not even compare it.
    lines, older = statement(
        user, before=int(before) if before.isdecimal() and len(before) < 19 else None
    )
    plan, left = plan_of(user), ledger.balance(user)
    context = {
        "left": left,
        "refill": ledger.next_refill(plan, left=left, now=timezone.now()),
        "lines": lines,
        "older": older,
        "plans": PLANS.values(),
        "costs": [(words, cost(kind, seconds=1)) for kind, words in COST_WORDS.items()],
    }
    return render(request, "billing/usage.html", context)


@require_safe
@sign_in_required
def balance(request: HttpRequest) -> HttpResponse:
    """The header's fragment, for whoever wants to refresh it."""
    return render(request, "components/_balance.html")
