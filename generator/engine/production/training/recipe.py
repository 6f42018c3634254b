"""What a training is asked for and what it tells. No torch here."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from generator.engine.interface import EngineError, Step

FORMAT = "likeness-training-1"  # of checkpoints and cached examples: others are not continued
RANK_MAX = 128
_SAMPLES, _SAMPLE_BYTES = 16, 65536  # of each weights' file; hashing 24 GB would take a minute


@dataclass(frozen=True)
class Progress(Step):
    """A step with what only a training knows. Phases: "load", "read", "train", "save"."""

    loss: float | None = None  # mean since it was last told; None: not read at this step
    eta_s: float | None = None  # until the last step; None: too early to tell


@dataclass(frozen=True)
class TrainingRecipe:
    """How one person is learnt. Everything but the checkpoints' rhythm decides the outcome."""

    prompt: str = "a photo of the person"
    captions: tuple[str, ...] = ()  # one for each reference, instead of `prompt`
    steps: int = 600
    batch: int = 1  # of the person; as many of the prior beside them where there is one
    rank: int = 16
    learning_rate: float = 1e-4  # of A; B learns `b_rate` times as fast (LoRA+, arXiv 2402.12354)
    b_rate: float = 8.0
    warm_up: int = 10  # steps
    schedule: Literal["cosine", "constant"] = "cosine"
    clip: float = 1.0  # largest norm of the gradient
    weight_decay: float = 0.0
    ema: float = 0.99  # 0: the last weights are the adapter
    timesteps: Literal["stratified", "uniform"] = "stratified"
    weighting: Literal["family", "none"] = "family"  # min-SNR, or the flow's own levels
    min_snr: float = 5.0  # arXiv 2303.09556
    background: float = 0.3  # weight of what a mask leaves out; the mask itself counts 1
    prior_prompt: str = "a photo of a person"
    prior_weight: float = 1.0
    size_px: int = 512
    prompt_tokens: int = 512  # as klein and Wan read, padded; fewer is faster and not the same
    seed: int = 0
    context: bool = False  # the first picture stands beside what is learnt, as when it is drawn
    keep_at: tuple[int, ...] = ()  # steps whose adapter is kept beside the last
    checkpoint_every_s: float = 20.0
    checkpoint_every_steps: int | None = None  # beside the seconds


def check(recipe: TrainingRecipe, *, references: int, multiple_px: int, prior: int = 0) -> None:
    """Raises EngineError: "no_reference", "bad_recipe"."""
    if references < 1:
        raise EngineError("no_reference", "Give at least one picture of the person.")
    if recipe.captions and len(recipe.captions) != references:
        raise _bad("Give one caption for each picture, or none at all.")
    if min(recipe.steps, recipe.batch, recipe.prompt_tokens) < 1:
        raise _bad("A training has at least one step of one picture.")
    if not 1 <= recipe.rank <= RANK_MAX:
        raise _bad(f"Choose a rank from 1 to {RANK_MAX}.")
    if not (math.isfinite(recipe.learning_rate) and recipe.learning_rate > 0):
        raise _bad("Choose a learning rate above 0.")
    if recipe.size_px < 2 * multiple_px or recipe.size_px % multiple_px:
        raise _bad(f"Choose a size that {multiple_px} divides, from {2 * multiple_px} pixels.")
    if recipe.context and prior:
        raise _bad("With a reference beside them all pictures are of that person.")
    if not 0 <= recipe.ema < 1 or not 0 <= recipe.background <= 1:
        raise _bad("An average lies below 1, and a background counts from 0 to 1.")


def name(
    family: str, base: Path, pictures: Sequence[Sequence[bytes]], recipe: TrainingRecipe
) -> str:
    """A hash of everything that decides the outcome: whose checkpoint it is."""
    decided = asdict(recipe)
    del decided["checkpoint_every_s"], decided["checkpoint_every_steps"], decided["keep_at"]
    words = {
        "format": FORMAT,
        "family": family,
        "base": fingerprint(base),
        "recipe": decided,
        "pictures": [[hashlib.sha256(data).hexdigest() for data in group] for group in pictures],
    }
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


def fingerprint(base: Path) -> str:
    """Tells base models apart: every small file, and samples all over the large ones."""
    digest = hashlib.sha256()
    for path in sorted(path for path in base.rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(base)} {size}\n".encode())
        stride = max(_SAMPLE_BYTES, size // _SAMPLES)
        with path.open("rb") as file:
            for start in range(0, size, stride):
                file.seek(start)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _bad(message: str) -> EngineError:
    return EngineError("bad_recipe", message)
