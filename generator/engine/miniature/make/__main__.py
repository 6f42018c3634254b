"""`python -m generator.engine.miniature.make [--work DIR] [--minutes N] [--stage NAME]`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from generator.engine.miniature.base import WEIGHTS
from generator.engine.miniature.make import (
    assemble,
    codec,
    decoder,
    diffusion,
    identity,
    latent,
    pictures,
    reader,
    sketch,
    text,
    words,
)
from generator.engine.miniature.make.recipe import Folder

Stage = Callable[[Folder, float], object]

STAGES: dict[str, tuple[float, Stage]] = {  # name: (minutes, what it does), in this order
    "paint": (0, lambda folder, _: pictures.paint_set(folder, pictures.PEOPLE)),
    "paint-reader": (0, lambda folder, _: pictures.paint_set(folder, pictures.READER)),
    "tokens": (0, lambda folder, _: words.make_tokens(folder)),
    "codec": (0, lambda folder, _: codec.make_codec(folder)),
    "latents": (0, lambda folder, _: codec.encode_latents(folder)),
    "text": (3, text.train_text),
    "identity": (4, identity.train_identity),
    "identity-tokens": (0, lambda folder, _: identity.write_tokens(folder)),
    "reader": (4, reader.train_reader),
    "latent-reader": (4, latent.train_latent_reader),
    "states": (0, lambda folder, _: sketch.write_states(folder)),
    "renderer": (5, sketch.train_renderer),
    "sketch": (27, sketch.train_sketch),
    "base": (32, diffusion.train_base),
    "decoder": (60, decoder.train_decoder),
    "export": (0, lambda folder, _: assemble.assemble(folder, WEIGHTS)),
}
ASIDE: dict[str, tuple[float, Stage]] = {  # only by name
    "skeleton": (0, lambda folder, _: assemble.skeleton(folder)),
    "take-up": (90, lambda folder, seconds: assemble.take_up(folder, WEIGHTS, seconds)),
    "try": (0, lambda folder, _: try_out(folder)),
}


def try_out(folder: Folder) -> None:
    """Export to the work folder and draw a sheet of samples beside it."""
    weights = folder.path("tried")
    assemble.assemble(folder, weights)
    assemble.sample_sheet(folder, weights, folder.path(f"sheets/{time.strftime('%H%M')}.png"))


def run_stage(folder: Folder, name: str, minutes: float | None) -> None:
    """Run one stage; a finished one leaves a mark and is skipped when all are asked for."""
    usual, stage = {**STAGES, **ASIDE}[name]
    started = time.monotonic()
    print(f"{name}: started", flush=True)
    stage(folder, 60 * (usual if minutes is None else minutes))
    folder.path(f"done/{name}").touch()
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("var/miniature"))
    parser.add_argument("--minutes", type=float, help="length of a training stage")
    parser.add_argument("--stage", choices=[*STAGES, *ASIDE], action="append")
    asked = parser.parse_args()
    folder = Folder(asked.work)
    for name in asked.stage or STAGES:
        if asked.stage or not folder.path(f"done/{name}").exists():
            run_stage(folder, name, asked.minutes)


if __name__ == "__main__":
    main()
