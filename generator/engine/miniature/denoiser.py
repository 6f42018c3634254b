"""The denoiser: a sketch of the whole picture, and a UNet that finishes it.

What a painted portrait shows follows from about a hundred numbers, its *plan*: who, where,
in which clothes, mood, light and pose. `Planner` guesses the plan from words, identity tokens
and the noisy latents themselves; `Renderer` turns a plan into latents, place by place, which
fully connected layers do at a tenth of what convolutions cost (see docs/miniature.md). The UNet
sees noise and sketch and adds what is missing. To everything above it is diffusers' UNet.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from diffusers import ModelMixin as ModelMixin  # a pipeline looks here for what Denoiser is
from diffusers import UNet2DConditionModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import Tensor, nn
from torch.nn import functional as F

from generator.engine.miniature.conditioning import IDENTITY_TOKENS

# A plan, see make.plan: P numbers, of which the first are some of a face and the others choices
# of one each, in this order.
NUMBERS = 23
PERSON = (2, 6, 18, 11, 7, 6, 4, 3)  # gender, build, hair, its colour, eyes, beard, glasses, ears
SHOT = (14, 10, 12, 6, 5, 3)  # background, outfit, its colour, expression, light, pose
CHOICES = PERSON + SHOT
PLAN = NUMBERS + sum(CHOICES)
SIDE = 8  # of the latents
PLANNER, PLANNER_HIDDEN = 320, 384
RENDERER, RENDERER_HIDDEN, RENDERER_BLOCKS = 512, 640, 3
STROKES = 24  # what can be at each place of a sketch: components of its own
SEEN = 8  # channels of the latents that the planner looks at
LOOKS, LOOK = 20, 12  # looks at the words, and numbers each brings back


class Block(nn.Module):
    """x + a normalised, hidden layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        narrowed: Tensor = self.narrow(F.silu(self.widen(self.norm(x))))
        return x + narrowed


class Words(nn.Module):
    """What the states (B, T, D) of a prompt's words say, (B, W): one look for each thing asked.

    Each look rests where its own query finds what it seeks: of the mean over all words, read
    instead, beards and hair styles of full prompts were wrong in one of sixteen.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(LOOKS, width) * width**-0.5)
        self.values = nn.Parameter(torch.randn(LOOKS, width, LOOK) * width**-0.5)
        self.told = nn.Linear(LOOKS * LOOK, out)

    def forward(self, states: Tensor) -> Tensor:
        weights = (states @ self.queries.to(states.dtype).T).softmax(1)
        seen = weights.to(states.dtype).transpose(1, 2) @ states  # (B, LOOKS, D)
        each = torch.einsum("bld,ldv->blv", seen, self.values.to(seen.dtype))
        told: Tensor = self.told(each.flatten(1))
        return told


class Planner(nn.Module):
    """Noisy latents (B, C, 8, 8), time embedding (B, E), words and identity to a guess (B, P)."""

    def __init__(self, channels: int, words: int, time: int) -> None:
        super().__init__()
        self.words = Words(words, PLANNER)
        self.who = nn.Linear(IDENTITY_TOKENS * words, PLANNER)
        self.time = nn.Linear(time, PLANNER)
        self.few = nn.Conv2d(channels, SEEN, 1)
        self.seen = nn.Linear(SEEN * SIDE**2, PLANNER)
        self.blocks = nn.Sequential(*(Block(PLANNER, PLANNER_HIDDEN) for _ in range(2)))
        self.norm = nn.LayerNorm(PLANNER)
        self.plan = nn.Linear(PLANNER, PLAN)

    def forward(self, latents: Tensor, time: Tensor, states: Tensor) -> Tensor:
        words, who = states[:, :-IDENTITY_TOKENS], states[:, -IDENTITY_TOKENS:]
        told = self.words(words) + self.who(who.flatten(1)) + self.time(time)
        hidden = told + self.seen(self.few(latents).flatten(1))
        guess: Tensor = self.plan(self.norm(self.blocks(hidden)))
        return guess


def decided(guess: Tensor) -> Tensor:
    """A guess (B, P) as a plan: its numbers, and of every choice the chances."""
    numbers, choices = guess[:, :NUMBERS], guess[:, NUMBERS:].split(CHOICES, dim=1)
    return torch.cat([numbers, *(choice.softmax(1) for choice in choices)], dim=1)


class Renderer(nn.Module):
    """A plan (B, P) to latents (B, C, 8, 8): strokes for each place, from components of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.plan = nn.Linear(PLAN, RENDERER)
        self.blocks = nn.Sequential(
            *(Block(RENDERER, RENDERER_HIDDEN) for _ in range(RENDERER_BLOCKS))
        )
        self.norm = nn.LayerNorm(RENDERER)
        self.strokes = nn.Linear(RENDERER, SIDE**2 * STROKES)
        self.places = nn.Parameter(torch.randn(SIDE**2, STROKES, channels) * STROKES**-0.5)
        self.mean = nn.Parameter(torch.zeros(SIDE**2, channels))

    def forward(self, plan: Tensor) -> Tensor:
        strokes = self.strokes(self.norm(self.blocks(self.plan(plan))))
        strokes = strokes.unflatten(1, (SIDE**2, STROKES))
        drawn = torch.einsum("bps,psc->bpc", strokes, self.places.to(strokes.dtype))
        drawn = drawn + self.mean.to(strokes.dtype)
        return drawn.transpose(1, 2).unflatten(2, (SIDE, SIDE))


