"""One picture: embeddings and a seed to latents, with previews and a way to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn

from generator.engine import pictures
from generator.engine.interface import OnStep, Step
from generator.engine.wording import clean

PREVIEW_EVERY = 4  # steps; one preview costs about a tenth of a picture's time

Predict = Callable[[Tensor, Tensor], Tensor]
"""(latents (B, C, h, w), timestep) -> what the denoiser says of them, guidance included."""

After = Callable[[Tensor, int], Tensor]
"""(latents after step i, i) -> the latents to go on with."""

EncodePrompts = Callable[[Any, Any, list[str], Tensor | None], Tensor]
"""(tokenizer, text_encoder, prompts, identity tokens or None) -> prompt_embeds (B, L, D)."""


class Base(Protocol):
    """What the engine needs of a base model; `miniature.base.Base` has this shape."""

    @property
    def pipe(self) -> StableDiffusionPipeline: ...
    @property
    def identity_encoder(self) -> nn.Module: ...
    @property
    def reader(self) -> nn.Module: ...


@dataclass(frozen=True)
class Settings:
    steps: int
    guidance: float


def guided(
    unet: nn.Module,
    latents: Tensor,
    timestep: Tensor,
    words: Tensor,
    negative: Tensor,
    guidance: float,
) -> Tensor:
    """Classifier-free guidance over a batch (B, C, h, w) with words (B, L, D)."""
    if guidance == 1.0:
        alone: Tensor = unet(latents, timestep, encoder_hidden_states=words).sample
        return alone
    both = torch.cat([negative.expand(len(words), -1, -1), words])
    without, towards = unet(
        torch.cat([latents, latents]), timestep, encoder_hidden_states=both
    ).sample.chunk(2)
    return without + guidance * (towards - without)


class Draftsman:
    """Draws with one pipeline. Same embeddings and seed, same latents."""

    def __init__(self, base: Base, encode_prompts: EncodePrompts) -> None:
        self.pipe = base.pipe
        self._encode_prompts = encode_prompts

    @property
    def device(self) -> torch.device:
        return self.pipe.device

    @torch.no_grad()
    def encode(self, prompts: list[str], tokens: Tensor | None = None) -> Tensor:
        """`prompt_embeds` (B, L, D); `tokens` (1 or B, K, D) say who."""
        cleaned = [clean(prompt) for prompt in prompts]
        if tokens is not None:
            tokens = tokens.to(self.device).expand(len(cleaned), -1, -1)
        return self._encode_prompts(self.pipe.tokenizer, self.pipe.text_encoder, cleaned, tokens)

    def latents(
        self,
        words: Tensor,
        negative: Tensor,
        *,
        seed: int,
        settings: Settings,
        index: int = 0,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """One picture's latents (1, C, h, w). `on_step` may raise: the pipeline stays usable.

        Never by `_interrupt`, which returns a half-denoised picture.
        """

        def report(pipe: Any, step: int, _: Any, values: dict[str, Tensor]) -> dict[str, Tensor]:
            if on_step:
                last = step + 1 == settings.steps
                preview = None if last or (step + 1) % PREVIEW_EVERY else self._preview()
                on_step(Step("draw", step + 1, settings.steps, index, preview))
            return values

        if on_step:
            on_step(Step("draw", 0, settings.steps, index))
        try:
            drawn: Tensor = self.pipe(
                prompt_embeds=words,
                negative_prompt_embeds=negative,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=torch.Generator("cpu").manual_seed(seed),  # same noise on any device
                output_type="latent",
                callback_on_step_end=report,
            ).images
        finally:
            self.pipe.maybe_free_model_hooks()
        return drawn

    def noise(self, seed: int, *, columns: int | None = None) -> Tensor:
        """Noise (1, C, h, columns or h), the same on any device."""
        config = self.pipe.unet.config
        side = config.sample_size
        shape = (1, config.in_channels, side, columns or side)
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.randn(shape, generator=generator).to(self.device)

    @torch.no_grad()
    def denoise(
        self,
        latents: Tensor,
        predict: Predict,
        *,
        steps: int,
        start: int = 0,
        after: After | None = None,
        index: int = 0,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Noisy latents (B, C, h, w) to clean ones, from step `start` of `steps` on.

        What `latents` does, for whatever the stock pipeline cannot: canvases of several
        people, starts from a picture, batches that belong together.
        """
        scheduler = self.pipe.scheduler
        scheduler.set_timesteps(steps, device=self.device)
        scheduler.set_begin_index(start)
        tell = on_step or (lambda step: None)
        tell(Step("draw", 0, steps - start, index))
        for number in range(start, steps):
            timestep = scheduler.timesteps[number]
            guess = predict(latents, timestep)
            latents = scheduler.step(guess, timestep, latents, return_dict=False)[0]
            if after:
                latents = after(latents, number)
            done, last = number + 1 - start, number + 1 == steps
            preview = None if last or done % PREVIEW_EVERY else self._preview()
            tell(Step("draw", done, steps - start, index, preview))
        return latents

    def sigmas(self, steps: int) -> list[float]:
        """The share of noise before each of `steps` steps, and 0 after the last."""
        self.pipe.scheduler.set_timesteps(steps)
        return [float(sigma) for sigma in self.pipe.scheduler.sigmas]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) to pictures (B, 3, H, W), about [-1, 1]."""
        vae = self.pipe.vae
        pixels: Tensor = vae.decode(latents / vae.config.scaling_factor).sample
        return pixels

    @torch.no_grad()
    def to_latents(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) in [-1, 1] to latents (B, C, h, w) as the denoiser knows them."""
        vae = self.pipe.vae
        latents: Tensor = vae.encode(pixels.to(self.device)).latents
        return latents * vae.config.scaling_factor

    def _preview(self) -> bytes | None:
        """What the picture will be, as far as the denoiser can tell now."""
        guess = self.pipe.scheduler.model_outputs[-1]  # DPM++ keeps its estimate of the end
        if guess is None:
            return None
        return pictures.to_preview(pictures.to_image(self.decode(guess)[0]))
