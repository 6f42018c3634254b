"""A program with an API key, and what it says and hears."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client

from accounts import keys
from accounts.models import ApiKey, User

ALL = tuple(ApiKey.Scope.values)


class Program:
    """Speaks JSON under one header of one API."""

    def __init__(self, secret: str, *, base: str = "/api/v1", header: str = "X-API-Key") -> None:
        self.client, self.base = Client(), base
        self.headers = {header: secret} if secret else {}

    def __call__(self, method: str, path: str, body: Any = None, /, **headers: str) -> HttpResponse:
        sent = {**self.headers, **{name.replace("_", "-"): v for name, v in headers.items()}}
        options: dict[str, Any] = {"headers": sent}
        if body is not None:
            options |= {"data": body, "content_type": "application/json"}
        return getattr(self.client, method)(self.base + path, **options)  # type: ignore[no-any-return]


def program(
    user: User, *, scopes: tuple[str, ...] = ALL, spend_limit: int | None = None, **options: Any
) -> Program:
    _, secret = keys.create(user, name="a test", scopes=scopes, spend_limit=spend_limit)
    return Program(secret, **options)
