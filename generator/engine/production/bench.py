"""What an engine does on this machine: seconds a picture and a training, peak memory, share of the
chip's rate."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from generator.engine import pictures
from generator.engine.interface import GenerateRequest, Kind, Recipe, Step
from generator.engine.production import learning
from generator.engine.production.engine import ProductionEngine
from generator.engine.production.training.loop import READ_EVERY

ROUNDS = 3
MATMUL = {"cuda": 8192, "cpu": 1024}  # side of the square ones a chip's rate is measured with
PROMPT = "a photo of a person in a cafe"


@dataclass(frozen=True)
class Measured:
    device: str
    kind: Kind
    size_px: int
    image_s: float  # fastest of ROUNDS, everything included
    peak_gb: float | None  # of the card; None without one
    tflop: float  # of all forward passes of one picture
    chip_tflops: float  # of square matrix products in the engine's precision, just now

    @property
    def mfu(self) -> float:
        return self.tflop / self.image_s / self.chip_tflops


@dataclass(frozen=True)
class Learnt:
    """A training of one photo beside one picture of somebody else, where others are learnt."""

    size_px: int
    step_s: float
    peak_gb: float | None
    steps: int  # of a usual training

    @property
    def training_s(self) -> float:
        """All steps; reading, loading and drawing others come on top."""
        return self.steps * self.step_s


def measure(engine: ProductionEngine, *, size_px: int | None = None) -> Measured:
    """Draws one picture to warm up and count, and some more against the clock.

    Of nobody where the engine can, else of what it can do with a picture.
    """
    device = engine.warm.device
    side = size_px or engine.describe().size_px
    request = _request(engine, side)
    with FlopCounterMode(display=False) as counter:
        engine.generate(request)
    _forget_peak(device)
    taken = []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        engine.generate(request, seed=seed)
        taken.append(time.perf_counter() - start)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    rate = chip_tflops(device, engine.warm.base.dtype)
    flop = counter.get_total_flops() / 1e12
    return Measured(name, request.kind, side, min(taken), _peak_gb(device), flop, rate)


def _request(engine: ProductionEngine, side: int) -> GenerateRequest:
    kinds = engine.describe().kinds
    if "image" in kinds and engine.warm.base.starts_from_nothing:
        return GenerateRequest("image", PROMPT, size_px=side)
    if "edit" in kinds:
        return GenerateRequest("edit", PROMPT, image=_photo(side))
    return GenerateRequest("enhance", "", image=_photo(side // 2), size_px=side)


def measure_training(engine: ProductionEngine, *, size_px: int | None = None) -> Learnt:
    """Some steps of a training, those against the clock that come after the first reading."""
    device = engine.warm.device
    side = size_px or engine.warm.weights.reference_px
    read: list[float] = []

    def told(step: Step) -> None:
        if step.phase == "train" and step.done in (READ_EVERY, 2 * READ_EVERY):
            read.append(time.perf_counter())
            if step.done == READ_EVERY:
                _forget_peak(device)

    recipe = Recipe(steps=2 * READ_EVERY, evaluation_images=0, prior=1)
    engine.train([_photo(side)], tier="trained", recipe=recipe, on_step=told)
    step_s = (read[-1] - read[0]) / READ_EVERY
    return Learnt(side, step_s, _peak_gb(device), learning.STEPS)


def _photo(side: int) -> bytes:
    """As much work as any."""
    blobs = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(blobs).resize((side, side), Image.Resampling.BICUBIC)
    return pictures.to_png(image)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak_gb(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None


def chip_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """What the chip really reaches, not what its maker says."""
    side = MATMUL[device.type]
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    taken = []
    for _ in range(ROUNDS + 1):  # the first warms up
        start = time.perf_counter()
        product = left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    assert product.shape == left.shape
    return 2 * side**3 / min(taken[1:]) / 1e12
