"""What happens to mail on an installation without a mail server.

At the computer itself the message is kept in the person's session and shown on the page that
asks for its code. Everywhere else it is not sent, and the page says so: showing it would let a
stranger sign in as anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypedDict

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import HttpRequest

logger = logging.getLogger(__name__)

SESSION_KEY = "mail_on_page"


class PageMail(TypedDict):
    recipient: str
    code: str  # "" when the message is about something else
    text: str


def show_on_page(request: HttpRequest, mail: PageMail) -> None:
    """Only the latest message is kept: an older code no longer works anyway."""
    request.session[SESSION_KEY] = mail


def mail_on_page(request: HttpRequest) -> PageMail | None:
    return request.session.get(SESSION_KEY)


def forget(request: HttpRequest) -> None:
    request.session.pop(SESSION_KEY, None)


class PageBackend(BaseEmailBackend):
    """For mail that no page asked for: says in the log that it stayed here, without its text."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            logger.warning("No mail server is set up; not sent: %r.", message.subject)
        return 0
