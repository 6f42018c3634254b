"""The training loop: a small LoRA of the denoiser that learns one person.

All weights lie in one flat buffer with one AdamW, all randomness comes from one private
generator, so a checkpoint is four tensors and resuming is exact. It knows nothing of
pictures, prompts or files' whereabouts beyond the checkpoint's folder.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn

from generator.engine import checkpoint, photo
from generator.engine.checkpoint import Checkpoint
from generator.engine.interface import OnStep, Step

NAME = "person"  # of the adapter inside peft; with a number where there are several
# Attention, feed-forward and convolutions: attention alone was too weak on a small denoiser.
TARGETS = (
    "to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2",
)  # fmt: skip
TIME_MEAN = 0.7  # noise level = sigmoid(N(0.7, 1)), as the base model was trained

Wear = Callable[[int | None], None]
"""Puts the adapter of the person of that number into the denoiser, alone; None: nobody's."""


@dataclass(frozen=True)
class Plan:
    """A training, fully decided."""

    steps: int
    learning_rate: float
    rank: int
    predicts_clean: bool  # the denoiser answers with the clean latents, else with the flow
    batch: int  # pictures of the person per step; as many of the base model's own beside them
    seed: int
    checkpoint_every_s: float
    recipe: str  # hash of everything that decides the outcome


@dataclass(frozen=True)
class Examples:
    """What to learn: latents (N, C, h, w) and the prompt_embeds (N, L, D) that ask for them."""

    latents: Tensor
    conditions: Tensor

    def pick(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self.latents), (count,), generator=generator)
        return self.latents[rows], self.conditions[rows]


class _FlatLora:
    """A LoRA installed in `unet` whose weights and gradients are views of flat buffers."""

    def __init__(self, unet: nn.Module, rank: int, generator: torch.Generator) -> None:
        targets = [name for name, _ in unet.named_modules() if name.endswith(TARGETS)]
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=targets)
        unet.add_adapter(config, adapter_name=NAME)  # type: ignore[operator]  # a diffusers mixin
        self.named = {
            name: weights for name, weights in unet.named_parameters() if f".{NAME}." in name
        }
        device = next(unet.parameters()).device
        total = sum(weights.numel() for weights in self.named.values())
        self.flat = nn.Parameter(torch.empty(total, device=device))
        self.flat.grad = torch.zeros(total, device=device)
        self._share_storage(generator)

    def _share_storage(self, generator: torch.Generator) -> None:
        start = 0
        for name, weights in self.named.items():
            end = start + weights.numel()
            weights.data = self.flat.data[start:end].view(weights.shape)
            weights.grad = self.flat.grad[start:end].view(weights.shape)  # type: ignore[index]
            weights.data.copy_(_initial(name, weights, generator))
            start = end

    def export(self) -> dict[str, Tensor]:
        """Tensors in diffusers' keys, in half precision like the base model's own weights."""
        return {
            f"unet.{name.replace(f'.{NAME}.', '.')}": weights.detach().half().cpu().contiguous()
            for name, weights in self.named.items()
        }


def _initial(name: str, weights: Tensor, generator: torch.Generator) -> Tensor:
    """B starts at zero, A uniform as in the LoRA paper's code; from our own generator."""
    if ".lora_B." in name:
        return torch.zeros(weights.shape)
    bound = 1 / math.sqrt(weights[0].numel())
    return (torch.rand(weights.shape, generator=generator) * 2 - 1) * bound


@contextlib.contextmanager
def _installed(unet: nn.Module, rank: int, generator: torch.Generator) -> Iterator[_FlatLora]:
    try:
        yield _FlatLora(unet, rank, generator)
    finally:
        unet.unload_lora()  # type: ignore[operator]  # leaves the plain layers, bit for bit


@contextlib.contextmanager
def worn(unet: Any, people: Sequence[dict[str, Tensor]]) -> Iterator[Wear]:
    """Adapters are in the denoiser inside the `with`, and gone after it: 70 ms each.

    The value is called with a number to wear that one alone; the first is worn at once.
    People without an adapter (tier "instant") are legal: then the plain denoiser is worn.
    """
    names = [f"{NAME}{number}" if tensors else "" for number, tensors in enumerate(people)]
    now: str | None = None

    def wear(number: int | None) -> None:
        nonlocal now
        name = "" if number is None else names[number]
        if name == now or not any(names):
            return
        now = name
        if name:
            unet.enable_adapters()
            unet.set_adapters(name)
        else:
            unet.disable_adapters()

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several: meant
            for name, tensors in zip(names, people, strict=True):
                if name:
                    unet.load_lora_adapter(dict(tensors), prefix="unet", adapter_name=name)
        if people:
            wear(0)
        yield wear
    finally:
        if any(names):
            unet.unload_lora()


