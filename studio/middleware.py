"""The first and the last word on every request: how big it may be, how private the answer is."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from studio.bodies import limit_for, refusal

GetResponse = Callable[[HttpRequest], HttpResponse]
TEXT = ("text/", "application/json", "application/javascript", "image/svg+xml")


class MaxBodyMiddleware:
    """Answers 413 on the declared length: Django itself has no limit for uploads.

    For WSGI, where a body without a declared length counts as empty; ASGI has `bodies`.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit = limit_for(request.path)
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            return HttpResponse("The length of this request is not a number.", status=400)
        if length > limit:
            return HttpResponse(refusal(limit), status=413)
        return self.get_response(request)


class CompressTextMiddleware(GZipMiddleware):
    """Pages, scripts and styles travel compressed; pictures and films are so already.

    Tokens are masked and every answer is of another length, so that lengths tell nothing (BREACH).
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith(TEXT) or kind.startswith("text/event-stream"):  # told at once
            return response
        return super().process_response(request, response)


class PrivatePagesMiddleware:
    """Headers no library sets, and no shared cache for a signed-in person's pages."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault(
            "Permissions-Policy", "camera=(self), microphone=(), geolocation=(), payment=()"
        )
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            response.setdefault("Cache-Control", "private, no-store")
        return response
