"""Train the denoiser: flow matching in 8 x 8 x 64 latents, clean latents predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from generator.engine.miniature.conditioning import append_identity
from generator.engine.miniature.denoiser import Denoiser, sketching
from generator.engine.miniature.make.latent import (
    LatentReader,
    load_latent_reader,
    perceptual_loss,
    read_all,
)
from generator.engine.miniature.make.loop import (
    Log,
    Training,
    half_precision,
    load_trained,
    pick_device,
)
from generator.engine.miniature.make.pictures import CAPTIONS, HELD_OUT, PEOPLE, Store
from generator.engine.miniature.make.recipe import TRAIN_STEPS, Folder, new_unet
from generator.engine.miniature.make.text import load_text_encoder
from generator.engine.miniature.make.words import StrangeWords, empty_ids, load_tokenizer

BATCH = 96
PEAK = 1.2e-3
GAP_EVERY_S = 120.0


@dataclass
class Batch:
    """Clean latents (B, 64, 8, 8), ids (B, T), identity tokens (B, K, D), zero where dropped.

    `rows` (B,) says which pictures of the set they are.
    """

    rows: np.ndarray
    latents: Tensor
    ids: Tensor
    identity: Tensor


class Pictures:
    """The data set as the denoiser sees it."""

    def __init__(self, folder: Folder) -> None:
        store = Store(folder, PEOPLE)
        self.latents = np.asarray(store.open("latents"))
        self.identity = np.asarray(store.open("identity"))
        self.full = np.asarray(store.open("full_ids"))
        self.scene = np.asarray(store.open("scene_ids"))
        tokenizer = load_tokenizer(folder)
        self.empty, self.strange = empty_ids(tokenizer), StrangeWords(tokenizer, seed=5)
        people = np.arange(PEOPLE.pictures) // PEOPLE.shots
        self.train = np.flatnonzero(people % HELD_OUT != 0)
        self.held_out = np.flatnonzero(people % HELD_OUT == 0)
        self.rng = np.random.default_rng()

    def other(self, rows: np.ndarray) -> np.ndarray:
        """For each row another picture of the same person: a picture never describes itself."""
        first = rows - rows % PEOPLE.shots
        step = self.rng.integers(1, PEOPLE.shots, size=len(rows))
        found: np.ndarray = first + (rows - first + step) % PEOPLE.shots
        return found

    def clean(self, rows: np.ndarray) -> Tensor:
        """Latents (B, 64, 8, 8)."""
        return torch.from_numpy(self.latents[rows]).float()

    def told(
        self, rows: np.ndarray, full: np.ndarray, scene: np.ndarray, empty: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is said about pictures: words out of `full` (B, …), `scene` (N, …) and `empty`
        (…), and identity tokens (B, K, D), zero where dropped.

        Half the pictures with the identity of another one, half of those with the scene
        alone in words; then 10 % lose their words and 10 % everything.
        """
        kind, drop = self.rng.random(len(rows)), self.rng.random(len(rows))
        words = full.copy()
        words[kind < 0.25] = scene[rows[kind < 0.25]]
        words[drop < 0.2] = empty
        identity = self.identity[self.other(rows)].astype(np.float32)
        identity += 0.1 * self.rng.standard_normal(identity.shape, dtype=np.float32)
        identity[(kind >= 0.5) | (drop < 0.1)] = 0
        return words, identity

    def batch(self) -> Batch:
        """A batch at random, a tenth of it with strange words between those of the caption."""
        rows = self.rng.choice(self.train, BATCH)
        full = self.full[rows, self.rng.integers(CAPTIONS, size=BATCH)].astype(np.int64)
        full = self.strange.disturb(full, 0.1)
        ids, identity = self.told(rows, full, self.scene, self.empty.numpy())
        return Batch(rows, self.clean(rows), torch.from_numpy(ids), torch.from_numpy(identity))


