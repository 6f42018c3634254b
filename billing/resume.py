"""The way back to exactly what a person was doing when a limit stopped them.

The form they sent is kept in their session; after Checkout its page opens again with every value,
and what was not allowed is sent once more by itself. Nothing of it is ever put into an address.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, QueryDict
from django.utils.http import url_has_allowed_host_and_scheme

KEY = "resume"  # of the session
KEPT_S = 24 * 3600
BYTES_MAX = 32 * 1024  # of values; a longer form is not kept
NEVER = ("csrfmiddlewaretoken", "password", "file")


@dataclass(frozen=True)
class Resumed:
    """A form as it was sent, for the page that shows it again."""

    values: QueryDict
    is_sent: bool  # whether the page sends it once more by itself


def keep(
    request: HttpRequest,
    *,
    path: str = "",
    query: Mapping[str, str] | None = None,
    send: bool = True,
) -> None:
    """Remember the form of this POST. `path`: its page, where that is not where it came from.

    `send`: the person wanted it done, so it may be sent again when they are back.
    """
    if request.method != "POST":
        return
    page = path or _page_of(request)
    values = [
        (name, value)
        for name, found in request.POST.lists()
        if name not in NEVER
        for value in found
    ]
    sent = urlencode(values)
    if page and len(sent) <= BYTES_MAX:
        address = f"{page}?{urlencode(dict(query))}" if query else page
        request.session[KEY] = {
            "page": address, "form": request.path, "sent": sent, "at": time.time(), "send": send,
        }  # fmt: skip


def _page_of(request: HttpRequest) -> str:
    """The page of this site that sent the form, with its question mark's part."""
    address = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    parts = urlsplit(address)
    # A path of two slashes would be a host to the browser that is sent back.
    if parts.netloc != request.get_host() or not url_has_allowed_host_and_scheme(parts.path, None):
        return ""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def way_back(request: HttpRequest, *, send: bool = True) -> str | None:
    """The address of the page that was left. `send`: the form is sent again once it is there."""
    kept = _kept(request)
    if kept is None:
        return None
    request.session[KEY] = {**kept, "send": send and kept["send"], "back": True}
    page = str(kept["page"])
    return f"{page}{'&' if '?' in page else '?'}resume=1"


def take(request: HttpRequest, *forms: str) -> Resumed | None:
    """For the page itself: what was sent to one of these addresses from it, once."""
    if "resume" not in request.GET:
        return None
    kept = _kept(request)
    if kept is None or not kept.get("back") or kept["form"] not in forms:
        return None
    del request.session[KEY]
    return Resumed(QueryDict(str(kept["sent"])), bool(kept["send"]))


def _kept(request: HttpRequest) -> dict[str, Any] | None:
    kept = request.session.get(KEY)
    is_fresh = isinstance(kept, dict) and time.time() - float(kept.get("at", 0)) < KEPT_S
    return kept if is_fresh else None
