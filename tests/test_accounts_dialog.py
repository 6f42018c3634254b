"""Signing in without leaving the page."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
DIALOG = "/account/sign-in/"


def post(client: Client, step: str, **fields: str) -> Any:
    return client.post(f"{DIALOG}?step={step}", fields, headers=HTMX, follow=True)


@pytest.mark.parametrize("step", ["sign-in", "sign-up", "code", "unknown"])
def test_every_way_to_sign_in_is_a_step_of_the_dialog(client: Client, step: str) -> None:
    answer = client.get(DIALOG, {"step": step}, headers=HTMX)
    assert answer.status_code == 200
    assert 'id="dialog-title"' in answer.text
    assert "<html" not in answer.text


def test_a_signed_out_htmx_request_answers_the_sign_in_dialog(client: Client) -> None:
    answer = client.post(reverse("account_units"), {"units": "imperial"}, headers=HTMX)
    assert answer.status_code == 401
    assert answer["HX-Retarget"] == "#dialog"
    assert answer["HX-Reswap"] == "innerHTML"
    assert 'hx-post="/account/sign-in/?step=sign-in"' in answer.text


def test_a_signed_out_page_leads_to_sign_in_and_back(client: Client) -> None:
    answer = client.get("/billing/usage/?before=3")
    assert answer["Location"] == "/accounts/login/?next=/billing/usage/%3Fbefore%3D3"


def test_a_signed_out_post_comes_back_to_the_page_it_was_on(client: Client) -> None:
    own = client.post(reverse("account_units"), headers={"Referer": "http://testserver/create/"})
    foreign = client.post(reverse("account_units"), headers={"Referer": "http://evil.example/x"})
    assert own["Location"] == "/accounts/login/?next=/create/"
    assert foreign["Location"] == "/accounts/login/?next=/"


def test_signing_in_keeps_the_page_and_renews_header_and_token(client: Client, alice: User) -> None:
    answer = post(client, "sign-in", login=alice.email, password="a long password")
    event = json.loads(answer["HX-Trigger"])["signed-in"]
    assert event["target"] == "body"
    assert len(event["csrfToken"]) == 64
    assert 'id="account-nav"' in answer.text
    assert 'hx-swap-oob="outerMorph"' in answer.text
    assert client.session["_auth_user_id"] == str(alice.pk)


def test_the_new_token_is_accepted_and_the_old_one_is_not(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get(DIALOG, headers=HTMX)
    old = client.cookies["csrftoken"].value
    headers = HTMX | {"X-CSRFToken": old}
    fields = {"login": alice.email, "password": "a long password"}
    answer = client.post(f"{DIALOG}?step=sign-in", fields, headers=headers, follow=True)
    new = json.loads(answer["HX-Trigger"])["signed-in"]["csrfToken"]
    units = {"units": "imperial"}
    assert client.post("/account/units/", units, headers=headers).status_code == 403
    renewed = HTMX | {"X-CSRFToken": new}
    assert client.post("/account/units/", units, headers=renewed).status_code == 200


def test_a_wrong_password_is_said_in_the_dialog(client: Client, alice: User) -> None:
    answer = post(client, "sign-in", login=alice.email, password="another password")
    assert "is not right" in answer.text
    assert alice.email in answer.text
    assert "_auth_user_id" not in client.session


def test_unknown_people_and_wrong_passwords_read_the_same(client: Client, alice: User) -> None:
    wrong = post(client, "sign-in", login=alice.email, password="another password")
    unknown = post(client, "sign-in", login="nobody@example.com", password="another password")
    sentence = "The e-mail address or the password is not right."
    assert sentence in wrong.text
    assert sentence in unknown.text


def test_signing_up_in_the_dialog_signs_in(client: Client) -> None:
    answer = post(client, "sign-up", email="new@example.com", password1="quite a long one")
    assert "signed-in" in answer["HX-Trigger"]
    assert User.objects.get().email == "new@example.com"


def test_a_short_password_is_refused_in_words(client: Client) -> None:
    answer = post(client, "sign-up", email="new@example.com", password1="too-short")
    assert "at least 10 characters" in answer.text
    assert not User.objects.exists()


def test_a_code_signs_in_and_is_shown_where_no_mail_can_be_sent(
    client: Client, alice: User
) -> None:
    asked = post(client, "code", email=alice.email)
    code = client.session["mail_on_page"]["code"]
    assert "No mail server is set up on this installation, so here is your code" in asked.text
    assert code in asked.text
    answer = post(client, "confirm-code", code=code)
    assert "signed-in" in answer["HX-Trigger"]
    assert "mail_on_page" not in client.session


def test_a_wrong_code_is_said_in_the_dialog(client: Client, alice: User) -> None:
    post(client, "code", email=alice.email)
    answer = post(client, "confirm-code", code="WRONG1")
    assert "This code is not right." in answer.text


def test_asking_for_a_code_can_be_given_up(client: Client, alice: User) -> None:
    post(client, "code", email=alice.email)
    assert 'step=sign-in"' in post(client, "cancel").text
    assert client.get(DIALOG, headers=HTMX).status_code == 200


def test_from_another_computer_no_code_is_ever_shown(client: Client, alice: User) -> None:
    places: list[dict[str, Any]] = [
        {"REMOTE_ADDR": "10.0.0.7"},
        {"HTTP_X_FORWARDED_FOR": "10.0.0.7"},
    ]
    for elsewhere in places:
        path = f"{DIALOG}?step=code"
        answer = client.post(path, {"email": alice.email}, follow=True, **elsewhere)
        assert "mail_on_page" not in client.session
        assert "so no message was sent" in answer.text
        offered = client.get(DIALOG, {"step": "code"}, **elsewhere)
        assert "here is your code" not in offered.text
        post(client, "cancel")


def test_somebody_signed_in_needs_no_dialog(alice: User) -> None:
    answer = signed_in(alice).get(DIALOG, headers=HTMX)
    assert "signed-in" in answer["HX-Trigger"]


def test_passkeys_get_their_options_as_json(client: Client) -> None:
    answer = client.get("/accounts/2fa/webauthn/login/", headers={"Accept": "application/json"})
    assert answer.json()["request_options"]["publicKey"]["challenge"]


def test_a_passkey_that_is_no_passkey_is_refused_in_the_dialog(client: Client) -> None:
    client.get("/accounts/2fa/webauthn/login/", headers={"Accept": "application/json"})
    answer = post(client, "passkey", credential='{"id": "x"}')
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text


def test_the_eleventh_attempt_in_a_minute_waits(client: Client, alice: User) -> None:
    answers = [
        post(client, "sign-in", login=f"{number}@example.com", password="x") for number in range(11)
    ]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert "a bit too often" in answers[-1].text


# --- with a mail server ------------------------------------------------------------------
@pytest.fixture
def mail_server(settings: Settings) -> None:
    settings.HAS_MAIL = True
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True


@pytest.mark.usefixtures("mail_server")
def test_a_new_address_is_confirmed_with_a_code_in_the_dialog(
    client: Client, mailoutbox: list[EmailMessage]
) -> None:
    asked = post(client, "sign-up", email="new@example.com", password1="quite a long one")
    assert "Confirm your e-mail address" in asked.text
    assert "We have sent a code to new@example.com" in asked.text
    code = re.search(r"^([A-Z0-9]{4}-?[A-Z0-9]{2,4})$", str(mailoutbox[0].body), re.MULTILINE)
    assert code is not None
    assert code[1] not in asked.text
    answer = post(client, "confirm-email", code=code[1])
    assert "signed-in" in answer["HX-Trigger"]


@pytest.mark.usefixtures("mail_server")
def test_signing_up_with_a_known_address_reads_as_with_a_new_one(
    client: Client, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    known = post(client, "sign-up", email=alice.email, password1="quite a long one").text
    new = post(Client(), "sign-up", email="newer@example.com", password1="quite a long one").text
    token = r'value="[A-Za-z0-9]{64}"'
    assert re.sub(token, "", known).replace(alice.email, "newer@example.com") == re.sub(
        token, "", new
    )
    assert len(mailoutbox) == 2
