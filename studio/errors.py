"""Refusals and wrong turns in words: a notice for HTMX, a page for everybody else."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import reswap, retarget

from billing.refusals import Refusal

GetResponse = Callable[[HttpRequest], HttpResponse]


class RefusalMiddleware:
    """Answers a Refusal that no view put into its own form."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, Refusal):
            return None
        if getattr(request, "htmx", False):
            return notice(request, error.message, status=error.status)
        context = {"status": error.status, "message": error.message}
        return render(request, "refusal.html", context, status=error.status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The same answer for what was never there and for what belongs to somebody else."""
    if getattr(request, "htmx", False):
        return notice(request, "This is not here any more.", status=404)
    return render(request, "404.html", status=404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    if request.headers.get("HX-Request") == "true":  # django_htmx comes later in the chain
        words = "This page is out of date. Reload it and try again."
        return notice(request, words, status=403)
    return render(request, "403_csrf.html", status=403)


def notice(request: HttpRequest, words: str, *, status: int) -> HttpResponse:
    """An answer that leaves the page as it is and says `words` in a corner of it."""
    context = {"text": words, "kind": "bad", "oob": False}
    response = render(request, "components/_notice.html", context, status=status)
    return reswap(retarget(response, "#notices"), "beforeend")
