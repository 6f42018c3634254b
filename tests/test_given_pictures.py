"""What a field of the API holds: a URL, one of the studio's own, or base64."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import replace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from pytest_django import Settings

from accounts.models import User
from billing.plans import PLANS
from billing.refusals import Refusal
from generator.assets import fetch, marks, services
from generator.assets.drawn import store_png
from generator.assets.models import Asset, Share
from tests import pictures
from tests.hostile_servers import bomb, page, serving

PNG = pictures.encoded(pictures.scene((300, 300)), "PNG")
PACKED = base64.b64encode(PNG).decode()
NOBODY = AnonymousUser()


@pytest.fixture
def asset(alice: User) -> Asset:
    return store_png(PNG, owner=alice, kind="image")


def own_url(asset: Asset, more: str = "") -> str:
    return f"http://127.0.0.1:8000/media/{asset.pk}/{more}"


def refused(user: User | AnonymousUser, value: str) -> tuple[str, int]:
    with pytest.raises(Refusal) as found:
        fetch.picture(user, value)
    return found.value.code, found.value.status


# --- base64 -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [
        PACKED,
        f"data:image/png;base64,{PACKED}",
        f"DATA:IMAGE/JPEG;BASE64,{PACKED}",
        f"  {PACKED}\n",
        "\r\n".join(PACKED[at : at + 76] for at in range(0, len(PACKED), 76)),
        "data:image/png;base64, " + " ".join(PACKED),
    ],
    ids=["bare", "data", "capitals", "blanks around", "lines", "blanks"],
)
def test_base64_is_unpacked(value: str) -> None:
    assert fetch.picture(NOBODY, value) == PNG


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hello",
        PACKED[:-1],
        PACKED + "=",
        PACKED + "====",
        "=" + PACKED[1:],
        PACKED[:-1] + "_",
        PACKED.replace("A", "-"),
        PACKED[:40] + "\x00" + PACKED[40:],
        PACKED[:40] + "\u00a0" + PACKED[40:],
        PACKED[:40] + "é" + PACKED[40:],
        PACKED[:40] + "\ud800" + PACKED[40:],
        f"data:image/png;base64,{PACKED}!",
        "data:image/png;base64,",
        base64.b64encode(b"<html></html>").decode(),
        base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(),
        base64.b64encode(b"GIF89a" + bytes(100)).decode(),
        base64.b64encode(bomb(1000)).decode(),
        "pictures.example/a.png",
    ],
)
def test_what_is_no_picture_is_refused(value: str) -> None:
    assert refused(NOBODY, value) == ("bad_image", 400)


@pytest.mark.parametrize(
    "value", ["data:text/html;base64,AAAA", "data:image/png,AAAA", "javascript:1", "//a.example/"]
)
def test_another_scheme_is_a_bad_url(value: str) -> None:
    assert refused(NOBODY, value) == ("bad_url", 400)


def test_base64_is_measured_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(*_: object, **__: object) -> bytes:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(binascii, "a2b_base64", unpack)
    for value in ("A" * (4 * services.UPLOAD_MAX // 3 + 8), "A " * services.UPLOAD_MAX * 2):
        with pytest.raises(Refusal, match="larger than 20 MB"):
            fetch.picture(NOBODY, value)


# --- URLs ---------------------------------------------------------------------------------------
def test_a_url_is_a_picture_by_its_content_and_not_by_its_type(settings: Settings) -> None:
    with (
        serving(page(PNG, "Content-Type: text/html")) as good,
        serving(page(b"<html></html>", "Content-Type: image/png")) as bad,
        serving(page(bomb(10_000_000), "Content-Type: image/png")) as packed,
    ):
        settings.FETCH_ALLOW = [f"127.0.0.1:{server.port}" for server in (good, bad, packed)]
        assert fetch.picture(NOBODY, f" {good.url} ") == PNG
        assert refused(NOBODY, bad.url) == refused(NOBODY, packed.url) == ("bad_image", 400)


def test_a_url_inside_is_refused_for_a_picture_too() -> None:
    assert refused(NOBODY, "http://169.254.169.254/latest/") == ("bad_url", 400)


# --- the studio's own ---------------------------------------------------------------------------
@pytest.mark.parametrize("more", ["", "?size=256", "?download=1#top"])
def test_an_own_picture_is_read_without_a_round_trip(more: str, alice: User, asset: Asset) -> None:
    with asset.file.open("rb") as file:
        stored = file.read()
    assert fetch.picture(alice, own_url(asset, more)) == stored
    assert fetch.own_asset(alice, own_url(asset, more)) == asset


def test_own_addresses_are_known_by_the_sites_name(
    settings: Settings, alice: User, asset: Asset
) -> None:
    settings.SITE_URL, settings.ORIGINS = "https://Likeness.example", ["https://likeness.example"]
    assert fetch.picture(alice, f"https://LIKENESS.example/media/{asset.pk}/")
    assert refused(alice, own_url(asset))[0] == "bad_url"  # another site now
    assert not fetch.is_own(f"https://likeness.example.evil.example/media/{asset.pk}/")
    with pytest.raises(Refusal, match="no such picture"):
        fetch.own_asset(alice, "https://pictures.example/")
    assert not fetch.is_own(f"https://likeness.example@evil.example/media/{asset.pk}/")


def test_anothers_picture_and_no_picture_are_not_found_alike(
    alice: User, charlie: User, asset: Asset
) -> None:
    for user, value in (
        (charlie, own_url(asset)),
        (NOBODY, own_url(asset)),
        (alice, f"http://127.0.0.1:8000/media/{uuid.uuid4()}/"),
        (alice, "http://127.0.0.1:8000/media/not-an-id/"),
        (alice, f"http://127.0.0.1:8000/media/{asset.pk}/../../admin/"),
        (alice, "http://127.0.0.1:8000/media/" + "-" * 36 + "/"),
        (alice, "http://localhost:8000/accounts/login/"),
        (charlie, own_url(asset, "?share=%00")),
        (charlie, own_url(asset, "?share=%FF&" + "a=1&" * 10_000)),
    ):
        assert refused(user, value) == ("not_found", 404)
    Asset.objects.update(is_public=True)
    assert fetch.picture(charlie, own_url(asset))
    Asset.objects.update(deleted_at=asset.created_at)
    assert refused(alice, own_url(asset)) == ("not_found", 404)


def test_a_shared_picture_is_read_with_its_token_only(charlie: User, asset: Asset) -> None:
    Share.objects.create(token="a" * 32, asset=asset)
    assert fetch.picture(charlie, own_url(asset, "?share=" + "a" * 32))
    for more in ("", "?share=", "?share=" + "b" * 32):
        assert refused(charlie, own_url(asset, more)) == ("not_found", 404)


def test_a_marked_picture_is_read_with_its_mark(bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a round trip through the API would wash the mark off."""
    asset = store_png(PNG, owner=bob, kind="image")
    marked = pictures.encoded(pictures.scene((310, 310)), "PNG")
    default_storage.save(services.sibling(asset, marks.MARK + ".png"), ContentFile(marked))
    Asset.objects.update(is_marked=True)
    monkeypatch.setitem(PLANS, "nano", replace(PLANS["nano"], watermark=True))
    assert fetch.picture(bob, own_url(asset)) == marked


def test_a_clip_and_a_picture_whose_file_is_gone_are_refused(alice: User, asset: Asset) -> None:
    default_storage.delete(str(asset.file.name))
    assert refused(alice, own_url(asset)) == ("not_found", 404)
    Asset.objects.update(kind="video")
    assert refused(alice, own_url(asset)) == ("bad_image", 400)
