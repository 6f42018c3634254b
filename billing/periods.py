"""Months that begin on any day of one, as Stripe counts them. Knows nothing of plans."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

SHORTEST = timedelta(days=27)  # a month, and a day for clocks that differ


def months_later(moment: datetime, months: int) -> datetime:
    """The same day and time, or the month's last day: 31 January + 1 is 28 February."""
    moment = moment.astimezone(UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last_day))


def month_of(anchor: datetime, at: datetime, *, end: datetime) -> tuple[datetime, datetime]:
    """Start and end of the month that `at` lies in, counted from `anchor` and cut at `end`.

    What is left before `end` belongs to the month before it unless that is a month itself: Stripe
    renews 28 February on 31 March where a subscription began on a 31st.
    """
    start, number = anchor, 0
    while True:
        following = months_later(anchor, number + 1)
        if end - following < SHORTEST:
            return start, end
        if at < following:
            return start, following
        start, number = following, number + 1


def share_left(start: datetime, end: datetime, at: datetime) -> float:
    """How much of the time from `start` to `end` is left at `at`: 1.0 to 0.0."""
    whole = (end - start).total_seconds()
    return min(1.0, max(0.0, (end - at).total_seconds() / whole)) if whole > 0 else 0.0
