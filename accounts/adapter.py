"""allauth's seam to this project."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse

from accounts import mail
from accounts.local import is_at_this_computer
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "The e-mail address or the password is not right.",
        "incorrect_code": "This code is not right.",
        "rate_limited": "That was a bit too often. Please wait a minute and try again.",
        "too_many_login_attempts": "Too many wrong attempts. Please try again in five minutes.",
    }

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """The first person of an installation on their own computer looks after it."""
        if not (commit and settings.IS_EMBEDDED and is_at_this_computer(request)):
            return super().save_user(request, user, form, commit)
        with transaction.atomic():
            lock_people()
            user.is_staff = user.is_superuser = not User.objects.exists()
            return super().save_user(request, user, form, commit)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        if settings.HAS_MAIL:
            super().send_mail(template_prefix, email, context)
        elif is_at_this_computer(self.request):
            message = self.render_mail(
                template_prefix, email, {"request": self.request, "email": email, **context}
            )
            code = str(context.get("code", ""))
            page = mail.PageMail(recipient=email, code=code, text=str(message.body))
            mail.show_on_page(self.request, page)
        else:
            said = "No mail server is set up on this installation, so no message was sent."
            messages.error(self.request, said)

    def post_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponse:
        mail.forget(request)
        return super().post_login(request, user, **options)


def lock_people() -> None:
    """Two first sign-ups at once: one waits. SQLite's transaction is exclusive as it is."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {User._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
