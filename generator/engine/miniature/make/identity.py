"""Pretrain the identity encoder: attributes, every parameter of a face, and who is who."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generator.engine.miniature.encoders import IdentityEncoder
from generator.engine.miniature.make.attributes import (
    NAMES,
    Heads,
    Targets,
    attribute_loss,
    attribute_scores,
    same_person_loss,
)
from generator.engine.miniature.make.codec import to_tensor
from generator.engine.miniature.make.looking import PAIRS, PairsOfPictures, disturb, top1
from generator.engine.miniature.make.loop import (
    Log,
    Training,
    half_precision,
    load_trained,
    pick_device,
)
from generator.engine.miniature.make.pictures import HELD_OUT, PEOPLE, Store, person_of
from generator.engine.miniature.make.recipe import IDENTITY_TOKENS, WIDTH, Folder


class IdentityReader(nn.Module):
    """The encoder and the heads that are thrown away after pretraining."""

    def __init__(self, vector: int) -> None:
        super().__init__()
        self.encoder = IdentityEncoder(tokens=IDENTITY_TOKENS, width=WIDTH)
        self.heads = Heads(IDENTITY_TOKENS * WIDTH)
        self.vector = nn.Linear(IDENTITY_TOKENS * WIDTH, vector)
        self.person = nn.Linear(IDENTITY_TOKENS * WIDTH, 64)

    def forward(self, pictures: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Pictures to attribute answers, parameters (B, V) and unit vectors (B, 64)."""
        tokens = self.encoder(pictures).flatten(1)
        person = F.normalize(self.person(tokens), dim=-1)
        return self.heads(tokens), self.vector(tokens), person


def identity_names() -> tuple[str, ...]:
    """The labels that belong to a person, not to a picture."""
    named = person_of(0).labels()
    return tuple(name for name in NAMES if name in named)


def train_identity(folder: Folder, seconds: float) -> None:
    """Pretrain for `seconds`, report on held-out people."""
    torch.manual_seed(0)
    store, device = Store(folder, PEOPLE), pick_device()
    people = np.arange(PEOPLE.people)
    pairs = PairsOfPictures(store, people[people % HELD_OUT != 0], seed=2)
    vectors = torch.from_numpy(np.asarray(store.open("vectors")))
    targets, names = Targets(store), identity_names()
    model = IdentityReader(vectors.shape[1]).to(device, memory_format=torch.channels_last).train()
    training = Training(
        model, folder.path("identity.safetensors"), seconds=seconds, peak=1.5e-3, average=0.99
    )
    log = Log(folder.path("log/identity.jsonl"))
    while training.running():
        rows = pairs.rows()
        pictures = disturb(pairs.pictures(rows)).to(device, memory_format=torch.channels_last)
        wanted = {name: target for name, target in targets.rows(rows).items() if name in names}
        with half_precision(device):
            answers, vector, person = model(pictures)
        attributes = attribute_loss({name: answers[name] for name in names}, wanted)
        shape = F.mse_loss(vector.float(), vectors[rows // PEOPLE.shots].to(device))
        who = same_person_loss(person, PAIRS)
        training.learn(attributes + 2.0 * shape + 0.5 * who, len(rows))
        if training.step_count % 25 == 0:
            log.write(
                samples=training.samples,
                attributes=attributes.item(),
                shape=shape.item(),
                who=who.item(),
                s=training.elapsed_s,
            )
    training.save()
    model = load_trained(model, training.file).eval()  # type: ignore[assignment]
    report(model, store, log)
    model.encoder.save_pretrained(folder.path("identity_encoder"))


@torch.no_grad()
def report(model: IdentityReader, store: Store, log: Log) -> None:
    """Scores on people the encoder never saw."""
    held = np.arange(0, PEOPLE.people, HELD_OUT)[:100] * PEOPLE.shots
    targets, small = Targets(store), store.open("small")
    with half_precision(pick_device()):
        first = model(to_tensor(small[held]).to(pick_device()))
        second = model(to_tensor(small[held + 1]).to(pick_device()))
    answers = {name: first[0][name] for name in identity_names()}
    scores = attribute_scores(answers, targets.rows(held))
    log.write(top1_of_100=top1(first[2], second[2]), **scores)


@torch.no_grad()
def write_tokens(folder: Folder) -> None:
    """Identity tokens (N, K, D) of every picture, in half precision."""
    store, device = Store(folder, PEOPLE), pick_device()
    encoder = load_identity(folder).to(device, memory_format=torch.channels_last)
    small = store.open("small")
    tokens = np.empty((len(small), IDENTITY_TOKENS, WIDTH), dtype=np.float16)
    for start in range(0, len(small), 128):
        batch = to_tensor(small[start : start + 128])
        with half_precision(device):
            found = encoder(batch.to(device, memory_format=torch.channels_last))
        tokens[start : start + 128] = found.float().cpu().numpy()
    store.save("identity", tokens)


def load_identity(folder: Folder) -> IdentityEncoder:
    """The frozen encoder of `train_identity`."""
    encoder: IdentityEncoder = IdentityEncoder.from_pretrained(folder.path("identity_encoder"))
    return encoder.eval().requires_grad_(False)
