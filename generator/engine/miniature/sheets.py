"""Pages of pictures for eyes: what was measured, and what a newcomer gets."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from generator.engine import pictures
from generator.engine.attributes import Attributes
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import GenerateRequest, Recipe

ROWS, TILE_PX, GAP_PX = 8, 192, 4
SCENES = (
    "at the beach, smiling, white t-shirt, daylight",
    "in the city at night, serious, black jacket, neon light",
    "in a cafe, laughing, green sweater, golden light",
    "in the snow, neutral, red hoodie, cool light, turned left",
    "in a library, smiling, blue blazer, daylight, turned right",
    "in a garden, surprised, yellow dress, golden light",
)


def write(path: Path, columns: Sequence[Sequence[Tensor]]) -> None:
    """Columns of pictures (3, S, S) in [-1, 1]; row i is person i."""
    rows = [
        [pictures.to_image(column[row]) for column in columns]
        for row in range(min(ROWS, *(len(column) for column in columns)))
    ]
    _page(rows).save(path)


def newcomers(engine: DiffusersEngine, path: Path, *, seed: int) -> None:
    """8 people invented from words and learnt from that one picture, in 6 scenes each."""
    rng = random.Random(seed)
    rows = []
    for number in range(ROWS):
        words = Attributes.random(rng).to_prompt()
        face = GenerateRequest("face", f"{words}, in a studio, neutral, facing the camera")
        reference = engine.generate(face, seed=seed + number)[0].png
        adapter = engine.train([reference], seed=seed, recipe=Recipe(evaluation_images=0))
        drawn = [
            engine.generate(
                GenerateRequest("image", scene), [adapter.safetensors], seed=seed + place
            )[0].png
            for place, scene in enumerate(SCENES)
        ]
        rows.append([Image.open(io.BytesIO(data)).convert("RGB") for data in (reference, *drawn)])
        print(f"person {number + 1} of {ROWS}", flush=True)
    _page(rows).save(path, optimize=True)


def _page(rows: list[list[Image.Image]]) -> Image.Image:
    step = TILE_PX + GAP_PX
    size = (step * len(rows[0]) - GAP_PX, step * len(rows) - GAP_PX)
    page = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            tile = image.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
            page.paste(tile, (x * step, y * step))
    return page
