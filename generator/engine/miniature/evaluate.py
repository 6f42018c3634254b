"""How well the base model does what it is told, on people it never saw.

`python -m generator.engine.miniature.evaluate --seed N --people 100 --json FILE`

`--trained N` learns that many of them as the product does (a training each: most of the
time goes there), `--fid N` compares distributions, `--sheet FILE` draws what was measured
and `--newcomers FILE` a page of 8 invented people in 6 scenes.

Drawn and painted pictures are judged by the same reader, so the painter's column is the
ceiling: an attribute that the reader cannot read off the painter says nothing about the model.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from generator.engine.diffusers_engine import DiffusersEngine, load_miniature
from generator.engine.miniature import evaluate_enhance, sheets
from generator.engine.miniature import evaluate_people as people_
from generator.engine.miniature.base import GUIDANCE, STEPS, WEIGHTS, Base
from generator.engine.miniature.captions import LABELS, caption, scene_caption
from generator.engine.miniature.conditioning import encode_prompts
from generator.engine.miniature.painter import Person, Shot, paint

HELD_OUT = 50  # the making never trains on every 50th person
BATCH = 10  # pictures drawn at once
GAP_REPEATS = 4  # noises per picture when measuring the conditioning gap


@dataclass(frozen=True)
class Case:
    """A person the model never saw: three shots, painted (3, 3, 256, 256), and the words."""

    painted: Tensor
    labels: dict[str, float]  # of the person and shot 0
    scene_labels: dict[str, float]  # of shot 1
    full: str  # names everything in shot 0
    scene: str  # names shot 1 without the person


def case_of(index: int, *, shots: int = 3) -> Case:
    """Person `index`, the same for every caller; `index` has to be a multiple of 50.

    `shots` of 1 or 2 paints fewer pictures.
    """
    person = Person.random(random.Random(f"person {index}"))
    all_shots = [Shot.random(random.Random(f"shot {index}/{number}")) for number in range(3)]
    rng = random.Random(f"evaluate {index}")
    pictures = np.stack([paint(person, shot, 256) for shot in all_shots[:shots]])
    return Case(
        painted=torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1),
        labels={**person.labels(), **all_shots[0].labels()},
        scene_labels={**all_shots[1].labels()},
        full=caption(person, all_shots[0], rng, drop=False),
        scene=scene_caption(all_shots[1], rng),
    )


@torch.no_grad()
def draw(base: Base, prompts: list[str], identity: Tensor | None, seed: int) -> Tensor:
    """Pictures (B, 3, 256, 256) in [-1, 1] for prompts and identity tokens (B, K, D)."""
    pipe, drawn = base.pipe, []
    for start in range(0, len(prompts), BATCH):
        part = prompts[start : start + BATCH]
        tokens = identity[start : start + BATCH] if identity is not None else None
        words = encode_prompts(pipe.tokenizer, pipe.text_encoder, part, tokens)
        nothing = encode_prompts(pipe.tokenizer, pipe.text_encoder, [""] * len(part), None)
        pictures = pipe(
            prompt_embeds=words,
            negative_prompt_embeds=nothing,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(seed + start),
            output_type="pt",
        ).images
        drawn.append(pictures * 2 - 1)
    return torch.cat(drawn)


def agreement(answer: Tensor, wanted: Tensor, *, is_number: bool) -> float:
    """Correlation for numbers (B,), share of right words for logits (B, n)."""
    if is_number:
        return float(torch.corrcoef(torch.stack([answer.float(), wanted]))[0, 1])
    return float((answer.argmax(-1) == wanted.long()).float().mean())


@torch.no_grad()
def following(base: Base, cases: list[Case], drawn: Tensor) -> dict[str, dict[str, float]]:
    """Per attribute how often drawn and painted pictures show what the words say."""
    answers = {
        "generated": base.reader(drawn),
        "painter": base.reader(torch.stack([case.painted[0] for case in cases])),
    }
    scores: dict[str, dict[str, float]] = {}
    for name, words in LABELS.items():
        wanted = torch.tensor([float(case.labels[name]) for case in cases])
        scores[name] = {
            who: round(agreement(answer[name], wanted, is_number=words is None), 3)
            for who, answer in answers.items()
        }
    return scores


@torch.no_grad()
def retrieval(base: Base, cases: list[Case], seed: int) -> dict[str, float]:
    """Draw each person from one picture in another scene; find them among all by a third.

    `instant` is the share found first, `painter` the same for the painter's own picture.
    """
    reference, other, gallery = (torch.stack([c.painted[i] for c in cases]) for i in range(3))
    drawn = draw(base, [case.scene for case in cases], base.identity_encoder(reference), seed)
    places = base.reader.embed(gallery)
    truth = torch.arange(len(cases))
    found = {
        name: float(((base.reader.embed(p) @ places.T).argmax(1) == truth).float().mean())
        for name, p in (("instant", drawn), ("painter", other))
    }
    return {name: round(share, 3) for name, share in found.items()}


@torch.no_grad()
def conditioning_gap(base: Base, cases: list[Case], seed: int) -> dict[str, float]:
    """Error of the clean latents with the right words, with none, with someone else's."""
    pipe, generator = base.pipe, torch.Generator().manual_seed(seed)
    latents = pipe.vae.encode(torch.stack([case.painted[0] for case in cases])).latents
    prompts = [case.full for case in cases]
    errors = {"right": 0.0, "none": 0.0, "shuffled": 0.0}
    said = {"right": prompts, "none": [""] * len(prompts), "shuffled": prompts[1:] + prompts[:1]}
    for _ in range(GAP_REPEATS):
        sigma = torch.sigmoid(torch.randn(len(cases), generator=generator) + 0.7)
        noise = torch.randn(latents.shape, generator=generator)
        weight = sigma[:, None, None, None]
        noisy = (1 - weight) * latents + weight * noise
        for name, words in said.items():
            embeds = encode_prompts(pipe.tokenizer, pipe.text_encoder, words, None)
            clean = pipe.unet(noisy, sigma * 1000, embeds).sample
            errors[name] += float(F.mse_loss(clean, latents)) / GAP_REPEATS
    return {name: round(error, 5) for name, error in errors.items()}


