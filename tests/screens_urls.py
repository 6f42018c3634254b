"""The studio's addresses, each error page under one of its own, with status 200, and the page of
an engine for a GPU."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.test.utils import override_settings
from django.urls import path

from generator.portraits.views_sheet import portrait_model_views
from studio.urls import handler404 as handler404
from studio.urls import handler429 as handler429
from studio.urls import urlpatterns as studio_urls

WORDS = {
    "status": 402,
    "message": "This costs 16 credits and 3 are left. Tomorrow there are more.",
}


def error(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, f"{name}.html", WORDS)


def views(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Where an engine for a GPU is in use: the embedded one makes no views."""
    with override_settings(ENGINE_IMAGE="klein"):
        return portrait_model_views(request, id)


urlpatterns = [
    *studio_urls,
    path("errors/<slug:name>/", error),
    path("klein/models/<uuid:id>/views/", views),
]
