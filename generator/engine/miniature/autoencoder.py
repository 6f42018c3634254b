"""The picture codec: an analytic encoder and a trained, super-resolving decoder.

The encoder is one strided convolution whose filters are the leading principal
components of 16 x 16 patches, so it needs no training: a 128 px picture becomes
8 x 8 tokens of 64 numbers. The decoder draws at 256 px what it has learnt such tokens
stand for. This file knows nothing about diffusion, prompts or people.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a skip. No normalisation: it costs 16 % on a CPU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)  # starts as the identity, so depth costs nothing
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv2(F.relu(self.conv1(x)))
        return F.relu(x + hidden)


class Enlarge(nn.Module):
    """Twice the width and height by a 1 x 1 convolution and a pixel shuffle."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 4 * channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)


class Decoder(nn.Module):
    """Latents (B, C, 8, 8) to what has to be added to the linear picture, (B, 3, 256, 256)."""

    def __init__(self, latent_channels: int, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(latent_channels, widths[0], 3, padding=1)
        stages: list[nn.Module] = []
        for level, width in enumerate(widths):
            if level:
                stages.append(Enlarge(widths[level - 1], width))
            stages.extend(ResidualBlock(width) for _ in range(blocks[level]))
        self.stages = nn.Sequential(*stages)
        self.conv_out = nn.Conv2d(widths[-1], 48, 3, padding=1)  # 48 = 3 colours x 4 x 4 pixels
        nn.init.normal_(self.conv_out.weight, std=1e-3)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]

    def forward(self, latents: Tensor) -> Tensor:
        hidden = self.stages(F.relu(self.conv_in(latents)))
        return F.pixel_shuffle(self.conv_out(hidden), 4)


class PatchAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Stands where `StableDiffusionPipeline` expects its `vae`.

    `block_out_channels` are the channels at 256, 128, 64, 32, 16 and 8 px; its length also
    tells the pipeline that a picture is 2 ** 5 = 32 times as wide as its latents.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 64,
        patch_px: int = 16,
        encode_px: int = 128,
        block_out_channels: tuple[int, ...] = (3, 12, 48, 64, 96, 128),
        layers_per_block: tuple[int, ...] = (2, 2, 3, 1),
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, latent_channels, patch_px, stride=patch_px)
        self.linear = nn.ConvTranspose2d(latent_channels, 3, patch_px, stride=patch_px)
        widths = tuple(reversed(block_out_channels))[:4]
        self.decoder = Decoder(latent_channels, widths, layers_per_block)

    @torch.no_grad()
    def set_components(self, colour: Tensor, components: Tensor, scale: Tensor) -> None:
        """Write the codec: mean colour (3,), orthonormal components (C, D), scale (C,).

        D = 3 * patch². Latent c of a patch p is `components[c] @ (p - colour) / scale[c]`.
        The centre is one colour, not a mean patch, because that is what a bias can hold.
        """
        shape = self.encoder.weight.shape
        centre = colour.repeat_interleave(shape[2] * shape[3])
        self.encoder.weight.copy_((components / scale[:, None]).reshape(shape))
        self.encoder.bias.copy_(-(components @ centre) / scale)  # type: ignore[union-attr]
        self.linear.weight.copy_((components * scale[:, None]).reshape(shape))
        self.linear.bias.copy_(colour)  # type: ignore[union-attr]

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderTinyOutput | tuple[Tensor]:
        """Pictures (B, 3, S, S) in [-1, 1], S a multiple of 128, to latents (B, C, 8, 8)."""
        factor = x.shape[-1] // self.config.encode_px
        small = F.avg_pool2d(x, factor) if factor > 1 else x
        latents = self.encoder(small)
        return AutoencoderTinyOutput(latents=latents) if return_dict else (latents,)

    def preview(self, latents: Tensor) -> Tensor:
        """The linear picture (B, 3, 128, 128): soft and blocky, but almost free."""
        picture: Tensor = self.linear(latents)
        return picture

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Latents (B, C, 8, 8) to pictures (B, 3, 256, 256), about [-1, 1]. No randomness."""
        soft = F.interpolate(self.preview(z), scale_factor=2, mode="bilinear", align_corners=False)
        picture = soft + self.decoder(z)
        return DecoderOutput(sample=picture) if return_dict else (picture,)

    def forward(self, sample: Tensor) -> Tensor:
        """Encode and decode: (B, 3, 128, 128) to (B, 3, 256, 256)."""
        latents = self.encode(sample, return_dict=False)[0]
        picture: Tensor = self.decode(latents, return_dict=False)[0]
        return picture
