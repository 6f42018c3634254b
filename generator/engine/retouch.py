"""Pictures made from pictures: edits, with or without a mask, and enlargement.

An edit is drawn over noise laid on the picture (SDEdit, arXiv:2108.01073). With a mask,
what may not change is put back into the latents at every step (RePaint, arXiv:2201.09865);
without one, the picture is drawn from the same noise as it is and as it is wanted, and only
where the two differ it is touched (after DiffEdit, arXiv:2210.11427). Either way the other
pixels stay what they were, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from generator.engine import crowd, draw, instruction, pictures, wording
from generator.engine.adapter import Adapter
from generator.engine.artist import Make
from generator.engine.draw import Draftsman, Settings
from generator.engine.enlarger import Enlarger
from generator.engine.interface import EngineError, GenerateRequest, OnStep, Step
from generator.engine.likeness import READ_PX, Judge, cut
from generator.engine.lora import Wear

STRENGTH = 0.8  # hair, clothes and scenes change, layout and face stay
READ = ("expression", "outfit_color", "outfit", "background", "light", "pose")
EDITED_PX = 2048  # larger pictures are shrunk first
DIFFERENT = (10.0, 30.0)  # levels of 255 between two drawings: grain, and a change

Mask = NDArray[np.float32]
"""(H, W, 1) in 0..1"""


@dataclass(frozen=True)
class Original:
    """A picture to edit: for one person (square) or for two (wide)."""

    picture: Image.Image
    pixels: Tensor  # (1, 3, 128, W)
    people: int
    mask: Image.Image | None  # L, of the picture's size


class Retoucher:
    """Edits and enlarges with one warm base model."""

    def __init__(
        self,
        draftsman: Draftsman,
        judge: Judge,
        identity: nn.Module,
        enlarger: Enlarger,
    ) -> None:
        self.draftsman = draftsman
        self.judge = judge
        self.identity = identity
        self.enlarger = enlarger

    # ── edits ──────────────────────────────────────────────────────────────────

    def edit(
        self, request: GenerateRequest, people: list[Adapter], settings: Settings, wear: Wear
    ) -> Make:
        """Raises EngineError "bad_request", "bad_picture", "bad_mask", "too_many_people"."""
        original = _original(request)
        if len(people) > original.people:
            raise EngineError("too_many_people", "This picture shows one person.")
        strength = STRENGTH if request.strength is None else request.strength
        if not 0 < strength <= 1:
            raise EngineError("bad_request", "Choose a strength above 0 and up to 1.")
        start = min(settings.steps - 1, round(settings.steps * (1 - strength)))
        before, after = self._predictors(request, original, people, settings, wear)
        clean = self.draftsman.to_latents(original.pixels)
        sigma = self.draftsman.sigmas(settings.steps)

        def drawn(
            predict: draw.Predict, noise: Tensor, mask: Tensor | None, on_step: OnStep | None
        ) -> NDArray[np.uint8]:
            def put_back(latents: Tensor, number: int) -> Tensor:
                if mask is None:
                    return latents
                left = sigma[number + 1]
                return mask * latents + (1 - mask) * ((1 - left) * clean + left * noise)

            noisy = (1 - sigma[start]) * clean + sigma[start] * noise
            latents = self.draftsman.denoise(
                noisy, predict, steps=settings.steps, start=start, after=put_back, on_step=on_step
            )
            return np.asarray(pictures.to_image(self.draftsman.decode(latents)[0]))

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            noise = self.draftsman.noise(seed, columns=clean.shape[-1])
            if original.mask:
                tell = _part(on_step, 0, 1, index)
                wanted = drawn(after, noise, _cells(original.mask, clean), tell)
                return self._laid(original.picture, wanted, _soft(original.mask))
            same = drawn(before, noise, None, _part(on_step, 0, 2, index))
            wanted = drawn(after, noise, None, _part(on_step, 1, 2, index))
            return self._laid(original.picture, wanted, _difference(same, wanted))

        return make

    def _predictors(
        self,
        request: GenerateRequest,
        original: Original,
        people: list[Adapter],
        settings: Settings,
        wear: Wear,
    ) -> tuple[draw.Predict, draw.Predict]:
        """What draws the picture as it is, and as it is wanted."""
        squares = crowd.squares(*original.picture.size)
        seen = torch.cat([cut(original.picture, square) for square in squares])
        wishes = [
            instruction.wish(words, read)
            for words, read in zip(
                wording.for_each(request.prompt, original.people),
                self.judge.describe(seen, READ),
                strict=True,
            )
        ]
        tokens = self._tokens(seen, people)
        gone = ", ".join(part for part in (request.negative_prompt, wishes[0].negative) if part)
        negative = self.draftsman.encode([gone])
        unet = self.draftsman.pipe.unet

        def predictor(prompts: list[str]) -> draw.Predict:
            words = [
                self.draftsman.encode([prompt], own[None])
                for prompt, own in zip(prompts, tokens, strict=True)
            ]
            regions = crowd.regions(words, unet.config.sample_size)
            return crowd.predictor(
                unet, regions, negative, guidance=settings.guidance, wear=_either(wear, people)
            )

        return predictor([w.before for w in wishes]), predictor([w.after for w in wishes])

    @torch.no_grad()
    def _tokens(self, seen: Tensor, people: list[Adapter]) -> list[Tensor]:
        """Identity tokens (K, D) of each: the person's, else whoever is seen there."""
        found = self.identity(seen.to(self.draftsman.device)).float().cpu()
        return [person.tokens for person in people] + list(found[len(people) :])

    def _laid(self, picture: Image.Image, drawn: NDArray[np.uint8], mask: Mask) -> Image.Image:
        """`drawn`, enlarged, over `picture` where `mask` says so."""
        own = np.asarray(picture)
        large = self.enlarger.enlarged(Image.fromarray(drawn), picture.height)
        top = np.asarray(large.resize(picture.size), dtype=np.float32)
        share = cv2.resize(mask, picture.size, interpolation=cv2.INTER_LINEAR)[..., None]
        mixed = np.where(share > 0, (own + (top - own) * share).round(), own)
        return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))

    # ── enlarging ──────────────────────────────────────────────────────────────

    def enhance(self, request: GenerateRequest, sizes: tuple[int, ...]) -> Make:
        """Restored and enlarged to one of `sizes` (height in pixels). Raises EngineError."""
        if request.image is None:
            raise EngineError("bad_request", "Choose a picture to enhance.")
        if not sizes or (request.size_px is not None and request.size_px not in sizes):
            offered = " or ".join(str(size) for size in sizes)
            raise EngineError("bad_request", f"Choose a size of {offered} pixels.")
        picture = pictures.read(request.image)
        height = request.size_px or max(sizes)

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            return self.enlarger.enlarged(picture, height, index=index, on_step=on_step)

        return make


