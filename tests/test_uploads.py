"""The upload door: what comes in, what is refused, and what a stored picture is afterwards."""

from __future__ import annotations

import io
import os
import re
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import User
from billing.refusals import Refusal
from generator.assets import intake, services
from generator.assets.drawn import store_generated
from generator.assets.models import Asset
from generator.assets.names import display_name, download_name
from generator.engine.interface import FaceScore, GeneratedImage
from generator.jobs.models import Generation
from tests import pictures

HTMX = {"HTTP_HX_REQUEST": "true"}
SENTENCE = re.compile(r"^[A-Z].*\.$")


def sent(data: bytes, name: str = "photo.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def post(client: Client, data: bytes, name: str = "photo.jpg") -> HttpResponse:
    return client.post("/uploads/", {"file": sent(data, name)}, **HTMX)  # type: ignore[arg-type]


@pytest.fixture
def upload(alice: User) -> Asset:
    return services.store_upload(alice, sent(pictures.encoded(pictures.scene(), "JPEG")))


# --- what the child says ------------------------------------------------------------
@pytest.mark.parametrize("name", pictures.REFUSED)
def test_a_hostile_file_is_refused_in_a_sentence(name: str) -> None:
    make, code = pictures.REFUSED[name]
    with pytest.raises(Refusal) as refused:
        intake.normalise(make())
    assert refused.value.code == code
    assert SENTENCE.match(refused.value.message) and refused.value.status == 422


@pytest.mark.parametrize("name", pictures.TAKEN)
def test_a_good_photo_becomes_an_upright_jpeg_without_metadata(name: str) -> None:
    make, above = pictures.TAKEN[name]
    taken = intake.normalise(make())
    picture = Image.open(io.BytesIO(taken.jpeg))
    assert (picture.format, picture.mode, picture.size) == (
        "JPEG", "RGB", (taken.width, taken.height),
    )  # fmt: skip
    assert not picture.getexif() and "icc_profile" not in picture.info
    assert b"script" not in taken.jpeg
    if above:
        seen = picture.getpixel((taken.width // 2, taken.height // 4))
        assert isinstance(seen, tuple)
        assert max(abs(a - b) for a, b in zip(seen, above, strict=True)) < 12
    for side, webp in taken.thumbnails.items():
        small = Image.open(io.BytesIO(webp))
        assert small.format == "WEBP" and max(small.size) <= side


def test_a_rotated_photo_stands_upright() -> None:
    taken = intake.normalise(pictures.rotated())
    assert (taken.width, taken.height) == pictures.SIZE


def test_sixteen_bits_of_grey_keep_their_ramp() -> None:
    taken = intake.normalise(pictures.sixteen_bit_grey())
    picture = Image.open(io.BytesIO(taken.jpeg)).convert("L")
    assert abs(int(picture.getpixel((320, 100))) - 127) < 6  # type: ignore[arg-type]


def test_the_frame_is_laid_around_the_face() -> None:
    taken = intake.normalise(pictures.HEIC.read_bytes())
    faces, crop = taken.findings["faces"], taken.findings["crop"]
    assert isinstance(faces, list) and isinstance(crop, dict)
    assert len(faces) == 1
    x, y, w, h = (faces[0][name] for name in ("x", "y", "width", "height"))
    assert crop["x"] <= x and x + w <= crop["x"] + crop["size"]
    assert crop["y"] <= y and y + h <= crop["y"] + crop["size"]


def test_a_reader_that_dies_is_a_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(killed))
    with pytest.raises(Refusal, match="takes too long") as refused:
        intake.normalise(b"anything")
    assert refused.value.code == "too_complex"


def test_the_reader_knows_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = tmp_path / "told"
    asked = tmp_path / "python"
    asked.write_text(f"#!/bin/sh\nenv > {told}\nexit 1\n")
    asked.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(asked))
    monkeypatch.setitem(os.environ, "SECRET_KEY", "very secret")
    with pytest.raises(Refusal):
        intake.normalise(b"anything")
    assert "very secret" not in told.read_text()


# --- names ----------------------------------------------------------------------------
@pytest.mark.parametrize("name", pictures.FILE_NAMES)
def test_a_file_name_is_display_text_only(name: str) -> None:
    shown = display_name(name)
    assert len(shown) <= 120 and "/" not in shown and "\\" not in shown
    assert not re.search(r"[\x00-\x1f\x7f\u202e\u200b]", shown)
    saved = download_name(shown, "png")
    assert re.fullmatch(r'[^/\\:*?"<>|;%$`\x00-\x1f]{1,80}\.png', saved) and saved[0] not in ".-"


def test_a_stored_name_is_an_id(upload: Asset, settings: Settings) -> None:
    assert upload.file.name == f"assets/{upload.id}.jpg"
    stored = sorted(path.name for path in (settings.MEDIA_ROOT / "assets").iterdir())
    thumbnails = [f"{upload.id}_{side}.webp" for side in (1024, 256, 512)]
    assert stored == [f"{upload.id}.jpg", *thumbnails]


# --- the door -------------------------------------------------------------------------
def test_an_upload_answers_with_the_filled_preview(alice_client: Client) -> None:
    response = post(alice_client, pictures.HEIC.read_bytes(), "IMG_1.HEIC")
    page = response.content.decode()
    assert response.status_code == 200 and 'data-state="ready"' in page
    reference = Asset.objects.get(kind="reference")
    assert f'name="reference" value="{reference.id}"' in page
    assert 512 <= reference.width == reference.height <= 1024
    assert reference.source is not None and reference.source.display_name == "IMG_1.HEIC"
    assert reference.expires_at and reference.expires_at < timezone.now() + timedelta(hours=25)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no picture", "The file must be an image."),
        (b"\xff\xd8\xff\xe0", "Failed to read the image. Please try again later."),
    ],
)
def test_a_failed_upload_shows_why_and_offers_retry(
    alice_client: Client, data: bytes, words: str
) -> None:
    response = post(alice_client, data)
    page = response.content.decode()
    assert response.status_code == 422 and not Asset.objects.exists()
    assert "Upload failed" in page and words in page and "Retry" in page


