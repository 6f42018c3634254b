"""Our training as a process of its own, with no more imported than it needs. See trainer.py."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from generator.engine import garbage

with garbage.paused():  # as the engine's process does
    from benchmarks import _same
    from generator.engine.production.training import TrainingRecipe, train

    FAMILY = _same.family(sys.argv[1])  # imports what that base consists of


def main() -> None:
    """Arguments: family, base, folder of pictures, folder to work in, recipe as JSON."""
    _, *folders, recipe = sys.argv[1:]
    base, photos, work = (Path(folder) for folder in folders)
    shutil.rmtree(work, ignore_errors=True)
    train(
        FAMILY,
        base,
        [path.read_bytes() for path in sorted(photos.iterdir())],
        TrainingRecipe(**json.loads(recipe)),
        work_dir=work,
        on_progress=lambda progress: None,
        should_cancel=lambda: False,
    )


if __name__ == "__main__":
    main()
