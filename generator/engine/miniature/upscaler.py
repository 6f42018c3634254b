"""Twice the size, and crisp: a small network that knows how painted portraits look.

It restores as it enlarges: blur, blocks of JPEG, grain and the blotches of a young base
model. Works on pictures of any size. Trained by `make_upscaler`; knows nothing of people.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = Path(__file__).parent / "upscaler"


class Block(nn.Module):
    """x + two 3 x 3 convolutions; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


class Upscaler(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """(B, 3, H, W) in [-1, 1], H and W even, to (B, 3, 2 H, 2 W)."""

    @register_to_config
    def __init__(self, channels: int = 24, blocks: int = 5) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(12, channels, 3, padding=1)  # 3 colours of 2 x 2 pixels
        self.body = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.conv_out = nn.Conv2d(channels, 48, 3, padding=1)  # 3 colours of 4 x 4 pixels
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor) -> Tensor:
        plain = F.interpolate(pixels, scale_factor=2, mode="bicubic", align_corners=False)
        hidden = F.relu(self.conv_in(F.pixel_unshuffle(pixels, 2)))
        detail: Tensor = F.pixel_shuffle(self.conv_out(self.body(hidden)), 4)
        return plain + detail


def load(folder: Path = WEIGHTS, *, device: torch.device | str = "cpu") -> Upscaler:
    """The trained network. OSError where there is none."""
    found: Upscaler = Upscaler.from_pretrained(folder, torch_dtype=torch.float32)
    return found.to(device).eval()
