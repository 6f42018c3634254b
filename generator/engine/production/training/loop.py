"""The steps of a training. Everything that changes while it runs is in a checkpoint.

Nothing is read from the device between steps but every 25th time: whether the gradient was
finite and how far it is cut are decided there, and the optimiser obeys (as a loss scaler does).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from generator.engine.interface import EngineError
from generator.engine.production.training import checkpoint
from generator.engine.production.training.checkpoint import Checkpoint
from generator.engine.production.training.examples import Examples
from generator.engine.production.training.families import Batch, Family
from generator.engine.production.training.joint import Joint
from generator.engine.production.training.ladder import Rung
from generator.engine.production.training.layers import FlatLora
from generator.engine.production.training.recipe import TrainingRecipe

READ_EVERY = 25  # steps between two looks at the loss: each makes a graphics card wait
BAD_STEPS_MAX = 5  # in a row
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Course:
    """A training, fully decided."""

    family: Family
    recipe: TrainingRecipe
    name: str  # see recipe.name
    folder: Path  # of its checkpoint


class Trainer:
    """Takes steps, heals itself when they go wrong."""

    def __init__(
        self,
        course: Course,
        denoiser: nn.Module,
        lora: FlatLora,
        examples: Examples,
        noises: Tensor,
        rung: Rung,
        *,
        compiled: bool = False,
    ) -> None:
        self.course = course
        self.lora = lora
        self.examples = examples
        self.noises = noises
        self.rung = rung
        self._loss = partial(_loss, course.family, denoiser, noises)
        self._joint = Joint(lora, self._loss) if compiled and not rung.is_tight else None
        self.device = lora.weights.device
        self.generator = torch.Generator("cpu")
        self._moments = torch.zeros(2, len(lora.weights), device=self.device)
        has_average = course.recipe.ema > 0  # else the weights themselves are theirs
        self._average = torch.zeros_like(lora.weights) if has_average else lora.weights
        self._sides = self._halves(lora.weights)
        self._optimizer = self._adam(self._sides)
        self.begin()

    def begin(self) -> None:
        """Back to before the first step."""
        recipe = self.course.recipe
        self.generator.manual_seed(recipe.seed)
        self.first_chance = float(torch.rand((), generator=self.generator))
        self.lora.begin(self.generator)
        self._moments.zero_()
        self._average.copy_(self.lora.weights)
        self._halvings = 0
        self._streak = torch.zeros(2, device=self.device)  # bad steps in a row: now, at most
        self._loss_sum = torch.zeros((), device=self.device)
        self._summed = 0
        self._resume_optimizer(0)

    def _halves(self, flat: Tensor) -> tuple[nn.Parameter, nn.Parameter]:
        """A and B as two parameters that share the buffer: they learn at different rates."""
        middle = self.lora.middle
        return nn.Parameter(flat[:middle]), nn.Parameter(flat[middle:])

    def _adam(self, sides: tuple[nn.Parameter, nn.Parameter]) -> torch.optim.AdamW:
        recipe = self.course.recipe
        rates = (recipe.learning_rate, recipe.learning_rate * recipe.b_rate)
        groups = [{"params": [side], "lr": rate} for side, rate in zip(sides, rates, strict=True)]
        return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)

    def _resume_optimizer(self, taken: float) -> None:
        """Adam's moments are views of ours; it has taken that many steps."""
        middle = self.lora.middle
        first, second = self._moments
        for side, part in zip(self._sides, (slice(middle), slice(middle, None)), strict=True):
            self._optimizer.state[side] = {
                "step": torch.tensor(float(taken), device=self.device),
                "exp_avg": first[part],
                "exp_avg_sq": second[part],
            }

    # one step

    def step(self, number: int) -> None:
        """Step `number`, from 0."""
        self.lora.grads.zero_()
        rows, batch, focus = self._draw(number)
        size = len(rows)
        total = torch.zeros((), device=self.device)
        for start in range(0, size, self.rung.microbatch):
            part = slice(start, start + self.rung.microbatch)
            total += self._back(_cut(batch, part), focus[part], size)
        self._learn(number, total)

    def _back(self, batch: Batch, focus: Tensor, size: int) -> Tensor:
        """The loss of a part of `size` pictures; adds its gradient to the others'."""
        if self._joint:
            loss, grads = self._joint(batch, focus)
            self.lora.grads.add_(grads, alpha=1 / size)
            return loss / size
        loss = self._loss(batch, focus) / size
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _draw(self, number: int) -> tuple[Tensor, Batch, Tensor]:
        """Whose pictures, with which noise: all from the private generator, on the CPU."""
        examples, batch = self.examples, self.course.recipe.batch
        rows = torch.randint(examples.own, (batch,), generator=self.generator)
        if examples.prior:
            more = torch.randint(examples.prior, (batch,), generator=self.generator)
            rows = torch.cat([rows, examples.own + more])
        shape = (2, len(rows), *examples.mean.shape[1:])
        wobble, noise = torch.randn(shape, generator=self.generator).to(self.device)
        chances = self._chances(number, len(rows))
        weighted = self.course.recipe.weighting == "family"
        level = self.course.family.level(chances, weighted).to(self.device)
        rows = rows.to(self.device)
        latents = examples.mean[rows] + examples.spread[rows] * wobble
        has_one = len(next(iter(examples.words.values()))) == 1  # the same tensors at each step
        words = examples.words if has_one else examples.asked(rows)
        drawn = Batch(latents, noise, level, words)
        return rows, drawn, self._focus(rows, level)

    def _chances(self, number: int, count: int) -> Tensor:
        """(count,) in [0, 1). Stratified: each few steps cover all levels evenly."""
        if self.course.recipe.timesteps == "uniform":
            return torch.rand(count, generator=self.generator)
        first = number * count
        return torch.tensor([(self.first_chance + (first + i) * GOLDEN) % 1 for i in range(count)])

    def _focus(self, rows: Tensor, level: Tensor) -> Tensor:
        """(B, 1, h, w): how much each place of each picture counts."""
        recipe = self.course.recipe
        focus = self.examples.focus[rows]
        if self.examples.prior:
            is_prior = (rows >= self.examples.own)[:, None, None, None]
            focus = focus * torch.where(is_prior, 2 * recipe.prior_weight, 2.0)
        if recipe.weighting == "family":
            weight = self.course.family.weight(level, self.noises, recipe)
            focus = focus * weight[:, None, None, None]
        return focus

    def _learn(self, number: int, loss: Tensor) -> None:
        """AdamW with a cut gradient; a step whose gradient is no number changes nothing."""
        grads = self.lora.grads
        norm = torch.linalg.vector_norm(grads, dtype=torch.float32)
        is_bad = (~torch.isfinite(norm + loss)).float()
        exact = grads.float()
        for side, part in zip(self._sides, exact.tensor_split([self.lora.middle]), strict=True):
            side.grad = part
        self._optimizer.grad_scale = (norm / self.course.recipe.clip).clamp(min=1.0)
        self._optimizer.found_inf = is_bad
        self._set_rates(number)
        self._optimizer.step()
        self.lora.publish()
        if self._average is not self.lora.weights:
            decay = min(self.course.recipe.ema, (number + 1) / (number + 10))
            self._average.lerp_(self.lora.weights, 1 - decay)
        self._note(loss, is_bad)

    def _set_rates(self, number: int) -> None:
        recipe = self.course.recipe
        rate = recipe.learning_rate * self._schedule(number) * 0.5 ** float(self._halvings)
        for group, times in zip(self._optimizer.param_groups, (1.0, recipe.b_rate), strict=True):
            group["lr"] = rate * times

    def _schedule(self, number: int) -> float:
        recipe = self.course.recipe
        warm = min(1.0, (number + 1) / max(1, recipe.warm_up))
        if recipe.schedule == "constant":
            return warm
        return warm * (0.55 + 0.45 * math.cos(math.pi * number / recipe.steps))  # to a tenth

    # how it goes

    def _note(self, loss: Tensor, is_bad: Tensor) -> None:
        now = (self._streak[0] + 1) * is_bad
        self._streak = torch.stack([now, torch.maximum(self._streak[1], now)])
        self._loss_sum += torch.where(is_bad > 0, 0.0, loss)
        self._summed += 1

    def look(self) -> tuple[float, bool]:
        """Mean loss since the last look, and whether too many steps in a row went wrong."""
        worst, loss = torch.stack([self._streak[1], self._loss_sum / max(1, self._summed)]).tolist()
        self._streak[1] = self._streak[0]
        self._loss_sum.zero_()
        self._summed = 0
        return loss, worst >= BAD_STEPS_MAX

    def heal(self) -> int:
        """Back to the checkpoint, or the start, at half the rate. Returns the steps done there.

        Raises EngineError("not_finite") the second time.
        """
        if self._halvings:
            raise EngineError(
                "not_finite",
                "The training ran into numbers that are none, at half the learning rate as well. "
                "Choose a lower learning rate or other pictures.",
            )
        self.begin()
        done = self.resume()
        self._streak.zero_()  # a checkpoint may know of these very steps
        self._halvings = 1
        return done

    # checkpoint

    def save(self, done: int) -> None:
        """Not amid bad steps: what is kept should be worth going back to."""
        if self._streak[0] > 0:
            return
        first, second = self._moments
        taken = self._optimizer.state[self._sides[0]]["step"]
        health = torch.stack(
            [taken.cpu(), *self._streak.cpu(), torch.tensor(float(self._halvings))]
        )
        now = Checkpoint(
            done,
            self.lora.weights,
            first,
            second,
            self._average.clone(),  # a file has no tensor twice
            self.generator.get_state(),
            health,
        )
        checkpoint.write(self.course.folder, now, recipe=self.course.name)

    def resume(self) -> int:
        """Steps already done; everything is set back to that instant."""
        found = checkpoint.read(
            self.course.folder, recipe=self.course.name, parameters=len(self.lora.weights)
        )
        if found is None:
            return 0
        self.lora.weights.copy_(found.weights)
        self.lora.publish()
        self._moments.copy_(torch.stack([found.first_moment, found.second_moment]))
        self._average.copy_(found.average)
        self.generator.set_state(found.generator)
        taken, *streak, halvings = found.health.tolist()
        self._streak = torch.tensor(streak, device=self.device)
        self._halvings = int(halvings)
        self._resume_optimizer(taken)
        return found.step

    def adapter(self) -> dict[str, Tensor]:
        """The averaged weights in the keys of diffusers, in the denoiser's precision."""
        flat = self._average.to(self.lora.live.dtype).cpu()
        prefix = self.course.family.prefix
        return {f"{prefix}.{key}": x.contiguous() for key, x in self.lora.named(flat)}


def _loss(
    family: Family, denoiser: nn.Module, noises: Tensor, batch: Batch, focus: Tensor
) -> Tensor:
    """Summed over the pictures, so that parts of a batch add up."""
    wrong = family.wrong(denoiser, batch, noises)
    return (wrong.square() * focus).mean(dim=(1, 2, 3)).sum()


def _cut(batch: Batch, part: slice) -> Batch:
    words = {name: x if len(x) == 1 else x[part] for name, x in batch.words.items()}
    return Batch(batch.latents[part], batch.noise[part], batch.level[part], words)
