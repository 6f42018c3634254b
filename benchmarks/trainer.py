"""Our training of SDXL and FLUX.2 klein beside diffusers' own scripts, on one thread of a CPU.

    python -m benchmarks.trainer [--case sdxl_b1] [--official FOLDER] [--compiled] [--json FILE]

Same tiny checkpoint (true format, random weights), layers that learn, picture, prompt, rank, rate,
seed and number of steps, in the same run. Without `--official` (a folder with
train_dreambooth_lora_sdxl.py and train_dreambooth_lora_flux2_klein.py) their loops are said again
in `_official.py`, and both take their steps in turns, so that a busy moment of the machine meets
both; with it, a step costs the difference of a long run and a short one. A job is the product's
own: all layers, and what our recipe has more. Start-up is the time of the processor for a process
that takes one step and saves, peak its resident memory, both in processes of their own. Of the
tiny checkpoint's peak nine tenths are imports, so the peak that counts is that of one whose
denoiser, text encoder and VAE weigh as much beside each other as the model's own (413, 132 and 14
MB for SDXL, 160, 167 and 3 for klein); the tiny one's is printed too. Milliseconds are of the
processor, not of the clock. Nothing is fetched.

What this cannot show: speed on a graphics card, and likeness.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks import _official, _same
from generator.engine.production.training import (
    FAMILIES,
    Family,
    TrainingRecipe,
    recipe,
    train,
    training,
)
from generator.engine.production.training.examples import Given
from generator.engine.production.training.ladder import Rung
from generator.engine.production.training.layers import FlatLora
from generator.engine.production.training.loop import Course, Trainer
from tests import tiny_checkpoints, trainer_parts

WANTED = {"sdxl": 0.60, "klein": 0.76}
COMPILED_WANTED = {"sdxl": 0.46, "klein": 0.65}
PEAK_WANTED = STARTUP_WANTED = 0.9
FASTER_WANTED = 2.0
SIZE_PX, RANK, TOKENS, RATE = 128, 16, 64, 1e-3
PROMPT = "a photo of the person"
CASES = {f"{name}_b{batch}": (name, batch) for name in ("sdxl", "klein") for batch in (1, 4)}
BLOCK = 4  # steps of one before it is the other's turn
SCRIPTS = {
    "sdxl": "train_dreambooth_lora_sdxl.py",
    "klein": "train_dreambooth_lora_flux2_klein.py",
}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    batch: int
    base: Path
    heavy: Path  # the same, of true proportions
    photos: Path
    work: Path
    steps: int
    official: Path | None = None
    rounds: int = 3  # of start-up, whose least counts, and of peak, whose median does

    @property
    def same(self) -> TrainingRecipe:
        """What the scripts do: nothing of our own but the way it is done."""
        return TrainingRecipe(
            prompt=PROMPT, steps=self.steps, batch=self.batch, rank=RANK, learning_rate=RATE,
            b_rate=1.0, warm_up=0, schedule="constant", weight_decay=1e-4, ema=0.0,
            timesteps="uniform", weighting="none", size_px=SIZE_PX, prompt_tokens=TOKENS,
            checkpoint_every_s=1e9,
        )  # fmt: skip

    @property
    def better(self) -> TrainingRecipe:
        """Ours: levels in turn, B faster than A, warm-up (a short one, of so few steps), cosine."""
        return dataclasses.replace(
            self.same, b_rate=16.0, warm_up=4, schedule="cosine", timesteps="stratified",
            weight_decay=0.0, ema=0.9,
        )  # fmt: skip


def ours(case: Case, family: str | Family, folder: Path, wanted: TrainingRecipe) -> Path:
    return train(
        family,
        case.base,
        [path.read_bytes() for path in sorted(case.photos.iterdir())],
        wanted,
        work_dir=folder,
        on_progress=lambda progress: None,
        should_cancel=lambda: False,
    )


def options(case: Case, steps: int) -> list[str]:
    return [
        case.name, str(case.base), str(case.photos), "--steps", str(steps),
        "--batch", str(case.batch), "--size", str(SIZE_PX), "--rank", str(RANK),
        "--rate", str(RATE), "--tokens", str(TOKENS), "--prompt", PROMPT,
        "--out", str(case.work / f"official-{steps}"),
    ]  # fmt: skip


def official_command(case: Case, steps: int) -> list[str]:
    if case.official is None:
        return ["benchmarks._official", *options(case, steps)]
    more = ["--cache_latents", "--max_sequence_length", str(TOKENS)] if case.name == "klein" else []
    if case.name == "klein":
        more += ["--text_encoder_out_layers", "9", "18", "27", "--skip_final_inference"]
    return [
        str(case.official / SCRIPTS[case.name]),
        "--pretrained_model_name_or_path", str(case.base), "--instance_data_dir", str(case.photos),
        "--instance_prompt", PROMPT, "--output_dir", str(case.work / f"official-{steps}"),
        "--resolution", str(SIZE_PX), "--center_crop", "--repeats", str(case.batch),
        "--train_batch_size", str(case.batch), "--rank", str(RANK), "--learning_rate", str(RATE),
        "--lr_scheduler", "constant", "--lr_warmup_steps", "0", "--max_train_steps", str(steps),
        "--checkpointing_steps", "1000000", "--seed", "0", *more,
    ]  # fmt: skip


def our_command(case: Case, steps: int) -> list[str]:
    wanted = dataclasses.asdict(dataclasses.replace(case.same, steps=steps))
    folders = [str(case.base), str(case.photos), str(case.work / f"ours-{steps}")]
    return ["benchmarks._ours", case.name, *folders, json.dumps(wanted)]


# Linux hands a parent's peak on to its children, so each tells its own.
RUN = """
import runpy, sys, time
what = sys.argv[1]
sys.argv = sys.argv[1:]
(runpy.run_path if what.endswith(".py") else runpy.run_module)(what, run_name="__main__")
lines = open("/proc/self/status").read().splitlines()
print("used", time.process_time(), *[x.split()[1] for x in lines if x.startswith("VmHWM")])
"""


def child(command: list[str]) -> tuple[float, float]:
    """Seconds of the processor and MB at the peak, of a process of its own."""
    quiet = os.environ | {
        "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command], env=quiet, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    _, seconds, kilobytes = done.stdout.splitlines()[-1].split()
    return float(seconds), int(kilobytes) / 1024


# steps


@contextlib.contextmanager
def our_steps(case: Case, *, compiled: bool) -> Any:
    """A trainer that is ready for its first step."""
    row, where = _same.family(case.name), trainer_parts.CPU
    pictures = [path.read_bytes() for path in sorted(case.photos.iterdir())]
    folder = case.work / f"steps-{compiled}"
    course = Course(row, case.same, recipe.name(row.name, case.base, [pictures], case.same), folder)
    found = training._read(course, case.base, Given(pictures, [None], []), where)
    with training._installed(course, case.base, where, Rung(case.batch)) as (denoiser, lora):
        noises = row.noises(case.base, where)
        rung = Rung(case.batch)
        yield Trainer(course, denoiser, lora, found, noises, rung, compiled=compiled)


def in_turns(case: Case, *, compiled: bool) -> tuple[float, float, dict[str, Any], dict[str, Any]]:
    """Median milliseconds of a step of each, and both adapters after `steps`."""
    parsed = _official.parser().parse_args(options(case, case.steps))
    loop = _official.LOOPS[case.name](case.base, case.photos, parsed)
    times: tuple[list[float], list[float]] = ([], [])
    with our_steps(case, compiled=compiled) as trainer:
        for first in range(0, case.steps, BLOCK):
            numbers = range(first, min(first + BLOCK, case.steps))
            times[0].extend(timed(loop.step) for _ in numbers)
            times[1].extend(timed(partial(trainer.step, number)) for number in numbers)
        mine = trainer.adapter()
    warm = [statistics.median(part[2 * BLOCK :]) for part in times]
    return warm[0], warm[1], loop.adapter(), mine


def timed(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return (time.process_time() - start) * 1000


def apart(case: Case) -> tuple[float, float, dict[str, Any], dict[str, Any]]:
    """The same of the script itself: a long run less a short one, over the steps between."""
    adapters = []
    found = []
    for command in (official_command, our_command):
        short, long = child(command(case, 5))[0], child(command(case, case.steps))[0]
        found.append((long - short) * 1000 / (case.steps - 5))
    official = case.work / f"official-{case.steps}" / "pytorch_lora_weights.safetensors"
    adapters = [
        load_file(official),
        load_file(ours(case, _same.family(case.name), case.work / "same", case.same)),
    ]
    return found[0], found[1], adapters[0], adapters[1]


# losses


def held_out(case: Case, tensors: dict[str, Any]) -> float:
    """Denoising loss of an adapter at noises and levels that no training has drawn."""
    row = FAMILIES[case.name]
    batch, _ = trainer_parts.held_out(case.name, case.base, case.same, 1)
    denoiser = row.denoiser(case.base, trainer_parts.CPU)
    lora = FlatLora(denoiser, row.layers(denoiser), RANK)
    for key, view in lora.named(lora.weights):
        view.zero_()  # what the script leaves out
        if f"{row.prefix}.{key}" in tensors:
            view.copy_(tensors[f"{row.prefix}.{key}"])
    return float(trainer_parts.loss(case.name, case.base, denoiser, batch))


def job(case: Case, target: float) -> tuple[float, int]:
    """Seconds of the processor from a job to an adapter of that loss, in a warm worker."""
    for share in (0.3, 0.5, 0.7, 1.0):
        steps = max(4, round(case.steps * share))
        folder = case.work / f"job-{steps}"
        start = time.process_time()
        path = ours(case, case.name, folder, dataclasses.replace(case.better, steps=steps))
        took = time.process_time() - start
        if held_out(case, load_file(path)) <= target:
            return took, steps
    return float("inf"), 0


# report


def measure(case: Case, *, compiled: bool) -> dict[str, float]:
    """Prints what was found; returns the numbers of the JSON file."""
    step = apart if case.official else lambda case: in_turns(case, compiled=False)
    official_ms, ours_ms, theirs, mine = step(case)
    losses = held_out(case, theirs), held_out(case, mine)
    plain = held_out(case, {})
    makers = [official_command, our_command] * case.rounds  # in turns, as steps
    starts = [child(make(case, 1)) for make in makers]
    halves = starts[::2], starts[1::2]
    startups = [min(cpu for cpu, _ in half) for half in halves]
    tiny = [min(peak for _, peak in half) for half in halves]
    heavy = dataclasses.replace(case, base=case.heavy)
    peaks = [
        statistics.median(child(make(heavy, 1))[1] for _ in range(case.rounds))
        for make in (official_command, our_command)
    ]
    found = {
        "official_ms": official_ms, "ours_ms": ours_ms, "step_ratio": ours_ms / official_ms,
        "peak_ratio": peaks[1] / peaks[0], "tiny_peak_ratio": tiny[1] / tiny[0],
        "startup_ratio": startups[1] / startups[0],
        "loss_official": losses[0], "loss_ours": losses[1],
    }  # fmt: skip
    say("step", found["step_ratio"], WANTED[case.name], f"{ours_ms:.1f} of {official_ms:.1f} ms")
    say("peak", found["peak_ratio"], PEAK_WANTED, f"{peaks[1]:.0f} of {peaks[0]:.0f} MB")
    print(f"  tiny peak {tiny[1] / tiny[0]:.3f} ({tiny[1]:.0f} of {tiny[0]:.0f} MB)")
    say("start-up", found["startup_ratio"], STARTUP_WANTED,
        f"{startups[1]:.1f} of {startups[0]:.1f} s")  # fmt: skip
    print(f"  loss      {plain:.4f} before, {losses[1]:.4f} ours, {losses[0]:.4f} official")
    took, steps = job(case, losses[0])
    theirs_s = startups[0] + (case.steps - 1) * official_ms / 1000
    say("job", took / theirs_s, 1 / FASTER_WANTED,
        f"{took:.1f} s ({steps} steps) of {theirs_s:.1f} s to the same loss")  # fmt: skip
    if compiled:
        quick = in_turns(case, compiled=True)
        found["compiled_ratio"] = quick[1] / quick[0]
        loss = held_out(case, quick[3])
        say("compiled", found["compiled_ratio"], COMPILED_WANTED[case.name],
            f"{quick[1]:.1f} of {quick[0]:.1f} ms, loss {loss:.4f}")  # fmt: skip
    return found


def say(what: str, ratio: float, wanted: float, words: str) -> None:
    verdict = "as wanted" if ratio <= wanted else "MISSED"
    print(f"  {what:9} {ratio:.3f}, at most {wanted:.2f}: {verdict} ({words})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=sorted(CASES), action="append")
    parser.add_argument("--official", type=Path, help="folder of the scripts")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3, help="of start-up and peak")
    parser.add_argument("--compiled", action="store_true", help="compiles for some minutes")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, torch {torch.__version__}")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "photos").mkdir()
        (root / "photos" / "1.png").write_bytes(trainer_parts.picture(1, SIZE_PX))
        for key in chosen.case or CASES:
            name, batch = CASES[key]
            base, heavy = root / name, root / f"{name}-heavy"
            if not base.exists():
                getattr(tiny_checkpoints, name)(base, size="bench")
                getattr(tiny_checkpoints, name)(heavy, size="weights")
            work = root / key
            print(f"{key}: {SIZE_PX} px, rank {RANK}, {chosen.steps} steps", flush=True)
            case = Case(
                name,
                batch,
                base,
                heavy,
                root / "photos",
                work,
                chosen.steps,
                chosen.official,
                chosen.rounds,
            )
            found[key] = measure(case, compiled=chosen.compiled)
            shutil.rmtree(work, ignore_errors=True)
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
