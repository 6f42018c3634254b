"""The studio's addresses, and each error page under one of its own, with status 200."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from studio.urls import handler404 as handler404
from studio.urls import handler429 as handler429
from studio.urls import urlpatterns as studio_urls

WORDS = {
    "status": 402,
    "message": "This costs 16 credits and 3 are left. Tomorrow there are more.",
}


def error(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, f"{name}.html", WORDS)


urlpatterns = [*studio_urls, path("errors/<slug:name>/", error)]
