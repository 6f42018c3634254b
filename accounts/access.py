"""Who may pass, and what the others see."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django_htmx.http import reswap, retarget

from accounts.dialog import sign_in_context
from accounts.models import User

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def sign_in_required(view: View[P]) -> View[P]:
    """The signed-out get the sign-in dialog (HTMX) or the sign-in page (everything else)."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return ask_to_sign_in(request)

    return guarded


def person(request: HttpRequest) -> User:
    """Who is here, for views behind `sign_in_required`."""
    assert isinstance(request.user, User)
    return request.user


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """401 with the dialog for HTMX, which swaps it; else a redirect that comes back.

    A form that was posted cannot be replayed after signing in: the way back is its page.
    """
    if not request.headers.get("HX-Request"):
        back = request.get_full_path() if request.method in ("GET", "HEAD") else _page_of(request)
        return redirect_to_login(back)
    response = render(request, "accounts/_sign_in.html", sign_in_context(request), status=401)
    return reswap(retarget(response, "#dialog"), "innerHTML")


def _page_of(request: HttpRequest) -> str:
    """The page a form was posted from, if it is one of ours; else home."""
    referer, own = request.headers.get("Referer", ""), request.build_absolute_uri("/")
    return "/" + referer.removeprefix(own) if referer.startswith(own) else "/"
