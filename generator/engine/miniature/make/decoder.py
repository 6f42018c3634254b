"""Train the decoder: latents of a 128 px picture to the 256 px picture the painter drew."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from generator.engine.miniature.autoencoder import PatchAutoencoder
from generator.engine.miniature.conditioning import append_identity
from generator.engine.miniature.make.codec import load_codec, to_tensor
from generator.engine.miniature.make.diffusion import Pictures, add_noise, load_unet
from generator.engine.miniature.make.latent import load_latent_reader, perceptual_loss
from generator.engine.miniature.make.loop import (
    Log,
    Training,
    half_precision,
    load_trained,
    pick_device,
)
from generator.engine.miniature.make.pictures import HELD_OUT, LARGE_PX, PEOPLE, Store
from generator.engine.miniature.make.recipe import TRAIN_STEPS, Folder
from generator.engine.miniature.make.text import load_text_encoder

BATCH = 16
PEAK = 1e-3
REPORT_EVERY = 100  # steps
WINDOW_PX = 160
SEEN = 3.0  # weight of what a reader of latents finds in the picture, encoded again: a line of a
# pixel is all that a sad mouth differs by from a neutral one


def edges(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and downwards: where lines are."""
    return pictures.diff(dim=3), pictures.diff(dim=2)


def picture_loss(drawn: Tensor, target: Tensor) -> Tensor:
    """L1 of colours and, at two sizes, of edges: a soft line costs more than a small shift."""
    loss = F.l1_loss(drawn, target)
    for size in (1, 2):
        small = F.avg_pool2d(drawn, size), F.avg_pool2d(target, size)
        for found, wanted in zip(edges(small[0]), edges(small[1]), strict=True):
            loss = loss + F.l1_loss(found, wanted)
    return loss


def window(rng: np.random.Generator) -> tuple[slice, slice, slice, slice]:
    """Where to look: measured on whole pictures, the loss cost as much as the decoder."""
    top, left = (int(place) for place in rng.integers(LARGE_PX - WINDOW_PX + 1, size=2))
    everything = slice(None)
    return everything, everything, slice(top, top + WINDOW_PX), slice(left, left + WINDOW_PX)


def blemish(latents: Tensor, deviations: Tensor) -> Tensor:
    """Latents as a denoiser leaves them: grain, and weak components nearer to their mean.

    A third stays exact, so that a real picture survives encoding and decoding.
    """
    count = len(latents)
    strength = (torch.rand(count, 1, 1, 1, device=latents.device) * 1.5 - 0.5).clamp(0)
    noise = torch.randn_like(latents) * 0.12 * strength
    weakness = 1 - 0.5 * strength * (1 - deviations / deviations.max())
    return latents * weakness + noise * deviations.sqrt()


class Guesses:
    """Latents as this denoiser leaves them, of pictures it was aiming at: soft where it is unsure.

    Sampling ends with a jump from noise of about .4 (`flow_shift`), so that is what it is given.
    """

    def __init__(self, folder: Folder) -> None:
        device = pick_device()
        self.pictures = Pictures(folder)
        self.unet = load_unet(folder).to(device, memory_format=torch.channels_last)
        self.text = load_text_encoder(folder).to(device)

    @torch.no_grad()
    def of(self, latents: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Guesses (B, 64, 8, 8) from noised latents of the pictures `rows`, a caption of each
        and the identity of another picture."""
        device, pictures = latents.device, self.pictures
        sigma = torch.rand(len(latents), device=device) * 0.35 + 0.2
        noisy = add_noise(latents, torch.randn_like(latents), sigma)
        ids = torch.from_numpy(pictures.full[rows, 0].astype(np.int64)).to(device)
        who = torch.from_numpy(pictures.identity[pictures.other(rows)]).float().to(device)
        with half_precision(device):
            prompt = append_identity(self.text(ids).last_hidden_state, who)
            guessed: Tensor = self.unet(noisy, sigma * TRAIN_STEPS, prompt).sample
        return guessed.float()


def train_decoder(folder: Folder, seconds: float) -> None:
    """Train for `seconds` on the pictures kept at 256 px; needs the denoiser of `base`."""
    torch.manual_seed(0)
    store, device = Store(folder, PEOPLE), pick_device()
    large, latents = store.open("large"), store.open("latents")
    people = np.arange(len(large)) // PEOPLE.shots
    train = np.flatnonzero(people % HELD_OUT != 0)
    deviations = torch.from_numpy(np.asarray(latents[:4000], np.float32)).std((0, 2, 3))
    deviations = deviations[:, None, None].to(device)
    vae = load_codec(folder).to(device, memory_format=torch.channels_last)
    vae.decoder.requires_grad_(True)
    training = Training(
        vae, folder.path("decoder.safetensors"), seconds=seconds, peak=PEAK, average=0.995
    )
    log, rng = Log(folder.path("log/decoder.jsonl")), np.random.default_rng()
    guesses, eye = Guesses(folder), load_latent_reader(folder).to(device)
    losses: list[float] = []
    while training.running():
        rows = rng.choice(train, BATCH, replace=False)
        target = to_tensor(large[rows]).to(device, memory_format=torch.channels_last)
        z = torch.from_numpy(np.asarray(latents[rows], np.float32)).to(device)
        with torch.no_grad(), half_precision(device):
            wanted, _ = eye(z)
        half = BATCH // 2
        z = torch.cat([guesses.of(z[:half], rows[:half]), blemish(z[half:], deviations)])
        with half_precision(device):
            drawn = vae.decode(z).sample
            seen = perceptual_loss(eye, vae.encode(drawn).latents, wanted)
        part = window(rng)
        loss = picture_loss(drawn[part].float(), target[part])
        training.learn(loss + SEEN * seen, BATCH)
        losses.append(loss.item())
        if training.step_count % REPORT_EVERY == 0:
            log.write(samples=training.samples, loss=float(np.mean(losses)), s=training.elapsed_s)
            losses = []
    training.save()
    log.write(samples=training.samples, **decoder_scores(folder))


@torch.no_grad()
def decoder_scores(folder: Folder) -> dict[str, float]:
    """Peak signal to noise in dB on held-out people: exact latents, trained and linear."""
    store, vae, device = Store(folder, PEOPLE), load_vae(folder), pick_device()
    rows = np.arange(0, store.spec.large, HELD_OUT * PEOPLE.shots)[:48]
    target = to_tensor(store.open("large")[rows])
    z = torch.from_numpy(np.asarray(store.open("latents")[rows], np.float32)).to(device)
    vae = vae.to(device)
    trained = vae.decode(z).sample.cpu()
    linear = F.interpolate(vae.preview(z).cpu(), scale_factor=2, mode="bilinear")
    return {"trained_db": decibels(trained, target), "linear_db": decibels(linear, target)}


def decibels(drawn: Tensor, target: Tensor) -> float:
    """Peak signal to noise of pictures in [-1, 1]."""
    return float(10 * torch.log10(4 / F.mse_loss(drawn.clamp(-1, 1), target)))


def load_vae(folder: Folder) -> PatchAutoencoder:
    """The autoencoder with its trained decoder, or without while there is none."""
    vae, file = load_codec(folder), folder.path("decoder.safetensors")
    if file.exists():
        load_trained(vae.requires_grad_(True), file)
    return vae.eval().requires_grad_(False)
