"""The mount, and problems in Phota's words: `{code, detail, request_id}`."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Schema

from billing.refusals import Refusal
from generator.api.auth import Key
from generator.api.base import Api, request_id

# Ours to theirs; every other code is the same in capitals.
CODES = {
    "bad_image": "INVALID_IMAGE",
    "not_an_image": "INVALID_IMAGE",
    "bad_url": "INVALID_IMAGE",
    "url_unreachable": "INVALID_IMAGE",
    "model_not_ready": "PROFILE_NOT_READY",
    "key_limit": "INSUFFICIENT_CREDITS",
    "named_too_often": "INVALID_REQUEST",
    "invalid": "INVALID_REQUEST",
}


class Problem(Schema):
    """Why not."""

    code: str = Field(description="Stable, for programs. The words are ours.")
    detail: Any = Field(description="A sentence; a list of {loc, msg, type} with 422.")
    request_id: str


class PhotaApi(Api):
    def problem(self, request: HttpRequest, *, code: str, message: str, status: int) -> Any:
        known = CODES.get(code, code.upper())
        return {"code": known, "detail": message, "request_id": request_id(request)}

    def invalid(self, request: HttpRequest, fields: list[dict[str, Any]]) -> Any:
        return {"code": "INVALID_REQUEST", "detail": fields, "request_id": request_id(request)}

    def _refused(self, request: HttpRequest, refusal: Any) -> HttpResponse:
        if refusal.status == 422:  # here it says that `detail` is a list; a sentence comes with 400
            refusal = Refusal(refusal.code, refusal.message, status=400)
        return super()._refused(request, refusal)


api = PhotaApi(
    title="Phota-shaped API",
    version="0.7.0",
    description="For programs that call Phota: change the address and the key.",
    urls_namespace="api-phota",
    docs_url=None,
)
READ, GENERATE, TRAIN = (Key(scope, missing=403) for scope in ("read", "generate", "train"))
ALWAYS = frozenset({401, 403, 429})


def answers(good: Any, *codes: int, status: int = 200, **more: Any) -> dict[Any, Any]:
    return {status: good, frozenset({*ALWAYS, *codes}): Problem, **more}
