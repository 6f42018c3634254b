"""The door for clips and downloads: ranges, formats, and what they say about themselves."""

from __future__ import annotations

import io

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from accounts.models import User
from generator.assets.drawn import store_png
from generator.assets.models import Asset, Share
from tests import pictures, rows

BODY = bytes(range(256)) * 4


@pytest.fixture
def clip(alice: User) -> Asset:
    name = default_storage.save("assets/clip.mp4", ContentFile(BODY))
    return Asset.objects.create(owner=alice, kind="video", file=name, width=64, height=64)


@pytest.mark.parametrize(
    ("asked", "status", "body", "said"),
    [
        ("bytes=0-", 206, BODY, "bytes 0-1023/1024"),
        ("bytes=0-0", 206, BODY[:1], "bytes 0-0/1024"),
        ("bytes=10-19", 206, BODY[10:20], "bytes 10-19/1024"),
        ("bytes=1000-9999", 206, BODY[1000:], "bytes 1000-1023/1024"),
        ("bytes=-4", 206, BODY[-4:], "bytes 1020-1023/1024"),
        ("bytes=-9999", 206, BODY, "bytes 0-1023/1024"),
        ("bytes=1024-", 416, b"", "bytes */1024"),
        ("bytes=20-10", 416, b"", "bytes */1024"),
        ("bytes=0-1,5-6", 200, BODY, None),
        ("bytes=" + "0-1," * 1000, 200, BODY, None),
        ("bytes=-", 200, BODY, None),
        ("bytes=a-b", 200, BODY, None),
        ("lines=0-1", 200, BODY, None),
    ],
)
def test_a_player_gets_the_part_it_asks_for(
    asked: str, status: int, body: bytes, said: str | None, clip: Asset, alice_client: Client
) -> None:
    answer = alice_client.get(f"/media/{clip.id}/", HTTP_RANGE=asked)
    assert (answer.status_code, answer.content, answer.get("Content-Range")) == (status, body, said)
    assert answer["Accept-Ranges"] == "bytes"


def test_a_part_of_another_version_is_the_whole(clip: Asset, alice_client: Client) -> None:
    etag = alice_client.get(f"/media/{clip.id}/")["ETag"]
    for known, status in ((etag, 206), ('"other"', 200)):
        answer = alice_client.get(f"/media/{clip.id}/", HTTP_RANGE="bytes=0-1", HTTP_IF_RANGE=known)
        assert answer.status_code == status
    assert alice_client.get(f"/media/{clip.id}/", HTTP_IF_NONE_MATCH=etag).status_code == 304


def test_nobody_else_gets_a_part(clip: Asset, charlie_client: Client, client: Client) -> None:
    for other in (charlie_client, client):
        answer = other.get(f"/media/{clip.id}/", HTTP_RANGE="bytes=0-")
        assert answer.status_code == 404 and not answer.has_header("ETag")


def test_a_shared_picture_is_open_to_whoever_has_the_link_until_it_is_revoked(
    clip: Asset, client: Client, charlie_client: Client
) -> None:
    share = Share.objects.create(token="a" * 32, asset=clip)
    address = f"/media/{clip.id}/"
    for other in (client, charlie_client):
        assert other.get(f"{address}?share={share.token}").status_code == 200
        assert other.get(f"{address}?share={'b' * 32}").status_code == 404
        assert other.get(address).status_code == 404
    share.delete()
    assert client.get(f"{address}?share={'a' * 32}").status_code == 404
    assert client.get(f"{address}?share=").status_code == 404


def test_what_was_deleted_is_not_served_while_it_can_be_undone(
    clip: Asset, alice_client: Client
) -> None:
    Asset.objects.update(deleted_at=clip.created_at)
    assert alice_client.get(f"/media/{clip.id}/").status_code == 404


@pytest.mark.parametrize(("format", "kind"), [("jpg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_a_picture_is_downloaded_in_the_format_asked_for(
    format: str, kind: str, alice: User, alice_client: Client
) -> None:
    drawn = pictures.encoded(pictures.scene((222, 296)), "PNG")
    asset = store_png(drawn, owner=alice, kind="image")
    answer = alice_client.get(f"/media/{asset.id}/?download={format}")
    assert answer["Content-Disposition"] == f'attachment; filename="likeness image 1.{format}"'
    with Image.open(io.BytesIO(answer.content)) as found:
        assert (found.format, found.size) == (kind, (222, 296))
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_other_formats_say_that_a_machine_made_them(
    format: str, alice: User, alice_client: Client
) -> None:
    made = rows.generation(rows.portrait_model(alice), count=1)
    drawn = pictures.encoded(pictures.scene((256, 256)), "PNG")
    Asset.objects.all().filter(generation=made).delete()
    asset = store_png(drawn, owner=alice, kind="image", generation=made)
    answer = alice_client.get(f"/media/{asset.id}/?download={format}")
    assert b"trainedAlgorithmicMedia" in answer.content