def test_a_form_without_a_file_is_refused(alice_client: Client) -> None:
    response = alice_client.post("/uploads/", {}, **HTMX)  # type: ignore[arg-type]
    assert response.status_code == 422 and b"The file must be an image." in response.content


def test_the_signed_out_are_asked_to_sign_in(db: None, client: Client) -> None:
    response = post(client, pictures.HEIC.read_bytes())
    assert response.status_code == 401 and response["HX-Retarget"] == "#dialog"
    assert not Asset.objects.exists()


def test_a_photo_of_more_than_20_mb_is_refused(alice: User) -> None:
    with pytest.raises(Refusal, match="larger than 20 MB"):
        services.store_upload(alice, sent(b"\0" * (services.UPLOAD_MAX + 1)))


def test_a_person_holds_only_so_many_unused_photos(alice: User) -> None:
    for _ in range(services.UPLOADS_AT_ONCE):
        Asset.objects.create(
            owner=alice, kind="upload", file="x.jpg", width=1, height=1, expires_at=timezone.now()
        )
    with pytest.raises(Refusal, match="unused photos"):
        services.store_upload(alice, sent(pictures.HEIC.read_bytes()))


def test_a_new_frame_is_cut_from_the_original(alice_client: Client, upload: Asset) -> None:
    first = services.crop_suggested(upload)
    response = alice_client.post(
        f"/uploads/{upload.id}/crop/",
        {"x": "10.4", "y": "0", "size": "200"},
        **HTMX,  # type: ignore[arg-type]
    )
    assert response.status_code == 200
    reference = Asset.objects.get(kind="reference")
    assert reference.id != first.id and reference.width == 512
    with Image.open(reference.file) as picture:
        seen = picture.getpixel((256, 500))
    assert isinstance(seen, tuple) and seen[0] > 150 > seen[2]  # only the red half is in it


@pytest.mark.parametrize("x", ["-1", "99999", "nan", "inf", "abc", ""])
def test_a_frame_outside_of_the_photo_is_refused(
    alice_client: Client, upload: Asset, x: str
) -> None:
    response = alice_client.post(
        f"/uploads/{upload.id}/crop/",
        {"x": x, "y": "0", "size": "200"},
        **HTMX,  # type: ignore[arg-type]
    )
    assert response.status_code == 422 and b"outside the picture" in response.content


def test_too_small_a_frame_is_refused(upload: Asset) -> None:
    with pytest.raises(Refusal, match="at least 128"):
        services.crop_reference(upload, x=0, y=0, size=50)


