"""What the fetching door posts, and what it writes into the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from pytest_django import Settings

from billing.refusals import Refusal
from generator.assets import fetch
from tests import hostile_servers as hostile
from tests.hostile_servers import Server, page, redirect, serving

Allow = Callable[..., None]


@pytest.fixture
def allow(settings: Settings) -> Allow:
    def exempt(*servers: Server) -> None:
        settings.FETCH_ALLOW = [f"127.0.0.1:{server.port}" for server in servers]

    return exempt


def refused(url: str) -> str:
    with pytest.raises(Refusal) as found:
        fetch.get(url)
    return found.value.code


def test_a_callback_is_posted_and_its_status_told(allow: Allow) -> None:
    with serving(page(b"thanks", status="202 Accepted")) as server:
        allow(server)
        headers = {"Content-Type": "application/json", "X-Secret": "s", "Host": "inside"}
        assert fetch.post(server.url, b'{"a": 1}', headers) == 202
        assert server.bodies == [b'{"a": 1}']
        assert server.heads[0].startswith("POST /a.png HTTP/1.1\r\n")
        assert "X-Secret: s" in server.heads[0] and "inside" not in server.heads[0]


def test_a_callback_follows_no_redirect(allow: Allow) -> None:
    with serving(page(b"")) as other, serving(redirect(other.url, "307 A")) as server:
        allow(server, other)
        assert fetch.post(server.url, b"{}", {}) == 307
        assert other.visitors == 0


def test_a_callback_reads_no_body(allow: Allow) -> None:
    with serving(hostile.endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536))) as server:
        allow(server)
        assert fetch.post(server.url, b"{}", {}) == 200


@pytest.mark.parametrize("name", ["X\r\nInside", "X-Secret"])
def test_a_header_cannot_bring_another_one(name: str, allow: Allow) -> None:
    with serving(page(b"")) as server:
        allow(server)
        with pytest.raises(Refusal) as found:
            fetch.post(server.url, b"{}", {name: "a\r\nInside: 1"})
        assert found.value.code == "url_unreachable"
        assert not any("Inside" in head for head in server.heads)


def test_the_log_names_the_reason_and_never_the_query(
    allow: Allow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "generator.assets.fetch")
    with serving(page(b"", status="404 No")) as server:
        allow(server)
        refused(f"{server.url}?secret=hush")
    refused("http://10.0.0.1/?secret=hush")
    refused("http://pictures.example/\nforged line")
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "a URL could not be read: status",
        "a URL was not asked: address, host 10.0.0.1",
        "a URL was not asked: form, host unread",
    ]
