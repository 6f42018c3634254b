"""One file from which an interrupted training goes on, bit for bit.

As `generator.engine.checkpoint`, with what a long training on a graphics card needs beside
it: the average of the weights, how often steps went wrong, and a checksum, since a file of
hundreds of megabytes that lost a bit still opens.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

NAME = "checkpoint.safetensors"
KEY = "likeness"  # of the file's metadata; one entry, as several have no order of their own
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    step: int  # steps done
    weights: Tensor  # (P,) float32
    first_moment: Tensor  # (P,)
    second_moment: Tensor  # (P,)
    average: Tensor  # (P,)
    generator: Tensor  # uint8 state of the torch.Generator
    health: Tensor  # (4,) steps the optimiser took, bad steps in a row now and at most, halvings


TENSORS = ("weights", "first_moment", "second_moment", "average", "generator", "health")


def write(folder: Path, checkpoint: Checkpoint, *, recipe: str) -> None:
    """Replace the checkpoint in `folder`. `recipe` names the training it belongs to."""
    tensors = {name: getattr(checkpoint, name).contiguous().cpu() for name in TENSORS}
    put(folder / NAME, tensors, {"recipe": recipe, "step": checkpoint.step})


def read(folder: Path, *, recipe: str, parameters: int) -> Checkpoint | None:
    """The checkpoint of exactly this training, or None: absent, broken or foreign."""
    found = get(folder / NAME, recipe=recipe)
    if found is None:
        return None
    tensors, notes = found
    try:
        checkpoint = Checkpoint(int(notes["step"]), **{name: tensors[name] for name in TENSORS})
    except (KeyError, ValueError):
        return None
    return checkpoint if checkpoint.weights.numel() == parameters else None


def put(path: Path, tensors: dict[str, Tensor], notes: Mapping[str, object]) -> None:
    """Written beside itself, synced and renamed: a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    header = {**notes, "checksum": _checksum(tensors)}
    save_file(tensors, part, metadata={KEY: json.dumps(header, sort_keys=True)})
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


def get(path: Path, *, recipe: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `put` wrote for this training, else None; why goes to the log."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    except (SafetensorError, OSError, KeyError, ValueError, TypeError):
        log.warning("%s is damaged; the training starts again", path.name)
        return None
    if notes.get("recipe") != recipe:
        log.warning("%s belongs to another training; this one starts anew", path.name)
        return None
    if notes.get("checksum") != _checksum(tensors):
        log.warning("%s has changed since it was written; the training starts again", path.name)
        return None
    return tensors, notes


def _checksum(tensors: dict[str, Tensor]) -> int:
    value = 0
    for name in sorted(tensors):
        flat = tensors[name].reshape(-1).view(torch.uint8)
        value = zlib.crc32(flat.numpy(), zlib.crc32(name.encode(), value))
    return value
