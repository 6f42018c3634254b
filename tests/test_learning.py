"""What an engine gives its trainer beside photos: masks of the face."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from generator.engine import pictures
from generator.engine.interface import Recipe
from generator.engine.production import masks, person
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.likeness import Faces
from generator.engine.production.training import FAMILIES
from generator.engine.production.training.families import Batch
from tests import trainer_parts
from tests.production_parts import (
    load,
    make,
    short_prompts,  # noqa: F401  a fixture
)
from tests.test_face_scores import FILES, PX, face, png
from tests.trainer_parts import NAMES

pytestmark = pytest.mark.engine
SIDE = 64
LEARNT = Recipe(steps=30, rank=2, learning_rate=1e-2, evaluation_images=0)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces(FILES / "detector.onnx", FILES / "embedder.onnx")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProductionEngine]:
    found = {name: load(name, make(name, tmp_path_factory.mktemp(name))) for name in NAMES}
    for engine in found.values():
        engine.warm.weights = replace(engine.warm.weights, reference_px=SIDE, steps=4)
    return found


def on_red() -> bytes:
    """Somebody before a wall that is like nothing else."""
    wall = np.full((6 * PX, 6 * PX, 3), (220, 20, 20), np.uint8)
    wall[2 * PX : 3 * PX, 2 * PX : 3 * PX] = face(1)
    return pictures.to_png(Image.fromarray(wall))


# --- masks ---------------------------------------------------------------------------
def levels(mask: bytes | None) -> Any:
    assert mask
    return np.asarray(Image.open(io.BytesIO(mask)).convert("L"))


def test_a_face_counts_with_its_hair_and_fades_into_what_is_around_it(faces: Faces) -> None:
    (mask,) = masks.of(faces, None, [on_red()])
    found = levels(mask)
    assert found.shape == (6 * PX, 6 * PX)
    assert found[2 * PX : 3 * PX, 2 * PX : 3 * PX].min() > 200  # to the corners of the box
    assert found[2 * PX - 8, 5 * PX // 2] == 255  # the hair above it
    assert not found[:, 4 * PX :].any() and not found[4 * PX :].any()
    row = found[5 * PX // 2, 5 * PX // 2 :].astype(int)
    assert (np.diff(row) <= 0).all() and ((row > 0) & (row < 255)).sum() >= 8


def test_of_several_faces_the_persons_own_counts(faces: Faces) -> None:
    known = faces.know([pictures.read(png(2))])
    (mask,) = masks.of(faces, known, [png(1, 2)])
    found = levels(mask)
    left, right = found[:, PX : 2 * PX], found[:, 3 * PX : 4 * PX]
    assert right[PX : 2 * PX].min() > 200 and not left[:, : PX // 2].any()


def test_a_large_photo_has_a_mask_of_its_shape_and_none_of_its_size(faces: Faces) -> None:
    large = pictures.read(png(1)).resize((2880, 960), Image.Resampling.NEAREST)
    (mask,) = masks.of(faces, None, [pictures.to_png(large)])
    assert levels(mask).shape == (213, 640)


def test_where_no_face_is_found_all_of_a_picture_counts(faces: Faces) -> None:
    assert masks.of(None, None, [png(1)] * 2) == [None, None]
    mask, none, again = masks.of(faces, None, [png(1), png(), png(1)])
    assert mask and none is None and again == mask


def wrong(base: Path, adapter: bytes | None, kept: dict[str, Tensor], folder: Path) -> Tensor:
    """(h, w): how far off SDXL is by stock diffusers, of noises that were not learnt."""
    pipe = trainer_parts.stock(base)
    if adapter:
        bare = person.Person("sdxl", "trained", (), person.read(adapter, family="sdxl").lora)
        (folder / "x.safetensors").write_bytes(person.write(bare, prefix="unet"))
        pipe.load_lora_weights(folder / "x.safetensors")
    row = [0] * 8
    noise = torch.randn(8, *kept["mean"].shape[1:], generator=torch.Generator().manual_seed(999))
    level = FAMILIES["sdxl"].level((torch.arange(8) + 0.5) / 8, False)
    words = {key[6:]: x[row] for key, x in kept.items() if key.startswith("words.")}
    batch = Batch(kept["mean"][row], noise, level, words)
    with torch.no_grad():
        noises = FAMILIES["sdxl"].noises(base, trainer_parts.CPU)
        found = FAMILIES["sdxl"].wrong(pipe.unet, batch, noises)
    return found.square().mean((0, 1))


def test_a_wall_behind_somebody_is_learnt_less_where_faces_are_found(
    engines: dict[str, ProductionEngine], faces: Faces, tmp_path: Path
) -> None:
    """The share of what there is to learn of the wall, against that of the face."""
    engine, learnt, focus = engines["sdxl"], [], torch.empty(0)
    base = engine.warm.folder(engine.warm.weights.render)
    for given in (None, faces):
        engine.faces = given
        folder = tmp_path / str(given is None)
        data = engine.train([on_red()], recipe=LEARNT, resume_dir=folder).safetensors
        kept = load_file(folder / "examples.safetensors")
        focus = kept["focus"][0, 0]
        assert given or (focus == 1).all()
        learnt.append(1 - wrong(base, data, kept, folder) / wrong(base, None, kept, folder))
    engine.faces = None
    assert focus.min() / focus.max() == pytest.approx(0.3, abs=0.01)
    wall, head = focus < 1.1 * focus.min(), focus > 0.9 * focus.max()
    whole, masked = (float(each[wall].mean() / each[head].mean()) for each in learnt)
    print(f"of the wall against of the face: {whole:.2f} without masks, {masked:.2f} with them")
    assert masked < 0.85 * whole