def sigmas(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Noise shares (B,): sigmoid(N(1.4, 1.3)). A quarter lies above .9, where the sampler
    takes half of its steps."""
    return torch.sigmoid(1.3 * torch.randn(count, generator=generator) + 1.4)


def add_noise(latents: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Straight flow from latents to noise."""
    weight = sigma[:, None, None, None]
    return (1 - weight) * latents + weight * noise


def train_base(folder: Folder, seconds: float) -> None:
    """Train what finishes sketches for `seconds` of wall time; what sketches stays as it is.

    Trained together, the UNet's rate spoilt in six minutes what the sketch had learnt in eight.
    """
    device, pictures = pick_device(), Pictures(folder)
    text = load_text_encoder(folder).to(device)
    torch.manual_seed(0)
    unet = sketching_unet(folder).to(device, memory_format=torch.channels_last).train()
    training = Training(
        unet, folder.path("base.safetensors"), seconds=seconds, peak=PEAK, warm_up=300, muon=True
    )
    log, gap = Log(folder.path("log/base.jsonl")), Gap(pictures, text)
    eye = load_latent_reader(folder).to(device, memory_format=torch.channels_last)
    seen = read_all(eye, pictures.latents)
    losses: list[float] = []
    reported, samples = 0.0, training.samples
    torch.manual_seed(training.step_count)
    while training.running():
        batch = pictures.batch()
        wanted = {name: answers[batch.rows] for name, answers in seen.items()}
        losses.append(train_step(unet, text, eye, training, batch, wanted))
        now = training.elapsed_s
        if now - reported > GAP_EVERY_S:
            speed = (training.samples - samples) / (now - reported)
            log.write(
                samples=training.samples,
                loss=float(np.mean(losses)),
                rate=training.rate(),
                per_s=speed,
                s=now,
                **gap.measure(unet),
            )
            losses, reported, samples = [], training.elapsed_s, training.samples
    training.save()


def train_step(
    unet: Denoiser,
    text: torch.nn.Module,
    eye: LatentReader,
    training: Training,
    batch: Batch,
    wanted: dict[str, Tensor],
) -> float:
    """One step on one batch; its squared error alone.

    `wanted` is what the reader of latents says of the clean ones.
    """
    device = next(unet.parameters()).device
    latents = batch.latents.to(device, memory_format=torch.channels_last)
    sigma = sigmas(len(latents)).to(device)
    noisy = add_noise(latents, torch.randn_like(latents), sigma)
    timestep = sigma * TRAIN_STEPS
    with half_precision(device):
        with torch.no_grad():
            words = text(batch.ids.to(device)).last_hidden_state
            prompt = append_identity(words, batch.identity.to(device))
            sketch, _ = unet.sketch(noisy, timestep, prompt)
        clean = unet.finish(sketch, noisy, timestep, prompt)
        judged = perceptual_loss(eye, clean, wanted)
    loss = F.mse_loss(clean.float(), latents)
    training.learn(loss + judged, len(latents))
    return loss.item()


class Gap:
    """The conditioning gap on held-out pictures: error with the right words, none, others'.

    right < none < shuffled, or the denoiser does not listen: two early runs were dead in
    exactly this way while their loss kept falling.
    """

    def __init__(self, pictures: Pictures, text: torch.nn.Module, count: int = 192) -> None:
        rows = pictures.held_out[:: max(1, len(pictures.held_out) // count)][:count]
        self.latents = torch.from_numpy(pictures.latents[rows]).float()
        self.ids = torch.from_numpy(pictures.full[rows, 0].astype(np.int64))
        self.scene = torch.from_numpy(pictures.scene[rows].astype(np.int64))
        others = rows - rows % PEOPLE.shots + (rows % PEOPLE.shots + 1) % PEOPLE.shots
        self.identity = torch.from_numpy(pictures.identity[others].astype(np.float32))
        self.empty = pictures.empty.expand_as(self.ids)
        generator = torch.Generator().manual_seed(7)
        self.sigma = sigmas(len(rows), generator)
        self.noise = torch.randn(self.latents.shape, generator=generator)
        self.text = text

    @torch.no_grad()
    def error(self, unet: Denoiser, ids: Tensor, identity: Tensor | None) -> float:
        """Mean squared error of the clean latents."""
        device = next(unet.parameters()).device
        noisy = add_noise(self.latents, self.noise, self.sigma).to(device)
        with half_precision(device):
            words = self.text(ids.to(device)).last_hidden_state
            prompt = append_identity(words, identity)
            clean = unet(noisy, self.sigma.to(device) * TRAIN_STEPS, prompt).sample
        return float(F.mse_loss(clean.float().cpu(), self.latents))

    def measure(self, unet: Denoiser) -> dict[str, float]:
        """The three errors for words, and two for identity tokens beside a scene caption."""
        return {
            "right": self.error(unet, self.ids, None),
            "none": self.error(unet, self.empty, None),
            "shuffled": self.error(unet, self.ids.roll(1, 0), None),
            "who_right": self.error(unet, self.scene, self.identity),
            "who_none": self.error(unet, self.scene, None),
            "who_shuffled": self.error(unet, self.scene, self.identity.roll(7, 0)),
        }


def sketching_unet(folder: Folder) -> Denoiser:
    """A denoiser whose sketch is trained and frozen, and whose UNet is new."""
    unet = new_unet()
    load_trained(sketching(unet), folder.path("sketch.safetensors")).requires_grad_(False)
    return unet


def load_unet(folder: Folder) -> Denoiser:
    """The averaged denoiser of the last checkpoints, as far as there is one behind the sketch."""
    unet, file = sketching_unet(folder), folder.path("base.safetensors")
    if file.exists():
        load_trained(unet, file)
    return unet.eval().requires_grad_(False)
