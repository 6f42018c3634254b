"""The production engines behind the interface of all engines: one class, any family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from generator.engine import candidates, checks, pictures
from generator.engine.artist import Make, finisher
from generator.engine.interface import (
    AnimateRequest,
    Clip,
    Description,
    EngineError,
    FaceScore,
    GeneratedImage,
    GenerateRequest,
    OnStep,
    Recipe,
    Sighting,
    Step,
    Tier,
    TrainedAdapter,
)
from generator.engine.production import clips, finding, learning, weights
from generator.engine.production import person as files
from generator.engine.production.drawing import Cast, Drawing, spoken_of, telling
from generator.engine.production.families import Asked, Moving, WanAnimate
from generator.engine.production.likeness import Faces
from generator.engine.production.person import Person
from generator.engine.production.warm import Warm
from generator.engine.registry import Installation

CANDIDATES = 8  # people looked for in a picture: more are guesses
MAX_REFERENCES = 20


def load(place: Installation) -> ProductionEngine:
    """What the catalogue calls. Whatever is loaded comes from folders: no network is asked.

    Raises EngineError: "no_weights", "no_room", "packages_missing".
    """
    engine = ProductionEngine(place)
    _ = engine.warm.base
    return engine


class ProductionEngine:
    """One row of the catalogue, on the card if there is one. Same seed, same pixels."""

    def __init__(self, place: Installation) -> None:
        self.warm = Warm(place)
        self.description = self.warm.description
        self.faces = Faces.of(place.detector, place.embedder)
        if lacking := weights.missing_packages(self.description.needs):
            raise EngineError(
                "packages_missing",
                f"{self.description.title} needs: pip install {' '.join(lacking)}",
            )

    def describe(self) -> Description:
        return self.description

    def unload(self) -> None:
        """Give all memory back; the next request loads again."""
        self.warm.unload()

    # ── drawing ────────────────────────────────────────────────────────────────

    def generate(
        self,
        request: GenerateRequest,
        adapters: Sequence[bytes] = (),
        *,
        seed: int = 0,
        on_step: OnStep | None = None,
        on_image: Callable[[int, GeneratedImage], None] | None = None,
    ) -> list[GeneratedImage]:
        """One by one: a picture is the same alone and among others. Errors as the interface's."""
        checks.generate(request, self.description)
        if request.kind not in self.description.kinds:
            raise EngineError("bad_request", f"{self.description.title} does not do that.")
        cast = self._cast(request, adapters)
        self._maker(request, cast)  # whatever is wrong with it is said before anything is drawn
        finish = finisher(request)

        def draw(seed: int, index: int, on_step: OnStep | None) -> GeneratedImage:
            # A maker belongs to weights in memory, which may have had to be loaded anew.
            drawn = self.warm.with_room(lambda: self._maker(request, cast)(seed, index, on_step))
            return GeneratedImage(pictures.to_png(finish(drawn)), seed, self._scores(drawn, cast))

        images = []
        for index in range(request.num_images):
            image = candidates.best(
                draw, seed + index, index,
                of=request.best_of if self.faces else 1,
                floor=request.likeness_floor, on_step=on_step,
            )  # fmt: skip
            images.append(image)
            if on_image:
                on_image(index, image)
        return images

    def _maker(self, request: GenerateRequest, cast: Cast) -> Make:
        steps = request.num_inference_steps or self.warm.weights.steps
        guidance = request.guidance_scale
        guidance = self.warm.weights.guidance if guidance is None else guidance
        checks.drawing(steps, guidance)
        drawing = Drawing(self.warm.server, self.description, self.faces)
        drawing.reference_px = self.warm.weights.reference_px
        if request.kind == "enhance":
            return drawing.enhanced(request, cast, steps, guidance)
        if request.kind in ("edit", "restyle", "vary"):
            return drawing.changed(request, cast, steps, guidance)
        checks.shape(request.aspect_ratio, len(cast.people), self.description)
        checks.regions(request.regions, len(cast.people), self.description)
        return drawing.new(request, cast, steps, guidance)

    def _cast(self, request: GenerateRequest, adapters: Sequence[bytes]) -> Cast:
        """Who is in the picture; of candidates, whoever is found in the one that is given."""
        people = [files.read(data, family=self.warm.weights.family) for data in adapters]
        if request.recognise:
            people = self._recognised(request, people[:CANDIDATES])
        most = self.description.people_max
        if len(people) > most:
            counted = "one person" if most == 1 else f"{most} people"
            raise EngineError(
                "too_many_people",
                f"{self.description.title} draws at most {counted} in a picture.",
            )
        known = [self.faces.know(each.pictures) if self.faces else None for each in people]
        return Cast(tuple(people), tuple(known))

    def _recognised(self, request: GenerateRequest, people: list[Person]) -> list[Person]:
        """By their faces; where those cannot be read, whoever the words name."""
        if not self.faces or request.image is None:
            return people[: min(spoken_of(request.prompt), self.description.people_max)]
        known = [self.faces.know(each.pictures) for each in people]
        scores = self.faces.scores(pictures.read(request.image), known)
        there = [one for one, score in zip(people, scores, strict=True) if not score.missing]
        return there[: self.description.people_max]

    def _scores(self, drawn: Image.Image, cast: Cast) -> tuple[FaceScore, ...]:
        """Empty without face files: no number is better than one nobody measured."""
        if not self.faces or not any(cast.known):
            return ()
        return self.faces.scores(drawn, cast.known)

    # ── clips ──────────────────────────────────────────────────────────────────

    def animate(
        self,
        request: AnimateRequest,
        adapters: Sequence[bytes] = (),
        *,
        seed: int = 0,
        on_step: OnStep | None = None,
    ) -> Clip:
        """A still by this engine, set in motion by the one its row names."""
        checks.animate(request, self.description)
        if "video" not in self.description.kinds:
            raise EngineError("no_video", f"{self.description.title} makes no clips.")
        if len(adapters) > 1:
            raise EngineError("too_many_people", "A clip shows one person.")
        people = [files.read(data, family=self.warm.weights.family) for data in adapters]
        person = people[0] if people else None
        still = self._still(request, adapters, seed, on_step)
        frames = self.warm.with_room(
            lambda: clips.filmed(self.warm, request, still, person, seed=seed, on_step=on_step)
        )
        known = [self.faces.know(each.pictures) if self.faces else None for each in people]
        return clips.clip(request, frames, seed, self.faces, [one for one in known if one])

    def replace(
        self,
        image: bytes,
        moving: Moving,
        *,
        prompt: str = "",
        seed: int = 0,
        on_step: OnStep | None = None,
    ) -> clips.Frames:
        """(frames, H, W, 3): whoever is in `image` in the place of the person in a clip.

        Raises EngineError: "bad_request" (this engine does not do that, a clip that was prepared
        in part), "bad_picture".
        """
        if "replace" not in self.description.kinds:
            raise EngineError("bad_request", f"{self.description.title} replaces nobody in clips.")
        moving.check()
        given, found = pictures.read(image), self.warm.weights
        width, height = clips.fitting(moving.frames[0], self.description.size_px, step=16)
        asked = Asked(
            prompt=prompt, seed=seed, width=width, height=height, steps=found.steps,
            guidance=found.guidance, image=given,
        )  # fmt: skip

        def drawn() -> clips.Frames:
            family = self.warm.base
            assert isinstance(family, WanAnimate)
            return family.replaced(asked, moving, tell=telling(on_step, 0))

        return self.warm.with_room(drawn)

    def _still(
        self,
        request: AnimateRequest,
        adapters: Sequence[bytes],
        seed: int,
        on_step: OnStep | None,
    ) -> Image.Image:
        if request.image is not None:
            return pictures.read(request.image)
        if "image" not in self.description.kinds:
            raise EngineError("bad_request", "Choose a picture to set in motion.")
        wanted = GenerateRequest(
            "image",
            request.prompt,
            negative_prompt=request.negative_prompt,
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
            aspect_ratio=request.aspect_ratio,
        )

        def told(step: Step) -> None:
            if on_step:
                on_step(Step("draw", round(clips.STILL_SHARE * step.done), step.total))

        return pictures.read(self.generate(wanted, adapters, seed=seed, on_step=told)[0].png)

    # ── learning and measuring ─────────────────────────────────────────────────

    def train(
        self,
        references: Sequence[bytes],
        *,
        tier: Tier = "trained",
        seed: int = 0,
        resume_dir: Path | None = None,
        recipe: Recipe | None = None,
        on_step: OnStep | None = None,
    ) -> TrainedAdapter:
        """Learn one person. "instant" keeps their pictures, which these engines look at; "fast"
        makes more of them to learn from. Of a training's stages the one most like them counts."""
        if not references:
            raise EngineError("no_reference", "A training needs at least one reference.")
        if tier not in self.description.tiers:
            raise EngineError("bad_request", f"{self.description.title} does not learn that way.")
        recipe = recipe or Recipe()
        tell = on_step or (lambda step: None)
        people = learning.learnt(
            self.warm, self.faces, references[:MAX_REFERENCES], tier, recipe,
            seed=seed, folder=resume_dir, on_step=tell,
        )  # fmt: skip
        prefix = self.warm.base.denoiser_name
        found = [self._evaluated(files.write(one, prefix=prefix), recipe, tell) for one in people]
        return max(found, key=lambda one: one.likeness or 0)

    def _evaluated(self, data: bytes, recipe: Recipe, tell: OnStep) -> TrainedAdapter:
        """How like them pictures turn out, where faces can be measured; one as a preview."""
        count = 1 if recipe.evaluation_images is None else recipe.evaluation_images
        request = GenerateRequest("image", "a photo of [[them]], smiling", num_images=max(1, count))
        drawn = self.generate(request, [data], on_step=tell) if count else []
        scores = [image.likeness for image in drawn if image.faces]
        mean = round(sum(scores) / len(scores)) if scores else None
        return TrainedAdapter(data, mean, drawn[0].png if drawn else None)

    def likeness(self, reference: bytes, picture: bytes) -> list[FaceScore]:
        """Empty without face files, and where the reference shows no face."""
        known = self.faces.know([pictures.read(reference)]) if self.faces else None
        return list(self.faces.scores(pictures.read(picture), [known])) if self.faces else []

    def find_subject(
        self, photos: Sequence[bytes], *, on_step: OnStep | None = None
    ) -> list[Sighting]:
        """See `finding`. Raises EngineError("no_face_files") too."""
        if self.faces is None:
            raise EngineError(
                "no_face_files",
                "Photos of somebody cannot be told apart here: "
                "FACE_DETECTOR and FACE_EMBEDDER name no files.",
            )
        return finding.subject(self.faces, photos, on_step or (lambda step: None))
