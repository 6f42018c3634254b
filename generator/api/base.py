"""One django-ninja API of ours: its headers and how it says no."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any, TypeVar

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema

from billing.refusals import Refusal
from generator.api.auth import Rate, TooOften
from generator.api.parsing import Strict
from generator.api.schema import Described

Response = TypeVar("Response", bound=HttpResponseBase)
CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Api(NinjaAPI, ABC):
    """Subclasses say what a problem looks like."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"parser": Strict(), **options})
        self.add_exception_handler(Refusal, self._refused)
        self.add_exception_handler(ValidationError, self._invalid)
        self.add_exception_handler(HttpError, self._http_error)
        self.add_exception_handler(Http404, self._not_found)
        self.add_exception_handler(RequestDataTooBig, self._too_large)

    @abstractmethod
    def problem(self, request: HttpRequest, *, code: str, message: str, status: int) -> Any:
        """The body of every answer that says no."""

    def invalid(self, request: HttpRequest, fields: list[dict[str, Any]]) -> Any:
        """The body of a 422 for values of the wrong shape."""
        where, what = fields[0]["loc"], fields[0]["msg"]
        words = f"{'.'.join(str(part) for part in where[1:]) or where[0]}: {what}"
        return self.problem(request, code="invalid", message=words, status=422)

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        root = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        return Described(self, root)

    def create_response(self, request: HttpRequest, data: Any, **options: Any) -> HttpResponse:
        response = super().create_response(request, data, **options)
        return with_headers(request, response)

    def _refused(self, request: HttpRequest, refusal: Any) -> HttpResponse:
        body = self.problem(
            request, code=refusal.code, message=refusal.message, status=refusal.status
        )
        response = self.create_response(request, body, status=refusal.status)
        if isinstance(refusal, TooOften):
            response["Retry-After"] = str(refusal.wait_s)
        if refusal.status == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response

    def _invalid(self, request: HttpRequest, error: Any) -> HttpResponse:
        fields = [
            {"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]}
            for one in error.errors
        ]
        return self.create_response(request, self.invalid(request, fields), status=422)

    def _http_error(self, request: HttpRequest, error: Any) -> HttpResponse:
        code = CODES.get(error.status_code, "bad_request")
        return self._refused(request, Refusal(code, str(error), status=error.status_code))

    def _not_found(self, request: HttpRequest, error: Any) -> HttpResponse:
        return self._refused(request, Refusal("not_found", "There is no such thing.", status=404))

    def _too_large(self, request: HttpRequest, error: Any) -> HttpResponse:
        return self._refused(request, Refusal("too_large", "This is too large.", status=413))


def with_headers(request: HttpRequest, response: Response) -> Response:
    """The request's id, and what is left of the minute (draft-ietf-httpapi-ratelimit-headers)."""
    response["X-Request-Id"] = request_id(request)
    rate: Rate | None = getattr(request, "rate", None)
    if rate is not None:
        response["RateLimit-Policy"] = f'"minute";q={rate.limit};w=60'
        response["RateLimit"] = f'"minute";r={rate.left};t={rate.reset_s}'
    response["Cache-Control"] = "private, no-store"
    return response


def request_id(request: Any) -> str:
    known: str | None = getattr(request, "request_id", None)
    if known is None:
        known = request.request_id = uuid.uuid4().hex
    return known
