"""How an engine learns a person: by keeping their pictures, and by a training on its base, of
their photos or of an identity sheet as well."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from safetensors.torch import load as load_tensors

from generator.engine import pictures
from generator.engine.interface import GenerateRequest, OnStep, Recipe, Step, Tier
from generator.engine.production import card, drawn, masks, prior, sheet, words
from generator.engine.production import person as files
from generator.engine.production.card import View
from generator.engine.production.drawing import Cast, Drawing
from generator.engine.production.likeness import Faces, Known
from generator.engine.production.person import Person
from generator.engine.production.training import FAMILIES, TrainingRecipe, kept_name, train
from generator.engine.production.warm import TRAIN, Warm

STEPS = 600  # 500 to 600 at batch 1 made a likeness in published runs; see docs of the catalogue
FAST_STEPS = 400
SMALLEST_PX = 64
REAL = 0.4  # of what is learnt from a sheet, photos: views repeat an engine's own mistakes
CHOICES = (0.5, 0.75)  # of the steps: beside the end, what likeness may choose


def learnt(
    warm: Warm,
    faces: Faces | None,
    references: Sequence[bytes],
    tier: Tier,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path | None,
    on_step: OnStep,
) -> list[Person]:
    """The person at the end of a training, and before it where likeness can choose between them.

    Raises EngineError: "bad_picture", "too_few_views", and what `training.train` raises.
    """
    on_step(Step("read", 0, 1))
    side = warm.weights.reference_px
    kept = tuple(files.kept(data, side) for data in references[: files.REFERENCES_MAX])
    person = Person(warm.weights.family, tier, kept)
    on_step(Step("read", 1, 1))
    if tier != "trained":
        warm.base.check_looks(warm.description)
    if tier == "instant":
        return [person]
    with ExitStack() as stack:
        work = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lesson = Lesson(warm, faces, recipe, seed, work, on_step)
        if tier == "fast":
            person = replace(person, views=tuple(lesson.views(person)))
        return lesson.trained(person, references)


@dataclass(frozen=True)
class Lesson:
    """One training on an engine's base."""

    warm: Warm
    faces: Faces | None
    recipe: Recipe
    seed: int
    folder: Path
    tell: OnStep

    def trained(self, person: Person, references: Sequence[bytes]) -> list[Person]:
        """By their photos, and by the views of a sheet that they have."""
        warm = self.warm
        source = warm.weights.train or warm.weights.render
        base = warm.folder(source, TRAIN if warm.weights.train else "")
        family = FAMILIES[warm.weights.family]
        asked = self._asked(references, family.multiple_px, fast=bool(person.views))
        shown = list(references)
        in_context = family.always_in_context or bool(person.views and family.context)
        name = words.shown([1 if in_context else 0], 1)[0]
        asked = replace(asked, context=in_context, prompt=f"a photo of {name}")
        if person.views:
            shown, captions = _with_views(references, person.views, name)
            asked = replace(asked, captions=captions)
        others = [] if in_context or person.views else self._others(asked.prior_prompt)
        warm.unload()  # text encoder, VAE and denoiser are loaded one after the other, on their own
        path = train(
            warm.weights.family,
            base,
            shown,
            asked,
            masks=masks.of(self.faces, self._known(person), shown),
            prior=others,
            work_dir=self.folder,
            on_progress=self.tell,
            should_cancel=lambda: False,  # whoever cancels raises from `tell`
            device=warm.device.type,
        )
        paths = [path, *(self.folder / kept_name(step) for step in reversed(asked.keep_at))]
        return [_wearing(person, each.read_bytes(), asked.prompt) for each in paths]

    def views(self, person: Person) -> list[View]:
        """An identity sheet."""
        warm, recipe, known = self.warm, self.recipe, self._known(person)
        wanted = min(recipe.views or sheet.USUAL, card.VIEWS_MAX)
        earlier = card.views(recipe.earlier) if recipe.earlier else ()
        start = [view for view in earlier if view.name not in recipe.rejected][:wanted]
        side = warm.weights.reference_px
        cast = Cast((person,), (known,))
        return sheet.made(
            lambda asked, number: self._drawn(f"[[them]], {asked}", cast, number),
            person.pictures,
            sheet.Gate(self.faces, known, wanted),
            wanted=wanted,
            start=start,
            whose=drawn.named(
                [warm.description.name, warm.weights.render, self.seed, wanted, side]
                + [known is not None]
                + [hashlib.sha256(data).hexdigest() for data in person.references]
                + [view.name for view in start]
            ),
            folder=self.folder,
            tell=self.tell,
        )

    def _others(self, prompt: str) -> list[bytes]:
        """Of nobody, by the base alone."""
        warm, wanted = self.warm, self.recipe.prior
        found = [warm.description.name, warm.weights.render, warm.weights.reference_px]
        return prior.made(
            lambda number: self._drawn(prompt, Cast((), ()), number),
            wanted=prior.USUAL if wanted is None else wanted,
            whose=drawn.named([*found, self.seed, prompt]),
            folder=self.folder,
            tell=self.tell,
        )

    def _drawn(self, prompt: str, cast: Cast, number: int) -> Image.Image:
        """By the engine that draws pictures, as large as what is learnt."""
        warm = self.warm

        def one() -> Image.Image:
            drawing = Drawing(warm.server, warm.description, self.faces)
            drawing.reference_px = warm.weights.reference_px
            request = GenerateRequest("image", prompt, size_px=warm.weights.reference_px)
            make = drawing.new(request, cast, warm.weights.steps, warm.weights.guidance)
            return make(self.seed + number, number, None)

        return warm.with_room(one)

    def _known(self, person: Person) -> Known | None:
        return self.faces.know(person.pictures) if self.faces else None

    def _asked(
        self, references: Sequence[bytes], multiple_px: int, *, fast: bool
    ) -> TrainingRecipe:
        """The trainer's, with its own choices where nothing was said."""
        recipe, warm = self.recipe, self.warm
        least = min(min(pictures.read(data).size) for data in references)
        side = max(SMALLEST_PX, min(warm.weights.reference_px, least))
        size = side // multiple_px * multiple_px
        usual = TrainingRecipe(steps=FAST_STEPS if fast else STEPS, size_px=size, seed=self.seed)
        steps = recipe.steps or usual.steps
        measured = self.faces is not None and recipe.evaluation_images != 0
        return replace(
            usual,
            steps=steps,
            learning_rate=recipe.learning_rate or usual.learning_rate,
            rank=recipe.rank or usual.rank,
            prompt_tokens=warm.base.prompt_tokens,
            checkpoint_every_s=max(recipe.checkpoint_every_s, 1.0),
            keep_at=tuple(round(steps * share) for share in CHOICES) if measured else (),
        )


def _wearing(person: Person, data: bytes, prompt: str) -> Person:
    tensors = {key.partition(".")[2]: values for key, values in load_tensors(data).items()}
    name = hashlib.sha256(data).hexdigest()
    return replace(person, lora=tensors, prompt=prompt, sha256=name)


def _with_views(
    references: Sequence[bytes], views: Sequence[View], name: str
) -> tuple[list[bytes], tuple[str, ...]]:
    """Photos and views, photos as often as makes them REAL of the whole. What a view was asked to
    show is said, so that it is not learnt as a part of the person."""
    times = max(1, round(REAL / (1 - REAL) * len(views) / len(references)))
    real = list(references) * times
    captions = [f"a photo of {name}"] * len(real)
    captions += [f"a photo of {name}, {view.words}" for view in views]
    return real + [view.jpeg for view in views], tuple(captions)
