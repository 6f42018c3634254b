"""Invented people for screenshots: learnt and drawn by the engine, or painted in a second.

A sitter is a reference and pictures of the same person, by prompt.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, replace

from PIL import Image

from generator.engine.attributes import Attributes
from generator.engine.interface import (
    FaceScore,
    GenerateCall,
    GeneratedImage,
    GenerateRequest,
    TrainCall,
)
from generator.engine.miniature.painter import Person, Shot, paint
from generator.engine.process import EngineProcess

SIDE_PX = 512
# (scene, the words of the prompt, how many pictures)
REQUESTS = (
    ("cafe", "in a cafe, smiling, green sweater, golden light", 4),
    ("beach", "at the beach, laughing, white t-shirt, daylight", 2),
    ("city night", "in the city at night, serious, black jacket, neon light", 4),
    ("library", "in a library, neutral, beige blazer, golden light", 1),
    ("snow", "in the snow, laughing, red hoodie, cool light", 2),
)
LOOKS = ("outfit", "outfit_color", "expression", "light")
OF_SCENE = {
    "cafe": ("sweater", "green", "smiling", "golden"),
    "beach": ("t-shirt", "white", "laughing", "daylight"),
    "city night": ("jacket", "black", "serious", "neon"),
    "library": ("blazer", "beige", "neutral", "golden"),
    "snow": ("hoodie", "red", "laughing", "cool"),
    "studio": ("t-shirt", "white", "smiling", "daylight"),
}


@dataclass(frozen=True)
class Sitter:
    reference: bytes  # PNG
    likeness: int  # 0..100, as the training measured it
    drawn: tuple[tuple[str, tuple[GeneratedImage, ...]], ...]  # prompt, its pictures


def painted(seed: int) -> Sitter:
    """Straight from the painter: what the base model learns to draw. Likeness is made up."""
    rng = random.Random(seed)
    person = Person.random(rng)
    drawn = [
        (prompt, tuple(_picture(person, scene, rng, turned=count > 1) for _ in range(count)))
        for scene, prompt, count in REQUESTS
    ]
    reference = _picture(person, "studio", rng, turned=False).png
    return Sitter(reference, rng.randint(84, 96), tuple(drawn))


def faced(engine: EngineProcess, seed: int) -> Sitter:
    """A face from attributes, as the influencer generator draws it; nothing is learnt yet."""
    words = Attributes.random(random.Random(seed)).to_prompt()
    face = GenerateRequest("face", f"{words}, in a studio, smiling, facing the camera")
    return Sitter(engine.run(GenerateCall(face, seed=seed))[0].png, 0, ())


def learnt(engine: EngineProcess, seed: int) -> Sitter:
    """By the product's own means: a face from attributes, a training, pictures. Minutes."""
    reference = faced(engine, seed).reference
    adapter = engine.run(TrainCall([reference], seed=seed))
    drawn = []
    for place, (_, prompt, count) in enumerate(REQUESTS):
        request = GenerateRequest("image", prompt, num_images=count)
        call = GenerateCall(request, [adapter.safetensors], seed + 10 * place)
        drawn.append((prompt, tuple(engine.run(call))))
    return Sitter(reference, adapter.likeness, tuple(drawn))


def _picture(person: Person, scene: str, rng: random.Random, *, turned: bool) -> GeneratedImage:
    looks = dict(zip(LOOKS, OF_SCENE[scene], strict=True))
    shot = replace(Shot.random(rng), scene=scene, **looks)  # type: ignore[arg-type]
    if not turned:
        shot = replace(shot, pose="facing the camera", yaw=0.0)
    out = io.BytesIO()
    Image.fromarray(paint(person, shot, SIDE_PX)).save(out, "PNG")
    return GeneratedImage(out.getvalue(), rng.randrange(2**32), (FaceScore(rng.randint(84, 97)),))
