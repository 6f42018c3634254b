"""Our training step beside diffusers' own loop on a graphics card, on bases of their true size.

    python -m benchmarks.card [--case klein_b1] [--tiny] [--steps 12] [--compiled] [--json FILE]

Nothing is fetched: configurations are the models' own, weights are random and written first (16 GB
for klein, 7 for SDXL), so seconds and memory are true and pictures are noise. Both load them in
bfloat16, learn one picture of 512 px in one process, one after the other; the official loop is that
of `_official.py`, with what it keeps on the card. MFU is the work of one step of ours, which is the
least that is needed, over its time and the rate of square matrix products measured in the same run.
Where there is no card, `--tiny` shows that all of it runs, in float32 on the processor.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    Flux2Transformer2DModel,
    UNet2DConditionModel,
)
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextModel, CLIPTextModelWithProjection, Qwen3ForCausalLM

from benchmarks import _official
from generator.engine.production.bench import chip_tflops
from generator.engine.production.training import FAMILIES, TrainingRecipe, recipe, training
from generator.engine.production.training.examples import Given
from generator.engine.production.training.families import Where
from generator.engine.production.training.ladder import Rung
from generator.engine.production.training.loop import Course, Trainer
from tests import tiny_checkpoints, trainer_parts

CASES = {f"{name}_b{batch}": (name, batch) for name in ("sdxl", "klein") for batch in (1, 4)}
WARM = 3  # steps that do not count
RANK, TOKENS, PROMPT = 16, 512, "a photo of the person"
WIDE_VAE = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2}
# What the published configurations have beside the tiny ones.
TRUE: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = {
    "sdxl": {
        "unet": (
            UNet2DConditionModel,
            {
                "sample_size": 128, "block_out_channels": [320, 640, 1280], "layers_per_block": 2,
                "transformer_layers_per_block": [1, 2, 10], "attention_head_dim": [5, 10, 20],
                "norm_num_groups": 32, "cross_attention_dim": 2048, "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2816,
            },
        ),
        "vae": (AutoencoderKL, WIDE_VAE | {"norm_num_groups": 32}),
        "text_encoder": (
            CLIPTextModel,
            {
                "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                "num_attention_heads": 12, "projection_dim": 768, "vocab_size": 49408,
            },
        ),
        "text_encoder_2": (
            CLIPTextModelWithProjection,
            {
                "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
                "num_attention_heads": 20, "projection_dim": 1280, "vocab_size": 49408,
            },
        ),
    },
    "klein": {
        "transformer": (
            Flux2Transformer2DModel,
            {
                "num_layers": 5, "num_single_layers": 20, "attention_head_dim": 128,
                "num_attention_heads": 24, "joint_attention_dim": 7680,
                "timestep_guidance_channels": 256, "axes_dims_rope": [32, 32, 32, 32],
            },
        ),
        "vae": (AutoencoderKLFlux2, WIDE_VAE | {"norm_num_groups": 32}),
        "text_encoder": (
            Qwen3ForCausalLM,
            {
                "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
                "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
                "vocab_size": 151936, "layer_types": ["full_attention"] * 36,
            },
        ),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Of one loop."""

    step_s: float  # median
    peak_gb: float | None  # from reading pictures to the last step; None without a card
    tflop: float  # of one step


def written(name: str, folder: Path, where: Where, *, tiny: bool) -> Path:
    """A base model's folder."""
    base: Path = getattr(tiny_checkpoints, name)(folder, size="bench" if tiny else "test")
    for part, (kind, larger) in {} if tiny else TRUE[name].items():
        model = built(kind, base / part, larger, where).to(where.dtype)
        model.save_pretrained(base / part)
        del model
        forget()
    return base


def built(kind: Any, folder: Path, larger: dict[str, Any], where: Where) -> Any:
    """As the configuration in `folder` says, with what is `larger`."""
    config = json.loads((folder / "config.json").read_text()) | larger
    before = torch.get_default_dtype()
    torch.set_default_dtype(where.dtype)
    try:
        with torch.device(where.device):
            if issubclass(kind, (CLIPTextModel, CLIPTextModelWithProjection, Qwen3ForCausalLM)):
                return kind(kind.config_class(**config))
            return kind.from_config(config)
    finally:
        torch.set_default_dtype(before)


