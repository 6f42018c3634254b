"""Eight requests of four people: our server against a warm stock pipeline.

    python -m benchmarks.serving [--json FILE] [--rounds 3]

Both draw the same pictures of the same tiny SDXL, on this machine's processor, in the same run,
taking turns. The stock way is what scripts do: one warm pipeline, `load_lora_weights` before a
request and `unload_lora_weights` after it. Counted is processor time, so that a busy machine
shortens nobody. The gain is overhead saved and requests batched; once one picture fills a card
batching gains little there, while what a swap saves stays.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.utils.logging import disable_progress_bar, set_verbosity_error
from PIL import Image

from generator.engine.production import memory, person
from generator.engine.production.families import Asked, Sdxl
from generator.engine.production.person import Person
from generator.engine.production.serving import Request, Server
from tests import tiny_checkpoints

PEOPLE, REQUESTS, SIDE, STEPS, GUIDANCE, RANK = 4, 8, 128, 20, 5.0, 16
PROMPT = "a photo of the person at the beach"
SWAPS = 50
PROJECTIONS = re.compile(r"\.to_(?:q|k|v|out\.0)$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.rounds)
    for name, value in found.items():
        print(f"{name:<22}{value!s:>12}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    base = tiny_checkpoints.sdxl(folder / "base", size="bench")
    server = Server(Sdxl.load(base, memory.CPU, torch.device("cpu")), rank=RANK)
    stock: Any = StableDiffusionXLPipeline.from_pretrained(base, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    people = [somebody(server, folder, number) for number in range(PEOPLE)]
    asked = [(people[n % PEOPLE], n) for n in range(REQUESTS)]
    before = checksum(server)

    def by_stock() -> list[Image.Image]:
        return [stock_picture(stock, folder, who, seed) for who, seed in asked]

    def by_us() -> list[Image.Image]:
        drawn = server.render([Request(picture(seed), who) for who, seed in asked])
        return [image for image in drawn if image]

    theirs, ours = by_stock(), by_us()  # warm both, and keep what they draw
    pairs = [(spent(by_stock), spent(by_us)) for _ in range(rounds)]
    alone = [server.alone(picture(seed), who, lambda done, total: None) for who, seed in asked]
    swap_ms = swap(server, people)
    each = [statistics.median(pair[i] for pair in pairs) / REQUESTS for i in (0, 1)]
    return {
        "throughput_ratio": round(statistics.median(a / b for a, b in pairs), 2),
        "stock_s_each": round(each[0], 3),
        "ours_s_each": round(each[1], 3),
        "max_abs_diff": difference(alone, theirs),
        "max_abs_diff_batched": difference(ours, theirs),
        "swap_ms": round(swap_ms, 3),
        "swap_share": round(swap_ms / 1000 / each[1], 5),
        "base_unchanged": checksum(server) == before,
        "swaps": SWAPS,
        "requests": REQUESTS,
        "people": PEOPLE,
    }


def somebody(server: Server, folder: Path, number: int) -> Person:
    """An adapter of every attention projection, as the official script trains; random weights."""
    generator = torch.Generator().manual_seed(number)
    tensors = {}
    for name, layer in server.family.denoiser.named_modules():
        if isinstance(layer, torch.nn.Linear) and PROJECTIONS.search(name):
            a, b = (RANK, layer.in_features), (layer.out_features, RANK)
            tensors[f"{name}.lora_A.weight"] = 0.05 * torch.randn(a, generator=generator)
            tensors[f"{name}.lora_B.weight"] = 0.05 * torch.randn(b, generator=generator)
    data = person.write(Person("sdxl", "trained", (), tensors), prefix="unet")
    (folder / f"{number}.safetensors").write_bytes(data)
    return person.read(data, family="sdxl")


def picture(seed: int) -> Asked:
    return Asked(PROMPT, seed, SIDE, SIDE, STEPS, GUIDANCE)


def stock_picture(pipe: Any, folder: Path, who: Person, seed: int) -> Image.Image:
    name = next(p.name for p in folder.glob("*.safetensors") if digest(p) == who.sha256)
    pipe.load_lora_weights(folder, weight_name=name)
    drawn: Image.Image = pipe(
        PROMPT, negative_prompt="", width=SIDE, height=SIDE, num_inference_steps=STEPS,
        guidance_scale=GUIDANCE, generator=torch.Generator("cpu").manual_seed(seed),
    ).images[0]  # fmt: skip
    pipe.unload_lora_weights()
    return drawn


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def spent(call: Callable[[], object]) -> float:
    """Processor seconds."""
    start = time.process_time()
    call()
    return time.process_time() - start


def swap(server: Server, people: list[Person]) -> float:
    """Median of wall milliseconds, whoever follows whom."""
    dice, taken = random.Random(0), []
    garments = [server.wardrobe.garment(who.sha256, who.lora) for who in people]
    for _ in range(SWAPS):
        garment = dice.choice(garments)
        start = time.perf_counter()
        server.wardrobe.put_on(garment)
        taken.append(time.perf_counter() - start)
    server.wardrobe.take_off()
    return 1000 * statistics.median(taken)


def checksum(server: Server) -> str:
    whole = hashlib.sha256()
    for name, values in sorted(server.family.denoiser.state_dict().items()):
        whole.update(name.encode())
        whole.update(values.numpy().tobytes())
    return whole.hexdigest()


def difference(left: list[Image.Image], right: list[Image.Image]) -> int:
    """Largest difference of 255 levels."""
    pairs = zip(left, right, strict=True)
    return max(
        int(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max()) for a, b in pairs
    )


if __name__ == "__main__":
    main()
