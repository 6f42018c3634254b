"""The API itself: its header, its scopes, and how it says no."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Field, Schema

from billing.refusals import Refusal
from generator.api.auth import Key
from generator.api.base import Api

HEADER = "x-tryiton-key"
READ, GENERATE, TRAIN = (Key(scope, header=HEADER) for scope in ("read", "generate", "train"))
ALWAYS = frozenset({400, 401, 403, 429})  # whatever is asked
OURS = "(Our own: the original is not public.)"


class Problem(Schema):
    """Why not."""

    status: str = Field("error", description='Always "error".')
    message: str = Field(description="A sentence for people.")


class TryitonApi(Api):
    def problem(self, request: HttpRequest, *, code: str, message: str, status: int) -> Any:
        return {"status": "error", "message": message}

    def _refused(self, request: HttpRequest, refusal: Any) -> HttpResponse:
        if refusal.status == 422:  # a status these programs do not know
            refusal = Refusal(refusal.code, refusal.message, status=400)
        return super()._refused(request, refusal)

    def _invalid(self, request: HttpRequest, error: Any) -> HttpResponse:
        response = super()._invalid(request, error)
        response.status_code = 400
        return response


api = TryitonApi(
    title=f"{settings.SITE_NAME}, as TryItOnAI",
    version="1",
    description=(
        "For programs that were written for TryItOnAI: change the address to /api/key and the "
        "key. train-model and recreate take and answer what theirs do, as far as that is public; "
        "every other path and every field that says so is compatible in spirit only."
    ),
    urls_namespace="api-tryiton",
    docs_url=None,
)


def answers(good: Any, *codes: int) -> dict[int | frozenset[int], Any]:
    """What an operation answers: the good case, and every way it may say no."""
    return {200: good, frozenset({*ALWAYS, *codes}): Problem}


def links(**taken: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route: the routes, by function, that take what its answer names."""
    ids = {name: f"generator_api_tryiton_routes_{name}" for name in taken}
    found = {ids[name]: {"operationId": ids[name], **link} for name, link in taken.items()}
    return {"responses": {200: {"links": found}}}
