"""Does enhancing bring a spoilt picture nearer to what it was? Painted people, never seen.

`measure` compares with plain bicubic enlarging: mean error of colours and of edges in
levels of 255, and how many attributes the reader still reads as they are.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from generator.engine import pictures
from generator.engine.miniature.encoders import PICTURE_PX, AttributeReader
from generator.engine.miniature.painter import Person, Shot, paint

TRUE_PX = 512
SPOILT_PX = (256, 128)  # by turns
READ = ("hair_style", "hair_color", "eye_color", "expression", "glasses", "beard", "freckles")


def case(index: int) -> tuple[Image.Image, Image.Image, dict[str, int | float]]:
    """A picture blurred, shrunk and saved as JPEG; what it was; its labels."""
    person = Person.random(random.Random(f"person {50 * index}"))
    shot = Shot.random(random.Random(f"shot {50 * index}/0"))
    true = Image.fromarray(paint(person, shot, TRUE_PX))
    side = SPOILT_PX[index % len(SPOILT_PX)]
    soft = true.filter(ImageFilter.GaussianBlur(1.5)).resize((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    soft.save(out, "JPEG", quality=40)
    return Image.open(out).convert("RGB"), true, {**person.labels(), **shot.labels()}


def spoilt_and_true(*, count: int, seed: int) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Pairs of held-out people."""
    for number in range(count):
        spoilt, true, _ = case(1000 * seed + number)
        yield spoilt, true


@torch.no_grad()
def measure(
    enhance: Callable[[Image.Image, int], Image.Image],
    reader: AttributeReader,
    *,
    count: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """{"enhanced" | "bicubic": {"colours", "edges", "reader"}}; the first two are errors."""
    ways: dict[str, Callable[[Image.Image], Image.Image]] = {
        "enhanced": lambda spoilt: enhance(spoilt, TRUE_PX),
        "bicubic": lambda spoilt: spoilt.resize((TRUE_PX, TRUE_PX), Image.Resampling.BICUBIC),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for number in range(count):
        spoilt, true, labels = case(1000 * seed + number)
        for name, way in ways.items():
            made = way(spoilt)
            answers = reader(pictures.to_tensor(made, PICTURE_PX))
            right = [int(answers[read][0].argmax()) == labels[read] for read in READ]
            wanted, drawn = np.asarray(true, np.float32), np.asarray(made, np.float32)
            found[name].append(
                (
                    float(np.abs(wanted - drawn).mean()),
                    float(np.abs(_edges(wanted) - _edges(drawn)).mean()),
                    float(np.mean(right)),
                )
            )
    names = ("colours", "edges", "reader")
    return {
        way: dict(zip(names, np.mean(rows, 0).round(3).tolist(), strict=True))
        for way, rows in found.items()
    }


def _edges(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY)
    return cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))  # type: ignore[return-value]
