"""Pictures made from pictures: edits with or without a mask, restyling, variations, enlargement.

An edit is drawn over noise laid on the picture (SDEdit, arXiv:2108.01073). With a mask,
what may not change is put back into the latents at every step (RePaint, arXiv:2201.09865);
without one, the picture is drawn from the same noise as it is and as it is wanted, and only
where the two differ it is touched (after DiffEdit, arXiv:2210.11427). Either way the other
pixels stay what they were, bit for bit. A variation is drawn over noise and kept as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from generator.engine import borrowing, crowd, draw, framing, instruction, look, pictures, wording
from generator.engine.adapter import Adapter
from generator.engine.artist import Make
from generator.engine.candidates import within
from generator.engine.crowd import Cast
from generator.engine.draw import Draftsman, Settings
from generator.engine.enlarger import Enlarger, is_blurred
from generator.engine.instruction import Wish
from generator.engine.interface import EngineError, GenerateRequest, OnStep
from generator.engine.likeness import Judge, cut
from generator.engine.lora import Wear
from generator.engine.original import Original, cells, difference, read, soft

STRENGTH = 0.8  # hair, clothes and scenes change, layout and face stay
VARIED = 0.7  # the same person and scene, another moment
RESTORED = 0.35  # what is there stays, what is blurred is drawn
CLEARLY = 5  # points of likeness that drawing anew has to gain
SEEN = ("expression", "outfit_color", "outfit", "background", "light", "pose")


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
        original = read(request)
        request = replace(request, prompt=self._told(request))
        start = _start(request.strength, STRENGTH, settings.steps)
        cast = self.cast(original, people, recognise=request.recognise)
        wishes, predictor = self._scene(request, original, people, settings, wear, cast)
        before = predictor([wish.before for wish in wishes])
        after = predictor([wish.after for wish in wishes])
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
                tell = within(on_step, 0, 1, index)
                wanted = drawn(after, noise, cells(original.mask, clean), tell)
                return original.laid(self._large(wanted, original), soft(original.mask))
            same = drawn(before, noise, None, within(on_step, 0, 2, index))
            wanted = drawn(after, noise, None, within(on_step, 1, 2, index))
            return original.laid(self._large(wanted, original), difference(same, wanted))

        return make

    def restyle(
        self, request: GenerateRequest, people: list[Adapter], settings: Settings, wear: Wear
    ) -> Make:
        """An edit towards what `style_image` shows, then its colours. Errors as of `edit`."""
        if request.style_image is None:
            raise EngineError("bad_request", "Choose a picture whose style is wanted.")
        style = pictures.read(request.style_image)
        lent = self.style_words(style, request.prompt)
        words = ", ".join(part for part in (request.prompt, lent) if part)
        asked = replace(request, prompt=words, style_image=None)
        draw_edit = self.edit(asked, people, settings, wear)

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            edited = draw_edit(seed, index, on_step)
            return Image.fromarray(look.matched(np.asarray(edited), np.asarray(style)))

        return make

    def vary(
        self,
        request: GenerateRequest,
        people: list[Adapter],
        settings: Settings,
        wear: Wear,
        *,
        cast: Cast | None = None,
    ) -> Make:
        """Another moment of the same scene. Errors as of `edit`. `cast`: who is who, if known."""
        original = read(request)
        start = _start(request.strength, VARIED, settings.steps)
        cast = cast or self.cast(original, people, recognise=request.recognise)
        wishes, predictor = self._scene(request, original, people, settings, wear, cast)
        predict = predictor([wish.after for wish in wishes])
        clean = self.draftsman.to_latents(original.pixels)
        level = self.draftsman.sigmas(settings.steps)[start]

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            noise = self.draftsman.noise(seed, columns=clean.shape[-1])
            latents = self.draftsman.denoise(
                (1 - level) * clean + level * noise, predict,
                steps=settings.steps, start=start, index=index, on_step=on_step,
            )  # fmt: skip
            drawn = np.asarray(pictures.to_image(self.draftsman.decode(latents)[0]))
            return original.shown(self._large(drawn, original))

        return make

    def _told(self, request: GenerateRequest) -> str:
        """The instruction, with what it takes from another picture in words."""
        asked = borrowing.asked(request.prompt)
        if request.style_image is None or not asked.names:
            return request.prompt
        seen = self._read(pictures.read(request.style_image), asked.names)
        return ", ".join(part for part in (asked.rest, *wording.circumstances(seen)) if part)

    def style_words(self, style: Image.Image, prompt: str) -> str:
        """Surroundings, light and clothes of a picture that `prompt` leaves open."""
        open_ones = [name for name in borrowing.LENT if not instruction.speaks_of(prompt, name)]
        return ", ".join(wording.circumstances(self._read(style, open_ones)))

    def _read(self, picture: Image.Image, names: Sequence[str]) -> dict[str, str]:
        """Words of these attributes in the middle of a picture."""
        side = min(picture.size)
        square = ((picture.width - side) // 2, (picture.height - side) // 2, side)
        (seen,) = self.judge.describe(cut(picture, square), names)
        return seen

    def cast(self, original: Original, people: list[Adapter], *, recognise: bool) -> Cast:
        """Who is meant by each face of the picture, from left to right.

        Raises EngineError("too_many_people") where there are more people than faces.
        """
        if recognise:
            return self.judge.recognised(original.canvas, [one.yardstick for one in people])
        if len(people) > original.people:
            raise EngineError("too_many_people", "This picture shows one person.")
        return tuple(number if number < len(people) else None for number in range(original.people))

    def _scene(
        self,
        request: GenerateRequest,
        original: Original,
        people: list[Adapter],
        settings: Settings,
        wear: Wear,
        cast: Cast,
    ) -> tuple[list[Wish], Callable[[list[str]], draw.Predict]]:
        """What is wished for each face, and what makes a predictor of a prompt for each."""
        seen = torch.cat([cut(original.canvas, place) for place in original.squares])
        prompts = wording.for_cast(request.prompt, cast)
        read_words = self.judge.describe(seen, SEEN)
        wishes = [
            instruction.wish(words, found) for words, found in zip(prompts, read_words, strict=True)
        ]
        tokens = self._tokens(seen, people, cast)
        gone = ", ".join(part for part in (request.negative_prompt, wishes[0].negative) if part)
        negative = self.draftsman.encode([gone])
        unet = self.draftsman.pipe.unet

        def predictor(captions: list[str]) -> draw.Predict:
            words = [
                self.draftsman.encode([caption], own[None])
                for caption, own in zip(captions, tokens, strict=True)
            ]
            regions = crowd.regions(words, unet.config.sample_size, cast)
            return crowd.predictor(unet, regions, negative, guidance=settings.guidance, wear=wear)

        return wishes, predictor

    @torch.no_grad()
    def _tokens(self, seen: Tensor, people: list[Adapter], cast: Cast) -> list[Tensor]:
        """Identity tokens (K, D) of each face: its person's, else of whoever is seen there."""
        found = self.identity(seen.to(self.draftsman.device)).float().cpu()
        return [
            own if who is None else people[who].tokens for who, own in zip(cast, found, strict=True)
        ]

    def _large(self, drawn: NDArray[np.uint8], original: Original) -> Image.Image:
        """Something drawn at the size of the picture's canvas."""
        width, height = original.framing.canvas
        large = self.enlarger.enlarged(Image.fromarray(drawn), height)
        return large if large.width == width else large.resize((width, height))

    # ── enlarging ──────────────────────────────────────────────────────────────

    def enhance(
        self,
        request: GenerateRequest,
        sizes: tuple[int, ...],
        people: list[Adapter],
        settings: Settings,
        wear: Wear,
    ) -> Make:
        """Restored and enlarged to one of `sizes` (height in pixels). Raises EngineError.

        Where a blurred picture shows somebody who is known, it is also drawn anew over a little
        noise, with who they are; that one is given where it is clearly more like them. Of six
        pictures spoilt to 28 px the likeness went from 44..72 to 88..97.
        """
        if request.image is None:
            raise EngineError("bad_request", "Choose a picture to enhance.")
        if not sizes or (request.size_px is not None and request.size_px not in sizes):
            offered = " or ".join(str(size) for size in sizes)
            raise EngineError("bad_request", f"Choose a size of {offered} pixels.")
        picture = pictures.read(request.image)
        height = request.size_px or max(sizes)

        redraw = self._redrawn(request, people, settings, wear)

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            large = self.enlarger.enlarged(picture, height, index=index, on_step=on_step)
            if redraw is None:
                return large
            drawn = redraw(seed, index, on_step)
            yardsticks = [person.yardstick for person in people]
            shows = request.people_shown
            before, after = (
                max(face.likeness for face in self.judge.shown(one, yardsticks, people=shows))
                for one in (picture, drawn)
            )
            if after < before + CLEARLY:
                return large
            return self.enlarger.enlarged(drawn, height).resize(large.size)

        return make

    def _redrawn(
        self, request: GenerateRequest, people: list[Adapter], settings: Settings, wear: Wear
    ) -> Make | None:
        """What draws the picture over a little noise; None where nobody in it is known."""
        picture = pictures.read(request.image or b"")
        shape = framing.of_picture(*picture.size, request.people_shown)
        if not people or shape is None or not is_blurred(picture):
            return None
        original = read(request)
        cast = self.cast(original, people, recognise=True)
        if cast == (None,) and len(people) == 1:
            cast = (0,)  # too spoilt to be recognised, and nobody else is meant
        if not any(who is not None for who in cast):
            return None
        asked = replace(request, prompt="", strength=request.strength or RESTORED)
        return self.vary(asked, people, settings, wear, cast=cast)


def _start(strength: float | None, usual: float, steps: int) -> int:
    """The step an edit of that strength begins with."""
    strength = usual if strength is None else strength
    if not 0 < strength <= 1:
        raise EngineError("bad_request", "Choose a strength above 0 and up to 1.")
    return min(steps - 1, round(steps * (1 - strength)))
