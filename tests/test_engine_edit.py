"""Pictures made from pictures: what may not change stays bit for bit, the rest listens."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from generator.engine import borrowing, instruction, registry
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import (
    Canceled,
    EngineError,
    GeneratedImage,
    GenerateRequest,
    Recipe,
    Step,
)
from generator.engine.miniature import upscaler
from generator.engine.miniature.evaluate_enhance import spoilt_and_true
from tests.engine_parts import are_trained, make_weights

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DiffusersEngine:
    loaded = registry.load("miniature", weights=make_weights(tmp_path_factory.mktemp("edit")))
    assert isinstance(loaded, DiffusersEngine)
    return loaded


@pytest.fixture(scope="module")
def picture(engine: DiffusersEngine) -> bytes:
    words = "a young woman, short blonde hair, white t-shirt, in a studio, daylight"
    return engine.generate(GenerateRequest("face", words), seed=3)[0].png


@pytest.fixture(scope="module")
def person(engine: DiffusersEngine, picture: bytes) -> bytes:
    recipe = Recipe(evaluation_images=0)
    return engine.train([picture], tier="instant", recipe=recipe).safetensors


def pixels(data: bytes) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def lower_half(size: int = 512) -> bytes:
    mask = Image.new("L", (size, size), 0)
    mask.paste(255, (0, size // 2, size, size))
    return png(mask)


def edit(
    engine: DiffusersEngine, picture: bytes, words: str, people: list[bytes], **more: object
) -> GeneratedImage:
    request = GenerateRequest("edit", words, image=picture, num_inference_steps=8, **more)
    return engine.generate(request, people, seed=4)[0]


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as caught:
        call()
    return caught.value.code


def test_outside_a_mask_every_pixel_stays_and_inside_it_changes(
    engine: DiffusersEngine, picture: bytes, person: bytes
) -> None:
    edited = edit(engine, picture, "red hoodie", [person], mask_image=lower_half())
    before, after = pixels(picture), pixels(edited.png)
    assert np.array_equal(before[:256], after[:256])
    assert np.abs(before[320:] - after[320:]).mean() > 5
    assert len(edited.faces) == 1


@pytest.mark.skipif(not are_trained(), reason="untrained weights understand no words")
def test_without_a_mask_only_what_the_words_are_about_changes(
    engine: DiffusersEngine, picture: bytes, person: bytes
) -> None:
    edited = pixels(edit(engine, picture, "change the outfit to a red dress", [person]).png)
    changed = (edited != pixels(picture)).any(2)
    assert changed[400:].mean() > 2 * changed[:300].mean()
    red = edited[440:500, 200:312].mean((0, 1))
    assert red[0] > red[1] + 60 and red[0] > red[2] + 60


@pytest.mark.skipif(not are_trained(), reason="untrained weights understand no words")
def test_an_edit_takes_from_another_picture_what_its_words_point_at(
    engine: DiffusersEngine, picture: bytes
) -> None:
    words = "an old man, in a red dress, in front of a plain background, daylight"
    other = engine.generate(GenerateRequest("face", words), seed=5)[0].png
    plain, lent, silent = (
        edit(engine, picture, said, [], style_image=other).png
        for said in ("change the outfit to a red dress", "in the outfit of image 2", "smiling")
    )
    for dressed in (pixels(plain), pixels(lent)):
        red = dressed[440:500, 200:312].mean((0, 1))
        assert red[0] > red[1] + 60 and red[0] > red[2] + 60
    alone = edit(engine, picture, "smiling", []).png
    assert silent == alone  # nothing is taken that was not asked for


@pytest.mark.parametrize(
    ("prompt", "picture", "rest", "names"),
    [
        ("in the clothes of image 2", 2, "", {"outfit", "outfit_color"}),
        ("Put [[a]] in the dress from the second photo and make it snow", 2,
         "[[a]], make it snow", {"outfit", "outfit_color"}),
        ("change the background to the one in picture #3", 3, "", {"background"}),
        ("smiling, in the style of the other image", 2, "smiling", set(borrowing.LENT)),
        ("a red dress, like in the 2nd picture", 2, "a red dress", {"background", "light"}),
        ("the light of the last photo", 4, "", {"light"}),
        ("Make it snow", None, "Make it snow", set()),
        ("keep the first image", None, "keep the first image", set()),
        ("the outfit of image 9", None, "", {"outfit", "outfit_color"}),  # there are four
    ],
)  # fmt: skip
def test_words_point_at_pictures(
    prompt: str, picture: int | None, rest: str, names: set[str]
) -> None:
    assert borrowing.pointed_at(prompt, 4) == picture
    asked = borrowing.asked(prompt)
    assert (asked.rest, set(asked.names)) == (rest, names)


def test_a_pointer_can_be_given_another_number() -> None:
    words = "put image 1 before the background of the second photo"
    assert borrowing.repointed(words, 4) == "put image 1 before the background of the image 4"


def test_an_edit_is_the_same_for_a_seed_and_keeps_the_pictures_size(
    engine: DiffusersEngine, picture: bytes
) -> None:
    small = png(Image.open(io.BytesIO(picture)).resize((300, 300)))
    first, second = (edit(engine, small, "in the snow", []) for _ in range(2))
    assert first.png == second.png
    assert Image.open(io.BytesIO(first.png)).size == (300, 300)
    assert first.faces == ()


def test_a_picture_of_two_people_is_edited_as_a_whole(
    engine: DiffusersEngine, person: bytes
) -> None:
    wide = GenerateRequest("image", "in a garden", num_inference_steps=6)
    both = engine.generate(wide, [person, person], seed=2)[0]
    edited = edit(engine, both.png, "in the snow", [person, person])
    assert Image.open(io.BytesIO(edited.png)).size == (896, 512)
    assert len(edited.faces) == 2
    assert code_of(lambda: edit(engine, both.png, "x", [person] * 3)) == "too_many_people"


def test_every_step_of_an_edit_is_told_and_may_stop_it(
    engine: DiffusersEngine, picture: bytes
) -> None:
    steps: list[Step] = []

    def stop(step: Step) -> None:
        steps.append(step)
        if step.done == step.total - 2:
            raise Canceled

    request = GenerateRequest("edit", "in the snow", image=picture, num_inference_steps=6)
    with pytest.raises(Canceled):
        engine.generate(request, on_step=stop)
    assert [step.done for step in steps] == list(range(steps[0].total - 1))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"image": None}, "bad_request"),
        ({"image": b"GIF89a"}, "bad_picture"),
        ({"image": png(Image.new("RGB", (300, 200)))}, "bad_picture"),
        ({"strength": 0.0}, "bad_request"),
        ({"strength": 1.5}, "bad_request"),
        ({"mask_image": b"no"}, "bad_mask"),
        ({"mask_image": png(Image.new("L", (64, 64), 0))}, "bad_mask"),
    ],
)
def test_edits_that_cannot_be_are_refused(
    engine: DiffusersEngine, picture: bytes, more: dict[str, object], code: str
) -> None:
    values = {"image": picture, **more}
    assert code_of(lambda: engine.generate(GenerateRequest("edit", "snow", **values))) == code


# --- enhancing -----------------------------------------------------------------------
@pytest.mark.parametrize("size_px", [512, 1024])
def test_an_enhanced_picture_has_the_size_asked_for(
    engine: DiffusersEngine, picture: bytes, person: bytes, size_px: int
) -> None:
    small = png(Image.open(io.BytesIO(picture)).resize((200, 300)))
    request = GenerateRequest("enhance", "", image=small, size_px=size_px)
    found = engine.generate(request, [person])[0]
    assert Image.open(io.BytesIO(found.png)).size == (round(200 * size_px / 300), size_px)


@pytest.mark.skipif(
    not (upscaler.WEIGHTS / "config.json").is_file(), reason="without weights it is Lanczos"
)
def test_enhancing_brings_a_spoilt_picture_nearer_than_plain_enlarging() -> None:
    engine = registry.load("miniature")
    assert isinstance(engine, DiffusersEngine)
    nearer = []
    for spoilt, true in spoilt_and_true(count=3, seed=5):
        wanted = np.asarray(true).astype(int)
        plain = np.asarray(spoilt.resize(true.size, Image.Resampling.BICUBIC))
        ours = np.asarray(engine.enlarger.enlarged(spoilt, true.height))
        nearer.append(np.abs(plain - wanted).mean() - np.abs(ours - wanted).mean())
    assert min(nearer) > 0


@pytest.mark.parametrize("size_px", [100, 4096])
def test_sizes_that_are_not_offered_are_refused(
    engine: DiffusersEngine, picture: bytes, size_px: int
) -> None:
    request = GenerateRequest("enhance", "", image=picture, size_px=size_px)
    assert code_of(lambda: engine.generate(request)) == "bad_request"


def test_a_sharp_picture_survives_being_enhanced(engine: DiffusersEngine) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    sharp = Image.fromarray(noise.repeat(8, 0).repeat(8, 1))
    soft = sharp.filter(ImageFilter.GaussianBlur(3))
    kept = np.asarray(engine.enlarger.enlarged(sharp, 512)).astype(int)
    assert (
        np.abs(kept - np.asarray(sharp)).mean()
        < np.abs(np.asarray(soft).astype(int) - np.asarray(sharp)).mean()
    )


# --- instructions --------------------------------------------------------------------
SEEN = {
    "outfit": "shirt", "outfit_color": "grey", "background": "studio", "expression": "neutral",
    "light": "daylight", "pose": "facing the camera",
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "after", "negative"),
    [
        (
            "make her hair blue",
            "blue hair, grey shirt, studio background, neutral, daylight light, facing the camera",
            "",
        ),
        (
            "change the dress to red",
            "red dress, studio background, neutral, daylight light, facing the camera",
            "",
        ),
        (
            "put them in the snow",
            "in the snow, grey shirt, neutral, daylight light, facing the camera",
            "",
        ),
        (
            "remove the glasses",
            "no glasses, grey shirt, studio background, neutral, daylight light, facing the camera",
            "glasses",
        ),
        (
            "",
            "grey shirt, studio background, neutral, daylight light, facing the camera",
            "",
        ),
    ],
)
def test_instructions_become_captions_that_keep_the_rest(
    said: str, after: str, negative: str
) -> None:
    wish = instruction.wish(said, SEEN)
    assert (wish.after, wish.negative) == (after, negative)
    assert wish.before.startswith("grey shirt, studio background")
