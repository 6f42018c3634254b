"""Draw what the engine keeps beside its weights, so that nobody's first training has to.

    python -m generator.engine.prepare [--weights DIR]

To be run, and its file committed, whenever the base model's weights have changed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from generator.engine import diffusers_engine, strangers


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the strangers beside the weights.")
    parser.add_argument("--weights", type=Path, help="another folder than the engine's own")
    engine = diffusers_engine.load_miniature(parser.parse_args().weights)
    (engine.weights / strangers.NAME).unlink(missing_ok=True)
    started = time.perf_counter()
    found = engine.strangers(lambda step: None)
    seconds = time.perf_counter() - started
    print(f"{engine.weights / strangers.NAME}: {len(found.prompts)} strangers, {seconds:.1f} s")


if __name__ == "__main__":
    main()
