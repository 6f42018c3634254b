"""SDXL looks at a person by IP-Adapter plus-face: a tiny one in its true format, stock loaders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from generator.engine import registry
from generator.engine.production import person, weights
from generator.engine.production.drawing import Drawing
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.families import sdxl
from generator.engine.production.likeness import Faces
from tests import hub, servers, test_face_scores, tiny_checkpoints, trainer_parts
from tests import production_parts as parts

pytestmark = pytest.mark.engine
SDXL = registry.weights_of("sdxl")
assert SDXL and SDXL.ip_adapter
SOURCE = SDXL.ip_adapter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts.make("sdxl", tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> ProductionEngine:
    return parts.load("sdxl", folder)


def shown(engine: ProductionEngine, *numbers: int) -> bytes:
    return parts.learnt(engine, *numbers, tier="instant")


def test_another_face_makes_another_picture(engine: ProductionEngine) -> None:
    people = [shown(engine, *numbers) for numbers in ((1,), (2,), (1, 2), (1,))]
    found = [parts.drawn(engine, parts.wanted(), [one]) for one in people]
    assert len({*found, parts.drawn(engine, parts.wanted())}) == 4
    assert found[0] == found[3]


@pytest.mark.parametrize("guidance", [5.0, 1.0])
def test_stock_diffusers_looks_at_the_same_face(
    guidance: float, engine: ProductionEngine, folder: Path
) -> None:
    who = shown(engine, 1)
    pipe = trainer_parts.stock(folder)
    pipe.load_ip_adapter(
        str(folder / "ip_adapter"),
        subfolder="sdxl_models",
        weight_name="ip-adapter-plus-face_sdxl_vit-h.safetensors",
        image_encoder_folder="models/image_encoder",
        local_files_only=True,
    )
    pipe.set_ip_adapter_scale(sdxl.LOOKED_AT)
    stock = pipe(
        prompt="the person, a photo of a person",
        negative_prompt="",
        ip_adapter_image=[person.read(who, family="sdxl").pictures],
        width=parts.SIDE,
        height=parts.SIDE,
        num_inference_steps=parts.STEPS,
        guidance_scale=guidance,
        generator=torch.Generator("cpu").manual_seed(3),
    )
    request = parts.wanted(guidance_scale=guidance)
    theirs = np.asarray(stock.images[0], dtype=np.int16)
    ours, bare = (parts.pixels(parts.drawn(engine, request, people)) for people in ([who], []))
    assert np.abs(ours - theirs).max() <= 1  # a last bit, rounded
    assert np.abs(bare - theirs).max() > 8


def test_whoever_was_trained_is_looked_at_as_well(engine: ProductionEngine) -> None:
    learnt = parts.learnt(engine, 1)
    known = person.read(learnt, family="sdxl")
    alone = person.write(person.Person("sdxl", "trained", (), known.lora), prefix="unet")
    both, one = (parts.drawn(engine, parts.wanted(), [each]) for each in (learnt, alone))
    assert both != one


def test_people_are_looked_at_in_edits_too(engine: ProductionEngine) -> None:
    one, two = shown(engine, 1), shown(engine, 2)
    for kind in ("edit", "enhance"):
        request = parts.wanted(kind, "a hat", size_px=96 if kind == "enhance" else None)  # type: ignore[arg-type]
        assert parts.drawn(engine, request, [one]) != parts.drawn(engine, request, [two])


def test_a_face_is_cut_out_where_faces_are_found(engine: ProductionEngine) -> None:
    files = test_face_scores.FILES
    faces = Faces(files / "detector.onnx", files / "embedder.onnx")
    scene = test_face_scores.scene(1)
    drawing = Drawing(engine.warm.server, engine.description, faces)
    cut = drawing._face(scene)
    (face,) = faces.find(scene)
    assert max(face.box[2:]) < max(cut.size) < max(scene.size)
    assert drawing._face(test_face_scores.scene()).size == test_face_scores.scene().size


def test_without_it_only_whoever_was_trained_is_drawn(
    engine: ProductionEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    bare = parts.load("sdxl", tiny_checkpoints.sdxl(tmp_path / "sdxl"))
    assert parts.code_of(lambda: bare.train([parts.photo(1)], tier="instant")) == "no_weights"
    with pytest.raises(Exception, match=r"python manage\.py engines pull sdxl"):
        bare.generate(parts.wanted(), [shown(engine, 1)])
    learnt = parts.learnt(bare, 1)
    assert parts.drawn(bare, parts.wanted(), [learnt]) != parts.drawn(bare, parts.wanted())


# --- its files -----------------------------------------------------------------------
def test_a_damaged_or_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    files = {name: (folder / "ip_adapter" / name).read_bytes() for name in SOURCE.files}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert weights.check(tmp_path, SOURCE.files) == []
    face, config, _ = SOURCE.files
    (tmp_path / face).write_bytes(files[face][:-1])
    (tmp_path / config).unlink()
    found = " ".join(each.message for each in weights.check(tmp_path, SOURCE.files))
    assert f"{config} is missing." in found
    assert f"{face} has " in found


def test_only_the_files_that_are_named_are_fetched(tmp_path: Path) -> None:
    names = (*SOURCE.files, "models/ip-adapter_sd15.safetensors")
    files = {name: name.encode() for name in names}
    files |= {"README.md": b"", "sdxl_models/ip-adapter_sdxl.bin": b"a pickle"}
    with hub.serving(SOURCE.repo, files) as there:
        words = (
            "from dataclasses import replace\n"
            "from generator.engine import registry\n"
            "from generator.engine.production import weights\n"
            f"source = replace(registry.weights_of('sdxl').ip_adapter, revision={hub.COMMIT!r})\n"
            "assert weights.pull(source) == weights.folder_of(source)"
        )
        subprocess.run(
            [sys.executable, "-c", words],
            cwd=servers.BASE_DIR,
            env=os.environ | {"HF_ENDPOINT": there.address, "HF_HOME": str(tmp_path)},
            check=True,
        )
    assert sorted(there.asked) == sorted(SOURCE.files)
