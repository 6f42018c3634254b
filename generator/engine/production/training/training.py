"""From a base model's folder and pictures of somebody to an adapter's file."""

from __future__ import annotations

import gc
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from generator.engine.interface import Canceled, EngineError
from generator.engine.production.products import quick, quicken
from generator.engine.production.training import examples as material
from generator.engine.production.training.examples import Examples, Given
from generator.engine.production.training.families import FAMILIES, Family, Where
from generator.engine.production.training.ladder import Rung, below
from generator.engine.production.training.layers import FlatLora
from generator.engine.production.training.loop import READ_EVERY, Course, Trainer
from generator.engine.production.training.recipe import Progress, TrainingRecipe, check, name

OnProgress = Callable[[Progress], None]
ADAPTER = "adapter.safetensors"
TELL_EVERY_S = 0.5


def train(
    family: str | Family,
    base: Path,
    references: Sequence[bytes],
    recipe: TrainingRecipe,
    *,
    work_dir: Path,
    on_progress: OnProgress,
    should_cancel: Callable[[], bool],
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    masks: Sequence[bytes | None] = (),
    prior: Sequence[bytes] = (),
    compiled: bool = False,
) -> Path:
    """Learn one person; the file in `work_dir` is what stock `load_lora_weights` takes.

    Goes on from the checkpoint in `work_dir` if it is of this very training, of these
    pictures and this base. `masks` are pictures, white on the face or person. `dtype` is the
    denoiser's: float32 on a CPU and bfloat16 elsewhere, if not given. `compiled` costs minutes
    before the first step, and wants a C++ compiler. Raises Canceled, and
    EngineError: "no_reference", "bad_recipe", "bad_picture", "bad_mask", "not_finite",
    "out_of_memory".
    """
    row = FAMILIES[family] if isinstance(family, str) else family
    if row.always_in_context:
        recipe = replace(recipe, context=True)
    check(recipe, references=len(references), multiple_px=row.multiple_px, prior=len(prior))
    on = torch.device(device)
    where = Where(on, dtype or (torch.float32 if on.type == "cpu" else torch.bfloat16))
    given = Given(references, list(masks) or [None] * len(references), prior)
    pictures = [given.references, [mask or b"" for mask in given.masks], given.prior]
    course = Course(row, recipe, name(row.name, base, pictures, recipe), work_dir)
    watch = Watch(recipe.steps, on_progress, should_cancel)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    watch.tell("read")
    found = _read(course, base, given, where)
    rung: Rung | None = Rung(microbatch=recipe.batch * (2 if prior else 1))
    while rung is not None:
        watch.tell("load")
        try:
            return _on_rung(course, base, found, where, rung, watch, compiled)
        except torch.OutOfMemoryError:
            rung = below(rung)
        _free()  # only now is the failed attempt's own memory nobody's
    raise EngineError(
        "out_of_memory",
        f"The graphics card has too little memory to learn at {recipe.size_px} pixels. "
        "Choose a smaller size or a lower rank.",
        retryable=True,
    )


def _read(course: Course, base: Path, given: Given, where: Where) -> Examples:
    kept = course.folder / material.NAME
    found = material.read(
        course.family, base, given, course.recipe, where, kept=kept, training=course.name
    )
    _free()
    return found.to(where)


def _on_rung(
    course: Course,
    base: Path,
    found: Examples,
    where: Where,
    rung: Rung,
    watch: Watch,
    compiled: bool,
) -> Path:
    with _installed(course, base, where, rung) as (denoiser, lora):
        noises = course.family.noises(base, where)
        trainer = Trainer(course, denoiser, lora, found, noises, rung, compiled=compiled)
        _run(trainer, watch)
        watch.tell("save", course.recipe.steps)
        learnt = trainer.adapter()
        del trainer  # else its moments are in memory beside the file
        return _write(course, learnt)


@contextmanager
def _installed(
    course: Course, base: Path, where: Where, rung: Rung
) -> Iterator[tuple[nn.Module, FlatLora]]:
    denoiser = course.family.denoiser(base, where)
    if rung.checkpointing:
        denoiser.enable_gradient_checkpointing()  # type: ignore[operator]
        denoiser.train()  # as diffusers asks; no layer of these bases behaves otherwise for it
    lora = FlatLora(denoiser, course.family.layers(denoiser), course.recipe.rank)
    if rung.fp8:
        denoiser.enable_layerwise_casting(  # type: ignore[operator]
            storage_dtype=torch.float8_e4m3fn, compute_dtype=where.dtype
        )
    with quick(quicken(denoiser)):
        try:
            yield denoiser, lora
        finally:
            lora.remove()


def _run(trainer: Trainer, watch: Watch) -> None:
    recipe = trainer.course.recipe
    done = trainer.resume()
    saved_at = time.monotonic()
    while done < recipe.steps:
        watch.obey()
        trainer.step(done)
        done += 1
        loss = None
        if done % READ_EVERY == 0 or done == recipe.steps:
            loss, is_lost = trainer.look()
            if is_lost:
                done = trainer.heal()
        if done in recipe.keep_at:  # before a checkpoint that would go on behind it
            _write(trainer.course, trainer.adapter(), kept_name(done))
        if _is_due(recipe, done, saved_at):
            trainer.save(done)
            saved_at = time.monotonic()
        watch.stepped(done, loss)


def _is_due(recipe: TrainingRecipe, done: int, saved_at: float) -> bool:
    every = recipe.checkpoint_every_steps
    if every and done and done % every == 0:
        return True
    return time.monotonic() - saved_at >= recipe.checkpoint_every_s


def kept_name(step: int) -> str:
    """The file of an adapter that is kept on the way."""
    return f"adapter-{step}.safetensors"


def _write(course: Course, tensors: dict[str, Tensor], name: str = ADAPTER) -> Path:
    path = course.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{name}.part")
    save_file(tensors, part, metadata={"format": "pt"})
    part.replace(path)
    return path


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Watch:
    """Tells how far a training is, at most twice a second, and asks whether to stop."""

    def __init__(
        self, steps: int, on_progress: OnProgress, should_cancel: Callable[[], bool]
    ) -> None:
        self._steps = steps
        self._on_progress = on_progress
        self._should_cancel = should_cancel
        self._times: deque[float] = deque(maxlen=20)
        self._skipped = 0
        self._stepped_at = self._told_at = time.monotonic()

    def obey(self) -> None:
        if self._should_cancel():
            raise Canceled

    def tell(self, phase: str, done: int = 0) -> None:
        self.obey()
        self._stepped_at = time.monotonic()
        self._on_progress(Progress(phase, done, self._steps))

    def stepped(self, done: int, loss: float | None) -> None:
        now = time.monotonic()
        if self._skipped < 2:  # the first two warm up, or compile
            self._skipped += 1
        else:
            self._times.append(now - self._stepped_at)
        self._stepped_at = now
        if loss is not None or now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            left = (self._steps - done) * statistics.median(self._times) if self._times else None
            self._on_progress(Progress("train", done, self._steps, loss=loss, eta_s=left))
