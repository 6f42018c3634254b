"""Addresses of pictures that are not drawn yet: signed, open for a day, told beforehand."""

from __future__ import annotations

import re
import uuid

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from billing.refusals import Refusal
from generator.assets import views
from generator.assets.links import OPEN_FOR
from generator.assets.models import Asset
from generator.jobs.lifecycle import UNFINISHED, State
from generator.jobs.models import Generation

_SIGNER = TimestampSigner(salt="generator.api.tryiton.pictures")
_PATH = re.compile(r"/api/key/pictures/([0-9a-f-]{36})(?:[?#].*)?")


class NotYet(Refusal):
    """404: what these programs ask again for."""

    def __init__(self) -> None:
        super().__init__("not_yet", "This picture is being made. Ask again in 5 s.", status=404)


def address(generation: Generation) -> str:
    """Where the first picture of it will be."""
    path = reverse("api-tryiton:picture", args=[generation.pk])
    _, signature = _SIGNER.sign(str(generation.pk)).split(":", 1)
    return f"{settings.SITE_URL}{path}?signature={signature}"


def named(value: str) -> uuid.UUID | None:
    """Of which generation this is the address."""
    found = _PATH.fullmatch(value.removeprefix(settings.SITE_URL))
    try:
        return uuid.UUID(found[1]) if found else None
    except ValueError:
        return None


def opened(request: HttpRequest, id: uuid.UUID, signature: str) -> HttpResponseBase:
    """The picture itself, as the media door hands it out. Raises Http404, NotYet, not_made."""
    try:
        _SIGNER.unsign(f"{id}:{signature}", max_age=OPEN_FOR)
    except BadSignature as error:
        raise Http404 from error
    generation = Generation.objects.filter(pk=id).select_related("owner").first()
    if generation is None:
        raise Http404
    picture = first(generation)
    request.user = generation.owner  # who handed the address on
    return views.asset(request, picture.pk)


def first(generation: Generation) -> Asset:
    """Raises Refusal: not_yet, not_made."""
    picture = Asset.objects.live().filter(generation=generation).order_by("index").first()
    if picture is not None:
        return picture
    if generation.state in UNFINISHED:
        raise NotYet
    words = {State.FAILED: generation.error_message, State.CANCELED: "This picture was canceled."}
    message = words.get(State(generation.state)) or "This picture was deleted."
    raise Refusal("not_made", message, status=410)
