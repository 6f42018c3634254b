"""Train the reader that judges pictures, on people the base model never saw."""

from __future__ import annotations

import numpy as np
import torch

from generator.engine.miniature.captions import LABELS
from generator.engine.miniature.encoders import AttributeReader
from generator.engine.miniature.make.attributes import (
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
from generator.engine.miniature.make.pictures import PEOPLE, READER, Store
from generator.engine.miniature.make.recipe import Folder


def new_reader(targets: Targets) -> AttributeReader:
    """An untrained reader of the painter's labels."""
    labels = {name: list(words) if words else None for name, words in LABELS.items()}
    return AttributeReader(labels, number_means=targets.means, number_stds=targets.stds)


def train_reader(folder: Folder, seconds: float) -> None:
    """Train for `seconds`, report on people of the other set."""
    torch.manual_seed(0)
    store, device = Store(folder, READER), pick_device()
    targets = Targets(store)
    pairs = PairsOfPictures(store, np.arange(READER.people), seed=3)
    model = new_reader(targets).to(device, memory_format=torch.channels_last).train()
    training = Training(
        model, folder.path("reader.safetensors"), seconds=seconds, peak=2e-3, average=0.99
    )
    log = Log(folder.path("log/reader.jsonl"))
    while training.running():
        rows = pairs.rows()
        pictures = disturb(pairs.pictures(rows), strength=0.5)
        pictures = pictures.to(device, memory_format=torch.channels_last)
        with half_precision(device):
            features = model.features(pictures)
            answers, person = model.answers(features), model.person(features)
        attributes = attribute_loss(answers, targets.rows(rows))
        who = same_person_loss(torch.nn.functional.normalize(person.float(), dim=-1), PAIRS)
        training.learn(attributes + 0.1 * who, len(rows))  # at 0.3 it saw faces only
        if training.step_count % 25 == 0:
            log.write(
                samples=training.samples,
                attributes=attributes.item(),
                who=who.item(),
                s=training.elapsed_s,
            )
    training.save()
    model = load_trained(model, training.file).eval()  # type: ignore[assignment]
    report(model, folder, log)
    model.save_pretrained(folder.path("reader"))


@torch.no_grad()
def report(model: AttributeReader, folder: Folder, log: Log) -> None:
    """Scores on the base model's people, which the reader never saw."""
    store = Store(folder, PEOPLE)
    small, rows = store.open("small"), np.arange(100, 200) * PEOPLE.shots
    targets = Targets(store)
    with half_precision(pick_device()):
        first = to_tensor(small[rows]).to(pick_device())
        second = to_tensor(small[rows + 1]).to(pick_device())
        found = top1(model.embed(first), model.embed(second))
        scores = attribute_scores(model(first), targets.rows(rows))
    log.write(top1_of_100=found, **scores)


def load_reader(folder: Folder) -> AttributeReader:
    """The reader of `train_reader`."""
    reader: AttributeReader = AttributeReader.from_pretrained(folder.path("reader"))
    return reader.eval().requires_grad_(False)
