"""When a person's page was last open: the socket says so while it is, in the database's time."""

from __future__ import annotations

from django.db.models.functions import Now

from accounts.models import User


def seen(user_id: int) -> None:
    """Called when a socket opens, every half minute while it is open, and when it closes."""
    User.objects.filter(pk=user_id).update(seen_at=Now())
