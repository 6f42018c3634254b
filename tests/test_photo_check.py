"""The photo check: what the door measures, what a person is told, and what each button mends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from PIL import Image, ImageFilter

from accounts.models import User
from generator.assets import faces, services
from generator.assets.frames import Square, fitted
from generator.assets.models import Asset
from generator.assets.verdict import Verdict, verdict
from tests import photos, pictures

HTMX: dict[str, Any] = {"HTTP_HX_REQUEST": "true"}


def told(picture: Image.Image, frame: Square | None = None) -> Verdict:
    """What a person is told about this photo, framed as suggested or by themselves."""
    findings = json.loads(json.dumps(asdict(faces.look(picture))))
    photo = Asset(kind="upload", width=picture.width, height=picture.height, findings=findings)
    square = frame or Square(**findings["crop"])
    said = verdict(Asset(kind="reference", source=photo, findings={"frame": asdict(square)}))
    assert said is not None
    return said


def words(said: Verdict) -> dict[str, str]:
    return {reason.code: reason.words for reason in said.reasons}


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    return photos.portrait()


# --- what is said -----------------------------------------------------------------------
def test_a_good_photo_is_told_so_with_every_reason(portrait: Image.Image) -> None:
    said = told(portrait)
    assert said.words == "A good photo." and not said.problems
    assert words(said) == {
        "face": "Face found",
        "one_face": "One face",
        "size": words(said)["size"],
        "sharpness": "Sharp",
        "light": "Well lit",
        "tilt": "Upright",
    }
    assert words(said)["size"].startswith("Face 3") and words(said)["size"].endswith(" px wide")


@pytest.mark.parametrize(
    ("change", "code", "part"),
    [
        (lambda p: p.filter(ImageFilter.GaussianBlur(6)), "sharpness", "looks blurred"),
        (lambda p: p.point(lambda v: v // 4), "light", "very dark"),
        (lambda p: p.point(lambda v: min(255, v * 2 + 60)), "light", "very bright"),
        (lambda p: p.resize((512, 352)), "size", "px wide"),
        (lambda _: pictures.scene(), "face", "No face was found."),
    ],
    ids=["blurred", "dark", "bright", "small", "nobody"],
)
def test_what_could_be_better_is_named_and_refuses_nothing(
    portrait: Image.Image, change: Callable[[Image.Image], Image.Image], code: str, part: str
) -> None:
    said = told(change(portrait))
    (problem,) = [reason for reason in said.problems if reason.code == code]
    assert part in problem.words and said.words.startswith("You can use this photo.")


def test_sharpness_does_not_depend_on_contrast(portrait: Image.Image) -> None:
    flat = portrait.point(lambda v: 96 + v // 4)
    sharp, dim = faces.look(portrait).light.sharpness, faces.look(flat).light.sharpness
    assert dim == pytest.approx(sharp, rel=0.15)


def test_the_finder_says_what_it_cannot_see() -> None:
    assert "it misses turned, covered and small ones" in words(told(pictures.scene()))["face"]


def test_a_frame_that_leaves_the_face_out_is_offered_the_suggested_crop(
    portrait: Image.Image,
) -> None:
    said = told(portrait, Square(0, 0, 300))
    (problem,) = said.problems
    assert problem.code == "frame" and problem.fixes[0].words == "Use the suggested crop"
    assert told(portrait, Square(**json.loads(problem.fixes[0].values))).problems == []


def test_of_several_faces_each_can_be_chosen() -> None:
    picture = photos.two_people()
    said = told(picture, Square(350, 0, 900))
    (problem,) = [reason for reason in said.problems if reason.code == "one_face"]
    assert [fix.words for fix in problem.fixes] == ["Choose this face"] * 2
    for fix in problem.fixes:
        values = json.loads(fix.values)
        assert values.pop("accept") == "several_faces"
        chosen = told(picture, Square(**values))
        assert words(chosen)["several_faces"].startswith("This photo shows 2 faces.")


@pytest.mark.parametrize("degrees", [-15, 15])
def test_a_leaning_face_is_rotated_upright(degrees: int) -> None:
    picture = photos.leaning(degrees)
    (problem,) = [reason for reason in told(picture).problems if reason.code == "tilt"]
    square = Square(**json.loads(problem.fixes[0].values))
    assert problem.fixes[0].words == "Rotate" and abs(square.angle - degrees) <= 4
    assert "tilt" not in [reason.code for reason in told(picture, square).problems]


# --- frames -----------------------------------------------------------------------------
@pytest.mark.parametrize("angle", [0, 10, -30, 45])
def test_a_frame_never_leaves_the_picture(angle: int) -> None:
    square = fitted(Square(-50, 900, 2000, angle), 1600, 1100)
    assert square.middle[0] - square.reach >= -1 and square.middle[0] + square.reach <= 1601
    assert square.middle[1] - square.reach >= -1 and square.middle[1] + square.reach <= 1101
    assert square.holds(*square.middle)


# --- the buttons, through the door's child ------------------------------------------------
def post(client: Client, path: str, **values: object) -> HttpResponse:
    return client.post(f"/uploads/{path}", values, **HTMX)  # type: ignore[arg-type]


def uploaded(client: Client, picture: Image.Image) -> Asset:
    file = SimpleUploadedFile("me.jpg", pictures.encoded(picture, "JPEG", quality=92))
    assert post(client, "", file=file).status_code == 200
    return Asset.objects.get(kind="upload")


def test_a_photo_on_its_side_is_set_upright_with_one_button(alice_client: Client) -> None:
    upload = uploaded(alice_client, photos.lying())
    assert upload.findings["turn"] == 90
    page = post(alice_client, f"{upload.id}/turn/", degrees=90).content.decode()
    turned = Asset.objects.get(kind="upload")  # in place of the first
    assert (turned.width, turned.height) == (upload.height, upload.width)
    assert len(turned.findings["faces"]) == 1 and "A good photo." in page
    assert Asset.objects.get(kind="reference").source == turned


@pytest.mark.parametrize("degrees", ["0", "45", "x", "-90", ""])
def test_a_photo_turns_by_quarters_only(alice_client: Client, degrees: str) -> None:
    Asset.objects.all().delete()
    owner = User.objects.get()
    upload = Asset.objects.create(owner=owner, kind="upload", file="x.jpg", width=9, height=9)
    answer = post(alice_client, f"{upload.id}/turn/", degrees=degrees)
    assert answer.status_code == 422 and b"by 90, 180 or 270 degrees" in answer.content


def test_a_turned_frame_is_cut_upright(alice_client: Client) -> None:
    upload = uploaded(alice_client, photos.leaning(15))
    frame = {"x": 900, "y": 200, "size": 600, "angle": 15}
    assert post(alice_client, f"{upload.id}/crop/", **frame).status_code == 200
    reference = Asset.objects.get(kind="reference")
    assert reference.findings["frame"] == frame
    with Image.open(reference.file) as cut:
        (face,) = faces.look(cut.convert("RGB")).faces
    assert face.tilt is not None and abs(face.tilt) < 5


def test_a_frame_is_not_turned_further_than_a_face_leans(alice_client: Client) -> None:
    upload = uploaded(alice_client, pictures.scene())
    answer = post(alice_client, f"{upload.id}/crop/", x=0, y=0, size=200, angle=90)
    assert answer.status_code == 422 and b"turned too far" in answer.content


def test_who_has_chosen_a_face_is_not_asked_again(alice_client: Client) -> None:
    upload = uploaded(alice_client, photos.two_people())
    first = Asset.objects.get(kind="reference")
    said = verdict(first)
    assert said is not None
    (problem,) = said.problems
    values = json.loads(problem.fixes[1].values)
    page = post(alice_client, f"{upload.id}/crop/", **values).content.decode()
    assert "data-problem" not in page and "Choose this face" not in page
    frame = Asset.objects.get(kind="reference").findings["frame"]
    assert abs(frame["x"] - first.findings["frame"]["x"]) > 300


def test_use_it_anyway_ends_the_warning_even_after_a_new_crop(alice_client: Client) -> None:
    upload = uploaded(alice_client, pictures.scene())
    page = post(alice_client, f"{upload.id}/accept/", code="face").content.decode()
    assert 'data-problem="face"' not in page and "No face found, used anyway" in page
    page = post(alice_client, f"{upload.id}/crop/", x=0, y=0, size=300).content.decode()
    assert 'data-problem="face"' not in page


@pytest.mark.parametrize("action", ["turn", "accept"])
def test_nobody_mends_the_photo_of_another(
    alice_client: Client, charlie_client: Client, alice: User, action: str
) -> None:
    upload = Asset.objects.create(owner=alice, kind="upload", file="x.jpg", width=9, height=9)
    answer = post(charlie_client, f"{upload.id}/{action}/", degrees=90, code="face")
    assert answer.status_code == 404 and Asset.objects.get().findings == {}


def test_what_a_model_learns_from_is_not_taken_away_by_turning(alice: User) -> None:
    data = pictures.encoded(pictures.scene(), "JPEG")
    upload = services.store_upload(alice, SimpleUploadedFile("me.jpg", data))
    reference = services.crop_suggested(upload)
    alice.portrait_models.create(name="Ada", reference=reference)
    services.turn_upload(upload, degrees=180)
    assert Asset.objects.filter(pk__in=[upload.pk, reference.pk]).count() == 2
