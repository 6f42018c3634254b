"""Heights and weights in the units a person reads, and where that choice is kept.

Signed in, the account keeps it; signed out, a cookie does. Signing in in place takes the cookie's
choice along.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.models import User

METRIC, IMPERIAL = User.Units.METRIC.value, User.Units.IMPERIAL.value
COOKIE = "units"
KEPT = timedelta(days=365)
CM_PER_INCH = 2.54
LB_PER_KG = 2.20462  # as static/js/units.js


def height_words(cm: int, units: str) -> str:
    """`168 cm` or `5′ 6″`."""
    if units != IMPERIAL:
        return f"{cm} cm"
    feet, inches = divmod(round(cm / CM_PER_INCH), 12)
    return f"{feet}′ {inches}″"


def weight_words(kg: int, units: str) -> str:
    """`60 kg` or `132 lb`."""
    return f"{round(kg * LB_PER_KG)} lb" if units == IMPERIAL else f"{kg} kg"


def units_of(request: HttpRequest) -> str:
    """What this person reads heights and weights in, from this request on."""
    if isinstance(request.user, User):
        return _posted(request) or _before_signing_in(request) or request.user.units
    return _posted(request) or request.COOKIES.get(COOKIE, "") or METRIC


def remember(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Keep the units that were posted, or those chosen before signing in."""
    if isinstance(request.user, User):
        _keep(request.user, units_of(request))
        if COOKIE in request.COOKIES:
            response.delete_cookie(COOKIE)
    elif posted := _posted(request):
        response.set_cookie(
            COOKIE, posted, max_age=KEPT, httponly=True, samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )  # fmt: skip
    return response


def _posted(request: HttpRequest) -> str:
    """`remember` comes with a choice only: a form sent for another reason changes nothing."""
    units = request.POST.get("units", "") if "remember" in request.POST else ""
    return units if units in User.Units.values else ""


def _before_signing_in(request: HttpRequest) -> str:
    """The cookie's choice, to be taken along by the answer to a POST."""
    units = request.COOKIES.get(COOKIE, "") if request.method == "POST" else ""
    return units if units in User.Units.values else ""


def _keep(user: User, units: str) -> None:
    if user.units != units:
        user.units = units
        user.save(update_fields=["units"])
