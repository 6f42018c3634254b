"""What programs send, as text that every database can keep."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.errors import HttpError
from ninja.parser import Parser

HALF = re.compile("[\ud800-\udfff]")  # of a pair of surrogates


class Strict(Parser):
    """Refuses with 400 what JSON cannot say or PostgreSQL cannot keep."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        sent: dict[str, Any] = json.loads(request.body, parse_constant=_no_number)
        _check(sent)
        return sent

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        for name in data:
            for value in (name, *data.getlist(name)):
                _check(value)
        return super().parse_querydict(data, list_fields, request)


def _no_number(word: str) -> None:
    raise HttpError(400, f"{word} is no number in JSON.")


def _check(sent: Any) -> None:
    """Raises HttpError: no NUL, no half of a character, no number without an end."""
    if isinstance(sent, str):
        if "\0" in sent or HALF.search(sent):
            raise HttpError(400, "Text may hold neither NUL nor half of a character.")
    elif isinstance(sent, float) and not math.isfinite(sent):
        raise HttpError(400, "This number is too large.")
    elif isinstance(sent, list):
        for one in sent:
            _check(one)
    elif isinstance(sent, dict):
        for name, value in sent.items():
            _check(name)
            _check(value)
