"""Draws the previews of the catalogue: `python -m generator.styles.draw [--only NAME]`.

One invented woman and one invented man, each in every style of theirs, drawn by the engine as
the product draws them and kept small in static/img/styles.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image

from generator.engine.interface import GenerateCall, GenerateRequest, Recipe, TrainCall
from generator.engine.process import EngineProcess
from generator.styles import catalogue

FOLDER = Path(__file__).resolve().parents[2] / "static" / "img" / "styles"
PREVIEW_PX = 256
SEEDS = {"woman": 11, "man": 6}
PEOPLE = {
    "woman": "a portrait of a 29 year old woman, long wavy dark brown hair, brown eyes, smiling",
    "man": "a portrait of a 34 year old man, short dark brown hair, green eyes, smiling",
}


def draw(only: str = "") -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with EngineProcess() as engine:
        for gender, words in PEOPLE.items():
            face = GenerateRequest("face", f"{words}, studio background, daylight")
            (reference,) = engine.run(GenerateCall(face, seed=SEEDS[gender]))
            recipe = Recipe(evaluation_images=0)
            learnt = engine.run(TrainCall([reference.png], seed=1, recipe=recipe))
            for style in catalogue.of(gender):
                if only in style.id:
                    _draw_one(engine, style, learnt.safetensors)


def _draw_one(engine: EngineProcess, style: catalogue.Style, person: bytes) -> None:
    request = GenerateRequest(
        "image", style.prompt, negative_prompt=style.negative, look=style.look, best_of=3
    )
    (drawn,) = engine.run(GenerateCall(request, [person], seed=7))
    path = FOLDER / f"{style.id}.webp"
    with Image.open(io.BytesIO(drawn.png)) as picture:
        small = picture.convert("RGB").resize((PREVIEW_PX, PREVIEW_PX), Image.Resampling.LANCZOS)
    small.save(path, "WEBP", quality=82, method=6)
    print(f"{path.name} {drawn.likeness} {path.stat().st_size // 1024} kB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only styles whose id contains this")
    draw(parser.parse_args().only)


if __name__ == "__main__":
    main()
