"""What an engine does on this machine: seconds a picture, peak memory, share of the chip's rate."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from generator.engine.interface import GenerateRequest, OnStep
from generator.engine.production.engine import ProductionEngine

ROUNDS = 3
MATMUL = {"cuda": 8192, "cpu": 1024}  # side of the square ones a chip's rate is measured with


@dataclass(frozen=True)
class Measured:
    device: str
    size_px: int
    image_s: float  # fastest of ROUNDS, everything included
    peak_gb: float | None  # of the card; None without one
    tflop: float  # of all forward passes of one picture
    chip_tflops: float  # of square matrix products in the engine's precision, just now

    @property
    def mfu(self) -> float:
        return self.tflop / self.image_s / self.chip_tflops


def measure(
    engine: ProductionEngine, *, size_px: int | None = None, on_step: OnStep | None = None
) -> Measured:
    """Draws one picture to warm up and count, and some more against the clock."""
    device = engine.warm.device
    side = size_px or engine.describe().size_px
    request = GenerateRequest("image", "a photo of a person in a cafe", size_px=side)
    with FlopCounterMode(display=False) as counter:
        engine.generate(request, on_step=on_step)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    taken = []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        engine.generate(request, seed=seed, on_step=on_step)
        taken.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    rate = chip_tflops(device, engine.warm.base.dtype)
    return Measured(name, side, min(taken), peak, counter.get_total_flops() / 1e12, rate)


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
