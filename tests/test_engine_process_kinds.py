"""Clips, edits and enlargements across the process border."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from generator.engine import film, registry
from generator.engine.interface import (
    AnimateCall,
    AnimateRequest,
    Canceled,
    EngineError,
    GenerateCall,
    GeneratedImage,
    GenerateRequest,
    Step,
)
from generator.engine.process import EngineProcess
from tests.engine_parts import make_weights

pytestmark = pytest.mark.engine
DRAW = GenerateCall(GenerateRequest("face", "a man", num_inference_steps=6), seed=5)
CLIP = AnimateRequest("in a garden", seconds=2.0, fps=12, num_inference_steps=6)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    weights = make_weights(tmp_path_factory.mktemp("kinds"))
    with EngineProcess(weights=weights, threads=1) as process:
        yield process


@pytest.fixture(scope="module")
def picture(engine: EngineProcess) -> bytes:
    return engine.run(DRAW)[0].png


def test_a_clip_arrives_whole_and_its_previews_on_the_way(
    engine: EngineProcess, picture: bytes
) -> None:
    told: list[Step] = []
    clip = engine.run(AnimateCall(CLIP, seed=3), on_step=told.append)
    assert len(film.decode(clip.mp4)) == clip.frames == 24
    drawn = [step for step in told if step.phase == "draw"]
    assert drawn[-1].done == drawn[-1].total
    assert sum(step.preview is not None for step in drawn) >= 4


def test_a_canceled_clip_keeps_the_child_warm_and_the_next_picture_the_same(
    engine: EngineProcess, picture: bytes
) -> None:
    def stop(step: Step) -> None:
        if step.phase == "draw" and step.done > 10:
            raise Canceled

    before = engine.pid
    with pytest.raises(Canceled):
        engine.run(AnimateCall(CLIP, seed=3), on_step=stop)
    assert engine.run(DRAW)[0].png == picture
    assert engine.pid == before


@pytest.mark.parametrize(
    ("request_", "height"),
    [
        (GenerateRequest("edit", "in the snow", num_inference_steps=6), 512),
        (GenerateRequest("enhance", "", size_px=1024), 1024),
    ],
)
def test_edits_and_enhancements_are_pictures_like_others(
    engine: EngineProcess, picture: bytes, request_: GenerateRequest, height: int
) -> None:
    images: list[GeneratedImage] = []
    asked = GenerateRequest(**{**vars(request_), "image": picture})
    (made,) = engine.run(GenerateCall(asked), on_image=lambda _, image: images.append(image))
    assert images == [made]
    assert Image.open(io.BytesIO(made.png)).height == height
    assert made.png != picture


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (AnimateCall(AnimateRequest(seconds=60.0)), "bad_request"),
        (GenerateCall(GenerateRequest("edit", "snow")), "bad_request"),
        (GenerateCall(GenerateRequest("edit", "snow", image=b"x")), "bad_picture"),
        (GenerateCall(GenerateRequest("enhance", "")), "bad_request"),
    ],
)
def test_refusals_keep_their_code_and_the_child(
    engine: EngineProcess, picture: bytes, call: AnimateCall | GenerateCall, code: str
) -> None:
    before = engine.pid
    with pytest.raises(EngineError) as refused:
        engine.run(call)
    assert refused.value.code == code
    assert not refused.value.retryable
    assert engine.pid == before


def test_the_catalogue_says_what_miniature_can_do() -> None:
    found = registry.describe("miniature")
    assert found.kinds == ("face", "image", "video", "edit", "enhance", "restyle", "vary")
    assert [one.name for one in found.qualities] == ["standard", "draft", "fine"]
    assert (found.people_max, found.enhance_px) == (2, (512, 1024))
    assert found.clip_s == (2.0, 4.0)
