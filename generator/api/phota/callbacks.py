"""Telling the end of a job to the address that came with its request. The sweeper calls it."""

from __future__ import annotations

import json

from django.db import transaction
from django.db.models.functions import Now
from ninja.responses import NinjaJSONEncoder

from billing.refusals import Refusal
from generator.api.phota.models import Callback
from generator.api.phota.pictures import SIGNED_IN, told
from generator.jobs.lifecycle import UNFINISHED
from generator.webhooks import services as webhooks

AT_ONCE = 50


def tell() -> int:
    """Queue what has ended and was not told; how many. Each is queued once, by whoever is first."""
    untold = Callback.objects.filter(told_at__isnull=True).exclude(url="")
    over = untold.exclude(generation__state__in=UNFINISHED).select_related("generation__owner")
    return sum(_tell(one) for one in over[:AT_ONCE])


def _tell(one: Callback) -> bool:
    with transaction.atomic():
        mine = Callback.objects.filter(pk=one.pk, told_at__isnull=True)
        if not mine.update(told_at=Now()):
            return False
        body = json.dumps(told(one.generation), cls=NinjaJSONEncoder)
        try:
            webhooks.callback(one.generation.owner, one.url, body, secret_header=SIGNED_IN)
        except Refusal:  # its address is no longer allowed: polling remains
            return False
    return True
