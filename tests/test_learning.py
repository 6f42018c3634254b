"""What an engine gives its trainer beside photos: masks of the face, and pictures of others."""

from __future__ import annotations

import io
import json
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
from generator.engine.interface import Canceled, Recipe, Step
from generator.engine.production import card, masks, person, prior
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.likeness import Faces
from generator.engine.production.training import FAMILIES, TrainingRecipe
from generator.engine.production.training.families import Batch
from tests import tiny_checkpoints, trainer_parts
from tests.production_parts import (
    load,
    make,
    photo,
    pixels,
    short_prompts,  # noqa: F401  a fixture
    small_pictures,  # noqa: F401  a fixture
)
from tests.test_face_scores import FILES, PX, face, png
from tests.trainer_parts import NAMES, learn, small

pytestmark = pytest.mark.engine
SIDE = 64
BESIDE_OTHERS = [name for name in NAMES if not FAMILIES[name].always_in_context]
LEARNT = Recipe(steps=30, rank=2, learning_rate=1e-2, evaluation_images=0, prior=0)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces(FILES / "detector.onnx", FILES / "embedder.onnx")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProductionEngine]:
    found = {}
    for name in NAMES:
        engine = name.replace("_", "-")
        found[name] = load(engine, make(engine, tmp_path_factory.mktemp(name)))
        weights = replace(found[name].warm.weights, reference_px=SIDE, steps=4)
        found[name].warm.weights = weights
    return found


def on_red(level: int = 220) -> bytes:
    """Somebody before a wall that is like nothing else."""
    wall = np.full((6 * PX, 6 * PX, 3), (level, 20, 20), np.uint8)
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
    engine, after, focus, before = engines["sdxl"], [], torch.empty(0), torch.empty(0)
    base = engine.warm.folder(engine.warm.weights.render)
    for given in (None, faces):
        engine.faces = given
        folder = tmp_path / str(given is None)
        data = engine.train([on_red()], recipe=LEARNT, resume_dir=folder).safetensors
        kept = load_file(folder / "examples.safetensors")
        focus = kept["focus"][0, 0]
        assert given or (focus == 1).all()
        after.append(wrong(base, data, kept, folder))
        before = before if given else wrong(base, None, kept, folder)
    engine.faces = None
    assert focus.min() / focus.max() == pytest.approx(0.3, abs=0.01)
    wall, head = focus < 1.1 * focus.min(), focus > 0.9 * focus.max()
    learnt = [1 - each / before for each in after]
    whole, masked = (float(each[wall].mean() / each[head].mean()) for each in learnt)
    print(f"of the wall against of the face: {whole:.2f} without masks, {masked:.2f} with them")
    assert masked < 0.85 * whole


def test_a_sheet_is_masked_as_photos_are_and_learnt_without_others(
    engines: dict[str, ProductionEngine], faces: Faces, tmp_path: Path
) -> None:
    engine = engines["klein"]
    views = tuple(card.View(on_red(level), "smiling", 90) for level in (60, 140))
    earlier = person.write(person.Person("klein", "fast", (), views=views), prefix="transformer")
    recipe = replace(LEARNT, steps=1, prior=3, views=2, earlier=earlier)
    engine.faces = faces
    engine.train([on_red()], tier="fast", recipe=recipe, resume_dir=tmp_path)
    engine.faces = None
    focus = load_file(tmp_path / "examples.safetensors")["focus"]
    assert len(focus) == 3 and (focus.amax((1, 2, 3)) > 1.5 * focus.amin((1, 2, 3))).all()
    assert not (tmp_path / prior.NAME).exists()


# --- others --------------------------------------------------------------------------
@pytest.mark.parametrize("name", BESIDE_OTHERS)
def test_others_are_drawn_once_and_learnt_beside_the_person(
    name: str, engines: dict[str, ProductionEngine], tmp_path: Path
) -> None:
    """Stopped amid the pictures, then when the trainer had read them."""
    engine = engines[name]
    told: list[Step] = []

    def train(folder: str, stop: str = "", at: int = 0) -> bytes:
        def tell(step: Step) -> None:
            told.append(step)
            if step.phase in ("load", "train"):  # what drew made room for what learns
                assert engine.warm._family is None
            if step.phase == stop and step.done == at:
                raise Canceled

        recipe = replace(LEARNT, steps=2, prior=3)
        found = engine.train([photo(1)], recipe=recipe, resume_dir=tmp_path / folder, on_step=tell)
        return found.safetensors

    whole = train("a")
    told.clear()
    for stop in (("prior", 2), ("load", 0)):
        with pytest.raises(Canceled):
            train("b", *stop)
    assert train("b") == whole
    assert [step.done for step in told if step.phase == "prior"] == [0, 1, 2, 2]
    kept = load_file(tmp_path / "b" / "examples.safetensors")
    assert len(kept["mean"]) == 4 and (kept["prompt"] == torch.tensor([0, 1, 1, 1])).all()
    texts = json.loads((tmp_path / "b" / prior.NAME).read_text())["pictures"]
    assert len(set(texts)) == 3


