"""The front door: home, the design system's living page, and whether the house stands."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from accounts.models import User
from billing.plans import PLANS, default_plan
from generator.assets.models import Asset
from generator.portraits.models import PortraitModel
from studio import design_samples

MODELS_SHOWN = 8
PICTURES_SHOWN = 18  # two rows of the widest page


def home(request: HttpRequest) -> HttpResponse:
    context = {"plans": PLANS.values(), "free": default_plan(), **_own_things(request.user)}
    return render(request, "home.html", context)


def _own_things(user: User | AnonymousUser) -> dict[str, Any]:
    """A signed-in person's ready models and latest pictures, in two queries."""
    if not user.is_authenticated:
        return {}
    ready = PortraitModel.objects.filter(owner=user).exclude(weights="")
    pictures = Asset.objects.made().filter(owner=user, generation__isnull=False)
    return {
        "models": ready[:MODELS_SHOWN],
        "latest": pictures.select_related("generation")[:PICTURES_SHOWN],
    }


def design(request: HttpRequest) -> HttpResponse:
    """Every component in each of its states, for the people who build the studio."""
    if not (settings.DEBUG or request.user.is_staff):
        raise Http404
    return render(request, "studio/design.html", design_samples.context(request.user))


def health(request: HttpRequest) -> JsonResponse:
    """200 once the database answers; used by the supervisor and by load balancers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})
