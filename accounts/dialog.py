"""Signing in without leaving the page.

Every step is allauth's own view with another template. allauth answers success with a
redirect; here it leads to the matching step of the dialog, and once the person is signed in to
a fragment that renews the header and the page's CSRF token (Django rotates it), so that what
was typed stays where it is.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account import views as account
from allauth.account.forms import LoginForm
from allauth.account.internal.templatekit import get_entrance_context_data
from allauth.mfa.base import views as mfa
from allauth.mfa.webauthn import views as passkeys
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.local import is_at_this_computer
from accounts.mail import mail_on_page


class Step:
    """One step of the dialog; `step` names it in the address and in the template."""

    template_name = "accounts/_sign_in.html"
    step = ""
    request: HttpRequest

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        given: dict[str, Any] = super().get_context_data(**context)  # type: ignore[misc]
        return given | step_context(self.request, self.step)


class SignIn(Step, account.LoginView):
    step = "sign-in"


class SignUp(Step, account.SignupView):
    step = "sign-up"


class RequestCode(Step, account.RequestLoginCodeView):
    step = "code"


class ConfirmCode(Step, account.ConfirmLoginCodeView):
    step = "confirm-code"


class ConfirmEmail(Step, account.ConfirmEmailVerificationCodeView):
    step = "confirm-email"


class TwoFactor(Step, mfa.AuthenticateView):
    step = "two-factor"


class Passkey(Step, passkeys.LoginWebAuthnView):
    step = "sign-in"


STEPS = {
    "sign-in": SignIn.as_view(),
    "sign-up": SignUp.as_view(),
    "code": RequestCode.as_view(),
    "confirm-code": ConfirmCode.as_view(),
    "confirm-email": ConfirmEmail.as_view(),
    "two-factor": TwoFactor.as_view(),
    "passkey": Passkey.as_view(),
    "cancel": account.LogoutView.as_view(),
}
# Where allauth redirects to, and the step that shows the same.
STEP_AT = {
    "account_signup": "sign-up",
    "account_request_login_code": "code",
    "account_confirm_login_code": "confirm-code",
    "account_email_verification_sent": "confirm-email",
    "mfa_authenticate": "two-factor",
}


def step_context(request: HttpRequest, step: str) -> dict[str, Any]:
    return {
        "step": step,
        "mail_on_page": mail_on_page(request),
        "code_sign_in": settings.HAS_MAIL or is_at_this_computer(request),
    }


def sign_in_context(request: HttpRequest) -> dict[str, Any]:
    """The dialog's first step, for a page that was asked for by somebody signed out."""
    form = LoginForm(request=request)
    return get_entrance_context_data(request) | step_context(request, "sign-in") | {"form": form}


@never_cache
@sensitive_post_parameters("password", "password1")
@require_http_methods(["GET", "POST"])
def sign_in_dialog(request: HttpRequest) -> HttpResponseBase:
    """`?step=` chooses the view; every redirect stays inside of the dialog."""
    if request.user.is_authenticated:
        return signed_in(request)
    response = STEPS.get(request.GET.get("step", ""), STEPS["sign-in"])(request)
    if isinstance(response, HttpResponseRedirect):
        return HttpResponseRedirect(_inside(response.url))
    if response.status_code == 429:
        messages.error(request, "That was a bit too often. Please wait a while and try again.")
        context = sign_in_context(request)
        return render(request, "accounts/_sign_in.html", context, status=429)
    return response


def _inside(url: str) -> str:
    path = urlsplit(url).path
    step = next((step for name, step in STEP_AT.items() if _path(name) == path), "sign-in")
    return f"{reverse('sign_in_dialog')}?{urlencode({'step': step})}"


def _path(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:  # a way to sign in that is switched off
        return ""


def signed_in(request: HttpRequest) -> HttpResponse:
    """Tells the page who is here now; signed-in.js takes the new token from the event."""
    list(messages.get_messages(request))  # "You have signed in": the page shows it by itself
    response = render(request, "accounts/_signed_in.html")
    event = {"signed-in": {"target": "body", "csrfToken": get_token(request)}}
    response["HX-Trigger"] = json.dumps(event)
    return response
