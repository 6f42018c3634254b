"""People, servers and browsers for every test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings as studio_settings
from django.core.cache import caches
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from billing.models import Subscription
from tests import servers

NewPage = Callable[..., Page]
NewWindow = Callable[..., Page]
# Refusals a page shows in words; Chromium writes each of them to the console as well.
PLANNED = ("401", "402", "403", "409", "413", "415", "422", "429")


MARKED_BY = {
    "live_studio": "live",
    "start_studio": "live",
    "browser": "browser",
    "db": "database",
    "transactional_db": "database",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for a database, a studio or a browser is marked as needing one.

    Files with studios and browsers come first: they are long, and at the end of a run one of
    them would keep a single core busy.
    """
    for item in items:
        if item.get_closest_marker("django_db"):
            item.add_marker("database")
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKED_BY:
                item.add_marker(MARKED_BY[fixture])
    long = {item.path for item in items if any(map(item.get_closest_marker, ("live", "browser")))}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def own_files(settings: Settings, tmp_path: Path) -> None:
    """No test sees the pictures, the begun trainings or the rate limits of another."""
    settings.VAR_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    for store in caches.all(initialized_only=True):
        store.clear()


# --- people: Alice may, Bob's plan forbids, Charlie must see nothing -----------------
@pytest.fixture
def alice(db: None) -> User:
    user = User.objects.create_user("alice@example.com", "a long password")
    Subscription.objects.create(user=user, plan="macro")
    return user


@pytest.fixture
def bob(db: None) -> User:
    user = User.objects.create_user("bob@example.com", "a long password")
    Subscription.objects.create(user=user, plan="nano")
    return user


@pytest.fixture
def charlie(db: None) -> User:
    return User.objects.create_user("charlie@example.com", "a long password")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice_client(alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def bob_client(bob: User) -> Client:
    return signed_in(bob)


@pytest.fixture
def charlie_client(charlie: User) -> Client:
    return signed_in(charlie)


# --- servers ------------------------------------------------------------------------
@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with servers.redis() as url:
        yield url


@pytest.fixture
def start_studio(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., servers.Studio]]:
    """`start_studio(*arguments, **environment)`: a fresh studio that ends with the test."""
    with ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> servers.Studio:
            folder = tmp_path_factory.mktemp("studio")
            return stack.enter_context(servers.studio(folder, *arguments, **environment))

        yield start


@pytest.fixture(scope="session")
def engine_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For ENGINE_WEIGHTS of a studio that has to draw. Made elsewhere: torch stays out of here."""
    words = "import sys, pathlib; from tests import engine_parts as parts;"
    words += "print(parts.make_weights(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", words, str(tmp_path_factory.mktemp("weights"))]
    done = subprocess.run(command, cwd=servers.BASE_DIR, capture_output=True, check=True, text=True)
    return Path(done.stdout.split()[-1])


@pytest.fixture(scope="session")
def live_studio(
    tmp_path_factory: pytest.TempPathFactory, engine_weights: Path
) -> Iterator[servers.Studio]:
    """One studio for all tests that only use it; whoever breaks one takes `start_studio`."""
    folder = tmp_path_factory.mktemp("live")
    with servers.studio(folder, ENGINE_WEIGHTS=str(engine_weights)) as house:
        yield house


# --- browsers -----------------------------------------------------------------------
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. One per module: its event loop must not meet an async test in that module."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        servers.missing("Chromium")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # that loop counts as ours to Django
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def console_errors() -> list[str]:
    """What pages complained about; clear it after an error the test is about."""
    return []


@pytest.fixture
def new_page(browser: Browser, console_errors: list[str]) -> Iterator[NewPage]:
    """`new_page(studio, email=None, **context)`: a fresh window, signed in when asked to.

    The test fails if any window met a script error, a missing file or a violation of
    the content security policy (Chromium reports all three to the console).
    """

    def heard(message: ConsoleMessage) -> None:
        planned = any(f"status of {code}" in message.text for code in PLANNED)
        if message.type == "error" and not planned:
            console_errors.append(f"{message.text} ({message.location.get('url', '')})")

    with ExitStack() as stack:

        def make(studio: servers.Studio, email: str | None = None, **options: object) -> Page:
            context = browser.new_context(base_url=studio.address, **options)  # type: ignore[arg-type]
            stack.callback(context.close)
            if email:
                key = studio.session_for(email)
                context.add_cookies([{"name": "sessionid", "value": key, "url": studio.address}])
            page = context.new_page()
            page.set_default_timeout(60_000)  # ms; two busy cores
            page.on("console", heard)
            page.on("pageerror", lambda error: console_errors.append(str(error)))
            return page

        yield make
    assert not console_errors


@pytest.fixture
def page(new_page: NewPage, live_studio: servers.Studio) -> Page:
    """A window of somebody who is not signed in, at the live studio."""
    return new_page(live_studio)


@pytest.fixture
def window(browser: Browser, live_server: LiveServer) -> Iterator[NewWindow]:
    """`window(user, **context)`: a fresh window of that person, at this process's own pages."""
    with ExitStack() as stack:

        def make(user: User, **options: object) -> Page:
            key = signed_in(user).cookies[studio_settings.SESSION_COOKIE_NAME].value
            calm = {"reduced_motion": "reduce", **options}
            context = browser.new_context(base_url=live_server.url, **calm)  # type: ignore[arg-type]
            stack.callback(context.close)
            context.add_cookies([{"name": "sessionid", "value": key, "url": live_server.url}])
            page = context.new_page()
            page.set_default_timeout(20_000)  # ms; two busy cores
            return page

        yield make
