"""How an engine fits into a card: arithmetic only, no torch and no card.

The first rung whose weights and activations fit is taken, from the exact ones down to those that
cost time (weights move between card and memory) and then precision. Numbers of parts come from
`engines.toml`; the others are noted where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from generator.engine.registry import Weights

Quantise = Literal["", "fp8", "nf4"]
Offload = Literal["", "model", "group"]

SIZES_GB = (8, 12, 16, 24, 48, 80)  # cards that are sold
CONTEXT_GB = 0.9  # CUDA's own, cuBLAS workspaces, fragmentation
BYTES = {"": 2.0, "fp8": 1.0, "nf4": 0.56}  # of one weight; nf4 with its scales
TILED = 0.6  # of the activations, where the decoder works in tiles
STREAMED = 0.15  # of a part's weights that group offload keeps on the card: two blocks and edges
BATCH_MAX = 8  # rows; a card is full long before, and a canceled row was drawn for nothing


@dataclass(frozen=True)
class Plan:
    """One rung: how weights are kept, and how many pictures fit at once."""

    dtype: str  # "bfloat16" or "float32"
    quantise: Quantise = ""  # fp8: the denoiser's weights are stored so; nf4: by bitsandbytes
    offload: Offload = ""  # model: one part on the card at a time; group: block by block
    tiling: bool = False  # the decoder works tile by tile
    batch: int = 1

    @property
    def words(self) -> str:
        """As `manage.py engines list` shows it."""
        parts = [self.quantise or self.dtype, f"{self.offload} offload" if self.offload else ""]
        return ", ".join(p for p in (*parts, "tiled VAE" if self.tiling else "") if p)


RUNGS = (
    Plan("bfloat16"),
    Plan("bfloat16", tiling=True),
    Plan("bfloat16", offload="model", tiling=True),
    Plan("bfloat16", quantise="fp8", offload="model", tiling=True),
    Plan("bfloat16", quantise="nf4", offload="model", tiling=True),
    Plan("bfloat16", offload="group", tiling=True),
    Plan("bfloat16", quantise="fp8", offload="group", tiling=True),
)
CPU = Plan("float32", batch=BATCH_MAX)


def rungs(weights: Weights) -> tuple[Plan, ...]:
    """Those that are for it: nothing can be put into a denoiser of nf4, an IP-Adapter neither."""
    return tuple(rung for rung in RUNGS if rung.quantise != "nf4" or not weights.ip_adapter)


def plan(weights: Weights, vram_gb: float, *, megapixels: float = 1.0) -> Plan | None:
    """The best rung for a card; None where not even the last one fits."""
    for rung in rungs(weights):
        room = vram_gb - CONTEXT_GB - on_card_gb(weights, rung)
        rows = int(room / (working_gb(weights, rung) * megapixels))
        if rows >= 1:
            return replace(rung, batch=min(rows, BATCH_MAX))
    return None


def lower(current: Plan, weights: Weights) -> Plan | None:
    """What to try where a plan ran out of memory: fewer pictures, then the next rung."""
    if current.batch > 1:
        return replace(current, batch=current.batch // 2)
    ladder = rungs(weights)
    after = ladder.index(current) + 1 if current in ladder else len(ladder)
    return ladder[after] if after < len(ladder) else None


def need_gb(weights: Weights, rung: Plan, *, megapixels: float = 1.0) -> float:
    """What a rung takes at its batch, everything counted."""
    work = working_gb(weights, rung) * megapixels * rung.batch
    return CONTEXT_GB + on_card_gb(weights, rung) + work


def on_card_gb(weights: Weights, rung: Plan) -> float:
    """Weights that are on the card at the same time."""
    sizes = [_size_gb(name, billions, rung) for name, billions in weights.parts.items()]
    if rung.offload == "model":
        return max(sizes)
    if rung.offload == "group":
        return max(sizes) * STREAMED
    return sum(sizes)


def working_gb(weights: Weights, rung: Plan) -> float:
    """Activations of one picture of one megapixel."""
    return weights.working_gb * (TILED if rung.tiling else 1.0)


def _size_gb(name: str, billions: float, rung: Plan) -> float:
    """fp8 is for the denoiser alone: a text encoder is done before it starts."""
    is_denoiser = name in ("transformer", "unet")
    if rung.quantise == "fp8" and not is_denoiser:
        return billions * BYTES[""]
    return billions * (BYTES[""] if name == "vae" else BYTES[rung.quantise])
