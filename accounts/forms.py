"""What a person fills in about themselves."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as account
from django import forms

from accounts import keys
from accounts.models import ApiKey, User

GOOD_PASSWORD = "At least 10 characters, and not a common one."  # noqa: S105  # words


class SignupForm(account.SignupForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "E-mail address"
        if "password1" in self.fields:
            self.fields["password1"].help_text = GOOD_PASSWORD


class LoginForm(account.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "E-mail address"


class RequestLoginCodeForm(account.RequestLoginCodeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "E-mail address"


class ResetPasswordForm(account.ResetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "E-mail address"


class ChangePasswordForm(account.ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = GOOD_PASSWORD


class SetPasswordForm(account.SetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = GOOD_PASSWORD


class ResetPasswordKeyForm(account.ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = GOOD_PASSWORD


class UnitsForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ["units"]
        widgets = {"units": forms.RadioSelect}


class ApiKeyForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=keys.NAME_MAX,
        help_text="Where it is used, for example “my shop”.",
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=ApiKey.Scope.choices,
        initial=ApiKey.Scope.values,
        widget=forms.CheckboxSelectMultiple,
    )
    spend_limit = forms.IntegerField(
        label="Credits a month, at most",
        required=False,
        min_value=0,
        max_value=10_000_000,
        help_text="Leave it empty for no limit of its own.",
    )
    consent = forms.BooleanField(
        label="I have the permission of everybody whose photos are sent with this key",
        error_messages={"required": "Please confirm that you have their permission."},
    )
