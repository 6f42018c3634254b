"""Python's search for garbage, kept away from what stays.

Imports and loaded models are some 500,000 objects, and every full search walks through all of
them: half a second each, a tenth of what it costs to start an engine. So it is searched once,
which frees 9 MB, and never again but on purpose.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Nothing is searched meanwhile, and what was made here never by `gc.collect()` alone."""
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def collect() -> None:
    """Find all garbage, also in what `paused` set aside: for when a model is given up."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
