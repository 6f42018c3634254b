"""The analytic half of the autoencoder: principal components of patches, then all latents."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from generator.engine.miniature.autoencoder import PatchAutoencoder
from generator.engine.miniature.make.loop import half_precision, pick_device
from generator.engine.miniature.make.pictures import PEOPLE, Store
from generator.engine.miniature.make.recipe import LATENT_CHANNELS, Folder

SAMPLE = 12_000  # pictures the components are learnt from: 768,000 patches of 768 numbers
PATCH = 16


def to_tensor(pictures: NDArray[np.generic]) -> Tensor:
    """Pictures (B, S, S, 3) of bytes to (B, 3, S, S) in [-1, 1]."""
    array = np.array(pictures)  # a copy: maps are read-only
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def patches(pictures: Tensor) -> Tensor:
    """Pictures (B, 3, 128, 128) to patches (B * 64, 768), the layout of a convolution."""
    return F.unfold(pictures, PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH**2)


def principal_components(small: NDArray[np.generic]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean colour (3,), components (C, 768), strongest first, and their deviations (C,)."""
    step = max(1, len(small) // SAMPLE)
    rows = np.arange(0, len(small), step)
    colour = to_tensor(small[rows[::20]]).mean((0, 2, 3))
    centre = colour.repeat_interleave(PATCH**2)
    moments, count = torch.zeros(3 * PATCH**2, 3 * PATCH**2, dtype=torch.float64), 0
    for part in np.array_split(rows, len(rows) // 200):
        flat = patches(to_tensor(small[part])) - centre
        moments += (flat.T @ flat).double()
        count += len(flat)
    values, vectors = torch.linalg.eigh(moments / count)
    kept = slice(-LATENT_CHANNELS, None)
    deviations = values[kept].flip(0).clamp(min=1e-8).sqrt().float()
    return colour, vectors[:, kept].flip(1).T.float().contiguous(), deviations


def channel_scale(deviations: Tensor) -> Tensor:
    """What each component is divided by, so that latents have unit variance overall.

    Dividing by the whole deviation would whiten: the loss would spend as much on the
    64th component, close to noise, as on the first. Not dividing at all lets the first
    one drown the others. The square root is the compromise: deviations of the latents
    are proportional to the square roots of those of the pictures.
    """
    scale = deviations.sqrt()
    return scale * (deviations / scale).square().mean().sqrt()


def make_codec(folder: Folder) -> PatchAutoencoder:
    """Learn the components, save the autoencoder without its trained decoder."""
    small = Store(folder, PEOPLE).open("small")
    colour, components, deviations = principal_components(small)
    vae = PatchAutoencoder()
    vae.set_components(colour, components, channel_scale(deviations))
    vae.save_pretrained(folder.path("codec"))
    return vae


def load_codec(folder: Folder) -> PatchAutoencoder:
    """The autoencoder of `make_codec`."""
    vae: PatchAutoencoder = PatchAutoencoder.from_pretrained(folder.path("codec"))
    return vae.eval().requires_grad_(False)


@torch.no_grad()
def encode_latents(folder: Folder) -> None:
    """All pictures of the set to latents (N, 64, 8, 8) in half precision."""
    store, vae, device = Store(folder, PEOPLE), load_codec(folder), pick_device()
    small, vae = store.open("small"), vae.to(device)
    latents = np.empty((len(small), LATENT_CHANNELS, 8, 8), dtype=np.float16)
    for start in range(0, len(small), 256):
        with half_precision(device):
            batch = to_tensor(small[start : start + 256]).to(device)
            latents[start : start + 256] = vae.encode(batch).latents.float().cpu().numpy()
    store.save("latents", latents)
