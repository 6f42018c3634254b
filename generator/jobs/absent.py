"""An e-mail to whoever left the studio before their training ended.

Pages tell everybody else: whoever had one open after the end has seen the notice there. The row
is marked before the message is handed over, so that two sweepers never write twice.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.db.models.functions import Now
from django.urls import reverse

from generator.jobs.models import Job, Training

log = logging.getLogger(__name__)

AWAY_AFTER = timedelta(minutes=2)  # four times as long as an open page stays silent
TOO_LATE = timedelta(hours=24)  # nobody wants yesterday's news after a mail server's bad day
AT_ONCE = 20  # messages of one sweep; the next one is a minute away


def write_to_the_absent() -> int:
    """How many messages were handed over."""
    if not settings.HAS_MAIL:
        return 0
    ended = Training.objects.filter(
        told_at__isnull=True,
        state__in=[Job.State.SUCCEEDED, Job.State.FAILED],
        finished_at__lt=Now() - AWAY_AFTER,
    )
    seen = ended.filter(owner__seen_at__gte=F("finished_at"))
    Training.objects.filter(pk__in=seen.values("pk")).update(told_at=Now())
    unseen = ended.filter(finished_at__gte=Now() - TOO_LATE, owner__is_active=True)
    rows = unseen.select_related("owner", "portrait_model").order_by("finished_at")
    return sum(_write(training) for training in rows[:AT_ONCE])


def _write(training: Training) -> bool:
    mine = Training.objects.filter(pk=training.pk)
    if not mine.filter(told_at__isnull=True).update(told_at=Now()):
        return False
    try:
        _message(training).send()
    except Exception:
        mine.update(told_at=None)
        log.exception("the owner of %s could not be written to", training)
        return False
    return True


def _message(training: Training) -> EmailMessage:
    name = training.portrait_model.name
    if training.state == Job.State.SUCCEEDED:
        subject = f"{name} is ready"
        address = f"{reverse('workstation')}?model={training.portrait_model_id}"
        body = f"{name} has been learned. Every picture you make now keeps that face.\n\nCreate:"
    else:
        subject = f"{name} could not be trained"
        address = reverse("portrait_model", args=[training.portrait_model_id])
        body = (
            f"{training.error_message}\nYour {training.charged} credits came back.\n\nTrain again:"
        )
    why = f"{settings.SITE_NAME} writes this because you had left when the training ended."
    text = f"{body} {settings.SITE_URL}{address}\n\n{why}\n"
    return EmailMessage(subject, text, to=[training.owner.email])