def _original(request: GenerateRequest) -> Original:
    if request.image is None:
        raise EngineError("bad_request", "Choose a picture to edit.")
    picture = pictures.read(request.image)
    people = crowd.count(*picture.size)
    if people is None:
        raise EngineError("bad_picture", "Choose a square picture, or cut it to a square first.")
    if picture.height > EDITED_PX:
        picture = picture.resize((EDITED_PX * picture.width // picture.height, EDITED_PX))
    width = READ_PX * crowd.columns(people, 8) // 8
    pixels = pictures.as_tensor(picture.resize((width, READ_PX), Image.Resampling.BOX))
    return Original(picture, pixels, people, _mask(request.mask_image, picture.size))


def _mask(data: bytes | None, size: tuple[int, int]) -> Image.Image | None:
    if data is None:
        return None
    try:
        mask = pictures.read(data).convert("L").resize(size, Image.Resampling.BILINEAR)
    except EngineError:
        raise EngineError("bad_mask", "The mask could not be read.") from None
    if not mask.getbbox():
        raise EngineError("bad_mask", "The mask is black everywhere: nothing may change.")
    return mask


def _cells(mask: Image.Image, latents: Tensor) -> Tensor:
    """1 where any of a latent's pixels may change, (1, 1, h, w)."""
    levels = torch.from_numpy(np.array(mask, dtype=np.float32))[None, None]
    cells: Tensor = (F.adaptive_max_pool2d(levels, latents.shape[-2:]) > 16).to(latents)
    return cells


def _soft(mask: Image.Image) -> Mask:
    """Feathered inwards: black pixels stay exactly 0."""
    levels = np.asarray(mask, dtype=np.float32) / 255
    radius = max(1, mask.height // 128)
    inner = cv2.erode(levels, np.ones((2 * radius + 1,) * 2, np.uint8))
    soft = cv2.GaussianBlur(inner, (0, 0), radius / 2)
    return np.minimum(soft, levels)[..., None].astype(np.float32)


def _difference(same: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> Mask:
    """Where the picture as drawn and as wanted differ, softened, (h, w, 1)."""
    size = np.abs(same.astype(np.float32) - wanted).max(2)
    size = cv2.GaussianBlur(size, (0, 0), 2.5)
    share = np.clip((size - DIFFERENT[0]) / (DIFFERENT[1] - DIFFERENT[0]), 0, 1)
    wide = cv2.dilate(share, np.ones((9, 9), np.uint8))
    soft: Mask = cv2.GaussianBlur(wide, (0, 0), 2.0)[..., None].astype(np.float32)
    return np.where(soft < 0.01, np.float32(0), soft)


def _either(wear: Wear, people: list[Adapter]) -> Wear:
    """Somebody in the picture without an adapter wears nothing new."""

    def put_on(number: int) -> None:
        if number < len(people):
            wear(number)

    return put_on


def _part(on_step: OnStep | None, number: int, parts: int, index: int) -> Callable[[Step], None]:
    """Steps of one of `parts` drawings as steps of the whole picture."""

    def tell(step: Step) -> None:
        if on_step and (step.done or not number):
            done, total = step.done + number * step.total, step.total * parts
            on_step(Step(step.phase, done, total, index, step.preview))

    return tell
