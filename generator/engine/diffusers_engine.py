"""An engine over any base model that has the shape of a `StableDiffusionPipeline`.

Puts the parts together: who a person is (identity encoder), how the denoiser bends to
them (`lora`), what a picture is (`draw`) and whether it is them (`likeness`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers.utils.logging import disable_progress_bar
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]  # comes with diffusers

from generator.engine import adapter as adapters_file
from generator.engine import (
    candidates,
    checks,
    clip,
    framing,
    lora,
    pictures,
    registry,
    strangers,
    subject,
    wording,
)
from generator.engine.adapter import Adapter
from generator.engine.artist import Artist, Make, finisher
from generator.engine.clip import Animator
from generator.engine.draw import Base, Draftsman, EncodePrompts, Settings
from generator.engine.enlarger import Enlarger
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
from generator.engine.likeness import READ_PX, Judge, views
from generator.engine.lora import Examples, Plan, Wear
from generator.engine.miniature import (
    autoencoder,  # noqa: F401  from_pretrained looks it up
    upscaler,
)
from generator.engine.miniature.base import WEIGHTS, load_base
from generator.engine.miniature.conditioning import encode_prompts
from generator.engine.retouch import Retoucher
from generator.engine.strangers import Strangers

MAX_REFERENCES = 20
VIEWS = 24  # variations of the references to learn from
# Measured on three unseen people in four scenes each, before the base model was finished: likeness
# 80 from tokens alone, 88 after 60 steps (painted by hand: 96); three times the rate gained nothing
# and lost the pose.
TRAIN_STEPS = 60
LEARNING_RATE = 1e-3
RANK = 8
BATCH = 4
EVALUATION_IMAGES = 2
# One trained person, four scenes: likeness 94, 93, 92, 90 at guidance 1.5, 2, 2.5, 3.5; ten
# steps and sixteen look alike.
DRAW_STEPS, GUIDANCE = 12, 2.0
CANDIDATES = 8  # people looked for in a picture: more are guesses
# What a reference shows besides the person: named in its caption, so that it is not learnt.
CIRCUMSTANCES = ("expression", "outfit_color", "outfit", "background", "light", "pose")

log = logging.getLogger(__name__)


def load_miniature(weights: Path | None) -> DiffusersEngine:
    """The embedded base model. Raises EngineError("no_weights")."""
    folder = weights or WEIGHTS
    disable_progress_bar()
    tqdm.set_lock(threading.RLock())  # its own lock is a semaphore that a killed child leaks
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        base = load_base(folder, device=device)
    except (OSError, ValueError) as error:
        log.warning("%s: %s", folder, error)
        raise EngineError(
            "no_weights",
            "The base model's weights are missing or incomplete. "
            "Make them with: python -m generator.engine.miniature.make",
        ) from error
    return DiffusersEngine(
        registry.describe("miniature"),
        base,
        encode_prompts,
        weights=folder,
        defaults=Settings(DRAW_STEPS, GUIDANCE),
        upscaler=_upscaler(device),
    )


def _upscaler(device: str) -> nn.Module | None:
    """None where it was never made: then pictures are enlarged by Lanczos."""
    try:
        return upscaler.load(device=device)
    except (OSError, ValueError) as error:
        log.warning("pictures are enlarged without the upscaler: %s", error)
        return None


class DiffusersEngine:
    """One base model, warm. Same seed, same pixels."""

    def __init__(
        self,
        description: Description,
        base: Base,
        encode_prompts: EncodePrompts,
        *,
        weights: Path,
        defaults: Settings,
        upscaler: nn.Module | None = None,
    ) -> None:
        self.description = description
        self.base = base
        self.weights = weights
        self.version = strangers.fingerprint(weights)
        self.defaults = defaults
        self.draftsman = Draftsman(base, encode_prompts)
        self.judge = Judge(base.reader, self.draftsman.device)
        self.enlarger = Enlarger(upscaler, self.draftsman.device)
        self.artist = Artist(self.draftsman, self.enlarger)
        self.retoucher = Retoucher(self.draftsman, self.judge, base.identity_encoder, self.enlarger)
        self.animator = Animator(self.draftsman, self.judge, self.enlarger)
        self._strangers: Strangers | None = None
        base.pipe.set_progress_bar_config(disable=True)
        base.pipe.unet.eval().requires_grad_(False)

    def describe(self) -> Description:
        return self.description

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
        """Draw one by one: a picture is the same alone and among others.

        Raises EngineError("bad_request") and what `adapter.read` raises.
        """
        checks.generate(request, self.description)
        settings = self._checked(request.num_inference_steps, request.guidance_scale)
        people = self._people(adapters, most=CANDIDATES if request.recognise else None)
        images = []
        with lora.worn(self.base.pipe.unet, [person.lora for person in people]) as wear:
            make = self._maker(request, people, settings, wear)
            finish = finisher(request)

            def draw(seed: int, index: int, on_step: OnStep | None) -> GeneratedImage:
                drawn = make(seed, index, on_step)
                is_new = request.kind in ("face", "image")
                shows = len(people) if is_new else request.people_shown
                faces = self.judge.shown(drawn, [p.yardstick for p in people], people=shows)
                return GeneratedImage(pictures.to_png(finish(drawn)), seed, faces)

            for index in range(request.num_images):
                image = candidates.best(
                    draw, seed + index, index,
                    of=request.best_of, floor=request.likeness_floor, on_step=on_step,
                )  # fmt: skip
                images.append(image)
                if on_image:
                    on_image(index, image)
        return images

    def _maker(
        self, request: GenerateRequest, people: list[Adapter], settings: Settings, wear: Wear
    ) -> Make:
        """What draws the pictures of this request, one after the other."""
        if request.kind == "enhance":
            sizes = self.description.enhance_px
            return self.retoucher.enhance(request, sizes, people, settings, wear)
        if request.kind in ("edit", "restyle", "vary"):
            retouch = getattr(self.retoucher, request.kind)
            make: Make = retouch(request, people, settings, wear)
            return make
        prompt = self._prompt(request)
        checks.shape(request.aspect_ratio, len(people), self.description)
        checks.regions(request.regions, len(people), self.description)
        size_px = request.size_px or self.description.size_px
        shape = framing.framing(request.aspect_ratio, max(1, len(people)), size_px)
        if len(people) > 1:
            return self.artist.group(request, prompt, people, settings, wear, shape)
        tokens = people[0].tokens[None] if people else None
        return self.artist.portrait(request, prompt, tokens, settings, shape)

    def animate(
        self,
        request: AnimateRequest,
        adapters: Sequence[bytes] = (),
        *,
        seed: int = 0,
        on_step: OnStep | None = None,
    ) -> Clip:
        """Set one person in motion; see `clip`. Errors as of `generate`."""
        checks.animate(request, self.description)
        settings = self._checked(request.num_inference_steps, request.guidance_scale)
        if len(adapters) > 1:
            raise EngineError("too_many_people", "A clip shows one person.")
        people = self._people(adapters)
        person = people[0] if people else None
        subject = clip.subject(request, person, self._seen, self.description.size_px)
        with lora.worn(self.base.pipe.unet, [person.lora for person in people]):
            return self.animator.animate(request, subject, settings, seed=seed, on_step=on_step)

    def _seen(self, picture: Image.Image) -> Tensor:
        """Identity tokens (1, K, D) of whoever is in a square picture."""
        return self._tokens(pictures.to_tensor(picture, READ_PX))[None]

    def _prompt(self, request: GenerateRequest) -> str:
        """The words, with what is read from `pose_image` and `style_image`."""
        words = [request.prompt]
        if request.pose_image:
            pixels = pictures.to_tensor(pictures.read(request.pose_image), READ_PX)
            (found,) = self.judge.describe(pixels, ("pose",))
            words += found.values()
        if request.style_image:
            style = pictures.read(request.style_image)
            words.append(self.retoucher.style_words(style, request.prompt))
        return ", ".join(part for part in words if part)

    def _checked(self, steps: int | None, guidance: float | None) -> Settings:
        steps = steps or self.defaults.steps
        guidance = self.defaults.guidance if guidance is None else guidance
        checks.drawing(steps, guidance)
        return Settings(steps, guidance)

    def _people(self, adapters: Sequence[bytes], *, most: int | None = None) -> list[Adapter]:
        most = most or self.description.people_max
        if len(adapters) > most:
            raise EngineError(
                "too_many_people",
                f"{self.description.title} draws at most {most} people in a picture.",
            )
        return [self.read_adapter(data) for data in adapters]

    def read_adapter(self, data: bytes) -> Adapter:
        """Open an adapter file that may be foreign; see `adapter.read` for its errors."""
        encoder, reader = self.base.identity_encoder, self.base.reader
        return adapters_file.read(
            data,
            base=self.description.name,
            unet=self.base.pipe.unet,
            tokens=(encoder.config.tokens, encoder.config.width),  # type: ignore[union-attr, arg-type]
            face=reader.config.embedding,  # type: ignore[union-attr, arg-type]
        )

    # ── learning ───────────────────────────────────────────────────────────────

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
        """Learn one person. See `interface.Engine.train`; resuming is exact."""
        if not references:
            raise EngineError("no_reference", "A training needs at least one reference.")
        tell = on_step or (lambda step: None)
        tell(Step("read", 0, 1))
        recipe = recipe or Recipe()
        images = [pictures.read(data) for data in references[:MAX_REFERENCES]]
        seen = views(images, VIEWS, random.Random(seed))
        tokens = self._tokens(seen[: len(images)])
        others = self.strangers(tell)
        yardstick = self.judge.yardstick(seen, others.embeddings)
        tell(Step("read", 1, 1))
        weights: dict[str, Tensor] = {}
        if tier == "trained":
            plan = self._plan(references, recipe, seed)
            weights = lora.train(
                self.base.pipe.unet,
                self._own(seen, tokens),
                self._prior(others),
                lora.focus(others.latents.shape[-2:]),
                plan,
                resume_dir=resume_dir,
                on_step=on_step,
            )
        person = Adapter(self.description.name, tier, tokens, yardstick, weights)
        count = EVALUATION_IMAGES if recipe.evaluation_images is None else recipe.evaluation_images
        return self._evaluated(person, count, tell)

    @torch.no_grad()
    def _tokens(self, pixels: Tensor) -> Tensor:
        """Identity tokens (K, D): the mean over references."""
        tokens: Tensor = self.base.identity_encoder(pixels.to(self.draftsman.device))
        return tokens.mean(0).float().cpu()

    def _own(self, seen: Tensor, tokens: Tensor) -> Examples:
        captions = [
            ", ".join(wording.circumstances(words))
            for words in self.judge.describe(seen, CIRCUMSTANCES)
        ]
        conditions = self.draftsman.encode(captions, tokens[None])
        return Examples(self.draftsman.to_latents(seen).cpu(), conditions.cpu())

    def _prior(self, others: Strangers) -> Examples:
        return Examples(others.latents, self.draftsman.encode(others.prompts).cpu())

    def strangers(self, tell: OnStep) -> Strangers:
        """Loaded, or drawn now: once for each version of the base model's weights."""
        self._strangers = self._strangers or strangers.load(self.weights, self.version)
        if self._strangers is None:
            log.info("drawing %d strangers for the base model, once", strangers.COUNT)
            negative = self.draftsman.encode([""])

            def one(prompt: str, seed: int) -> tuple[Tensor, Tensor]:
                tell(Step("read", 0, 1))
                words = self.draftsman.encode([prompt])
                latents = self.draftsman.latents(words, negative, seed=seed, settings=self.defaults)
                return latents.cpu(), self.judge.embed(self.draftsman.decode(latents))

            drawn = strangers.draw(one, count=strangers.COUNT)
            strangers.keep(self.weights, drawn, self.version)
            self._strangers = strangers.load(self.weights, self.version) or drawn
        return self._strangers

    def _plan(self, references: Sequence[bytes], recipe: Recipe, seed: int) -> Plan:
        steps = recipe.steps or TRAIN_STEPS
        rate = recipe.learning_rate or LEARNING_RATE
        rank = recipe.rank or RANK
        decided = {
            "base": [self.description.name, self.version],
            "references": [hashlib.sha256(data).hexdigest() for data in references],
            "numbers": [steps, rate, rank, BATCH, VIEWS, seed],
        }
        return Plan(
            steps=steps,
            learning_rate=rate,
            rank=rank,
            predicts_clean=self.base.pipe.scheduler.config.prediction_type == "sample",
            batch=BATCH,
            seed=seed,
            checkpoint_every_s=recipe.checkpoint_every_s,
            recipe=hashlib.sha256(json.dumps(decided).encode()).hexdigest(),
        )

    def _evaluated(self, person: Adapter, count: int, tell: OnStep) -> TrainedAdapter:
        """The finished file, with the likeness of some pictures drawn by it."""
        data = adapters_file.write(person)
        rng = random.Random(0)  # the same scenes for everybody, so that scores compare
        drawn: list[GeneratedImage] = []
        for index in range(count):
            request = GenerateRequest("image", strangers.scene(rng))
            drawn += self.generate(request, [data], seed=index, on_step=tell)
        scores = [face.likeness for image in drawn for face in image.faces]
        tell(Step("save", 1, 1))
        mean = round(sum(scores) / len(scores)) if scores else 0
        return TrainedAdapter(data, mean, drawn[0].png if drawn else None)

    # ── judging ────────────────────────────────────────────────────────────────

    def likeness(self, reference: bytes, picture: bytes) -> list[FaceScore]:
        """How much each face in `picture` is the person of `reference`."""
        seen = views([pictures.read(reference)], VIEWS, random.Random(0))
        yardstick = self.judge.yardstick(seen, self.strangers(lambda step: None).embeddings)
        return self.judge.each(pictures.read(picture), yardstick)

    def find_subject(
        self, photos: Sequence[bytes], *, on_step: OnStep | None = None
    ) -> list[Sighting]:
        """See `subject.find`."""
        tell = on_step or (lambda step: None)
        images = [pictures.read(data) for data in photos]
        return subject.find(
            images, self.judge.people, lambda done: tell(Step("find", done, len(images)))
        )
