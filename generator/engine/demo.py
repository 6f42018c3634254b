"""The whole engine in one command: invent a face (or take a photo), learn it, draw it.

    python -m generator.engine.demo [--photo PATH] [--seed N] [--out demo-output]

Goes through `EngineProcess`, as the worker does, and prints what every part took.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image

from generator.engine import photo
from generator.engine.attributes import Attributes
from generator.engine.interface import (
    EngineError,
    GenerateCall,
    GeneratedImage,
    GenerateRequest,
    Step,
    TrainCall,
)
from generator.engine.process import EngineProcess

SCENES = (
    "white t-shirt, at the beach, smiling, daylight",
    "black suit, in the city at night, serious, neon light",
    "green hoodie, in a forest, neutral, daylight, turned left",
    "red sweater, in the snow, laughing, cool light",
    "blue shirt, in a library, neutral, golden light, turned right",
    "purple dress, at sunset, surprised, dramatic light",
)
TILE_PX = 256


@dataclass
class Report:
    """What `report.json` holds. Seconds are wall clock as the caller sees them."""

    engine: str
    seed: int
    load_s: float = 0.0  # process start, imports and weights, before the first face
    face_s: float = 0.0
    train_s: float = 0.0
    image_s: list[float] = field(default_factory=list)
    likeness: list[int] = field(default_factory=list)
    peak_rss_mb: int = 0
    files: list[str] = field(default_factory=list)


def main() -> int:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    report = Report(options.engine, options.seed)
    try:
        with EngineProcess(
            options.engine, threads=options.threads, weights=options.weights
        ) as engine:
            _run(engine, options, report)
    except (EngineError, OSError) as error:
        print(f"\n{getattr(error, 'message', error)}", file=sys.stderr)
        return 1
    (options.out / "report.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
    _print_table(report, options.out)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Learn one face and draw it in six scenes.")
    parser.add_argument("--photo", type=Path, help="start from this JPEG, PNG, WebP or HEIC")
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    parser.add_argument("--engine", default="miniature")
    parser.add_argument("--weights", type=Path, help="another folder than the engine's own")
    parser.add_argument("--threads", type=int, help="of the engine's process")
    return parser.parse_args()


def _run(engine: EngineProcess, options: argparse.Namespace, report: Report) -> None:
    report.load_s = _timed(lambda: _warm(engine))
    if options.photo:
        reference = photo.to_reference(options.photo.read_bytes())
    else:
        reference, report.face_s = _invent(engine, options.seed)
    _keep(report, options.out / "reference.png", reference)

    started = time.perf_counter()
    adapter = engine.run(TrainCall([reference], seed=options.seed), on_step=_show)
    report.train_s = round(time.perf_counter() - started, 2)
    (options.out / "person.safetensors").write_bytes(adapter.safetensors)
    report.files.append("person.safetensors")

    images = [_draw(engine, adapter.safetensors, i, options, report) for i in range(len(SCENES))]
    sheet = contact_sheet([reference, *(image.png for image in images)])
    _keep(report, options.out / "contact-sheet.png", sheet)
    report.peak_rss_mb = round(engine.peak_rss_mb)


def _warm(engine: EngineProcess) -> None:
    """Start the process and load the base model by the smallest possible call."""
    engine.run(GenerateCall(GenerateRequest("face", "", num_inference_steps=4)), on_step=_show)


def _invent(engine: EngineProcess, seed: int) -> tuple[bytes, float]:
    attributes = Attributes.random(random.Random(seed))
    prompt = f"{attributes.to_prompt()}, in a studio, neutral, facing the camera"
    print(f"\r\033[K{prompt}")
    started = time.perf_counter()
    face = engine.run(GenerateCall(GenerateRequest("face", prompt), seed=seed), on_step=_show)[0]
    return face.png, round(time.perf_counter() - started, 2)


def _draw(
    engine: EngineProcess,
    adapter: bytes,
    index: int,
    options: argparse.Namespace,
    report: Report,
) -> GeneratedImage:
    call = GenerateCall(GenerateRequest("image", SCENES[index]), [adapter], options.seed + index)
    started = time.perf_counter()
    image = engine.run(call, on_step=_show)[0]
    report.image_s.append(round(time.perf_counter() - started, 2))
    report.likeness.append(image.faces[0].likeness)
    _keep(report, options.out / f"picture-{index + 1}.png", image.png)
    return image


def contact_sheet(pngs: list[bytes]) -> bytes:
    """The reference, twice as large, beside the pictures in rows of three."""
    first, *rest = [Image.open(io.BytesIO(data)).convert("RGB") for data in pngs]
    sheet = Image.new("RGB", (5 * TILE_PX, 2 * TILE_PX), "white")
    sheet.paste(first.resize((2 * TILE_PX, 2 * TILE_PX)), (0, 0))
    for index, image in enumerate(rest):
        place = ((2 + index % 3) * TILE_PX, index // 3 * TILE_PX)
        sheet.paste(image.resize((TILE_PX, TILE_PX)), place)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _keep(report: Report, path: Path, data: bytes) -> None:
    path.write_bytes(data)
    report.files.append(path.name)


def _timed(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return round(time.perf_counter() - started, 2)


def _show(step: Step) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{step.phase} {step.done}/{step.total}", end="", flush=True)


def _print_table(report: Report, out: Path) -> None:
    print("\r\033[K" if sys.stdout.isatty() else "", end="")
    rows = [("engine loaded", report.load_s, ""), ("face drawn", report.face_s, "")]
    rows += [("person learnt", report.train_s, "")]
    rows += [
        (f"picture {i + 1}", seconds, f"likeness {score}")
        for i, (seconds, score) in enumerate(zip(report.image_s, report.likeness, strict=True))
    ]
    for name, seconds, note in rows:
        print(f"{name:<16}{seconds:>8.2f} s  {note}")
    print(f"{'peak memory':<16}{report.peak_rss_mb:>8} MB")
    print(f"{out}/contact-sheet.png")


if __name__ == "__main__":
    raise SystemExit(main())
