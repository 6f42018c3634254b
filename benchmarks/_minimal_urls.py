"""`/minimal/<id of a training>/`: the least a view of the studio can do. What pages are held to.

The whole middleware, one signed-in person, one row of theirs, one line of template.
"""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template import engines
from django.urls import path

from accounts.access import sign_in_required
from generator.jobs.models import Training
from studio.urls import handler404 as handler404
from studio.urls import handler429 as handler429
from studio.urls import urlpatterns as studio_urls

PAGE = engines["django"].from_string(
    "<!doctype html><title>{{ SITE_NAME }}</title><p>Yours is {{ training.state }}.</p>"
)


@sign_in_required
def minimal(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    training = get_object_or_404(Training, id=id, owner=request.user)
    return HttpResponse(PAGE.render({"training": training}, request))


urlpatterns = [*studio_urls, path("minimal/<uuid:id>/", minimal)]
