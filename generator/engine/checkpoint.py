"""One file from which an interrupted training goes on, bit for bit.

Holds everything that changes while training: the weights, both moments of Adam and
the state of the private random generator. Written beside itself, synced and renamed,
so a kill at any instant leaves the old file or the new one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

NAME = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    step: int  # steps done
    weights: Tensor  # (P,) float32
    first_moment: Tensor  # (P,)
    second_moment: Tensor  # (P,)
    generator: Tensor  # uint8 state of the torch.Generator


def write(folder: Path, checkpoint: Checkpoint, *, recipe: str) -> None:
    """Replace the checkpoint in `folder`. `recipe` names the training it belongs to."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "weights": checkpoint.weights,
        "first_moment": checkpoint.first_moment,
        "second_moment": checkpoint.second_moment,
        "generator": checkpoint.generator,
    }
    data = save(tensors, metadata={"recipe": recipe, "step": str(checkpoint.step)})
    part = folder / f"{NAME}.part"
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / NAME)


def read(folder: Path | None, *, recipe: str, parameters: int) -> Checkpoint | None:
    """The checkpoint of exactly this training, or None: absent, broken or foreign."""
    path = folder / NAME if folder else None
    if path is None or not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            if notes.get("recipe") != recipe:
                return None
            found = Checkpoint(
                int(notes["step"]),
                *(
                    file.get_tensor(name)
                    for name in ("weights", "first_moment", "second_moment", "generator")
                ),
            )
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
    return found if found.weights.numel() == parameters else None
