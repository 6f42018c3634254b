"""What to give up when a graphics card is full, dearest last. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rung:
    """How a step is fitted into memory. The outcome is the same up to rounding but for `fp8`."""

    microbatch: int  # pictures that go through the denoiser at once
    checkpointing: bool = False  # activations are computed twice instead of kept: a third slower
    fp8: bool = False  # the base's weights are kept in 8 bits and widened for each use

    @property
    def is_tight(self) -> bool:
        """Time is given for memory: a compiled step would take that back."""
        return self.checkpointing or self.fp8


def below(rung: Rung) -> Rung | None:
    """The next thing to give up, or None: nothing is left."""
    if rung.microbatch > 1:
        return replace(rung, microbatch=(rung.microbatch + 1) // 2)
    if not rung.checkpointing:
        return replace(rung, checkpointing=True)
    if not rung.fp8:
        return replace(rung, fp8=True)
    return None
