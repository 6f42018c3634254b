"""What is left, when more comes, where it went, and what things cost."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.access import person, sign_in_required
from billing import allowance
from billing.plans import STANDARD, cost, qualities
from billing.refusals import Refusal
from billing.statement import FILTERS, csv_rows, statement

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
    standing, kind = allowance.standing(person(request)), request.GET.get("kind", "")
    page = statement(standing, before=_entry(request), kind=kind if kind in FILTERS else "")
    now = timezone.now()
    context = {
        "standing": standing,
        "plan": standing.terms.plan,
        "left": standing.left,
        "refill": allowance.next_refill(standing.terms, allowance=standing.head.allowance, now=now),
        "page": page,
        "filters": [(word, words) for word, (words, _) in FILTERS.items()],
        "costs": [(words, qualities(kind)) for kind, words in COST_WORDS.items()],
    }
    return render(request, "billing/usage.html", context)


def _entry(request: HttpRequest) -> int | None:
    """Where an older page begins. 2**63 and more is no id; SQLite would not even compare it."""
    before = request.GET.get("before", "")
    return int(before) if before.isdecimal() and before.isascii() and len(before) < 19 else None


class Echo:
    """A file for csv.writer that hands every line straight on."""

    def write(self, line: str) -> str:
        return line


@require_safe
@sign_in_required
def statement_csv(request: HttpRequest) -> HttpResponseBase:
    rows = csv_rows(person(request))
    writer = csv.writer(Echo())
    lines: Iterator[Any] = (writer.writerow(row) for row in rows)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="credits.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@require_safe
@sign_in_required
def balance(request: HttpRequest) -> HttpResponse:
    """The header's fragment, for whoever wants to refresh it."""
    return render(request, "components/_balance.html")


@require_POST
def estimate(request: HttpRequest) -> JsonResponse:
    """What a request would cost, as a form or as JSON: the number that would be charged.

    {"kind": "video", "count": 1, "seconds": 3, "quality": "fine"}
    """
    try:
        credits = cost(**_asked(request))
    except Refusal as refusal:
        told = {"code": refusal.code, "message": refusal.message}
        return JsonResponse({"error": told}, status=refusal.status)
    answer: dict[str, Any] = {"credits": credits}
    if request.user.is_authenticated:
        left = allowance.balance(person(request))
        answer |= {"balance": left, "is_enough": credits <= left}
    return JsonResponse(answer)


def _asked(request: HttpRequest) -> dict[str, Any]:
    """Raises Refusal: bad_request, bad_count, bad_seconds."""
    sent: Any = request.POST.dict()
    if request.content_type == "application/json":
        try:
            sent = json.loads(request.body)
        except (ValueError, RecursionError):
            sent = None
    if not isinstance(sent, dict):
        raise Refusal("bad_request", "This is not JSON.", status=HTTPStatus.BAD_REQUEST)
    seconds = sent.get("seconds")
    return {
        "kind": str(sent.get("kind", "")),
        "count": _number(sent.get("count", 1), int, "bad_count", "how many"),
        "seconds": None
        if seconds in (None, "")
        else _number(seconds, float, "bad_seconds", "how many seconds"),
        "quality": str(sent.get("quality") or STANDARD),
    }


def _number(value: object, read: type[int] | type[float], code: str, what: str) -> Any:
    try:
        if len(str(value)) > 20 or isinstance(value, bool):
            raise ValueError
        return read(str(value))
    except ValueError:
        raise Refusal(code, f"Please say {what} as a number.") from None