def train(
    unet: nn.Module,
    own: Examples,
    prior: Examples,
    focus: Tensor,
    plan: Plan,
    *,
    resume_dir: Path | None = None,
    on_step: OnStep | None = None,
) -> dict[str, Tensor]:
    """Learn `own` while keeping `prior`; `focus` (h, w) weighs the loss, mean 1.

    Goes on from the checkpoint in `resume_dir` if it belongs to this very plan. Returns
    the LoRA's tensors. `on_step` may raise; the denoiser is left as it was.
    """
    generator = torch.Generator("cpu").manual_seed(plan.seed)
    with _installed(unet, plan.rank, generator) as lora:
        trainer = _Trainer(unet, lora, own, prior, focus, plan, generator)
        saved_at = -math.inf
        for step in range(trainer.resume(resume_dir), plan.steps):
            trainer.step(step)
            if resume_dir and time.monotonic() - saved_at >= plan.checkpoint_every_s:
                trainer.save(resume_dir, step + 1)
                saved_at = time.monotonic()
            if on_step:
                on_step(Step("train", step + 1, plan.steps))
        return lora.export()


class _Trainer:
    """Takes steps. Everything that changes while it does is in a checkpoint."""

    def __init__(
        self,
        unet: nn.Module,
        lora: _FlatLora,
        own: Examples,
        prior: Examples,
        focus: Tensor,
        plan: Plan,
        generator: torch.Generator,
    ) -> None:
        self.unet = unet
        self.lora = lora
        self.sources = (own, prior)
        self.plan = plan
        self.generator = generator
        self.device = lora.flat.device
        self.focus = focus.to(self.device)
        self.optimizer = torch.optim.AdamW([lora.flat], lr=plan.learning_rate, weight_decay=0.0)

    def step(self, number: int) -> None:
        rate = self.plan.learning_rate * _schedule(number, self.plan.steps)
        self.optimizer.param_groups[0]["lr"] = rate
        assert self.lora.flat.grad is not None
        self.lora.flat.grad.zero_()
        self._loss().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([self.lora.flat], 1.0)
        self.optimizer.step()

    def _loss(self) -> Tensor:
        chosen = [examples.pick(self.plan.batch, self.generator) for examples in self.sources]
        clean = torch.cat([latents for latents, _ in chosen])
        words = torch.cat([conditions for _, conditions in chosen])
        noise = torch.randn(clean.shape, generator=self.generator)
        level = torch.sigmoid(torch.randn(len(clean), generator=self.generator) + TIME_MEAN)
        clean, words, noise, level = (x.to(self.device) for x in (clean, words, noise, level))
        share = level[:, None, None, None]
        noisy = (1 - share) * clean + share * noise
        with precision(self.device):
            guess = self.unet(noisy, level * 1000, encoder_hidden_states=words, return_dict=False)
        target = clean if self.plan.predicts_clean else noise - clean
        return ((guess[0].float() - target) ** 2 * self.focus).mean()

    def resume(self, folder: Path | None) -> int:
        """Steps already done; weights, moments and generator are set back to that instant."""
        flat = self.lora.flat
        found = checkpoint.read(folder, recipe=self.plan.recipe, parameters=flat.numel())
        if found is None:
            return 0
        flat.data.copy_(found.weights)
        self.optimizer.state[flat] = {
            "step": torch.tensor(float(found.step)),
            "exp_avg": found.first_moment.to(self.device),
            "exp_avg_sq": found.second_moment.to(self.device),
        }
        self.generator.set_state(found.generator)
        return found.step

    def save(self, folder: Path, step: int) -> None:
        flat = self.lora.flat
        state = self.optimizer.state[flat]
        now = Checkpoint(
            step, flat.data, state["exp_avg"], state["exp_avg_sq"], self.generator.get_state()
        )
        checkpoint.write(folder, now, recipe=self.plan.recipe)


def _schedule(step: int, steps: int) -> float:
    """Five steps of warming up, then a cosine down to a tenth."""
    warm = min(1.0, (step + 1) / 5)
    return warm * (0.55 + 0.45 * math.cos(math.pi * step / max(1, steps)))


def precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bf16 where the hardware multiplies it in tiles (3 to 5 times faster), else fp32."""
    if device.type == "cuda" or has_amx():
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


@cache
def has_amx() -> bool:
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


def focus(size: Sequence[int]) -> Tensor:
    """Weight of each latent (h, w) in the loss: 1 on the face, 0.3 away from it, mean 1."""
    height, width = size
    y = ((torch.arange(height) + 0.5) / height - photo.FACE_Y)[:, None] / photo.FACE_W
    x = ((torch.arange(width) + 0.5) / width - photo.FACE_X)[None, :] / photo.FACE_W
    weights = 0.3 + 0.7 * torch.exp(-(((x**2 + y**2) / 0.3) ** 2))
    return weights / weights.mean()
