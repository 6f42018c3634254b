"""The engine in this process: seeds, adapters, checkpoints, photos."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from skimage import data as skimage_data

from generator.engine import adapter, photo, pictures, registry, wording
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import (
    Canceled,
    EngineError,
    GenerateRequest,
    Recipe,
    Step,
    TrainedAdapter,
)
from generator.engine.miniature.conditioning import encode_prompts
from tests.engine_parts import are_trained, make_weights

pytestmark = pytest.mark.engine
FACE = GenerateRequest("face", "a portrait of a 34 year old woman", num_images=1)
SHORT = Recipe(steps=6, evaluation_images=0, checkpoint_every_s=0.0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def engine(weights: Path) -> DiffusersEngine:
    loaded = registry.load("miniature", weights=weights)
    assert isinstance(loaded, DiffusersEngine)
    return loaded


@pytest.fixture(scope="module")
def reference(engine: DiffusersEngine) -> bytes:
    return engine.generate(FACE, seed=11)[0].png


@pytest.fixture(scope="module")
def trained(engine: DiffusersEngine, reference: bytes) -> TrainedAdapter:
    return engine.train([reference], recipe=Recipe(steps=6, evaluation_images=1), seed=5)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as caught:
        call()
    return caught.value.code


# --- drawing -------------------------------------------------------------------------
def test_the_same_seed_draws_the_same_pixels_alone_and_in_a_request(
    engine: DiffusersEngine,
) -> None:
    several = engine.generate(GenerateRequest("face", FACE.prompt, num_images=3), seed=7)
    assert [image.seed for image in several] == [7, 8, 9]
    assert engine.generate(FACE, seed=9)[0].png == several[2].png
    assert several[0].png != several[1].png


def test_pictures_have_the_promised_size(engine: DiffusersEngine, reference: bytes) -> None:
    side = engine.describe().size_px
    assert Image.open(io.BytesIO(reference)).size == (side, side)


def test_every_step_is_told_and_previews_are_small_jpegs(engine: DiffusersEngine) -> None:
    steps: list[Step] = []
    engine.generate(FACE, on_step=steps.append)
    assert [step.done for step in steps] == list(range(steps[0].total + 1))
    previews = [step.preview for step in steps if step.preview]
    assert previews
    for data in previews:
        image = Image.open(io.BytesIO(data))
        assert image.format == "JPEG"
        assert max(image.size) <= 128


@pytest.mark.parametrize("last", [0, 1, 9])
def test_a_canceled_call_leaves_the_next_one_unchanged(
    engine: DiffusersEngine, reference: bytes, last: int
) -> None:
    def stop(step: Step) -> None:
        if step.done == last:
            raise Canceled

    with pytest.raises(Canceled):
        engine.generate(FACE, seed=3, on_step=stop)
    assert engine.generate(FACE, seed=11)[0].png == reference


def test_a_picture_with_a_person_leaves_the_next_one_unchanged(
    engine: DiffusersEngine, reference: bytes, trained: TrainedAdapter
) -> None:
    engine.generate(GenerateRequest("image", "beach"), [trained.safetensors])
    assert engine.generate(FACE, seed=11)[0].png == reference


@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("[[3f2a]] on a beach", "on a beach"),
        ("portrait of [[3f2a]], smiling", "portrait of, smiling"),
        ("@ada at home", "at home"),
        ("write to ada@example.com", "write to ada@example.com"),
        ("[[a]] [[b]]", ""),
        ("  many   spaces ", "many spaces"),
    ],
)
def test_names_of_portrait_models_never_reach_the_tokenizer(prompt: str, cleaned: str) -> None:
    assert wording.clean(prompt) == cleaned


@pytest.mark.parametrize(
    ("prompt", "negative", "posed"),
    [
        ("at the beach", "", "at the beach, facing the camera"),
        ("", "", "facing the camera"),
        ("at the beach, looking left", "", "at the beach, looking left"),
        ("at the beach", "facing the camera", "at the beach"),
    ],
)
def test_a_prompt_without_a_pose_gets_one(prompt: str, negative: str, posed: str) -> None:
    assert wording.posed(prompt, negative) == posed


def test_a_picture_without_a_pose_is_drawn_facing_the_camera(engine: DiffusersEngine) -> None:
    first, second = (
        engine.generate(GenerateRequest("image", words), seed=5)[0].png
        for words in ("beach", "beach, facing the camera")
    )
    assert first == second


@pytest.mark.parametrize(
    ("prompt", "lit"),
    [
        ("at the beach", "at the beach, daylight"),
        ("", "daylight"),
        ("at the beach, neon lights", "at the beach, neon lights"),
        ("golden hour", "golden hour"),
        ("light skin, light brown hair", "light skin, light brown hair, daylight"),
    ],
)
def test_people_side_by_side_get_one_light(prompt: str, lit: str) -> None:
    assert wording.lit(prompt) == lit


@pytest.mark.parametrize(
    ("prompt", "negative", "said"),
    [
        ("a woman, smiling", "", "a woman, smiling, studio background, daylight"),
        ("", "", "studio background, daylight"),
        ("a man at the beach", "", "a man at the beach, daylight"),
        ("looking at the camera", "", "looking at the camera, studio background, daylight"),
        ("a man, neon light", "", "a man, neon light, studio background"),
        ("a man in front of a wall, side light", "", "a man in front of a wall, side light"),
        ("a man", "studio, daylight", "a man"),
    ],
)
def test_a_face_to_draw_others_from_is_clear(prompt: str, negative: str, said: str) -> None:
    assert wording.in_studio(prompt, negative) == said


def test_a_face_is_drawn_in_a_studio_and_a_picture_anywhere(engine: DiffusersEngine) -> None:
    words = ("a man, facing the camera", "a man, facing the camera, studio background, daylight")
    for kind, alike in (("face", True), ("image", False)):
        first, second = (
            engine.generate(GenerateRequest(kind, said), seed=5)[0].png for said in words
        )
        assert (first == second) is alike


def test_a_named_portrait_model_does_not_change_the_words(engine: DiffusersEngine) -> None:
    plain, named = (engine.draftsman.encode([text]) for text in ("a beach", "[[x]] a beach @bo"))
    assert torch.equal(plain, named)


@pytest.mark.parametrize(
    "request_",
    [
        GenerateRequest("face", "x", num_images=0),
        GenerateRequest("face", "x", num_inference_steps=500),
        GenerateRequest("face", "x", guidance_scale=99.0),
    ],
)
def test_requests_out_of_bounds_are_refused(
    engine: DiffusersEngine, request_: GenerateRequest
) -> None:
    assert code_of(lambda: engine.generate(request_)) == "bad_request"


def test_only_the_pose_of_a_pose_picture_is_used(engine: DiffusersEngine, reference: bytes) -> None:
    posed = GenerateRequest("face", FACE.prompt, pose_image=reference)
    (said,) = engine.judge.describe(pictures.to_tensor(pictures.read(reference), 128), ["pose"])
    worded = GenerateRequest("face", ", ".join([FACE.prompt, *said.values()]))
    assert engine.generate(posed, seed=11)[0].png == engine.generate(worded, seed=11)[0].png


def test_three_people_in_one_picture_are_refused(
    engine: DiffusersEngine, trained: TrainedAdapter
) -> None:
    all_three = [trained.safetensors] * 3
    assert code_of(lambda: engine.generate(FACE, all_three)) == "too_many_people"


# --- learning ------------------------------------------------------------------------
def test_a_training_without_a_reference_is_refused(engine: DiffusersEngine) -> None:
    assert code_of(lambda: engine.train([])) == "no_reference"


def test_a_reference_that_is_no_picture_is_refused(engine: DiffusersEngine) -> None:
    assert code_of(lambda: engine.train([b"GIF89a"])) == "bad_picture"


def test_training_changes_what_is_drawn(
    engine: DiffusersEngine, reference: bytes, trained: TrainedAdapter
) -> None:
    instant = engine.train([reference], tier="instant", recipe=Recipe(evaluation_images=0))
    pictures_ = {
        engine.generate(FACE, people, seed=1)[0].png
        for people in ([], [instant.safetensors], [trained.safetensors])
    }
    assert len(pictures_) == 3
    assert load_tensors(instant.safetensors) == {}
    assert trained.preview is not None


def test_a_canceled_training_leaves_the_denoiser_as_it_was(
    engine: DiffusersEngine, reference: bytes
) -> None:
    def stop(step: Step) -> None:
        if step.phase == "train" and step.done == 3:
            raise Canceled

    with pytest.raises(Canceled):
        engine.train([reference], recipe=SHORT, on_step=stop)
    assert engine.generate(FACE, seed=11)[0].png == reference


def stop_after(done: int) -> Callable[[Step], None]:
    def stop(step: Step) -> None:
        if step.phase == "train" and step.done == done:
            raise Canceled

    return stop


@pytest.mark.parametrize("done", [1, 2, 5])
def test_a_resumed_training_equals_the_uninterrupted_one(
    engine: DiffusersEngine, reference: bytes, tmp_path: Path, done: int
) -> None:
    whole = engine.train([reference], recipe=SHORT, seed=2)
    with pytest.raises(Canceled):
        engine.train(
            [reference], recipe=SHORT, seed=2, resume_dir=tmp_path, on_step=stop_after(done)
        )
    seen: list[int] = []
    resumed = engine.train(
        [reference],
        recipe=SHORT,
        seed=2,
        resume_dir=tmp_path,
        on_step=lambda step: seen.append(step.done) if step.phase == "train" else None,
    )
    assert seen == list(range(done + 1, 7))
    assert resumed.safetensors == whole.safetensors


@pytest.mark.parametrize("damage", ["other seed", "cut short", "empty", "noise"])
def test_a_foreign_or_broken_checkpoint_starts_afresh(
    engine: DiffusersEngine, reference: bytes, tmp_path: Path, damage: str
) -> None:
    whole = engine.train([reference], recipe=SHORT, seed=2)
    seed = 3 if damage == "other seed" else 2
    with pytest.raises(Canceled):
        engine.train(
            [reference], recipe=SHORT, seed=seed, resume_dir=tmp_path, on_step=stop_after(4)
        )
    path = tmp_path / "checkpoint.safetensors"
    content = path.read_bytes()
    if damage == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "noise":
        path.write_bytes(bytes(range(256)) * 400)
    resumed = engine.train([reference], recipe=SHORT, seed=2, resume_dir=tmp_path)
    assert resumed.safetensors == whole.safetensors


# --- the adapter file ----------------------------------------------------------------
def test_stock_diffusers_draws_the_same_pixels_from_the_adapter(
    engine: DiffusersEngine, weights: Path, trained: TrainedAdapter, tmp_path: Path
) -> None:
    asked = GenerateRequest("image", "beach, facing the camera")
    ours = engine.generate(asked, [trained.safetensors], seed=4)[0]
    (tmp_path / "person.safetensors").write_bytes(trained.safetensors)
    pipe = StableDiffusionPipeline.from_pretrained(
        weights, local_files_only=True, torch_dtype=torch.float32
    )
    pipe.unet.set_attn_processor(engine.base.pipe.unet.attn_processors)
    pipe.load_lora_weights(tmp_path, weight_name="person.safetensors")
    who = header(trained.safetensors)["likeness"]
    shape = engine.read_adapter(trained.safetensors).tokens.shape
    raw = base64.b64decode(json.loads(who)["tokens"])
    tokens = torch.from_numpy(np.frombuffer(raw, "<f4").copy()).reshape(1, *shape)
    with torch.no_grad():
        words = encode_prompts(pipe.tokenizer, pipe.text_encoder, [asked.prompt], tokens)
        nothing = encode_prompts(pipe.tokenizer, pipe.text_encoder, [""], None)
    theirs = pipe(
        prompt_embeds=words,
        negative_prompt_embeds=nothing,
        num_inference_steps=engine.defaults.steps,
        guidance_scale=engine.defaults.guidance,
        generator=torch.Generator().manual_seed(4),
    ).images[0]
    assert pictures.to_png(engine.enlarger.enlarged(theirs, engine.describe().size_px)) == ours.png


def header(data: bytes) -> dict[str, str]:
    (size,) = struct.unpack("<Q", data[:8])
    metadata: dict[str, str] = json.loads(data[8 : 8 + size])["__metadata__"]
    return metadata


def changed(data: bytes, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """The file with its tensors and its notes about the person changed."""
    tensors, notes = load_tensors(data), json.loads(header(data)["likeness"])
    change(tensors, notes)
    file: bytes = save_tensors(tensors, metadata={"likeness": json.dumps(notes)})
    return file


def first(tensors: dict[str, Any]) -> str:
    return min(tensors)


HOSTILE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "too large": ("adapter_too_large", lambda d: d + bytes(adapter.MAX_BYTES)),
    "empty": ("adapter_broken", lambda d: b""),
    "pickle": ("adapter_broken", lambda d: b"\x80\x04\x95" + bytes(64)),
    "cut short": ("adapter_broken", lambda d: d[:-100]),
    "huge header": ("adapter_broken", lambda d: struct.pack("<Q", 2**60) + d[8:]),
    "deep header": (
        "adapter_broken",
        lambda d: struct.pack("<Q", 200_000) + b"[" * 200_000 + bytes(8),
    ),
    "no notes": ("adapter_foreign", lambda d: save_tensors(load_tensors(d))),
    "other format": (
        "adapter_foreign",
        lambda d: changed(d, lambda t, n: n.update(format="lora-9")),
    ),
    "other base": ("adapter_other_base", lambda d: changed(d, lambda t, n: n.update(base="sdxl"))),
    "unknown key": (
        "adapter_foreign",
        lambda d: changed(d, lambda t, n: t.update({"text_encoder.x": torch.ones(1)})),
    ),
    "unknown layer": (
        "adapter_wrong_shape",
        lambda d: changed(
            d,
            lambda t, n: t.update(
                {f"unet.nowhere.lora_{side}.weight": torch.ones(1, 1) for side in "AB"}
            ),
        ),
    ),
    "half a pair": ("adapter_wrong_shape", lambda d: changed(d, lambda t, n: t.pop(first(t)))),
    "wrong shape": (
        "adapter_wrong_shape",
        lambda d: changed(d, lambda t, n: t.update({first(t): torch.ones(8, 3)})),
    ),
    "integers": (
        "adapter_foreign",
        lambda d: changed(d, lambda t, n: t.update({first(t): t[first(t)].int()})),
    ),
    "not finite": (
        "adapter_not_finite",
        lambda d: changed(d, lambda t, n: t[first(t)].fill_(float("nan"))),
    ),
    "short tokens": ("adapter_wrong_shape", lambda d: changed(d, lambda t, n: n.update(tokens=""))),
    "infinite scale": (
        "adapter_foreign",
        lambda d: changed(d, lambda t, n: n.update(same=float("inf"))),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_foreign_adapter_is_refused(
    engine: DiffusersEngine, trained: TrainedAdapter, case: str
) -> None:
    code, spoil = HOSTILE[case]
    data = spoil(trained.safetensors)
    assert code_of(lambda: engine.generate(FACE, [data])) == code


# --- likeness ------------------------------------------------------------------------
@pytest.mark.skipif(not are_trained(), reason="untrained weights cannot tell people apart")
def test_a_person_is_more_like_themselves_than_like_others(
    engine: DiffusersEngine, reference: bytes
) -> None:
    other = engine.generate(GenerateRequest("face", "a 70 year old man, bald"), seed=1)[0].png
    own_score = engine.likeness(reference, reference)[0].likeness
    assert own_score >= 90
    assert engine.likeness(reference, other)[0].likeness < own_score - 30


# --- the catalogue -------------------------------------------------------------------
def test_an_unknown_engine_is_named_in_the_refusal() -> None:
    assert code_of(lambda: registry.describe("dall-x")) == "engine_unknown"


def test_a_licence_that_forbids_business_is_refused(tmp_path: Path) -> None:
    catalogue = tmp_path / "engines.toml"
    text = registry.CATALOGUE.read_text().replace("commercial = true", "commercial = false")
    catalogue.write_text(text)

    def load() -> object:
        return registry.load("miniature", commercial_only=True, catalogue=catalogue)

    assert code_of(load) == "licence_refused"


def test_missing_weights_say_how_to_make_them(tmp_path: Path) -> None:
    assert code_of(lambda: registry.load("miniature", weights=tmp_path)) == "no_weights"


# --- photos --------------------------------------------------------------------------
def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_a_photo_without_a_face_suggests_the_centre_square() -> None:
    suggestion = photo.suggest_square(Image.new("RGB", (300, 200), "green"))
    assert suggestion == photo.Suggestion((), 50, 0, 200)


def test_a_photo_is_turned_upright() -> None:
    image = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    assert photo.open_photo(encoded(image, "JPEG", exif=exif)).size == (20, 40)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    assert code_of(lambda: photo.open_photo(data)) == "bad_picture"


def test_any_photo_becomes_a_square_reference() -> None:
    data = photo.to_reference(encoded(Image.new("RGB", (640, 480), "blue"), "WEBP"))
    assert Image.open(io.BytesIO(data)).size == (photo.SQUARE_PX, photo.SQUARE_PX)


def test_a_face_in_a_photo_is_found_and_framed() -> None:
    image = Image.fromarray(skimage_data.astronaut())  # NASA, public domain
    suggestion = photo.suggest_square(image)
    (face,) = suggestion.faces
    left, width = face[0] * image.width, face[2] * image.width
    assert left < 220 < left + width  # her nose is at (220, 120)
    centre = (left + width / 2 - suggestion.left) / suggestion.side
    assert centre == pytest.approx(photo.FACE_X, abs=0.02)
