"""`/api/docs/moving/`: what differs for programs that come from another service."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

FILE = Path(__file__).with_name("moving.toml")


@cache
def services() -> list[dict[str, Any]]:
    """Each with `name`, `about` and `rows` of what it is there and here."""
    found: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["service"]
    return found


@require_safe
def moving(request: HttpRequest) -> HttpResponse:
    return render(request, "generator/api_moving.html", {"services": services()})
