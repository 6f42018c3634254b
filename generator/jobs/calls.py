"""From a row to what the engine is asked: which bytes, which words, which numbers."""

from __future__ import annotations

from generator.assets.models import Asset
from generator.engine import registry
from generator.engine.framing import Box
from generator.engine.interface import (
    AnimateCall,
    AnimateRequest,
    GenerateCall,
    GenerateRequest,
    Recipe,
    Tier,
    TrainCall,
)
from generator.jobs import boxes, requests, services
from generator.jobs.models import Generation, Training

CLIP_FPS = 24  # film's own; fewer stutter where a head turns


def of_training(training: Training) -> TrainCall:
    folder = services.resume_folder(training.pk)
    folder.mkdir(parents=True, exist_ok=True)
    person = training.portrait_model
    further = person.further_references.select_related("asset")
    tier = _tier(training)
    return TrainCall(
        references=[read(person.reference.file), *(read(one.asset.file) for one in further)],
        tier=tier,
        seed=training.seed,
        resume_dir=str(folder),
        recipe=_recipe(training) if tier == "fast" else None,
    )


def _tier(training: Training) -> Tier:
    """Not every engine makes views of somebody or looks at them: others learn the photos."""
    tiers = registry.describe(training.engine).tiers
    return next((tier for tier in tiers if tier == training.tier), "trained")


def _recipe(training: Training) -> Recipe:
    """What was rejected of the sheet they have is made anew, the rest is kept."""
    weights = training.portrait_model.weights
    if not (training.rejected_views and weights):
        return Recipe()
    return Recipe(earlier=read(weights), rejected=tuple(training.rejected_views))


def of_generation(generation: Generation) -> GenerateCall | AnimateCall:
    appearances = list(generation.appearances.select_related("portrait_model"))
    adapters = [read(one.portrait_model.weights) for one in appearances]
    if generation.kind == Generation.Kind.VIDEO:
        return AnimateCall(_clip(generation), adapters, generation.seed)
    return GenerateCall(_pictures(generation, boxes.kept(appearances)), adapters, generation.seed)


def _pictures(generation: Generation, regions: tuple[Box, ...]) -> GenerateRequest:
    kept = generation.recipe
    is_drawn = generation.kind in (Generation.Kind.FACE, Generation.Kind.IMAGE)
    return GenerateRequest(
        kind=generation.kind,  # type: ignore[arg-type]  # the engine's words are the row's
        prompt=_joined(generation.prompt, kept.get("words", "")),
        negative_prompt=_joined(generation.negative_prompt, kept.get("negative", "")),
        num_images=generation.count,
        num_inference_steps=kept.get("steps"),
        pose_image=_bytes(generation.pose),
        image=_bytes(generation.source),
        mask_image=_bytes(generation.mask),
        style_image=_bytes(generation.style_picture),
        size_px=kept.get("size_px") if is_drawn else generation.size_px,
        aspect_ratio=generation.aspect_ratio if is_drawn else "auto",
        look=kept.get("look", ""),
        people_shown=requests.people_shown(generation.source) if generation.source else None,
        recognise=generation.kind in requests.RECOGNISED,
        best_of=generation.best_of,
        likeness_floor=generation.likeness_floor,
        regions=regions,
    )


def _clip(generation: Generation) -> AnimateRequest:
    kept = generation.recipe
    return AnimateRequest(
        prompt=_joined(generation.prompt, kept.get("words", "")),
        negative_prompt=_joined(generation.negative_prompt, kept.get("negative", "")),
        seconds=float(generation.seconds or 0),
        fps=CLIP_FPS,
        image=_bytes(generation.source),
        num_inference_steps=kept.get("steps"),
        aspect_ratio=generation.aspect_ratio,
        look="" if generation.source else kept.get("look", ""),
    )


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _bytes(picture: Asset | None) -> bytes | None:
    return read(picture.file) if picture else None


def read(stored: object) -> bytes:
    """The bytes of a stored file."""
    with stored.open("rb") as file:  # type: ignore[attr-defined]
        data: bytes = file.read()
    return data
