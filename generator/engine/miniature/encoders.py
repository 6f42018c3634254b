"""What looks at pictures: the identity encoder and the attribute reader.

Both share one small trunk. The identity encoder turns a face into tokens that stand
beside the words of a prompt. The reader measures pictures and is never part of drawing
them: it is trained on people the base model never saw, so that it can judge its work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

PICTURE_PX = 128  # side of the pictures both models read
WIDTHS = (32, 64, 96, 128)  # channels at 64, 32, 16 and 8 px


def shrink(pixels: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) of any S to (B, 3, 128, 128), by area, as the models saw them."""
    if pixels.shape[-2:] == (PICTURE_PX, PICTURE_PX):
        return pixels
    return F.interpolate(pixels, size=(PICTURE_PX, PICTURE_PX), mode="area")


class Residual(nn.Module):
    """x + two normalised 3 x 3 convolutions. BatchNorm: free at inference, no outlier pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Trunk(nn.Module):
    """Pictures (B, 3, 128, 128) in [-1, 1] to features (B, widths[-1], 8, 8)."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for level, width in enumerate(widths):
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            if level:  # a block at 64 px would cost as much as all the others together
                layers.append(Residual(width))
            before = width
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.layers(pixels)
        return features


class Gather(nn.Module):
    """`count` learned queries look over the 8 x 8 features: (B, C, 8, 8) to (B, count, C)."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(1, channels, 8, 8) * 0.02)
        self.queries = nn.Parameter(torch.randn(count, channels) * channels**-0.5)
        self.keys = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        keys = self.keys(features + self.place).flatten(2)  # (B, C, 64)
        weights = (self.queries @ keys).softmax(-1)  # (B, count, 64)
        return weights @ features.flatten(2).transpose(1, 2)


class IdentityEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Who is in a picture, as `tokens` vectors of the width of the text encoder."""

    @register_to_config
    def __init__(
        self, tokens: int = 8, width: int = 128, channels: tuple[int, ...] = WIDTHS
    ) -> None:
        super().__init__()
        self.trunk = Trunk(channels)
        self.gather = Gather(channels[-1], tokens)
        self.project = nn.Linear(channels[-1], width)
        self.mix = nn.Parameter(torch.randn(tokens, width) * 0.02)  # tells the tokens apart
        self.norm = nn.LayerNorm(width)  # the same scale as the text encoder's output

    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) in [-1, 1] to identity tokens (B, K, D)."""
        gathered = self.gather(self.trunk(shrink(pixels)))
        tokens: Tensor = self.norm(self.project(gathered) + self.mix)
        return tokens


class AttributeReader(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Reads the attributes of a painted portrait and places its person in a space.

    `labels` maps an attribute to its words, or to None where it is a number; numbers are
    read in the unit they were labelled in: `number_means` and `number_stds` undo the
    normalisation that training works in.
    """

    @register_to_config
    def __init__(
        self,
        labels: dict[str, list[str] | None],
        number_means: dict[str, float] | None = None,
        number_stds: dict[str, float] | None = None,
        embedding: int = 64,
        channels: tuple[int, ...] = WIDTHS,
        looks: int = 8,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(channels)
        self.gather = Gather(channels[-1], looks)
        self.hidden = nn.Linear(looks * channels[-1], 256)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(256, len(words) if words else 1) for name, words in labels.items()}
        )
        self.person = nn.Linear(256, embedding)

    def features(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) in [-1, 1] to the common features (B, 256)."""
        looks = self.gather(self.trunk(shrink(pixels))).flatten(1)
        return F.relu(self.hidden(looks))

    def answers(self, features: Tensor) -> dict[str, Tensor]:
        """Features to raw heads: logits (B, n), numbers (B,) normalised."""
        raw = {name: head(features) for name, head in self.heads.items()}
        return {name: out if self.words(name) else out[:, 0] for name, out in raw.items()}

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits (B, n) for an attribute of words, values (B,) in their unit for a number."""
        answers = self.answers(self.features(pixels))
        means: Mapping[str, float] = self.config.number_means or {}
        stds: Mapping[str, float] = self.config.number_stds or {}
        for name in means:
            answers[name] = answers[name] * stds[name] + means[name]
        return answers

    def embed(self, pixels: Tensor) -> Tensor:
        """Unit vectors (B, E) that depend on the person, not on scene, light or expression."""
        return F.normalize(self.person(self.features(pixels)), dim=-1)

    def words(self, name: str) -> list[str] | None:
        """The vocabulary of an attribute, None where it is a number."""
        labels: Mapping[str, list[str] | None] = self.config.labels
        return labels[name]
