"""How much a stranger can send, whether they announce it or not."""

from __future__ import annotations

import http.client
from contextlib import suppress

import pytest

from studio.bodies import limit_for, refusal
from tests.servers import Studio

pytestmark = pytest.mark.live
CHUNK = b"x" * 65_536


def post(studio: Studio, path: str, body: object, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=20)
    with suppress(BrokenPipeError, ConnectionResetError):  # refused before the end
        connection.request("POST", path, body=body, headers=headers)  # type: ignore[arg-type]
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_body_that_announces_too_much_is_never_read(live_studio: Studio) -> None:
    gigabyte = {"Content-Length": str(1024**3)}
    status, words = post(live_studio, "/accounts/login/", b"", **gigabyte)
    assert (status, words) == (413, "This is too large. The limit is 256 kB.")


def test_a_body_that_announces_nothing_is_counted(live_studio: Studio) -> None:
    endless = (CHUNK for _ in range(64))  # 4 MB in chunks, without a length
    status, words = post(live_studio, "/accounts/login/", endless)
    assert (status, words) == (413, "This is too large. The limit is 256 kB.")


def test_a_body_within_the_limit_reaches_the_page(live_studio: Studio) -> None:
    status, _ = post(live_studio, "/accounts/login/", (CHUNK for _ in range(2)))
    assert status == 403  # the page's own word: no token


def test_photos_may_be_larger_than_forms() -> None:
    assert limit_for("/uploads/") > 20 * 1024**2 > limit_for("/create/images/")
    assert refusal(limit_for("/uploads/")) == "This is too large. The limit is 20 MB."
