"""allauth's forms for passkeys and security keys, made safe against answers that are none.

A credential that is JSON but no WebAuthn answer raises KeyError or ValueError deep inside of
fido2 (allauth 65.21 catches TypeError only), which would be a 500 for a hostile request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import forms


@contextmanager
def refusing_nonsense() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise get_adapter().validation_error("incorrect_code") from error


class LoginForm(forms.LoginWebAuthnForm):
    def clean_credential(self) -> Authenticator:
        with refusing_nonsense():
            return super().clean_credential()


class AuthenticateForm(forms.AuthenticateWebAuthnForm):
    def clean_credential(self) -> Authenticator:
        with refusing_nonsense():
            return super().clean_credential()


class ReauthenticateForm(forms.ReauthenticateWebAuthnForm):
    def clean_credential(self) -> Authenticator:
        with refusing_nonsense():
            return super().clean_credential()


class AddForm(forms.AddWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = "For you, to tell it from others."
        field = self.fields["passwordless"]
        field.label, field.initial = "Sign in with it instead of a password", True
        field.help_text = "It must be unlocked with a fingerprint, a face or a PIN."

    def clean(self) -> dict[str, Any]:
        with refusing_nonsense():
            return super().clean()
