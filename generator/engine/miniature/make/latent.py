"""Reads people off latents: what the denoiser's loss is measured with beside plain squares.

Eyes and mouths are a small share of a latent's variance, so squares alone learn them last
(see docs/miniature.md). A reader that tells eye colours apart puts weight on them: a
perceptual loss in latent space, as in E-LatentLPIPS (Kang et al. 2024, arXiv 2405.05967).
It is trained on the base model's own people and is not the reader that judges.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from generator.engine.miniature.encoders import Gather, Residual
from generator.engine.miniature.make.attributes import (
    NAMES,
    Heads,
    Targets,
    attribute_loss,
    attribute_scores,
)
from generator.engine.miniature.make.loop import (
    Log,
    Training,
    half_precision,
    load_trained,
    pick_device,
)
from generator.engine.miniature.make.pictures import HELD_OUT, PEOPLE, Store
from generator.engine.miniature.make.recipe import LATENT_CHANNELS, Folder

BATCH = 128
WIDTH = 128
LOOKS = 12  # places each summary is gathered from
FILE = "latent.safetensors"
ANSWERS = 0.06  # weight in the loss

# What words move least counts more.
HARD = {
    "eye_color": 6.0,
    "expression": 3.0,
    "beard": 3.0,
    "glasses": 3.0,
    "hair_color": 3.0,
    "age": 2.0,
}


class LatentReader(nn.Module):
    """Latents (B, 64, 8, 8) to labels, the parameters of a face, and features on the way."""

    def __init__(self, vector: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, WIDTH, 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
        )
        self.blocks = nn.ModuleList(Residual(WIDTH) for _ in range(2))
        self.gather = Gather(WIDTH, LOOKS)
        self.hidden = nn.Sequential(
            nn.Linear(LOOKS * WIDTH, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()
        )
        self.heads, self.vector = Heads(256), nn.Linear(256, vector)

    def features(self, latents: Tensor) -> list[Tensor]:
        """Features of every depth: (B, 160, 8, 8) three times, then (B, 256)."""
        found = [self.first(latents)]
        for block in self.blocks:
            found.append(block(found[-1]))
        return [*found, self.hidden(self.gather(found[-1]).flatten(1))]

    def forward(self, latents: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Answers per label and parameters (B, V)."""
        summary = self.features(latents)[-1]
        return self.heads(summary), self.vector(summary)


def grained(latents: Tensor) -> Tensor:
    """Latents with up to a quarter of noise: a denoiser's guess is never quite clean."""
    strength = torch.rand(len(latents), 1, 1, 1, device=latents.device) * 0.25
    return latents + strength * torch.randn_like(latents)


def train_latent_reader(folder: Folder, seconds: float) -> None:
    """Train for `seconds`, report on held-out people."""
    torch.manual_seed(0)
    store, device, rng = Store(folder, PEOPLE), pick_device(), np.random.default_rng()
    latents, targets = np.asarray(store.open("latents")), Targets(store)
    vectors = torch.from_numpy(np.asarray(store.open("vectors")))
    people = np.arange(PEOPLE.pictures) // PEOPLE.shots
    train = np.flatnonzero(people % HELD_OUT != 0)
    model = LatentReader(vectors.shape[1]).to(device, memory_format=torch.channels_last).train()
    training = Training(model, folder.path(FILE), seconds=seconds, peak=2e-3, average=0.99)
    log = Log(folder.path("log/latent.jsonl"))
    while training.running():
        rows = rng.choice(train, BATCH)
        clean = torch.from_numpy(latents[rows]).float()
        with half_precision(device):
            answers, vector = model(grained(clean.to(device, memory_format=torch.channels_last)))
        attributes = attribute_loss(answers, targets.rows(rows))
        shape = F.mse_loss(vector.float(), vectors[rows // PEOPLE.shots].to(device))
        training.learn(attributes + shape, BATCH)
        if training.step_count % 100 == 0:
            log.write(
                samples=training.samples,
                attributes=attributes.item(),
                shape=shape.item(),
                s=training.elapsed_s,
            )
    training.save()
    held = np.flatnonzero(people % HELD_OUT == 0)[:1000]
    model = load_latent_reader(folder).to(device)
    with torch.no_grad(), half_precision(device):
        answers, _ = model(torch.from_numpy(latents[held]).float().to(device))
    log.write(**attribute_scores(answers, targets.rows(held)))


def load_latent_reader(folder: Folder) -> LatentReader:
    """The reader of `train_latent_reader`, frozen."""
    vector = Store(folder, PEOPLE).open("vectors").shape[1]
    model = load_trained(LatentReader(vector), folder.path(FILE))
    return model.eval().requires_grad_(False)  # type: ignore[return-value]


@torch.no_grad()
def read_all(reader: LatentReader, latents: NDArray[np.generic]) -> dict[str, Tensor]:
    """Its answers (N, n) or (N,) about all clean latents (N, 64, 8, 8), in half precision."""
    device = next(reader.parameters()).device
    found: dict[str, list[Tensor]] = {name: [] for name in NAMES}
    for start in range(0, len(latents), 512):
        part = torch.from_numpy(np.asarray(latents[start : start + 512])).float().to(device)
        with half_precision(device):
            answers, _ = reader(part.contiguous(memory_format=torch.channels_last))
        for name, answer in answers.items():
            found[name].append(answer.half().cpu())
    return {name: torch.cat(parts) for name, parts in found.items()}


def perceptual_loss(reader: LatentReader, drawn: Tensor, wanted: dict[str, Tensor]) -> Tensor:
    """How differently latents (B, 64, 8, 8) are read from what `read_all` says of them.

    Attributes count by the spread of their answers within the batch, not by their pixels.
    Distances of features gave eye colours so little that words did not move them.
    """
    answers = reader.heads(reader.features(drawn)[-1])
    told = [
        HARD.get(name, 1.0) * _distance(answer, wanted[name].to(answer.device))
        for name, answer in answers.items()
    ]
    return ANSWERS * torch.stack(told).mean()


def _distance(answer: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error as a share of the variance within the batch."""
    wanted = wanted.float()
    return F.mse_loss(answer.float(), wanted) / (wanted.var(0).mean() + 1e-3)
