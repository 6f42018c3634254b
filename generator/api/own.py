"""The studio's own API, `/api/v1`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Schema

from generator.api.auth import Key
from generator.api.base import Api, request_id
from generator.api.shown import Problem

READ, GENERATE, TRAIN = Key("read"), Key("generate"), Key("train")
ALWAYS = frozenset({400, 401, 403, 429})  # whatever is asked


class OwnApi(Api):
    def problem(self, request: HttpRequest, *, code: str, message: str, status: int) -> Any:
        return {"error": {"code": code, "message": message, "request_id": request_id(request)}}

    def invalid(self, request: HttpRequest, fields: list[dict[str, Any]]) -> Any:
        body = super().invalid(request, fields)
        body["error"]["fields"] = fields
        return body


api = OwnApi(
    title=f"{settings.SITE_NAME} API",
    version="1",
    description="Portrait models, pictures and clips of them, and how far they are.",
    urls_namespace="api-v1",
    docs_url=None,
)


def answers(good: Any, *codes: int, status: int = 200) -> dict[int | frozenset[int], Any]:
    """What an operation answers: the good case, and every way it may say no."""
    return {status: good, frozenset({*ALWAYS, *codes}): Problem}


class Page(Schema):
    next: str | None = None


def page_of(items: Iterable[Any], cursor: str) -> dict[str, Any]:
    return {"items": list(items), "next": cursor or None}
