"""Pretrain the text encoder: read the attributes off a caption, then freeze.

Trained jointly with the denoiser it collapsed to a constant (see docs/miniature.md).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPTextModel

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
from generator.engine.miniature.make.pictures import CAPTIONS, HELD_OUT, PEOPLE, Store
from generator.engine.miniature.make.recipe import WIDTH, Folder, new_text_encoder
from generator.engine.miniature.make.words import StrangeWords, load_tokenizer

BATCH = 64
SCENE_SHARE = 0.25  # of a batch: captions that speak of the scene only


class TextReader(nn.Module):
    """The encoder and the heads that are thrown away after pretraining.

    Each attribute is answered twice: from the mean over all positions, which is where the
    denoiser's pooling starts, and from the positions its own query looks at, which is the
    shorter way from a word to its meaning.
    """

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.keys = nn.Linear(WIDTH, WIDTH)
        self.queries = nn.Parameter(torch.randn(len(NAMES), WIDTH) * WIDTH**-0.5)
        self.mean_heads, self.look_heads = Heads(WIDTH), Heads(WIDTH)

    def forward(self, ids: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Ids (B, T) to answers from the mean and from looking."""
        states = self.encoder(ids).last_hidden_state
        weights = (self.queries @ self.keys(states).transpose(1, 2)).softmax(-1)
        looks = (weights @ states).unbind(1)
        return self.mean_heads(states.mean(1)), self.look_heads.each(looks)


class Captions:
    """Random captions with the labels of what they may speak of."""

    def __init__(self, folder: Folder) -> None:
        store = Store(folder, PEOPLE)
        self.full = np.asarray(store.open("full_ids"))
        self.scene = np.asarray(store.open("scene_ids"))
        self.targets = Targets(store)
        people = np.arange(PEOPLE.pictures) // PEOPLE.shots
        self.train = np.flatnonzero(people % HELD_OUT != 0)
        self.held_out = np.flatnonzero(people % HELD_OUT == 0)[:512]
        self.strange = StrangeWords(load_tokenizer(folder))
        self.rng = np.random.default_rng(1)

    def batch(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Ids (B, T) and targets; scene captions are asked about everything all the same:
        what they do not name has to be answered with what is usual."""
        rows = self.rng.choice(self.train, BATCH)
        ids = self.full[rows, self.rng.integers(CAPTIONS, size=BATCH)].astype(np.int64)
        scene = self.rng.random(BATCH) < SCENE_SHARE
        ids[scene] = self.scene[rows[scene]]
        ids = self.strange.disturb(ids, 0.2)
        return torch.from_numpy(ids), self.targets.rows(rows)


def train_text(folder: Folder, seconds: float) -> None:
    """Pretrain for `seconds`, report what held-out captions tell."""
    torch.manual_seed(0)
    device, captions = pick_device(), Captions(folder)
    model = TextReader(new_text_encoder(load_tokenizer(folder))).to(device).train()
    training = Training(
        model, folder.path("text.safetensors"), seconds=seconds, peak=1e-3, average=0.99
    )
    log = Log(folder.path("log/text.jsonl"))
    while training.running():
        ids, targets = captions.batch()
        with half_precision(device):
            from_mean, from_looks = model(ids.to(device))
        loss = attribute_loss(from_mean, targets) + attribute_loss(from_looks, targets)
        training.learn(loss, BATCH)
        if training.step_count % 200 == 0:
            log.write(samples=training.samples, loss=loss.item(), s=training.elapsed_s)
    training.save()
    model = load_trained(model, training.file).eval()  # type: ignore[assignment]
    rows = captions.held_out
    with torch.no_grad(), half_precision(device):
        ids = torch.from_numpy(captions.full[rows, 0].astype(np.int64))
        answers, _ = model(ids.to(device))
    log.write(**attribute_scores(answers, captions.targets.rows(rows)))
    model.encoder.float().save_pretrained(folder.path("text_encoder"))


def load_text_encoder(folder: Folder) -> CLIPTextModel:
    """The frozen encoder of `train_text`."""
    encoder = CLIPTextModel.from_pretrained(folder.path("text_encoder"))
    return encoder.eval().requires_grad_(False)
