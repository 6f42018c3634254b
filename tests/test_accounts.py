"""People: how they come in, what is theirs, and who looks after the installation."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.hashers import make_password
from django.db import connections
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

PASSWORD = "a long password"


def sign_up(client: Client, email: str = "new@example.com", **extra: Any) -> User:
    client.post(reverse("account_signup"), {"email": email, "password1": PASSWORD}, **extra)
    return User.objects.get(email=email)


@pytest.fixture(autouse=True)
def embedded(settings: Settings) -> None:
    settings.IS_EMBEDDED = True  # also where the tests have a broker


# --- the first account ---------------------------------------------------------------
def test_the_first_account_on_a_fresh_install_is_the_administrator(client: Client) -> None:
    first = sign_up(client)
    assert first.is_staff
    assert first.is_superuser


def test_the_second_account_is_nobody_special(client: Client) -> None:
    sign_up(client)
    second = sign_up(Client(), "second@example.com")
    assert not second.is_staff
    assert not second.is_superuser


def test_an_installation_with_a_broker_makes_its_administrator_by_command(
    client: Client, settings: Settings
) -> None:
    settings.IS_EMBEDDED = False
    assert not sign_up(client).is_staff


@pytest.mark.parametrize(
    "elsewhere", [{"REMOTE_ADDR": "192.168.1.9"}, {"HTTP_X_FORWARDED_FOR": "203.0.113.5"}]
)
def test_a_stranger_from_the_network_never_becomes_the_administrator(
    client: Client, elsewhere: dict[str, Any]
) -> None:
    assert not sign_up(client, **elsewhere).is_staff


def test_a_public_installation_gives_nobody_the_keys(client: Client, settings: Settings) -> None:
    settings.IS_LOCAL = False
    assert not sign_up(client).is_staff


@pytest.mark.django_db(transaction=True)
def test_two_first_sign_ups_at_once_make_one_administrator() -> None:
    start = Barrier(4)

    def come(number: int) -> None:
        start.wait()
        fields = {"email": f"first{number}@example.com", "password1": PASSWORD}
        Client().post(reverse("account_signup"), fields)
        connections.close_all()

    with ThreadPoolExecutor(4) as people:
        list(people.map(come, range(4)))
    assert User.objects.count() == 4
    assert User.objects.filter(is_superuser=True).count() == 1


# --- coming in ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    ["account_login", "account_signup", "account_request_login_code", "account_reset_password"],
)
def test_every_page_of_the_entrance_is_in_our_look(client: Client, name: str) -> None:
    page = client.get(reverse(name))
    assert page.status_code == 200
    assert 'class="site-header"' in page.text


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example/", "javascript:alert(1)", "/\\evil.example", "///x"],
)
def test_signing_in_never_leads_to_another_site(client: Client, alice: User, target: str) -> None:
    fields = {"login": alice.email, "password": PASSWORD, "next": target}
    assert client.post(reverse("account_login"), fields)["Location"] == "/"


def test_signing_in_leads_back_to_where_it_was_asked_for(client: Client, alice: User) -> None:
    fields = {"login": alice.email, "password": PASSWORD, "next": "/billing/usage/"}
    assert client.post(reverse("account_login"), fields)["Location"] == "/billing/usage/"


def test_the_session_gets_a_new_key_when_somebody_signs_in(client: Client, alice: User) -> None:
    client.get(reverse("account_login"))
    session = client.session
    session["planted"] = True
    session.save()
    client.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    assert client.session.session_key != session.session_key


def test_the_code_page_shows_the_code_where_no_mail_can_be_sent(
    client: Client, alice: User
) -> None:
    fields = {"email": alice.email}
    page = client.post(reverse("account_request_login_code"), fields, follow=True)
    shown = re.search(r"here is your code: <strong[^>]*>([^<]+)</strong>", page.text)
    assert shown is not None
    client.post(reverse("account_confirm_login_code"), {"code": shown[1]})
    assert client.session["_auth_user_id"] == str(alice.pk)


def test_a_forgotten_password_is_set_anew_with_a_code(client: Client, alice: User) -> None:
    client.post(reverse("account_reset_password"), {"email": alice.email})
    code = client.session["mail_on_page"]["code"]
    page = client.post(reverse("account_confirm_password_reset_code"), {"code": code}, follow=True)
    new = {"password1": "another long one", "password2": "another long one"}
    client.post(page.request["PATH_INFO"], new)
    alice.refresh_from_db()
    assert alice.check_password("another long one")


def test_mail_goes_out_where_there_is_a_server(
    client: Client, alice: User, settings: Settings, mailoutbox: list[object]
) -> None:
    settings.HAS_MAIL = True
    fields = {"email": alice.email}
    page = client.post(reverse("account_request_login_code"), fields, follow=True)
    assert len(mailoutbox) == 1
    assert "We have sent a code" in page.text
    assert "mail_on_page" not in client.session


def test_changing_the_password_ends_the_other_sessions(alice: User) -> None:
    here, elsewhere = Client(), signed_in(alice)
    here.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    new = {
        "oldpassword": PASSWORD,
        "password1": "another long one",
        "password2": "another long one",
    }
    here.post(reverse("account_change_password"), new)
    assert here.get(reverse("account")).status_code == 200
    assert elsewhere.get(reverse("account")).status_code == 302


def test_the_cookie_of_a_deleted_person_opens_nothing(alice: User) -> None:
    client = signed_in(alice)
    alice.delete()
    assert client.get(reverse("account")).status_code == 302


def test_passwords_are_kept_with_argon2(settings: Settings) -> None:
    from studio.settings import PASSWORD_HASHERS

    settings.PASSWORD_HASHERS = PASSWORD_HASHERS
    assert make_password(PASSWORD).startswith("argon2$argon2id")


def test_the_sixth_account_in_an_hour_from_one_address_waits(
    client: Client, settings: Settings
) -> None:
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"signup": "5/h/ip"}
    for number in range(5):
        sign_up(Client(), f"{number}@example.com")
    fields = {"email": "sixth@example.com", "password1": PASSWORD}
    answer = client.post(reverse("account_signup"), fields)
    assert answer.status_code == 429
    assert answer["Retry-After"]
    assert "A bit too often" in answer.text
    assert User.objects.count() == 5


# --- one's own page ---------------------------------------------------------------------
def test_the_account_page_shows_what_is_yours(alice: User) -> None:
    page = signed_in(alice).get(reverse("account"))
    for words in (alice.email, "Macro plan", "Passkeys", "Two-factor authentication", "Devices"):
        assert words in page.text


def test_units_are_remembered(alice: User) -> None:
    client = signed_in(alice)
    answer = client.post(
        reverse("account_units"), {"units": "imperial"}, headers={"HX-Request": "true"}
    )
    assert "Saved." in answer.text
    alice.refresh_from_db()
    assert alice.units == User.Units.IMPERIAL


def test_unknown_units_are_refused(alice: User) -> None:
    fields = {"units": "cubits", "is_staff": "1", "email": "other@example.com"}
    headers = {"HX-Request": "true"}
    answer = signed_in(alice).post(reverse("account_units"), fields, headers=headers)
    assert answer.status_code == 422
    alice.refresh_from_db()
    assert (alice.units, alice.is_staff) == ("metric", False)


@pytest.mark.parametrize(
    "name",
    [
        "account_change_password", "account_email", "mfa_index", "mfa_list_webauthn",
        "usersessions_list", "account_logout",
    ],
)  # fmt: skip
def test_every_page_of_the_account_is_in_our_look(alice: User, name: str) -> None:
    page = signed_in(alice).get(reverse(name))
    assert page.status_code == 200
    assert 'class="site-header"' in page.text


def signed_in_anew(user: User) -> Client:
    """Somebody who has just given their password once more."""
    client = signed_in(user)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


@pytest.mark.parametrize("name", ["mfa_activate_totp", "mfa_add_webauthn"])
def test_a_new_factor_wants_a_fresh_sign_in_and_runs_under_the_content_policy(
    alice: User, name: str
) -> None:
    assert "reauthenticate" in signed_in(alice).get(reverse(name))["Location"]
    page = signed_in_anew(alice).get(reverse(name))
    assert page.status_code == 200
    assert " style=" not in page.text
    assert "data:image" not in page.text
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page.text)


def test_adding_a_passkey_starts_with_options_and_refuses_nonsense(alice: User) -> None:
    client = signed_in_anew(alice)
    page = client.get(reverse("mfa_add_webauthn"))
    assert '"rp": {"name"' in page.text
    answer = client.post(reverse("mfa_add_webauthn"), {"credential": '{"id": "x", "rawId": "eA"}'})
    assert answer.status_code == 200
    assert "field__error" in answer.text


def test_a_new_person_can_add_a_passkey_where_no_mail_can_be_sent(client: Client) -> None:
    sign_up(client)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert client.get(reverse("mfa_add_webauthn")).status_code == 200


def test_an_authenticator_app_is_asked_for_when_signing_in(alice: User) -> None:
    client = signed_in_anew(alice)
    page = client.get(reverse("mfa_activate_totp"))
    secret = re.search(r'id="authenticator_secret"[^>]*value="([A-Z2-7]+)"', page.text)
    assert secret is not None
    code = totp.format_hotp_value(
        totp.hotp_value(secret[1], next(iter(totp.yield_hotp_counters_from_time())))
    )
    codes = client.post(reverse("mfa_activate_totp"), {"code": code}, follow=True)
    recovery = re.search(r"<textarea[^>]*>\s*(\w+)", codes.text)
    assert recovery is not None

    fresh, headers = Client(), {"HX-Request": "true"}
    fields = {"login": alice.email, "password": PASSWORD}
    asked = fresh.post("/account/sign-in/?step=sign-in", fields, headers=headers, follow=True)
    assert "Enter the code of your authenticator app" in asked.text
    assert "_auth_user_id" not in fresh.session
    step = "/account/sign-in/?step=two-factor"
    wrong = fresh.post(step, {"code": "000000"}, headers=headers, follow=True)
    assert "field__error" in wrong.text
    fresh.post(step, {"code": recovery[1]}, headers=headers, follow=True)
    assert fresh.session["_auth_user_id"] == str(alice.pk)


# --- the administration ----------------------------------------------------------------------
def test_the_administration_is_entered_through_the_sites_own_sign_in(client: Client) -> None:
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/?next=%2Fadmin%2F")


def test_an_administrator_sees_people_and_others_do_not(alice: User, admin_user: User) -> None:
    pages = ["accounts_user", "billing_subscription", "billing_creditentry"]
    for page in pages:
        address = reverse(f"admin:{page}_changelist")
        assert signed_in(admin_user).get(address).status_code == 200
        assert signed_in(alice).get(address, follow=True).status_code == 403
