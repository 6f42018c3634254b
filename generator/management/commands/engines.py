"""Which engines there are, and their weights: fetched here, never inside a request."""

from __future__ import annotations

import importlib
import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from generator.engine import registry
from generator.engine.interface import Description, EngineError
from generator.engine.production import memory, weights
from generator.engine.registry import Weights

PARTS = {
    "pull": "fetch the weights",
    "check": "read every file of them",
    "bench": "seconds a picture and a training, peak memory, share of the chip's rate",
}


class Command(BaseCommand):
    help = "Lists engines with their licences, fetches weights, and checks them."
    requires_system_checks: list[str] = []  # an engine that is refused can still be looked at

    def add_arguments(self, parser: ArgumentParser) -> None:
        parts = parser.add_subparsers(dest="part", required=True)
        parts.add_parser("list", help="all engines: licence, installed, allowed here, memory")
        for name, words in PARTS.items():
            part = parts.add_parser(name, help=words)
            part.add_argument("engine")
            if name == "check":
                part.add_argument("--quick", action="store_true", help="leave SHA-256 out")
            if name == "bench":
                part.add_argument("--size", type=int, help="pixels a side, instead of its own")

    def handle(self, *args: Any, part: str, **options: Any) -> None:
        try:
            if part == "list":
                return self.list()
            wanted = options["engine"]
            description, found = registry.describe(wanted), registry.weights_of(wanted)
            if found is None:
                self.stdout.write(f"{description.title} comes with the product.")
            elif part == "pull":
                self.pull(description, found)
            elif part == "bench":
                self.bench(description, options["size"])
            else:
                self.look_at(description, found, hashes=not options["quick"])
        except EngineError as error:
            raise CommandError(error.message) from None

    def list(self) -> None:
        for name, row in registry.rows().items():
            engine = row.description
            mark = "*" if name == settings.ENGINE_IMAGE else " "
            self.stdout.write(f"{mark} {name:<11}{engine.title}: {', '.join(engine.kinds)}")
            source = f", {engine.licence_url}" if engine.licence_url else ""
            known = "" if engine.verified else " (not verified)"
            self.stdout.write(f"    licence    {engine.licence}{known}{source}")
            self.stdout.write(f"    installed  {_installed(row.weights)}")
            why = registry.refusal(engine, commercial_only=settings.COMMERCIAL_ONLY)
            self.stdout.write(f"    allowed    {f'no: {why}' if why else 'yes'}")
            if lacking := weights.missing_packages(engine.needs):
                self.stdout.write(f"    needs      pip install {' '.join(lacking)}")
            for size in memory.SIZES_GB if row.weights else ():
                self.stdout.write(f"    {size:>3} GB     {_recipe(row.weights, size)}")
        self.stdout.write("* is ENGINE_IMAGE. Of those for a GPU, klein is the one to begin with.")

    def pull(self, engine: Description, found: Weights) -> None:
        if why := registry.refusal(engine, commercial_only=settings.COMMERCIAL_ONLY):
            raise CommandError(why)
        for source in found.sources:
            self._pull(source)
        self.look_at(engine, found, hashes=False)

    def _pull(self, source: registry.Source) -> None:
        self.stdout.write(f"{source.repo} at {source.revision or 'its newest commit'}")
        size, free = weights.size_gb(source), shutil.disk_usage(Path.home()).free / 1e9
        if size is not None and not weights.folder_of(source) and size > free:
            raise CommandError(f"It takes {size:.1f} GB, and {free:.1f} GB are free.")
        self.stdout.write(f"  {weights.pull(source)}")

    def bench(self, engine: Description, size_px: int | None) -> None:
        if not {"image", "enhance"} & set(engine.kinds):
            raise CommandError(f"{engine.title} draws no pictures by itself.")
        own = settings.ENGINE_WEIGHTS if engine.name == settings.ENGINE_IMAGE else ""
        loaded = registry.load(engine.name, weights=Path(own) if own else None)
        # Torch is imported here only: every other part of this command is quick without it.
        bench = importlib.import_module("generator.engine.production.bench")
        found = bench.measure(loaded, size_px=size_px)
        self.stdout.write(f"{engine.title} on {found.device}, {found.kind}, {found.size_px} px")
        self.stdout.write(f"  {found.image_s:.2f} s a picture, peak {_peak(found.peak_gb)}")
        self.stdout.write(
            f"  {found.tflop:.3g} TFLOP a picture, {found.mfu:.0%} of "
            f"{found.chip_tflops:.3g} TFLOP/s measured"
        )
        if "trained" in engine.tiers:
            learnt = bench.measure_training(loaded, size_px=size_px)
            self.stdout.write(
                f"  {learnt.training_s:.0f} s a training of {learnt.steps} steps of "
                f"{learnt.step_s:.3f} s, {learnt.size_px} px, peak {_peak(learnt.peak_gb)}"
            )

    def look_at(self, engine: Description, found: Weights, *, hashes: bool) -> None:
        wrong = [f"Install {name}." for name in weights.missing_packages(engine.needs)]
        for source in found.sources:
            folder = _folder(engine, found, source)
            if folder is None:
                wrong.append(f"{source.repo} is not here: manage.py engines pull {engine.name}.")
                continue
            wrong += [each.message for each in weights.check(folder, source.files, hashes=hashes)]
        for message in wrong:
            self.stdout.write(f"  {message}")
        if wrong:
            raise CommandError(f"{engine.title} cannot be used yet.")
        self.stdout.write(f"{engine.title} is complete.")


def _peak(gigabytes: float | None) -> str:
    return "no card" if gigabytes is None else f"{gigabytes:.1f} GB"


def _folder(engine: Description, found: Weights, source: registry.Source) -> Path | None:
    """ENGINE_WEIGHTS stands for the pipeline that draws."""
    is_given = settings.ENGINE_WEIGHTS and engine.name == settings.ENGINE_IMAGE
    if is_given and source == found.render:
        return Path(settings.ENGINE_WEIGHTS)
    return weights.folder_of(source)


def _installed(found: Weights | None) -> str:
    if found is None:
        return "yes, comes with the product"
    return "yes" if weights.is_installed(found) else "no"


def _recipe(found: Weights | None, vram_gb: int) -> str:
    plan = found and memory.plan(found, vram_gb)
    if not plan:
        return "does not fit"
    pictures = "picture" if plan.batch == 1 else "pictures"
    return f"{plan.words}; {plan.batch} {pictures} of a megapixel at once"
