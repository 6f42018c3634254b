"""What each kind of picture takes: one person, several.

Every method prepares once what a request's pictures share and returns what makes one of
them, so that words are encoded once and a seed gives the same picture alone and among
others. Adapters are in the denoiser already; nothing here knows files or processes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from torch import Tensor

from generator.engine import crowd, look, pictures, wording
from generator.engine.adapter import Adapter
from generator.engine.draw import Draftsman, Settings
from generator.engine.enlarger import Enlarger
from generator.engine.framing import Framing
from generator.engine.interface import GenerateRequest, OnStep
from generator.engine.lora import Wear

Make = Callable[[int, int, OnStep | None], Image.Image]
"""(seed, number in the request, on_step) -> one finished picture."""


def finisher(request: GenerateRequest) -> Callable[[Image.Image], Image.Image]:
    """What is laid over a drawing once it was judged: a look, or another picture's colours."""
    if request.kind not in ("face", "image"):
        return lambda drawn: drawn
    if not request.style_image:
        return lambda drawn: Image.fromarray(look.laid(request.look, np.asarray(drawn)))
    style = np.asarray(pictures.read(request.style_image))
    return lambda drawn: Image.fromarray(look.matched(np.asarray(drawn), style))


class Artist:
    """Draws with one warm base model, in the shapes of `framing`."""

    def __init__(self, draftsman: Draftsman, enlarger: Enlarger) -> None:
        self.draftsman = draftsman
        self.enlarger = enlarger

    def portrait(
        self,
        request: GenerateRequest,
        prompt: str,
        tokens: Tensor | None,
        settings: Settings,
        shape: Framing,
    ) -> Make:
        """One person by the stock pipeline; `tokens` (1, K, D) say who."""
        said = wording.posed(prompt, request.negative_prompt)
        if request.kind == "face":
            said = wording.in_studio(said, request.negative_prompt)
        words = self.draftsman.encode([said], tokens)
        negative = self.draftsman.encode([request.negative_prompt])

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            latents = self.draftsman.latents(
                words, negative, seed=seed, settings=settings, index=index, on_step=on_step
            )
            return self.finished(latents, shape)

        return make

    def group(
        self,
        request: GenerateRequest,
        prompt: str,
        people: list[Adapter],
        settings: Settings,
        wear: Wear,
        shape: Framing,
    ) -> Make:
        """Several people side by side, as their boxes stand; see `crowd`."""
        unet = self.draftsman.pipe.unet
        side = unet.config.sample_size
        cast = crowd.standing(request.regions, len(people))
        words = self.words_for(prompt, people, request.negative_prompt)
        regions = crowd.regions([words[who] for who in cast], side, cast)
        negative = self.draftsman.encode([request.negative_prompt])
        predict = crowd.predictor(unet, regions, negative, guidance=settings.guidance, wear=wear)

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            noise = self.draftsman.noise(seed, columns=crowd.columns(len(people), side))
            latents = self.draftsman.denoise(
                noise, predict, steps=settings.steps, index=index, on_step=on_step
            )
            return self.finished(latents, shape)

        return make

    def words_for(self, prompt: str, people: list[Adapter], negative: str) -> list[Tensor]:
        """prompt_embeds (1, L, D) of each person."""
        prompts = wording.for_each(prompt, len(people))
        return [
            self.draftsman.encode(
                [wording.lit(wording.posed(words, negative))], person.tokens[None]
            )
            for words, person in zip(prompts, people, strict=True)
        ]

    def finished(self, latents: Tensor, shape: Framing) -> Image.Image:
        """Latents (1, C, h, w) as a picture of that shape."""
        drawn = pictures.to_image(self.draftsman.decode(latents)[0])
        canvas = self.enlarger.enlarged(drawn, shape.canvas[1])
        if canvas.size != shape.canvas:
            canvas = canvas.resize(shape.canvas, Image.Resampling.LANCZOS)
        return Image.fromarray(shape.shown(np.asarray(canvas)))