def test_a_damaged_file_of_others_is_drawn_anew(tmp_path: Path) -> None:
    def made(wanted: int, whose: str = "mine") -> list[bytes]:
        return prior.made(
            lambda number: pictures.read(photo(number)),
            wanted=wanted, whose=whose, folder=tmp_path, tell=drawn.append,
        )  # fmt: skip

    drawn: list[Step] = []
    first = made(2)
    assert [pixels(data).mean() for data in first] == [pixels(photo(n)).mean() for n in range(2)]
    assert made(3)[:2] == first and len(drawn) == 3  # more of them: only those are drawn
    assert made(0) == [] and len(drawn) == 3
    made(3, "somebody else's")
    assert len(drawn) == 6
    for damaged in ('{"whose": "mine", "pictures": ["AAAA"]}', '{"whose": "mine"}', "{", "[]"):
        (tmp_path / prior.NAME).write_text(damaged)
        assert made(2) == first


@pytest.mark.parametrize(
    ("name", "taught_for", "steps", "rate"), [("sdxl", 30, 16, 3e-3), ("klein", 60, 30, 6e-3)]
)
def test_a_base_forgets_others_less_where_they_are_learnt_beside_the_person(
    name: str, taught_for: int, steps: int, rate: float, tmp_path: Path
) -> None:
    """A base that was taught somebody else first: what it makes of them is what may be lost."""
    recipe = small(steps=steps, learning_rate=rate, ema=0.9, weighting="none")
    teaching = {"prompt": recipe.prior_prompt, "steps": taught_for, "rank": 16}
    others = replace(recipe, learning_rate=2e-3, **teaching)
    base, taught = getattr(tiny_checkpoints, name)(tmp_path / "base"), tmp_path / "taught"
    pipe = trainer_parts.stock(base, learn(name, base, tmp_path, others, references=(2,)))
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    pipe.save_pretrained(taught)
    batch, they = trainer_parts.held_out(name, taught, others, 2)
    towards = trainer_parts.held_out(name, taught, recipe, 1)[1].mean - they.mean

    def seen() -> Tensor:
        with torch.no_grad():
            noises = FAMILIES[name].noises(base, trainer_parts.CPU)
            return FAMILIES[name].wrong(trainer_parts.denoiser_of(pipe), batch, noises)

    before, moved, taken = seen(), [], []
    for number, beside in enumerate(([trainer_parts.picture(2)], [])):
        folder = tmp_path / str(number)
        pipe.load_lora_weights(learn(name, taught, folder, recipe, prior=beside))
        change = before - seen()
        pipe.unload_lora_weights()
        moved.append(float(change.square().mean().sqrt()))
        taken.append(float((change * towards).mean() / towards.square().mean()))
    print(f"{name}: others moved {moved}, towards the person {taken}: with them, without")
    assert moved[0] < 0.85 * moved[1]
    assert taken[0] < 0.75 * taken[1]


# --- both ----------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_a_training_with_masks_and_others_where_there_are_any_goes_on_bit_for_bit(
    name: str, tmp_path: Path
) -> None:
    base = trainer_parts.BUILD[name](tmp_path / name)
    half = Image.new("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    given: dict[str, Any] = {"masks": [pictures.to_png(half)]}
    if name in BESIDE_OTHERS:
        given["prior"] = [trainer_parts.picture(2)]
    asked = iter([False] * 8 + [True])
    recipe: TrainingRecipe = small(steps=8, checkpoint_every_steps=2)
    with pytest.raises(Canceled):
        learn(name, base, tmp_path / "a", recipe, should_cancel=lambda: next(asked), **given)
    resumed = learn(name, base, tmp_path / "a", recipe, **given).read_bytes()
    assert resumed == learn(name, base, tmp_path / "b", recipe, **given).read_bytes()
    assert resumed != learn(name, base, tmp_path / "c", recipe).read_bytes()