def test_deleting_a_reference_leaves_nothing_of_the_photo(
    alice_client: Client,
    upload: Asset,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    reference = services.crop_suggested(upload)
    with django_capture_on_commit_callbacks(execute=True):
        response = alice_client.post(f"/uploads/{reference.id}/delete/", **HTMX)  # type: ignore[arg-type]
    assert response.status_code == 200 and b'data-state="empty"' in response.content
    assert not Asset.objects.exists() and not list((settings.MEDIA_ROOT / "assets").iterdir())


def test_nobody_crops_or_deletes_the_photo_of_another(
    charlie_client: Client, upload: Asset
) -> None:
    for action in ("crop", "delete"):
        response = charlie_client.post(
            f"/uploads/{upload.id}/{action}/",
            {"x": 0, "y": 0, "size": 200},
            **HTMX,  # type: ignore[arg-type]
        )
        assert response.status_code == 404
    assert Asset.objects.filter(id=upload.id).exists()


# --- the media door -------------------------------------------------------------------
def without_ids(response: HttpResponse) -> str:
    """A page without the address it was asked for and its form tokens, new each time."""
    return re.sub(r"[0-9a-f-]{36}|[A-Za-z0-9]{64}", "", response.content.decode())


def test_a_private_picture_exists_for_its_owner_only(
    alice_client: Client, charlie_client: Client, client: Client, upload: Asset
) -> None:
    mine = alice_client.get(f"/media/{upload.id}/")
    assert mine.status_code == 200 and mine["Content-Type"] == "image/jpeg"
    assert mine["Cache-Control"] == "private, no-cache"
    assert mine["X-Content-Type-Options"] == "nosniff"
    for other in (charlie_client, client):
        foreign = other.get(f"/media/{upload.id}/", HTTP_IF_NONE_MATCH=mine["ETag"])
        unknown = other.get(f"/media/{uuid.uuid4()}/")
        assert foreign.status_code == unknown.status_code == 404
        assert without_ids(foreign) == without_ids(unknown) and "ETag" not in foreign


def test_a_public_picture_is_seen_by_everybody(client: Client, upload: Asset) -> None:
    Asset.objects.filter(id=upload.id).update(is_public=True)
    assert client.get(f"/media/{upload.id}/").status_code == 200
    assert client.post(f"/media/{upload.id}/").status_code == 405


def test_an_unchanged_picture_is_not_sent_twice(alice_client: Client, upload: Asset) -> None:
    tag = alice_client.get(f"/media/{upload.id}/?size=256")["ETag"]
    again = alice_client.get(f"/media/{upload.id}/?size=256", HTTP_IF_NONE_MATCH=tag)
    assert again.status_code == 304 and not again.content
    assert alice_client.get(f"/media/{upload.id}/", HTTP_IF_NONE_MATCH=tag).status_code == 200


@pytest.mark.parametrize(("size", "status"), [("256", 200), ("512", 200), ("99", 404), ("x", 404)])
def test_thumbnails_come_in_two_sizes(
    alice_client: Client, upload: Asset, size: str, status: int
) -> None:
    assert alice_client.get(f"/media/{upload.id}/?size={size}").status_code == status


def test_a_drawn_picture_is_downloaded_as_png(
    alice: User, alice_client: Client, settings: Settings
) -> None:
    generation = Generation.objects.create(owner=alice, kind="face", prompt="x", engine="miniature")
    drawn = pictures.encoded(pictures.scene((512, 512)), "PNG")
    faces = (FaceScore(81), FaceScore(90))
    asset = store_generated(generation, 0, GeneratedImage(drawn, seed=7, faces=faces))
    assert (asset.seed, asset.likeness, asset.kind, asset.is_public) == (7, None, "face", False)
    response = alice_client.get(f"/media/{asset.id}/?download=1")
    assert response["Content-Disposition"] == 'attachment; filename="likeness face 1.png"'
    with Image.open(io.BytesIO(response.content)) as found, Image.open(io.BytesIO(drawn)) as given:
        assert found.tobytes() == given.tobytes()
        assert b"trainedAlgorithmicMedia" in response.content


def test_drawing_an_index_again_replaces_its_picture(alice: User) -> None:
    generation = Generation.objects.create(owner=alice, kind="face", prompt="x", engine="miniature")
    drawn = GeneratedImage(pictures.encoded(pictures.scene((256, 256)), "PNG"), seed=7)
    store_generated(generation, 0, drawn)
    second = store_generated(generation, 0, drawn)
    assert list(Asset.objects.all()) == [second]