def seconds_per_image(base: Base, cases: list[Case]) -> float:
    """Wall seconds of one picture drawn alone, the best of three."""
    taken = []
    for number in range(3):
        started = time.perf_counter()
        draw(base, [cases[0].full], None, number)
        taken.append(time.perf_counter() - started)
    return round(min(taken), 3)


def evaluate(
    engine: DiffusersEngine, *, seed: int, people: int, trained: int, fid: int, sheet: Path | None
) -> dict[str, object]:
    """Everything that is measured, by name."""
    base: Base = engine.base  # type: ignore[assignment]  # miniature's own
    first = random.Random(seed).randrange(1_000) * HELD_OUT
    cases = [case_of(first + HELD_OUT * number) for number in range(people)]
    drawn = draw(base, [case.full for case in cases], None, seed)
    found: dict[str, object] = {"following": following(base, cases, drawn)}
    retrieved = retrieval(base, cases, seed)
    seconds = {"image": seconds_per_image(base, cases)}
    if trained:
        learnt = people_.learn(engine, [case.painted[0] for case in cases[:trained]], seed)
        gallery = base.reader.embed(torch.stack([case.painted[2] for case in cases]))
        scenes = [(case.scene, case.scene_labels) for case in cases[:trained]]
        costly = people_.measure(engine, learnt, scenes, gallery, seed)
        retrieved.update(costly.retrieval)
        seconds.update(costly.seconds)
        found.update(likeness=costly.likeness, scene_following=costly.scene_following)
        found["clip"] = costly.clip
        if sheet:
            columns = [[case.painted[0] for case in cases], drawn, *costly.pictures]
            sheets.write(sheet, columns)
    found["retrieval"] = retrieved
    found["conditioning_gap"] = conditioning_gap(base, cases, seed)
    found["enhance"] = evaluate_enhance.measure(
        engine.enlarger.enlarged, base.reader, count=10, seed=1 + seed % 90
    )
    if fid:
        found["fid"] = {"pictures": fid, "distance": distance(base, fid, seed)}
    found["seconds"] = seconds
    found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {**found, "seed": seed, "people": people, "trained_people": trained}


@torch.no_grad()
def distance(base: Base, count: int, seed: int) -> float:
    """Fréchet distance between the reader's features of `count` drawn and painted pictures.

    As FID (arXiv:1706.08500), of 256 features: below about 1,000 pictures it is biased
    upwards and compares only with itself at the same count.
    """
    features: dict[str, list[Tensor]] = {"drawn": [], "painted": []}
    start = 10_000 + random.Random(seed).randrange(1_000)
    for number in range(0, count, BATCH):
        numbers = range(number, min(number + BATCH, count))
        cases = [case_of(HELD_OUT * (start + index), shots=1) for index in numbers]
        drawn = draw(base, [case.full for case in cases], None, seed + number)
        painted = torch.stack([case.painted[0] for case in cases])
        features["drawn"].append(base.reader.features(drawn))
        features["painted"].append(base.reader.features(painted))
    first, second = (torch.cat(parts).double() for parts in features.values())
    return round(frechet(first, second), 3)


def frechet(first: Tensor, second: Tensor) -> float:
    """Between Gaussians fitted to rows (N, D) and (M, D)."""
    one, two = torch.cov(first.T), torch.cov(second.T)
    values, vectors = torch.linalg.eigh(one)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    mixed = torch.linalg.eigvalsh(root @ two @ root).clamp(min=0).sqrt().sum()
    apart = (first.mean(0) - second.mean(0)).square().sum()
    return max(0.0, float(apart + one.trace() + two.trace() - 2 * mixed))


def table(found: dict[str, Any]) -> str:
    """What was found, for eyes."""
    lines = [f"{'attribute':<14}{'drawn':>8}{'painter':>9}{'share':>8}"]
    for name, scores in found["following"].items():
        share = scores["generated"] / max(1e-6, scores["painter"])
        lines.append(f"{name:<14}{scores['generated']:>8.3f}{scores['painter']:>9.3f}{share:>8.2f}")
    lines += [f"{name:<18}{values}" for name, values in found.items() if name != "following"]
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--trained", type=int, default=20, help="of these people, 0 for none")
    parser.add_argument("--fid", type=int, default=200, help="pictures of either kind, 0 for none")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path, help="a PNG of what was measured")
    parser.add_argument("--newcomers", type=Path, help="only make this page of 8 people")
    asked = parser.parse_args()
    engine = load_miniature(asked.weights)
    if asked.newcomers:
        sheets.newcomers(engine, asked.newcomers, seed=asked.seed)
        return
    found = evaluate(
        engine,
        seed=asked.seed,
        people=asked.people,
        trained=min(asked.trained, asked.people),
        fid=asked.fid,
        sheet=asked.sheet,
    )
    print(table(found))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