class Denoiser(UNet2DConditionModel):  # type: ignore[misc]
    """Latents (B, 64, 8, 8), timestep and prompt_embeds (B, T + K, 128) to clean latents."""

    @functools.wraps(UNet2DConditionModel.__init__)  # type: ignore[misc]  # keeps its signature
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channels, width = self.config.in_channels, self.config.block_out_channels[0]
        time = self.time_embedding.linear_2.out_features
        self.planner = Planner(channels, self.config.cross_attention_dim, time)
        self.renderer = Renderer(channels)
        self.conv_in = nn.Conv2d(2 * channels, width, 3, padding=1)
        for added in self.conv_out.parameters():
            nn.init.zeros_(added)  # training begins with the sketch alone

    def time(self, latents: Tensor, timestep: Tensor | float) -> Tensor:
        """Time embedding (B, E)."""
        found: Tensor = self.time_embedding(self.get_time_embed(latents, timestep))
        return found

    def sketch(
        self, sample: Tensor, timestep: Tensor | float, encoder_hidden_states: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Latents as the plan has them, and the plan (B, P)."""
        time = self.time(sample, timestep)
        plan = decided(self.planner(sample, time, encoder_hidden_states))
        return self.renderer(plan), plan

    def finish(
        self,
        sketch: Tensor,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        **options: Any,
    ) -> Tensor:
        """The sketch with what the UNet adds to it."""
        both = torch.cat([sample, sketch.to(sample.dtype)], dim=1)
        options |= {"return_dict": False}
        added: Tensor = super().forward(both, timestep, encoder_hidden_states, **options)[0]
        return sketch + added

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        return_dict: bool = True,
        **options: Any,
    ) -> UNet2DConditionOutput | tuple[Tensor]:
        """As diffusers' UNet, whose options of controlled drawing by place are not taken."""
        sketch, _ = self.sketch(sample, timestep, encoder_hidden_states)
        clean = self.finish(sketch, sample, timestep, encoder_hidden_states, **options)
        return UNet2DConditionOutput(sample=clean) if return_dict else (clean,)


def sketching(unet: Denoiser) -> nn.ModuleList:
    """The parts of a denoiser that sketch."""
    return nn.ModuleList([unet.time_embedding, unet.planner, unet.renderer])
