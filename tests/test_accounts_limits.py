"""How often somebody may do something."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings as studio_settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import RequestFactory

from accounts import limits
from accounts.models import User

AGES = 10**9  # seconds: no test crosses into the next period


@limits.limited("knocking", "3/min")
def knock(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Come in.")


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_010.0)  # ten past a minute


def request(user: User | AnonymousUser, method: str = "post", **headers: str) -> HttpRequest:
    made: HttpRequest = getattr(RequestFactory(), method)("/door/", headers=headers)
    made.user = user
    return made


def text(response: HttpResponseBase) -> str:
    assert isinstance(response, HttpResponse)
    return response.text


def test_one_too_many_waits_until_the_next_period(alice: User) -> None:
    assert [knock(request(alice)).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = knock(request(alice))
    assert refused["Retry-After"] == "50"
    assert "Please wait a minute and try again" in text(refused)


def test_a_fragment_gets_a_notice(alice: User) -> None:
    for _ in range(3):
        knock(request(alice))
    refused = knock(request(alice, **{"HX-Request": "true"}))
    assert refused["HX-Retarget"] == "#notices"
    assert "data-notice" in text(refused)
    assert "<html" not in text(refused)


def test_people_are_counted_apart(alice: User, bob: User) -> None:
    for _ in range(4):
        knock(request(alice))
    assert knock(request(bob)).status_code == 200
    assert knock(request(AnonymousUser())).status_code == 200


def test_looking_is_not_counted(alice: User) -> None:
    assert {knock(request(alice, "get")).status_code for _ in range(9)} == {200}


def test_the_next_period_begins_anew(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        knock(request(alice))
    monkeypatch.setattr("time.time", lambda: 1_800_000_060.0)
    assert knock(request(alice)).status_code == 200


def test_an_hour_is_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    for second, waits in ((0, False), (10, False), (1000, True), (3500, True), (3600, False)):
        monkeypatch.setattr("time.time", lambda second=second: 1_800_000_000.0 + second)
        assert bool(limits.take("hourly", 2, 3600)) is waits


@pytest.mark.skipif(bool(studio_settings.REDIS_URL), reason="Redis is shared anyway")
def test_the_embedded_studio_counts_across_processes() -> None:
    code = (
        "import django; django.setup(); from accounts.limits import take;"
        f"print([take('shared', 2, {AGES}) > 0 for _ in range(2)])"
    )
    assert limits.take("shared", 2, AGES) == 0
    # VAR_DIR is the one this process was started with: its cache is in there.
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "studio.settings"}
    child = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == "[False, True]"
