"""Is the person sitting at the computer that runs the studio?

Two conveniences depend on it: codes shown on the page when there is no mail server, and the
first account becoming the administrator. Both would be a gift to a stranger anywhere else.
"""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via")


def is_at_this_computer(request: HttpRequest) -> bool:
    """The site's address is local, the connection too, and no proxy stands in between."""
    if not settings.IS_LOCAL or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
