"""People as the product learns and draws them: retrieval, likeness, clips, seconds.

Everything goes through the engine's own calls. The costly part of `evaluate`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from generator.engine import crowd, pictures
from generator.engine.diffusers_engine import DiffusersEngine
from generator.engine.interface import (
    AnimateRequest,
    GenerateRequest,
    Recipe,
    Tier,
    TrainedAdapter,
)
from generator.engine.likeness import cut

CLIPS = 3  # people a clip is made of
SCENE = ("background", "outfit", "outfit_color", "light", "pose", "expression")
TOGETHER = "[[a]] and [[b]], {}"
Made = TypeVar("Made")
QUIET = Recipe(evaluation_images=0)

Scene = tuple[str, dict[str, float]]
"""Words of a scene without its person, and its labels."""


@dataclass(frozen=True)
class Learnt:
    """One person: adapters of both tiers."""

    instant: bytes
    trained: bytes


@dataclass
class Found:
    retrieval: dict[str, float] = field(default_factory=dict)
    likeness: dict[str, float] = field(default_factory=dict)
    scene_following: dict[str, float] = field(default_factory=dict)
    clip: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    pictures: list[list[Tensor]] = field(default_factory=list)  # columns of a sheet


def learn(engine: DiffusersEngine, references: list[Tensor], seed: int) -> list[Learnt]:
    """Each from one picture (3, S, S) in [-1, 1]."""
    files = [pictures.to_png(pictures.to_image(reference)) for reference in references]

    def one(file: bytes, tier: Tier) -> TrainedAdapter:
        return engine.train([file], tier=tier, seed=seed, recipe=QUIET)

    return [
        Learnt(one(file, "instant").safetensors, one(file, "trained").safetensors) for file in files
    ]


def measure(
    engine: DiffusersEngine, people: list[Learnt], scenes: list[Scene], gallery: Tensor, seed: int
) -> Found:
    """`gallery` (N, E): the reader's vectors of all people, those of `people` first."""
    found = Found()
    truth = list(range(len(people)))
    for tier in ("instant", "trained"):
        drawn, scores = _alone(engine, [getattr(p, tier) for p in people], scenes, seed)
        found.pictures.append(list(drawn))
        found.likeness[tier] = round(sum(scores) / len(scores), 1)
        if tier == "trained":  # of all people, "instant" is measured without adapters
            found.retrieval[tier] = _share(_nearest(engine, drawn, gallery), truth)
            found.scene_following = _following(engine, drawn, scenes, seed)
            found.likeness["stranger"] = _strangers(engine, drawn, people)
    found.retrieval["two_people"] = _together(engine, people, scenes, gallery, seed)
    found.clip, seconds = _clips(engine, people, scenes, seed)
    found.seconds = {**_trainings(engine, found.pictures[0][0], seed), "clip": seconds}
    return found


def _alone(
    engine: DiffusersEngine, adapters: list[bytes], scenes: list[Scene], seed: int
) -> tuple[Tensor, list[int]]:
    """Pictures (B, 3, 128, 128) and likenesses, each person in their scene."""
    drawn, scores = [], []
    for number, (adapter, (words, _)) in enumerate(zip(adapters, scenes, strict=True)):
        request = GenerateRequest("image", words)
        (made,) = engine.generate(request, [adapter], seed=seed + number)
        drawn.append(pictures.to_tensor(pictures.read(made.png), 128))
        scores.append(made.faces[0].likeness)
    return torch.cat(drawn), scores


def _nearest(engine: DiffusersEngine, drawn: Tensor, gallery: Tensor) -> list[int]:
    nearest: list[int] = (engine.judge.embed(drawn) @ gallery.T).argmax(1).tolist()
    return nearest


def _share(found: list[int], truth: list[int]) -> float:
    return round(sum(a == b for a, b in zip(found, truth, strict=True)) / max(1, len(truth)), 3)


def _strangers(engine: DiffusersEngine, drawn: Tensor, people: list[Learnt]) -> float:
    """Mean likeness of everybody's picture to the next person."""
    scores = []
    for number, person in enumerate(people):
        yardstick = engine.read_adapter(person.trained).yardstick
        other = drawn[(number + 1) % len(people)][None]
        scores += engine.judge.score(other, yardstick)
    return round(sum(scores) / len(scores), 1)


@torch.no_grad()
def _following(
    engine: DiffusersEngine, drawn: Tensor, scenes: list[Scene], seed: int
) -> dict[str, float]:
    """Share of scene attributes as the words say, of trained people and of the plain model."""
    plain = []
    for number, (words, _) in enumerate(scenes):
        (made,) = engine.generate(GenerateRequest("image", words), seed=seed + number)
        plain.append(pictures.to_tensor(pictures.read(made.png), 128))
    shares = {}
    for name, shown in (("trained", drawn), ("base", torch.cat(plain))):
        answers = engine.judge.reader(shown)
        right = [
            float(answers[label][row].argmax()) == labels[label]
            for row, (_, labels) in enumerate(scenes)
            for label in SCENE
        ]
        shares[name] = round(sum(right) / len(right), 3)
    return shares


def _together(
    engine: DiffusersEngine, people: list[Learnt], scenes: list[Scene], gallery: Tensor, seed: int
) -> float:
    """Share of pictures of two people in which both are found first among all."""
    right, pairs = 0, list(zip(range(0, len(people), 2), range(1, len(people), 2), strict=False))
    for first, second in pairs:
        request = GenerateRequest("image", TOGETHER.format(scenes[first][0]))
        adapters = [people[first].trained, people[second].trained]
        (made,) = engine.generate(request, adapters, seed=seed + first)
        picture = pictures.read(made.png)
        faces = torch.cat([cut(picture, square) for square in crowd.squares(*picture.size)])
        right += _nearest(engine, faces, gallery) == [first, second]
    return round(right / max(1, len(pairs)), 3)


def _clips(
    engine: DiffusersEngine, people: list[Learnt], scenes: list[Scene], seed: int
) -> tuple[dict[str, float], float]:
    """Means of flicker and motion (levels of 255), and of the worst frame's likeness."""
    clips, seconds = [], 0.0
    for person, (words, _) in list(zip(people, scenes, strict=True))[:CLIPS]:
        taken, clip = _timed(
            lambda p=person, w=words: engine.animate(AnimateRequest(w), [p.trained], seed=seed)  # type: ignore[misc]
        )
        clips.append(clip)
        seconds = max(seconds, taken)
    values: dict[str, list[float]] = {
        "flicker": [clip.flicker for clip in clips],
        "motion": [clip.motion for clip in clips],
        "worst_frame": [clip.worst[0].likeness for clip in clips],
        "likeness": [clip.faces[0].likeness for clip in clips],
    }
    return {n: round(sum(v) / max(1, len(v)), 2) for n, v in values.items()}, seconds


def _trainings(engine: DiffusersEngine, reference: Tensor, seed: int) -> dict[str, float]:
    """Seconds of both tiers as a person waits for them."""
    file = pictures.to_png(pictures.to_image(reference))
    instant, _ = _timed(lambda: engine.train([file], tier="instant", seed=seed, recipe=QUIET))
    training, _ = _timed(lambda: engine.train([file], seed=seed))
    return {"instant": instant, "training": training}


def _timed(call: Callable[[], Made]) -> tuple[float, Made]:
    started = time.perf_counter()
    made = call()
    return round(time.perf_counter() - started, 2), made
