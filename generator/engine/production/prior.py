"""Pictures of others, as the base draws them: learnt beside somebody, they keep everybody else
from becoming them (prior preservation, DreamBooth, arXiv 2208.12242).

Each is kept when it is drawn, so that whoever was killed goes on with the next one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from generator.engine import pictures
from generator.engine.interface import EngineError, OnStep, Step
from generator.engine.production import drawn

NAME = "prior.json"
USUAL = 8


def made(
    draw: Callable[[int], Image.Image], *, wanted: int, whose: str, folder: Path, tell: OnStep
) -> list[bytes]:
    """`wanted` PNGs; the picture of a number is always the same one."""
    found = _pictures(drawn.read(folder / NAME, whose) or {})
    while len(found) < wanted:
        tell(Step("prior", len(found), wanted))
        found.append(pictures.to_png(draw(len(found))))
        texts = [base64.b64encode(data).decode("ascii") for data in found]
        drawn.write(folder / NAME, whose, {"pictures": texts})
    return found[:wanted]


def _pictures(kept: dict[str, Any]) -> list[bytes]:
    """None of them where one is damaged."""
    try:
        found = [base64.b64decode(text, validate=True) for text in kept["pictures"]]
        for data in found:
            pictures.read(data)
    except (KeyError, TypeError, ValueError, EngineError):
        return []
    return found
