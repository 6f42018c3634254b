"""Signing in as a browser does it: the page stays, passkeys are real."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "a rather long one"


@pytest.fixture
def window(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """At http://localhost: WebAuthn knows names, not addresses like 127.0.0.1."""
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(20_000)  # ms; two busy cores
    yield page
    context.close()


def give_a_fingerprint_reader(page: Page) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def open_dialog(page: Page) -> None:
    page.locator("#account-nav a", has_text="Sign in").click()
    expect(page.locator("#dialog form").first).to_be_visible()


def sign_up_in_the_dialog(page: Page, email: str) -> None:
    open_dialog(page)
    page.locator("#dialog label", has_text="Sign up").click()
    page.fill("#dialog [name=email]", email)
    page.fill("#dialog [name=password1]", PASSWORD)
    page.click("#dialog button:has-text('Create account')")
    expect(page.locator("#balance")).to_be_visible()


def test_what_was_typed_stays_and_the_page_goes_on_with_a_new_token(window: Page) -> None:
    window.goto("/accounts/login/")
    window.fill("main [name=login]", "typed before signing in")
    old = window.locator("main [name=csrfmiddlewaretoken]").first.input_value()
    sign_up_in_the_dialog(window, "new@example.com")
    expect(window.locator("#dialog")).to_be_hidden()
    expect(window.locator("main [name=login]")).to_have_value("typed before signing in")
    assert window.locator("main [name=csrfmiddlewaretoken]").first.input_value() != old


def test_an_error_is_said_in_place_and_the_dialog_stays(window: Page) -> None:
    window.goto("/accounts/login/")
    open_dialog(window)
    window.fill("#dialog [name=login]", "nobody@example.com")
    window.fill("#dialog [name=password]", PASSWORD)
    window.click("#dialog button[type=submit]:has-text('Sign in')")
    expect(window.locator("#dialog [role=alert]")).to_contain_text("is not right")
    expect(window.locator("#dialog [name=login]")).to_have_value("nobody@example.com")


def test_a_passkey_is_made_and_signs_in(window: Page) -> None:
    give_a_fingerprint_reader(window)
    window.goto("/accounts/login/")
    sign_up_in_the_dialog(window, "new@example.com")
    window.goto("/accounts/2fa/webauthn/add/")
    window.fill("main [name=password]", PASSWORD)
    window.click("main button:has-text('Go on')")
    window.click("#mfa_webauthn_add")
    window.wait_for_url(re.compile("recovery-codes"))
    window.goto("/account/")
    window.click("main button:has-text('Sign out')")
    open_dialog(window)
    window.click("#dialog [data-passkey]")
    expect(window.locator("#balance")).to_be_visible()
    assert User.objects.get().email == "new@example.com"


def test_a_passkey_that_is_not_given_is_told_in_words(window: Page) -> None:
    window.goto("/accounts/login/")
    window.evaluate("() => { navigator.credentials.get = () => Promise.reject(new Error()) }")
    window.click("main [data-passkey]")
    expect(window.locator("main [data-passkey-error]")).to_be_visible()
