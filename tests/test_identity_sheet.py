"""The tier "fast": views an engine makes of somebody, which of them are kept, what is learnt."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image
from pytest_django import Settings
from safetensors.torch import save

from accounts.models import User
from billing.refusals import Refusal
from generator.engine import pictures
from generator.engine.interface import Canceled, EngineError, Recipe, Step
from generator.engine.production import card, person, sheet
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.likeness import Faces
from generator.engine.production.training import FAMILIES, kept_name
from generator.jobs.calls import of_training
from generator.jobs.models import Training
from generator.portraits import sheets
from generator.portraits.models import PortraitModel
from tests import rows, tiny_checkpoints, trainer_parts
from tests.production_parts import (
    SIDE,
    load,
    make,
    photo,
    short_prompts,  # noqa: F401  a fixture
    small_pictures,  # noqa: F401  a fixture
)
from tests.test_face_scores import FILES, scene
from tests.trainer_parts import learn, small

FAST = Recipe(steps=4, rank=4, learning_rate=5e-3, evaluation_images=0, views=4)
engine_test = pytest.mark.engine


# --- which views are kept ------------------------------------------------------------
@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces(FILES / "detector.onnx", FILES / "embedder.onnx")


def lit(level: int, *numbers: int) -> Image.Image:
    """Those people in another light: no copy of any other."""
    picture = np.asarray(scene(*numbers)).copy()
    picture[(picture == 90).all(axis=2)] = level
    return Image.fromarray(picture)


def gate(faces: Faces | None, wanted: int = 8) -> sheet.Gate:
    found = sheet.Gate(faces, faces.know([scene(1)]) if faces else None, wanted)
    found.remember([scene(1)])
    return found


def test_a_view_of_the_person_is_kept_with_its_likeness(faces: Faces) -> None:
    likeness = gate(faces).judged(lit(60, 1))
    assert likeness is not None and likeness > 90


@pytest.mark.parametrize("numbers", [(2,), (1, 2), (1, 1), ()])
def test_strangers_second_faces_and_pictures_of_nobody_are_refused(
    numbers: tuple[int, ...], faces: Faces
) -> None:
    assert gate(faces).judged(lit(60, *numbers)) == sheet.REFUSED


def test_copies_are_refused_with_and_without_face_files(faces: Faces) -> None:
    for looked in (gate(faces), gate(None)):
        assert looked.judged(lit(91, 1)) == sheet.REFUSED
        assert looked.judged(lit(60, 1)) != sheet.REFUSED
        assert looked.judged(lit(61, 1)) == sheet.REFUSED


def test_half_a_sheet_at_most_is_one_pose(faces: Faces) -> None:
    looked = gate(faces, wanted=6)  # the reference is the first of three that face us
    kept = [looked.judged(lit(level, 1)) for level in (0, 30, 60, 120)]
    assert [each == sheet.REFUSED for each in kept] == [False, False, True, True]


def test_without_face_files_no_likeness_is_invented() -> None:
    assert gate(None).judged(lit(60, 2)) is None


# --- how a sheet grows ---------------------------------------------------------------
def grown(
    folder: Path,
    draw: Callable[[str, int], Image.Image],
    *,
    wanted: int = 6,
    start: tuple[card.View, ...] = (),
    tell: Callable[[Step], None] = lambda step: None,
) -> list[card.View]:
    return sheet.made(
        draw, [scene(1)], gate(None), wanted=wanted, start=start, whose="mine", folder=folder,
        tell=tell,
    )  # fmt: skip


def painted(words: str, number: int) -> Image.Image:
    """Every third is a copy of the one before."""
    return lit(20 * (number - (number % 3 == 2)), number)


def test_a_sheet_that_was_interrupted_ends_as_the_same_sheet(tmp_path: Path) -> None:
    whole = grown(tmp_path / "a", painted)
    drawn: list[int] = []

    def dies(words: str, number: int) -> Image.Image:
        drawn.append(number)
        if len(drawn) == 4:
            raise Canceled
        return painted(words, number)

    with pytest.raises(Canceled):
        grown(tmp_path / "b", dies)
    assert grown(tmp_path / "b", dies) == whole
    assert drawn[3] == drawn[4] and drawn == sorted(drawn)  # none but the lost one is drawn again
    assert len({view.words for view in whole}) == len(whole) == 6


def test_a_sheet_with_too_few_views_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="Choose a sharper photo") as caught:
        grown(tmp_path, lambda words, number: scene(1))
    assert caught.value.code == "too_few_views"


def test_poses_faces_and_scenes_of_a_whole_sheet_all_differ() -> None:
    asked = [sheet.words(number) for number in range(sheet.USUAL)]
    assert len(set(asked)) == sheet.USUAL
    assert all(sum(part in words for words in asked) >= 4 for part in sheet.SCENES + sheet.FACES)


# --- in an engine --------------------------------------------------------------------
@pytest.fixture(scope="module", params=["klein", "sdxl", "qwen-edit"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = load(request.param, make(request.param, tmp_path_factory.mktemp(request.param)))
    found.warm.weights = replace(found.warm.weights, reference_px=SIDE, steps=4)
    return found


@engine_test
def test_a_training_from_one_photo_goes_on_where_it_stopped_bit_for_bit(
    engine: ProductionEngine, tmp_path: Path
) -> None:
    """Stopped amid the views, then amid the steps."""

    def train(folder: str, stop: str = "", at: int = 0) -> bytes:
        def told(step: Step) -> None:
            if step.phase == stop and step.done == at:
                raise Canceled

        recipe = replace(FAST, checkpoint_every_s=0)
        found = engine.train(
            [photo(1)], tier="fast", recipe=recipe, resume_dir=tmp_path / folder, on_step=told
        )
        return found.safetensors

    whole = train("a")
    for stop in (("views", 2), ("save", 4)):
        with pytest.raises(Canceled):
            train("b", *stop)
    assert train("b") == whole
    family = engine.warm.weights.family
    who = person.read(whole, family=family)
    assert len(who.views) == 4 and {view.likeness for view in who.views} == {None}
    assert len(who.references) == 1 and who.lora
    assert card.views(whole) == who.views


@engine_test
def test_rejected_views_are_made_anew_and_the_others_kept(
    engine: ProductionEngine, tmp_path: Path
) -> None:
    first = engine.train([photo(1)], tier="fast", recipe=FAST).safetensors
    before = card.views(first)
    recipe = replace(FAST, earlier=first, rejected=(before[1].name,))
    after = card.views(engine.train([photo(1)], tier="fast", recipe=recipe, seed=9).safetensors)
    assert len(after) == 4 and before[1] not in after
    assert after[:3] == (before[0], before[2], before[3])


@engine_test
def test_stages_of_a_training_are_kept_for_likeness_to_choose(tmp_path: Path) -> None:
    base = tiny_checkpoints.klein(tmp_path / "klein")
    steady = small(steps=6, schedule="constant", keep_at=(3,))
    learn("klein", base, tmp_path / "a", steady)
    half = learn("klein", base, tmp_path / "b", replace(steady, steps=3, keep_at=()))
    assert (tmp_path / "a" / kept_name(3)).read_bytes() == half.read_bytes()


# --- the reference in context --------------------------------------------------------
@engine_test
@pytest.mark.parametrize(("name", "size_px"), [("klein", 64), ("qwen_edit", 64), ("qwen_edit", 32)])
def test_a_reference_stands_where_the_pipeline_puts_it(
    name: str, size_px: int, tmp_path: Path
) -> None:
    """What the denoiser is given in a step of ours and in one of the stock pipeline; Qwen's shows
    every reference in one size, here in 64 px."""
    base = trainer_parts.BUILD[name](tmp_path / name)
    given: list[dict[str, Any]] = []

    def noted(module: object, args: object, kwargs: dict[str, Any]) -> None:
        given.append(kwargs)

    pipe = trainer_parts.stock(base)
    pipe.transformer.register_forward_pre_hook(noted, with_kwargs=True)
    more = {"max_sequence_length": 24} if name == "klein" else {"true_cfg_scale": 1.0}
    recipe = small(context=True, size_px=size_px, prompt="a")
    with trainer_parts.small_pictures():
        pipe(
            image=[pictures.read(trainer_parts.picture(1))], prompt="a", width=size_px,
            height=size_px, num_inference_steps=1, **more,
        )  # fmt: skip
    batch, found = trainer_parts.held_out(name, base, recipe, 1)
    ours = FAMILIES[name].denoiser(base, trainer_parts.CPU)
    ours.register_forward_pre_hook(noted, with_kwargs=True)
    with torch.no_grad():
        wrong = FAMILIES[name].wrong(ours, batch, torch.empty(0))
    theirs, mine = given[0], given[-1]
    if name == "klein":
        assert torch.equal(theirs["img_ids"][:1], mine["img_ids"][:1])
    else:
        assert list(theirs["img_shapes"][0]) == mine["img_shapes"][0]
    beside = found.words["context"].shape[1]
    assert theirs["hidden_states"].shape[1:] == mine["hidden_states"].shape[1:]
    for part, first in (("hidden_states", -beside), ("encoder_hidden_states", 0)):
        apart = theirs[part][:1, first:] - mine[part][:1, first:]
        assert apart.abs().max() < 1e-4, part
    assert wrong.shape == batch.latents.shape


@engine_test
def test_a_training_with_the_reference_beside_it_learns(tmp_path: Path) -> None:
    base = tiny_checkpoints.klein(tmp_path / "klein")
    recipe = small(steps=60, context=True, weighting="none", rank=16, ema=0.9)
    adapter = learn("klein", base, tmp_path / "a", recipe)
    batch, _ = trainer_parts.held_out("klein", base, recipe, 1)
    losses = [
        trainer_parts.loss(
            "klein", base, trainer_parts.denoiser_of(trainer_parts.stock(base, weights)), batch
        )
        for weights in (None, adapter)
    ]
    assert losses[1] < 0.75 * losses[0]


@engine_test
@pytest.mark.parametrize("name", ["klein", "qwen_edit"])
def test_nobody_else_is_learnt_beside_a_reference(name: str, tmp_path: Path) -> None:
    base = trainer_parts.BUILD[name](tmp_path / "base")
    recipe = small(context=name == "klein")  # Qwen's is always there
    with pytest.raises(EngineError, match="all pictures are of that person"):
        learn(name, base, tmp_path / "b", recipe, prior=[trainer_parts.picture(2)])


# --- in the studio -------------------------------------------------------------------
@pytest.fixture
def trained(alice: User) -> PortraitModel:
    """Somebody a GPU engine learnt from two views."""
    views = [card.View(pictures_of(level), "smiling", level) for level in (40, 80)]
    data = person.write(
        person.Person("klein", "fast", (), {"a.lora_A.weight": torch.ones(1)}, views=tuple(views)),
        prefix="transformer",
    )
    model = rows.portrait_model(alice)
    model.weights.name = default_storage.save("weights/sheet.safetensors", ContentFile(data))
    model.save()
    default_storage.save(model.reference.file.name, ContentFile(photo(1)))
    return model


def pictures_of(level: int) -> bytes:
    return sheet._jpeg(lit(level, 1))


@pytest.mark.django_db
def test_a_person_looks_at_the_views_and_rejects_some(
    trained: PortraitModel, settings: Settings
) -> None:
    settings.ENGINE_IMAGE = "klein"
    kept, bad = sheets.views(trained)
    assert (kept.likeness, bad.likeness) == (40, 80)
    wanted = uuid.uuid4()
    again, twice = (sheets.reject_views(trained, [bad.name], training_id=wanted) for _ in range(2))
    assert again == twice == Training.objects.get()
    assert again.charged == 20
    call = of_training(Training.objects.get())
    assert call.tier == "fast" and call.recipe
    assert call.recipe.rejected == (bad.name,)
    assert card.views(call.recipe.earlier) == (kept, bad)


@pytest.mark.django_db
def test_only_views_of_that_model_can_be_rejected(trained: PortraitModel) -> None:
    for names in ([], ["0" * 64]):
        with pytest.raises(Refusal) as caught:
            sheets.reject_views(trained, names, training_id=uuid.uuid4())
        assert caught.value.code == "unknown_view"
    assert not Training.objects.exists()


@pytest.mark.django_db
def test_an_engine_that_makes_no_views_or_sees_none_learns_the_photos(
    trained: PortraitModel,
) -> None:
    asked = rows.training(trained)
    for tier, engine, wanted in (
        ("fast", "klein", "fast"), ("fast", "miniature", "trained"),
        ("standard", "klein", "trained"), ("instant", "klein", "instant"),
        ("instant", "wan", "trained"), ("fast", "qwen-edit", "fast"),
    ):  # fmt: skip
        Training.objects.update(tier=tier, engine=engine)
        asked.refresh_from_db()
        assert of_training(asked).tier == wanted


@pytest.mark.django_db
def test_weights_without_a_sheet_show_none(trained: PortraitModel) -> None:
    for data in (save({"x": torch.ones(1)}), b"damaged", b"\xff" * 99):
        trained.weights.name = default_storage.save("weights/x.safetensors", ContentFile(data))
        assert sheets.views(trained) == ()
