"""How often somebody may do something. Counted in the shared cache, so across processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django_htmx.http import reswap, retarget

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

SECONDS = {"s": 1, "min": 60, "h": 3600}


def limited(key: str, rate: str) -> Callable[[View[P]], View[P]]:
    """At most `rate` ("30/min", "60/h") requests that change something, per person or address.

    GET and HEAD are not counted. The answer to one too many is 429 with `Retry-After`.
    """
    amount, unit = rate.split("/")

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def counted(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method in ("GET", "HEAD"):
                return view(request, *args, **kwargs)
            wait_s = take(f"{key}:{_who(request)}", int(amount), SECONDS[unit])
            return too_often(request, wait_s) if wait_s else view(request, *args, **kwargs)

        return counted

    return decorate


def take(key: str, amount: int, period_s: int) -> int:
    """Count one; 0 if it was allowed, else the seconds until the next period begins.

    Redis counts atomically. The embedded studio's file cache may lose a count when two requests
    of one person meet within a millisecond: a limit is a brake there, not a lock.
    """
    taken, left_s = count(key, period_s)
    return 0 if taken <= amount else left_s


def count(key: str, period_s: int, *, store: BaseCache = cache) -> tuple[int, int]:
    """Count one; how many there were in this period, and the seconds until the next one begins."""
    window, gone_s = divmod(int(time.time()), period_s)
    left_s = period_s - gone_s
    # Even and odd periods take turns: exact at the border, and two files per person, not more.
    name = f"limit:{key}:{window % 2}"
    store.add(name, 0, timeout=left_s)
    try:
        taken = store.incr(name)
    except ValueError:  # it expired between the two lines
        return 0, left_s
    store.touch(name, timeout=left_s)  # incr() of the file cache would keep it 300 s only
    return taken, left_s


def too_often(request: HttpRequest, wait_s: int) -> HttpResponse:
    """A sentence in #notices for HTMX, a page for everything else."""
    minutes = -(-wait_s // 60)
    context = {"wait": "a minute" if minutes == 1 else f"{minutes} minutes"}
    if request.headers.get("HX-Request"):
        response = render(request, "accounts/_too_often.html", context, status=429)
        response = reswap(retarget(response, "#notices"), "beforeend")
    else:
        response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(wait_s)
    return response


def handler429(request: HttpRequest) -> HttpResponse:
    """allauth's own limits answer through this; it does not say how long they last."""
    return too_often(request, 60)


def _who(request: HttpRequest) -> str:
    if request.user.is_authenticated:
        return f"user:{request.user.pk}"
    return f"ip:{get_adapter(request).get_client_ip(request)}"
