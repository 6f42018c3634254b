"""Every family of engine for a GPU, over a tiny base model in its true format."""

from __future__ import annotations

import gc
import os
import socket
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from generator.engine import film, pictures, registry
from generator.engine.interface import (
    Canceled,
    EngineError,
    GenerateCall,
    Recipe,
    Step,
    TrainCall,
)
from generator.engine.process import EngineProcess
from generator.engine.production import person
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.families import Klein
from tests import production_parts, tiny_checkpoints, trainer_parts
from tests.production_parts import (
    ENGINES,
    SHORT,
    SIDE,
    STILLS,
    clip,
    code_of,
    drawn,
    learnt,
    load,
    make,
    photo,
    pixels,
    short_prompts,  # noqa: F401  a fixture
    small_pictures,  # noqa: F401  a fixture
    wanted,
)

pytestmark = pytest.mark.engine
heard = production_parts.heard


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(name, tmp_path_factory.mktemp(name)) for name in ENGINES}


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, ProductionEngine]:
    return {name: load(name, folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def known(engines: dict[str, ProductionEngine]) -> dict[str, bytes]:
    """Somebody each engine knows, in the way it can."""
    found = {}
    for name in ENGINES:
        tier = engines[name].describe().tiers[0]
        found[name] = learnt(engines[name], 1, tier=tier)
    return found


def unlearnt(somebody: bytes, engine: ProductionEngine) -> bytes:
    """With the same words and pictures, and an adapter that does nothing."""
    known = person.read(somebody, family=engine.warm.weights.family)
    nothing = {name: torch.zeros_like(values) for name, values in known.lora.items()}
    return person.write(replace(known, lora=nothing), prefix=engine.warm.base.denoiser_name)


# --- pictures ------------------------------------------------------------------------
@pytest.mark.parametrize("name", ENGINES)
def test_the_same_seed_draws_the_same_picture(
    name: str, engines: dict[str, ProductionEngine], known: dict[str, bytes]
) -> None:
    one, again, other = (drawn(engines[name], wanted(), [known[name]], seed) for seed in (3, 3, 4))
    assert one == again != other
    assert pixels(one).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("name", ENGINES)
def test_a_picture_is_the_same_alone_and_among_others(
    name: str, engines: dict[str, ProductionEngine], known: dict[str, bytes]
) -> None:
    both = engines[name].generate(wanted(num_images=2), [known[name]], seed=7)
    assert [image.seed for image in both] == [7, 8]
    assert both[1].png == drawn(engines[name], wanted(), [known[name]], seed=8)


@pytest.mark.parametrize("name", ENGINES)
def test_every_ratio_is_drawn(
    name: str, engines: dict[str, ProductionEngine], known: dict[str, bytes]
) -> None:
    found = drawn(engines[name], wanted(aspect_ratio="16:9", size_px=128), [known[name]])
    height, width = pixels(found).shape[:2]
    assert abs(width / height - 16 / 9) < 0.15
    assert abs(width * height / 128**2 - 1) < 0.15


@pytest.mark.parametrize("name", ENGINES)
def test_a_trained_person_changes_pictures_and_leaves_the_base_alone(
    name: str, engines: dict[str, ProductionEngine]
) -> None:
    engine = engines[name]
    somebody = learnt(engine, 1, 2)
    nobody = unlearnt(somebody, engine)
    before = drawn(engine, wanted(), [nobody])
    assert drawn(engine, wanted(), [somebody]) != before
    assert drawn(engine, wanted(), [nobody]) == before


@pytest.mark.parametrize("name", ENGINES)
def test_stock_diffusers_draws_the_same_person(
    name: str, engines: dict[str, ProductionEngine], folders: dict[str, Path], tmp_path: Path
) -> None:
    """The adapter's file goes through `load_lora_weights`, its references left out."""
    engine = engines[name]
    family = engine.warm.weights.family
    alone = person.read(learnt(engine, 1), family=family)
    bare = person.Person(family, "trained", (), alone.lora)
    (tmp_path / "them.safetensors").write_bytes(
        person.write(bare, prefix="unet" if name == "sdxl" else "transformer")
    )
    pipe = trainer_parts.stock(folders[name], tmp_path / "them.safetensors")
    guidance = engine.warm.weights.guidance
    own: dict[str, dict[str, Any]] = {
        "klein": {"guidance_scale": guidance, "max_sequence_length": Klein.prompt_tokens},
        "sdxl": {"guidance_scale": guidance, "negative_prompt": ""},
        "qwen-edit": {
            "true_cfg_scale": guidance,
            "negative_prompt": " ",
            "image": [pictures.read(photo(1))],
        },
        "wan": {"guidance_scale": guidance, "num_frames": 1, "output_type": "pil"},
    }
    stock = pipe(
        prompt="the person, a photo of a person",
        width=SIDE,
        height=SIDE,
        num_inference_steps=4,
        generator=torch.Generator("cpu").manual_seed(3),
        **own[name],
    )
    picture = stock.frames[0][0] if name == "wan" else stock.images[0]
    request = wanted("edit") if name == "qwen-edit" else wanted()
    ours = drawn(engine, request, [(tmp_path / "them.safetensors").read_bytes()])
    assert (pixels(ours) == np.asarray(picture, dtype=np.int16)).all()


# --- several pictures, several people ------------------------------------------------
@pytest.mark.parametrize("name", ["klein", "qwen-edit"])
def test_more_references_are_looked_at(name: str, engines: dict[str, ProductionEngine]) -> None:
    engine = engines[name]
    one = learnt(engine, 1, tier="instant")
    two = learnt(engine, 1, 2, tier="instant")
    assert drawn(engine, wanted(), [one]) != drawn(engine, wanted(), [two])


@pytest.mark.parametrize("name", ["klein", "qwen-edit"])
def test_two_people_are_drawn_from_the_pictures_of_both(
    name: str, engines: dict[str, ProductionEngine]
) -> None:
    engine = engines[name]
    a, b, c = (learnt(engine, i, tier="instant") for i in (1, 2, 3))
    request = wanted(prompt="[[a]] and [[b]] at the beach")
    found = [drawn(engine, request, people) for people in ([a, b], [a, c], [b, a])]
    assert len(set(found)) == 3
    assert code_of(lambda: engine.generate(request, [a] * 5)) == "too_many_people"


@pytest.mark.parametrize("name", ENGINES)
def test_an_id_never_reaches_a_tokenizer(
    name: str,
    engines: dict[str, ProductionEngine],
    known: dict[str, bytes],
    heard: list[str],
) -> None:
    words = "[[q7x-id]] in a zebra hat beside @q7xname"
    drawn(engines[name], wanted(prompt=words), [known[name]])
    if name == "wan":
        engines[name].animate(clip(words), [known[name]])
    else:
        drawn(engines[name], wanted("edit", words, recognise=True), [known[name]])
    assert any("in a zebra hat" in text for text in heard)
    assert not [text for text in heard if "q7x" in text or "[[" in text]


@pytest.mark.parametrize("name", ["klein", "qwen-edit"])
def test_a_picture_that_an_edit_points_at_is_given_under_its_number(
    name: str,
    engines: dict[str, ProductionEngine],
    known: dict[str, bytes],
    heard: list[str],
) -> None:
    words = "in the clothes of image 2"
    plain, lent = (
        drawn(engines[name], wanted("edit", words, style_image=other), [known[name]])
        for other in (None, photo(6))
    )
    assert any("in the clothes of image 3" in text for text in heard)  # 2 is the person
    assert lent != plain


# --- from a picture ------------------------------------------------------------------
@pytest.mark.parametrize("name", STILLS)
@pytest.mark.parametrize("kind", ["edit", "restyle", "vary"])
def test_a_picture_is_changed_in_its_own_size(
    name: str, kind: str, engines: dict[str, ProductionEngine]
) -> None:
    engine = engines[name]
    given = pictures.to_png(pictures.read(photo(5)).resize((90, 70)))
    request = wanted(
        kind, "in the snow", image=given, style_image=photo(6) if kind == "restyle" else None
    )  # type: ignore[arg-type]
    if kind not in engine.describe().kinds:
        assert code_of(lambda: engine.generate(request)) == "bad_request"
        return
    found = drawn(engine, request)
    assert pixels(found).shape == (70, 90, 3)
    assert found != given
    assert found == drawn(engine, request)


@pytest.mark.parametrize(("name", "number"), [("klein", 1), ("qwen-edit", 2)])
def test_who_is_put_into_a_part_of_a_picture_is_called_by_the_number_they_have_there(
    name: str,
    number: int,
    engines: dict[str, ProductionEngine],
    known: dict[str, bytes],
    heard: list[str],
) -> None:
    """An inpainting of klein's looks at the person alone, Qwen at the picture before them."""
    mask = Image.new("RGB", (SIDE, SIDE), "white")
    request = wanted("edit", "[[a]] in a veil", mask_image=pictures.to_png(mask))
    drawn(engines[name], request, [known[name]])
    assert any(f"the person of image {number} in a veil" in text for text in heard)


@pytest.mark.parametrize("name", STILLS)
def test_what_a_mask_keeps_is_kept_pixel_for_pixel(
    name: str, engines: dict[str, ProductionEngine], known: dict[str, bytes]
) -> None:
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (16, 16, 48, 48))
    request = wanted("edit", "a red hat", mask_image=pictures.to_png(mask.convert("RGB")))
    before, after = pixels(photo(1)), pixels(drawn(engines[name], request, [known[name]]))
    outside = np.asarray(mask) == 0
    assert (before[outside] == after[outside]).all()
    assert (before[~outside] != after[~outside]).any()


@pytest.mark.parametrize("name", STILLS)
def test_an_empty_mask_and_a_missing_picture_are_refused(
    name: str, engines: dict[str, ProductionEngine]
) -> None:
    engine = engines[name]
    empty = pictures.to_png(Image.new("RGB", (SIDE, SIDE)))
    masked = wanted("edit", "a hat", mask_image=empty)
    missing = wanted("edit", "a hat", image=None)
    broken = wanted("edit", "a hat", image=b"GIF89a")
    assert code_of(lambda: engine.generate(masked)) == "bad_mask"
    assert code_of(lambda: engine.generate(missing)) == "bad_request"
    assert code_of(lambda: engine.generate(broken)) == "bad_picture"


@pytest.mark.parametrize("name", STILLS)
def test_a_picture_is_enlarged_in_tiles_and_stays_what_it_is(
    name: str,
    engines: dict[str, ProductionEngine],
    known: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The base model is noise, so whatever is large in the result comes from the picture."""
    engine = engines[name]
    monkeypatch.setattr(engine, "description", replace(engine.description, size_px=96))
    given = pictures.read(photo(8, side=100))
    told: list[Step] = []
    request = wanted("enhance", "", image=pictures.to_png(given), size_px=192)
    found = engine.generate(request, [known[name]], seed=1, on_step=told.append)[0].png
    large = pictures.read(found)
    assert large.size == (192, 192)
    small = np.asarray(large.resize((6, 6), Image.Resampling.BOX), dtype=np.int16)
    before = np.asarray(given.resize((6, 6), Image.Resampling.BOX), dtype=np.int16)
    assert np.abs(small - before).mean() < 12
    done = [step.done for step in told]
    assert done == sorted(done) and done[-1] == 100


# --- clips ---------------------------------------------------------------------------
def test_a_still_is_set_in_motion(engines: dict[str, ProductionEngine]) -> None:
    made, again = (engines["wan"].animate(clip(), seed=2) for _ in range(2))
    assert (made.frames, made.fps, made.width, made.height) == (48, 24, SIDE, SIDE)
    assert len(film.decode(made.mp4)) == 48
    assert made.poster == again.poster
    assert made.motion > 0


def test_an_engine_of_pictures_draws_the_still_and_leaves_motion_to_its_engine(
    engines: dict[str, ProductionEngine], known: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines["klein"]
    monkeypatch.setattr(engine, "description", replace(engine.description, size_px=SIDE))
    monkeypatch.setattr(engine.warm, "description", engine.description)
    told: list[Step] = []
    wished = clip("[[her]] smiling", image=None, num_inference_steps=4)
    made = engine.animate(wished, [known["klein"]], on_step=told.append)
    assert made.frames == 48
    done = [step.done for step in told]
    assert done == sorted(done) and done[-1] == 100


def test_whoever_an_engine_of_clips_has_learnt_is_worn_in_its_clips(
    engines: dict[str, ProductionEngine], known: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines["wan"]
    worn, plain = (
        film.decode(engine.animate(clip("[[a]] smiling"), [somebody], seed=2).mp4)
        for somebody in (known["wan"], unlearnt(known["wan"], engine))
    )
    assert (worn[-1] != plain[-1]).any()
    monkeypatch.setattr(engine, "description", replace(engine.description, size_px=SIDE))
    wished = clip("[[a]] smiling", image=None, num_inference_steps=4)
    made = engine.animate(wished, [known["wan"]])
    assert (made.frames, made.width) == (48, SIDE)


def test_a_person_without_a_training_is_told_what_an_engine_of_clips_needs(
    engines: dict[str, ProductionEngine], known: dict[str, bytes]
) -> None:
    untrained = replace(person.read(known["wan"], family="wan"), lora={})
    data = person.write(untrained, prefix="transformer")
    with pytest.raises(EngineError, match="knows people by a training alone"):
        engines["wan"].generate(wanted(), [data])


def test_clips_and_pictures_an_engine_does_not_make_are_refused(
    engines: dict[str, ProductionEngine],
) -> None:
    wan = engines["wan"]
    assert code_of(lambda: wan.generate(wanted("edit"))) == "bad_request"
    assert code_of(lambda: wan.train([photo(1)], tier="instant")) == "bad_request"
    assert code_of(lambda: engines["klein"].train([])) == "no_reference"


# --- stopped, crowded out, unloaded --------------------------------------------------
class Stopper:
    """Raises at the given sign of life."""

    def __init__(self, at: int, error: type[Exception] = Canceled) -> None:
        self.left = at
        self.error = error

    def __call__(self, step: Step) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


def exhausted(step: Step) -> None:
    raise torch.OutOfMemoryError


@pytest.mark.parametrize("name", STILLS)
@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_canceled_picture_leaves_the_next_one_as_it_was(
    name: str, at: int, engines: dict[str, ProductionEngine], known: dict[str, bytes]
) -> None:
    before = drawn(engines[name], wanted(), [known[name]])
    with pytest.raises(Canceled):
        edit = wanted("edit", "a hat", strength=1.0)
        engines[name].generate(edit, [known[name]], on_step=Stopper(at))
    with pytest.raises(Canceled):
        engines[name].generate(wanted(), [known[name]], on_step=Stopper(at))
    assert drawn(engines[name], wanted(), [known[name]]) == before


def test_a_canceled_clip_leaves_the_next_one_as_it_was(
    engines: dict[str, ProductionEngine],
) -> None:
    before = engines["wan"].animate(clip(), seed=2).poster
    with pytest.raises(Canceled):
        engines["wan"].animate(clip(), seed=2, on_step=Stopper(1))
    assert engines["wan"].animate(clip(), seed=2).poster == before


def test_out_of_memory_is_tried_again_with_less(engines: dict[str, ProductionEngine]) -> None:
    engine = engines["sdxl"]
    before, plan = drawn(engine, wanted()), engine.warm.plan
    stopper = Stopper(2, torch.OutOfMemoryError)
    try:
        assert engine.generate(wanted(), seed=3, on_step=stopper)[0].png == before
        assert engine.warm.plan.batch == plan.batch // 2
        assert code_of(lambda: engine.generate(wanted(), on_step=exhausted)) == "out_of_memory"
    finally:
        engine.unload()
        engine.warm.plan = plan
    assert drawn(engine, wanted()) == before


@pytest.mark.parametrize("name", ENGINES)
def test_loading_asks_no_network_and_leaves_the_process_as_it_was(
    name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **more: asked.append(where))
    before = dict(os.environ)
    load(name, folders[name])
    assert dict(os.environ) == before
    assert asked == []


@pytest.mark.parametrize("name", ENGINES)
def test_unloading_gives_the_memory_back_and_the_next_request_loads_again(
    name: str, folders: dict[str, Path]
) -> None:
    engine = load(name, folders[name])
    if name == "sdxl":  # its siblings hold the same parts
        drawn(engine, wanted("edit", "a hat"))
    parts = [weakref.ref(engine.warm.base.denoiser), weakref.ref(engine.warm.base.pipe.vae)]
    engine.unload()
    gc.collect()
    assert [part() for part in parts] == [None, None]
    assert engine.warm.base.denoiser is not None


# --- weights -------------------------------------------------------------------------
def test_weights_that_are_not_here_say_how_to_fetch_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Exception, match=r"python manage\.py engines pull klein"):
        registry.load("klein")


@pytest.mark.parametrize("name", ["hubconf.py", "vae/weights.bin"])
def test_a_folder_with_files_that_run_is_not_loaded(tmp_path: Path, name: str) -> None:
    folder = tiny_checkpoints.sdxl(tmp_path / "sdxl")
    (folder / name).write_bytes(b"import os")
    with pytest.raises(Exception, match="could run code"):
        registry.load("sdxl", weights=folder)


def test_people_of_another_engine_and_broken_files_are_refused(
    engines: dict[str, ProductionEngine], known: dict[str, bytes]
) -> None:
    def refusal(data: bytes) -> str:
        return code_of(lambda: engines["klein"].generate(wanted(), [data]))

    assert refusal(known["sdxl"]) == "adapter_other_base"
    assert refusal(b"") == refusal(known["klein"][:-20]) == "adapter_broken"
    good = person.read(known["klein"], family="klein")
    wrong = {
        "adapter_foreign": {"not.there.lora_A.weight": torch.ones(2, 2)},
        "adapter_not_finite": {"x_embedder.lora_A.weight": torch.full((2, 2), torch.nan)},
        "adapter_wrong_shape": {
            "x_embedder.lora_A.weight": torch.ones(2, 3),
            "x_embedder.lora_B.weight": torch.ones(3, 2),
        },
    }
    for code, tensors in wrong.items():
        data = person.write(
            person.Person("klein", "trained", good.references, tensors), prefix="transformer"
        )
        assert refusal(data) == code


def test_without_face_files_nothing_is_measured(
    engines: dict[str, ProductionEngine], known: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines["klein"]
    monkeypatch.setattr(engine, "description", replace(engine.description, size_px=SIDE))
    (image,) = engine.generate(wanted(likeness_floor=80), [known["klein"]])
    assert image.faces == () and not image.below_floor
    assert engine.likeness(photo(1), photo(2)) == []
    assert engine.train([photo(1)], tier="instant", recipe=Recipe()).likeness is None
    assert code_of(lambda: engine.find_subject([photo(1)])) == "no_face_files"


# --- as the worker uses it -----------------------------------------------------------
def test_a_worker_draws_with_it_through_its_own_process(folders: dict[str, Path]) -> None:
    with EngineProcess("klein", weights=folders["klein"], threads=1) as process:
        learnt = process.run(TrainCall([photo(1)], tier="instant", recipe=SHORT))
        call = GenerateCall(wanted(prompt="[[a]] at the beach"), [learnt.safetensors], seed=3)
        one, again = (process.run(call)[0].png for _ in range(2))
    assert one == again
    assert pixels(one).shape == (SIDE, SIDE, 3)
