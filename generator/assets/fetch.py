"""Asks other people's servers."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from django.conf import settings

from billing.refusals import Refusal

TIMEOUT_S = 10.0


def is_allowed(url: str) -> None:
    """Raises Refusal: bad_url."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not (parts.scheme == "https" or parts.netloc in settings.FETCH_ALLOW):
        words = "Please give a public address that begins with https://."
        raise Refusal("bad_url", words, status=HTTPStatus.BAD_REQUEST)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer. Raises Refusal: bad_url, url_unreachable."""
    is_allowed(url)
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT_S)
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        words = "The address did not answer."
        raise Refusal("url_unreachable", words, status=HTTPStatus.BAD_REQUEST) from None
    finally:
        connection.close()
