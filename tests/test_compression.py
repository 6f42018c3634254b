"""Text travels compressed, pictures as they are."""

from __future__ import annotations

import gzip

import pytest
from django.test import Client

from accounts.models import User
from generator.assets.drawn import store_png
from tests import pictures

TAKES_GZIP = {"Accept-Encoding": "gzip"}


def body(response: object) -> bytes:
    chunks = getattr(response, "streaming_content", None)
    return b"".join(chunks) if chunks else response.content


@pytest.mark.django_db
def test_a_page_travels_compressed() -> None:
    plain, small = Client().get("/"), Client().get("/", headers=TAKES_GZIP)
    assert "Content-Encoding" not in plain
    assert small["Content-Encoding"] == "gzip"
    assert len(small.content) < len(plain.content) / 2
    assert b"<title>" in gzip.decompress(small.content)


def test_scripts_and_styles_travel_compressed() -> None:
    for path in ("/static/vendor/htmx.js", "/static/css/components.css"):
        small = Client().get(path, headers=TAKES_GZIP)
        assert small["Content-Encoding"] == "gzip"
        assert gzip.decompress(body(small)) == body(Client().get(path))


def test_pictures_travel_as_they_are(alice: User, alice_client: Client) -> None:
    drawn = pictures.encoded(pictures.scene((512, 512)), "PNG")
    face = store_png(drawn, owner=alice, kind="reference", is_public=True)
    answer = alice_client.get(f"/media/{face.id}/", headers=TAKES_GZIP)
    assert answer.status_code == 200 and "Content-Encoding" not in answer
