"""Likeness of real faces: the arithmetic, and OpenCV's own detector and reader of ONNX files.

The two files in `data/faces` have the formats of YuNet and of ArcFace's kind; their faces are green
squares with a pattern.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generator.engine import pictures, registry
from generator.engine.interface import EngineError, GenerateRequest, Recipe
from generator.engine.production import finding
from generator.engine.production.drawing import Cast, Drawing, telling
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.families import Asked
from generator.engine.production.likeness import (
    POINTS,
    SAME_LEAST,
    Face,
    Faces,
    Known,
    _onto,
    assigned,
)
from tests import production_parts, tiny_checkpoints
from tests.production_parts import (
    make,
    short_prompts,  # noqa: F401  a fixture
    small_pictures,  # noqa: F401  a fixture
)

pytestmark = pytest.mark.engine
heard = production_parts.heard
BOX = (0.0, 0.0, 10.0, 10.0)
FILES = Path(__file__).parent / "data" / "faces"
PX = 32  # of a face, and of the grid they lie on


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces(FILES / "detector.onnx", FILES / "embedder.onnx")


def face(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    dice = random.Random(number)
    cells = np.zeros((4, 4, 3), np.uint8)
    cells[..., 1] = 255
    for channel in (0, 2):
        cells[..., channel] = [[dice.choice((0, 128)) for _ in range(4)] for _ in range(4)]
    return np.asarray(Image.fromarray(cells).resize((PX, PX), Image.Resampling.NEAREST))


def scene(*numbers: int) -> Image.Image:
    """Those people beside each other; room for four."""
    picture = np.full((3 * PX, 9 * PX, 3), 90, np.uint8)
    for place, number in enumerate(numbers):
        left = PX * (1 + 2 * place)
        picture[PX : 2 * PX, left : left + PX] = face(number)
    return Image.fromarray(picture)


def png(*numbers: int) -> bytes:
    return pictures.to_png(scene(*numbers))


def vector(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    found = np.array(values, np.float32)
    return (found / np.linalg.norm(found)).astype(np.float32)


def test_landmarks_are_turned_back_onto_the_embedders_places() -> None:
    turn, size = math.radians(25), 3.0
    matrix = size * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    seen = (POINTS @ matrix.T + (200, 90)).astype(np.float32)
    back = _onto(seen)
    assert np.allclose(seen @ back[:, :2].T + back[:, 2], POINTS, atol=1e-2)


def test_a_head_that_faces_us_has_no_yaw_and_a_turned_one_has() -> None:
    straight = POINTS.copy()
    straight[2, 0] = (POINTS[0, 0] + POINTS[1, 0]) / 2
    turned = straight.copy()
    turned[2, 0] += 8
    assert Face(BOX, straight).yaw == pytest.approx(0, abs=1e-3)
    assert Face(BOX, turned).yaw > 0.3


def test_the_person_of_the_reference_is_100_and_a_stranger_0() -> None:
    known = Known(np.stack([vector(1, 0, 0)]), 0.0)
    assert known.likeness(vector(1, 0, 0)) == 100
    assert known.likeness(vector(0, 1, 0)) == 0
    assert 0 < known.likeness(vector(0.5, 0.9, 0)) < 100


def test_several_references_say_what_alike_means_for_that_person() -> None:
    close = Known(np.stack([vector(1, 0.3, 0), vector(1, -0.3, 0)]), 0.0)
    loose = Known(np.stack([vector(1, 9, 0), vector(1, -9, 0)]), 0.0)
    assert close.same > 0.8
    assert loose.same == SAME_LEAST


def test_each_face_is_given_to_one_person_so_that_all_together_are_most_alike() -> None:
    assert assigned([[90, 80], [85, 10]], 2) == [1, 0]
    assert assigned([[90], [95]], 1) == [None, 0]
    assert assigned([[0, 0, 70]], 3) == [2]
    assert assigned([[50], [60], [70]], 1) == [None, None, 0]
    assert assigned([[], []], 0) == [None, None]
    many = [[100 if row == column else 0 for column in range(9)] for row in range(8)]
    assert assigned(many, 9) == list(range(8))


def test_half_of_the_files_measures_nothing_and_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "faces.onnx"
    file.write_bytes(b"not a model")
    assert Faces.of(None, None) is None
    assert Faces.of(file, None) is None
    with pytest.raises(EngineError) as found:
        Faces.of(file, file)
    assert found.value.code == "no_face_files"


# --- OpenCV's own parts --------------------------------------------------------------
def test_people_are_found_and_told_apart(faces: Faces) -> None:
    known = [faces.know([scene(number)]) for number in (1, 2, 3)]
    two, one, three = faces.scores(scene(2, 1), [known[1], known[0], known[2]])
    assert two.likeness > 90 and one.likeness > 90
    assert two.box[0] < one.box[0]
    assert two.box[0] == pytest.approx(1 / 9, abs=0.01)
    assert three.missing and three.likeness == 0


def test_a_picture_without_a_face_knows_nobody(faces: Faces) -> None:
    assert faces.find(scene()) == []
    assert faces.know([scene()]) is None
    assert [score.missing for score in faces.scores(scene(1), [None])] == [True]


def test_large_pictures_are_measured_in_their_own_pixels(faces: Faces) -> None:
    """They are looked at in half their size."""
    picture = Image.new("RGB", (640, 640), (90, 90, 90))
    picture.paste(scene(1), (0, 0))
    large = picture.resize((1280, 1280), Image.Resampling.NEAREST)
    (found,) = faces.find(large)
    assert found.box == pytest.approx((2 * PX, 2 * PX, 2 * PX, 2 * PX), abs=2)
    known = faces.know([scene(1)])
    assert known and known.likeness(faces.embed(large, found)) > 90


def test_whoever_most_photos_show_is_the_subject(faces: Faces) -> None:
    photos = [png(1, 2), png(1), png(3, 1), png(4), png()]
    found = finding.subject(faces, photos, lambda step: None)
    assert [each.reason for each in found] == ["", "", "", "somebody_else", "no_face"]
    assert found[0].square and found[0].square[0] < found[2].square[0]  # type: ignore[index]
    assert found[0].face == pytest.approx(1 / 9, abs=0.01)
    for photos, code in ((2 * [png(1, 2)], "multiple_faces"), ([png()], "no_face")):
        with pytest.raises(EngineError) as refused:
            finding.subject(faces, photos, lambda step: None)
        assert refused.value.code == code


# --- in an engine --------------------------------------------------------------------
@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> ProductionEngine:
    engine = registry.load(
        "klein",
        weights=tiny_checkpoints.klein(tmp_path_factory.mktemp("klein")),
        detector=FILES / "detector.onnx",
        embedder=FILES / "embedder.onnx",
    )
    assert isinstance(engine, ProductionEngine)
    return engine


def learnt(engine: ProductionEngine, number: int) -> bytes:
    recipe = Recipe(evaluation_images=0)
    return engine.train([png(number)], tier="instant", recipe=recipe).safetensors


def test_pictures_are_measured_and_those_below_the_floor_are_not_charged(
    klein: ProductionEngine,
) -> None:
    request = GenerateRequest("image", "", num_inference_steps=4, size_px=64, likeness_floor=50)
    (image,) = klein.generate(request, [learnt(klein, 1)], seed=1)
    assert [score.missing for score in image.faces] == [True]  # the base model is noise
    assert image.below_floor
    assert [score.likeness > 90 for score in klein.likeness(png(1), png(2, 1))] == [True]


def test_of_candidates_only_those_in_the_picture_are_edited(klein: ProductionEngine) -> None:
    request = GenerateRequest(
        "edit", "[[c]] smiles", num_inference_steps=4, image=png(1, 2), recognise=True
    )
    people = [learnt(klein, number) for number in (3, 1, 4)]
    (image,) = klein.generate(request, people, seed=1)
    assert len(image.faces) == 1


def test_of_a_group_each_face_is_repainted_and_nothing_else(klein: ProductionEngine) -> None:
    drawing = Drawing(klein.warm.server, klein.description, klein.faces)
    cast = klein._cast(GenerateRequest("image", ""), [learnt(klein, n) for n in (2, 1)])
    drawn = scene(1, 2)
    asked = Asked("two people", 1, 288, 96, 4, 1.0)
    painted = drawing._repaired(drawn, asked, Cast(cast.people, cast.known), 1, telling(None, 0))
    changed = np.abs(np.asarray(drawn, np.int16) - np.asarray(painted, np.int16)).max(axis=2) > 0
    assert changed[PX + 8 : 2 * PX - 8, PX + 8 : 2 * PX - 8].mean() > 0.9
    assert changed[PX + 8 : 2 * PX - 8, 3 * PX + 8 : 4 * PX - 8].mean() > 0.9
    assert not changed[:, 6 * PX :].any()


@pytest.mark.parametrize(("name", "number"), [("klein", 1), ("qwen-edit", 2)])
def test_who_is_repainted_is_called_by_the_number_they_have_there(
    name: str, number: int, heard: list[str], tmp_path: Path
) -> None:
    engine = registry.load(
        name,
        weights=make(name, tmp_path / name),
        detector=FILES / "detector.onnx",
        embedder=FILES / "embedder.onnx",
    )
    assert isinstance(engine, ProductionEngine)
    drawing = Drawing(engine.warm.server, engine.description, engine.faces)
    cast = engine._cast(GenerateRequest("image", ""), [learnt(engine, n) for n in (2, 1)])
    drawing._repaired(scene(1, 2), Asked("x", 1, 288, 96, 4, 1.0), cast, 1, telling(None, 0))
    assert any(f"a photo of the person of image {number}" in text for text in heard)
