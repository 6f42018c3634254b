"""Engines for a GPU over tiny base models, and what tests ask of them."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import PreTrainedTokenizerBase

from generator.engine import pictures, registry
from generator.engine.interface import (
    AnimateRequest,
    EngineError,
    GenerateRequest,
    Kind,
    Recipe,
    Tier,
)
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.families import Klein
from tests import tiny_checkpoints, tiny_checkpoints_more, trainer_parts

SIDE = 64
STEPS = 4
ENGINES = ("klein", "sdxl", "qwen-edit", "wan")
STILLS = ("klein", "sdxl", "qwen-edit")
SHORT = Recipe(steps=6, rank=4, learning_rate=5e-3, evaluation_images=0, prior=0)


@pytest.fixture(scope="module", autouse=True)
def short_prompts() -> Iterator[None]:
    """Klein reads 512 tokens, most of them nothing: as many times what these pictures take."""
    before = Klein.prompt_tokens
    Klein.prompt_tokens = 64
    yield
    Klein.prompt_tokens = before


@pytest.fixture(scope="module", autouse=True)
def small_pictures() -> Iterator[None]:
    with trainer_parts.small_pictures(SIDE):
        yield


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whatever tokenizers are given."""
    found: list[str] = []
    call = PreTrainedTokenizerBase.__call__

    def listening(self: object, text: object = None, *args: object, **more: object) -> object:
        found.extend([text] if isinstance(text, str) else list(text or []))  # type: ignore[call-overload]
        return call(self, text, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(PreTrainedTokenizerBase, "__call__", listening)
    return found


def make(name: str, folder: Path) -> Path:
    """Weights of that engine's family, with what it trains on and films with beside them."""
    build: dict[str, Callable[[Path], Path]] = {
        "klein": tiny_checkpoints.klein,
        "sdxl": tiny_checkpoints.sdxl,
        "qwen-edit": tiny_checkpoints_more.qwen_edit,
        "wan": tiny_checkpoints_more.wan,
        "wan-animate": tiny_checkpoints_more.wan_animate,
    }
    build[name](folder)
    if name == "klein":
        tiny_checkpoints.klein(folder / "train", seed=0)
    if name == "sdxl":
        tiny_checkpoints_more.ip_adapter(folder / "ip_adapter")
    if not name.startswith("wan"):
        tiny_checkpoints_more.wan(folder / "video")
    return folder


def load(name: str, folder: Path) -> ProductionEngine:
    engine = registry.load(name, weights=folder)
    assert isinstance(engine, ProductionEngine)
    return engine


def photo(seed: int, side: int = SIDE) -> bytes:
    """Not a person, but a picture like no other: four colours in a pattern of its own."""
    dice = random.Random(seed)
    small = np.array(
        [[[dice.randrange(256) for _ in range(3)] for _ in range(4)] for _ in range(4)], np.uint8
    )
    image = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    return pictures.to_png(image)


def learnt(engine: ProductionEngine, *numbers: int, tier: Tier = "trained") -> bytes:
    """Whoever is on the photos of these numbers."""
    photos = [photo(number) for number in numbers]
    return engine.train(photos, tier=tier, recipe=SHORT).safetensors


def wanted(
    kind: Kind = "image", prompt: str = "a photo of a person", **more: object
) -> GenerateRequest:
    usual: dict[str, object] = {"num_inference_steps": STEPS}
    if kind in ("image", "face"):
        usual["size_px"] = SIDE
    else:
        usual["image"] = photo(1)
    return GenerateRequest(kind, prompt, **(usual | more))  # type: ignore[arg-type]


def clip(prompt: str = "smiling", **more: object) -> AnimateRequest:
    usual: dict[str, object] = {"seconds": 2.0, "num_inference_steps": 2, "image": photo(4)}
    return AnimateRequest(prompt, **(usual | more))  # type: ignore[arg-type]


def drawn(
    engine: ProductionEngine, request: GenerateRequest, adapters: object = (), seed: int = 3
) -> bytes:
    return engine.generate(request, adapters, seed=seed)[0].png  # type: ignore[arg-type]


def pixels(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int16)


def code_of(call: Callable[[], object]) -> str:
    try:
        call()
    except EngineError as error:
        return error.code
    return ""