def forget() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def taken(step: Callable[[int], object], steps: int) -> Found:
    """Steps against the clock, after one that is counted."""
    with FlopCounterMode(display=False) as counter:
        step(0)
    seconds = []
    for number in range(1, WARM + steps):
        start = time.perf_counter()
        step(number)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None
    return Found(statistics.median(seconds[WARM - 1 :]), peak, counter.get_total_flops() / 1e12)


def official(name: str, base: Path, photos: Path, wanted: TrainingRecipe, where: Where) -> Found:
    precision = "bf16" if where.dtype == torch.bfloat16 else "no"
    options = _official.parser().parse_args(
        [
            name, str(base), str(photos), "--batch", str(wanted.batch), "--size",
            str(wanted.size_px), "--tokens", str(wanted.prompt_tokens), "--prompt", PROMPT,
            "--precision", precision, "--out", str(base / "official"),
        ]
    )  # fmt: skip
    loop = _official.LOOPS[name](base, photos, options)
    return taken(lambda number: loop.step(), wanted.steps)


def ours(
    name: str, base: Path, photos: Path, wanted: TrainingRecipe, where: Where, *, compiled: bool
) -> Found:
    pictures = [path.read_bytes() for path in photos.iterdir()]
    row = FAMILIES[name]
    folder = base / f"ours-{wanted.batch}-{compiled}"
    course = Course(row, wanted, recipe.name(name, base, [pictures], wanted), folder)
    read = training._read(course, base, Given(pictures, [None], []), where)
    with training._installed(course, base, where, Rung(wanted.batch)) as (denoiser, lora):
        noises = row.noises(base, where)
        rung = Rung(wanted.batch)
        trainer = Trainer(course, denoiser, lora, read, noises, rung, compiled=compiled)
        return taken(trainer.step, wanted.steps)


def measure(
    name: str, batch: int, base: Path, photos: Path, where: Where, chosen: argparse.Namespace
) -> dict[str, Any]:
    """Prints what was found; returns the numbers of the JSON file."""
    wanted = TrainingRecipe(
        prompt=PROMPT, steps=chosen.steps, batch=batch, rank=RANK, ema=0.0, weighting="none",
        size_px=chosen.size_px, prompt_tokens=TOKENS, checkpoint_every_s=1e9,
    )  # fmt: skip
    rate = chip_tflops(where.device, where.dtype)
    given = (name, base, photos, wanted, where)
    loops = {"official": partial(official, *given), "ours": partial(ours, *given, compiled=False)}
    if chosen.compiled:
        loops["compiled"] = partial(ours, *given, compiled=True)
    found: dict[str, Found] = {}
    for who, loop in loops.items():
        forget()
        found[who] = loop()
    work = found["ours"].tflop
    for who, one in found.items():
        peak = "no card" if one.peak_gb is None else f"{one.peak_gb:.1f} GB"
        share = work / one.step_s / rate
        ratio = one.step_s / found["official"].step_s
        print(f"  {who:9} {one.step_s:.4f} s a step ({ratio:.2f}), peak {peak}, MFU {share:.0%}")
    print(f"  {work:.3g} TFLOP a step, {rate:.3g} TFLOP/s measured", flush=True)
    return {who: asdict(one) for who, one in found.items()} | {"tflop": work, "chip_tflops": rate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=sorted(CASES), action="append")
    parser.add_argument("--tiny", action="store_true", help="a dry run")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--size-px", type=int, default=512)
    parser.add_argument("--compiled", action="store_true", help="compiles for some minutes")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not (chosen.tiny or torch.cuda.is_available()):
        print("There is no card here. --tiny shows that all of this runs.")
        return
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = Where(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    chip = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{chip}, torch {torch.__version__}, {where.dtype}, {chosen.size_px} px")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        (photos / "1.png").write_bytes(trainer_parts.picture(1, chosen.size_px))
        for key in chosen.case or CASES:
            name, batch = CASES[key]
            base = Path(folder) / name
            if not base.exists():
                written(name, base, where, tiny=chosen.tiny)
            print(f"{key}:")
            found[key] = measure(name, batch, base, photos, where, chosen)
    if chosen.json:
        chosen.json.write_text(json.dumps({"chip": chip, **found}, indent=2))


if __name__ == "__main__":
    main()
