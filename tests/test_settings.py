"""Headers of every page, and what `manage.py check` refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core import checks
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from studio import checks as own
from tests.servers import BASE_DIR

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=()",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "object-src": "'none'",
}


def addresses(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[str]:
    """Every address that needs no argument."""
    for pattern in patterns:
        here = before + str(pattern.pattern).strip("^$")
        if "<" in here or "\\" in here or "(" in here:
            continue
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, here)
        else:
            yield here


PAGES = sorted(set(addresses(get_resolver().url_patterns)) - {"/accounts/logout/"})


def policy_of(header: str) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in header.split(";")]
    return {name: " ".join(sorted(value.split())) for name, _, value in parts}


def assert_headers(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code < 500
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    policy = policy_of(response.headers["Content-Security-Policy"])
    assert {name: policy[name] for name in POLICY} == POLICY
    assert "unsafe" not in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_has_its_headers(client: Client, db: None, address: str) -> None:
    assert_headers(client, address)


@pytest.mark.parametrize("address", PAGES)
def test_no_cache_keeps_a_persons_pages(alice_client: Client, address: str) -> None:
    assert_headers(alice_client, address)
    control = alice_client.get(address).headers["Cache-Control"]
    assert "private" in control
    assert "no-store" in control


def test_the_crawl_finds_the_pages() -> None:
    assert {"/", "/create/", "/models/", "/influencer/", "/accounts/login/"} <= set(PAGES)


def test_a_page_that_is_not_here_says_so(client: Client, db: None) -> None:
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert b"This is not here" in response.content


def test_a_stale_page_is_told_to_reload(db: None) -> None:
    careful = Client(enforce_csrf_checks=True)
    assert b"out of date" in careful.post("/accounts/login/").content
    answer = careful.post("/accounts/login/", headers={"HX-Request": "true"})
    assert answer.status_code == 403
    assert answer.headers["HX-Retarget"] == "#notices"


def test_a_large_body_is_refused_by_its_declared_length(client: Client, db: None) -> None:
    response = client.post("/accounts/login/", data=b"x" * (300 * 1024), content_type="text/plain")
    assert response.status_code == 413


def deploy_check(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "studio.settings"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_deployment_with_two_settings_has_no_issues() -> None:
    secret = "correct-horse-battery-staple-" * 2
    done = deploy_check(SITE_URL="https://likeness.example", SECRET_KEY=secret)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_a_deployment_in_the_open_is_told() -> None:
    done = deploy_check(SITE_URL="http://likeness.example", BROKER_URL="redis://nowhere")
    assert "studio.W001" in done.stderr
    assert "studio.E006" in done.stderr


def ids(messages: list[checks.CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def test_pictures_inside_a_static_folder_are_refused(settings: Settings) -> None:
    assert not own.check_private_pictures()
    settings.MEDIA_ROOT = Path(settings.STATIC_ROOT) / "media"
    assert ids(own.check_private_pictures()) == ["studio.E001"]


def test_debug_is_refused_where_others_can_see_it(settings: Settings) -> None:
    settings.DEBUG, settings.IS_LOCAL = True, False
    assert ids(own.check_debug_is_local()) == ["studio.E002"]


def test_deferred_sqlite_is_refused(settings: Settings) -> None:
    engine = "django.db.backends.sqlite3"
    settings.DATABASES = {"default": {"ENGINE": engine, "OPTIONS": {}}}
    assert ids(own.check_sqlite_takes_turns()) == ["studio.E003"]


def test_an_unknown_engine_is_refused(settings: Settings) -> None:
    assert not own.check_engine_may_be_used()
    settings.ENGINE_IMAGE = "enormous"
    assert ids(own.check_engine_may_be_used()) == ["studio.E005"]


def test_face_files_are_two_and_there(settings: Settings, tmp_path: Path) -> None:
    assert not own.check_face_files()
    settings.FACE_DETECTOR = str(tmp_path / "yunet.onnx")
    assert ids(own.check_face_files()) == ["studio.E011"]
    settings.FACE_EMBEDDER = str(tmp_path / "auraface.onnx")
    assert ids(own.check_face_files()) == ["studio.E011"] * 2
    for name in ("yunet.onnx", "auraface.onnx"):
        (tmp_path / name).write_bytes(b"")
    assert not own.check_face_files()


def test_an_exemption_from_fetching_rules_is_a_host_and_a_port(settings: Settings) -> None:
    settings.FETCH_ALLOW = ["store.lan:9000", "[fd00::5]:80", "127.0.0.1:1"]
    assert not own.check_fetch_exemptions()
    settings.FETCH_ALLOW = ["store.lan", "http://store.lan:80", "10.0.0.0/8", "fd00::5", "*"]
    assert ids(own.check_fetch_exemptions()) == ["studio.E010"] * 5
