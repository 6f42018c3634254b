"""Train the upscaler: `python -m generator.engine.miniature.make_upscaler --minutes 12`.

Targets are painted at 512 px, inputs are made from them by spoiling: blur, a lower
resolution, JPEG, grain, blotches. Held-out people (every 50th) are never painted here.
Resumable: weights are written every minute and a new run goes on from them.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional as F

from generator.engine.lora import precision
from generator.engine.miniature.painter import Person, Shot, paint
from generator.engine.miniature.upscaler import WEIGHTS, Upscaler, load

SIDE_PX, CROP_PX = 512, 128
BATCH = 16
RATE = 2e-3
SAVE_EVERY_S = 60.0


def painted(count: int, seed: int) -> list[Image.Image]:
    """Portraits of people that nothing is evaluated on."""
    rng = random.Random(seed)
    people = [rng.randrange(1_000_000) for _ in range(2 * count)]
    shown = [index for index in people if index % 50][:count]
    return [
        Image.fromarray(
            paint(
                Person.random(random.Random(f"person {index}")),
                Shot.random(random.Random(f"upscale {index}")),
                SIDE_PX,
            )
        )
        for index in shown
    ]


def spoiled(picture: Image.Image, rng: random.Random) -> Image.Image:
    """The same picture at half the side, as cameras, messengers and base models leave it."""
    half = picture.width // 2
    soft = picture.filter(ImageFilter.GaussianBlur(rng.choice((0.0, rng.uniform(0.4, 2.2)))))
    side = rng.choice((half, half, round(half * rng.uniform(0.45, 1.0))))
    filters = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    small = soft.resize((side, side), rng.choice(filters))
    levels = np.asarray(small, dtype=np.float32)
    if rng.random() < 0.5:
        levels = levels + blotches(side, rng)
    small = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        out = io.BytesIO()
        small.save(out, "JPEG", quality=rng.randint(30, 95))
        small = Image.open(out).convert("RGB")
    return small.resize((half, half), Image.Resampling.BICUBIC) if side != half else small


def blotches(side: int, rng: random.Random) -> np.ndarray:  # type: ignore[type-arg]
    """Noise (side, side, 3) of one size between grain and patches, up to 9 levels."""
    size = rng.choice((1, 2, 4, 8))
    coarse = np.random.default_rng(rng.randrange(2**32)).normal(
        0, rng.uniform(0, 9), (-(-side // size), -(-side // size), 3)
    )
    return coarse.repeat(size, 0).repeat(size, 1)[:side, :side]


def batch(pictures: list[Image.Image], rng: random.Random) -> tuple[Tensor, Tensor]:
    """Inputs (B, 3, 64, 64) and targets (B, 3, 128, 128) in [-1, 1]."""
    pairs = []
    for _ in range(BATCH):
        picture = rng.choice(pictures)
        # Faces hold what matters: half of the crops are taken from them.
        low, high = (140, 250) if rng.random() < 0.5 else (0, SIDE_PX - CROP_PX)
        left, top = rng.randint(low, high), rng.randint(low // 2, high)
        target = picture.crop((left, top, left + CROP_PX, top + CROP_PX))
        pairs.append((_tensor(spoiled(target, rng)), _tensor(target)))
    return torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])


def _tensor(picture: Image.Image) -> Tensor:
    values = torch.from_numpy(np.array(picture, dtype=np.float32))
    return values.permute(2, 0, 1) / 127.5 - 1


def edges(pixels: Tensor) -> tuple[Tensor, Tensor]:
    return pixels[..., 1:] - pixels[..., :-1], pixels[..., 1:, :] - pixels[..., :-1, :]


def train(folder: Path, *, minutes: float, seed: int, count: int) -> None:
    """Weights in `folder` after `minutes`; L1 of colours and of edges, AdamW, cosine."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    pictures = painted(count, seed)
    model = load(folder) if (folder / "config.json").is_file() else Upscaler()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    started = saved = time.monotonic()
    step, loss_mean = 0, 0.0
    while (share := (time.monotonic() - started) / (60 * minutes)) < 1:
        optimizer.param_groups[0]["lr"] = RATE * (0.03 + 0.97 * math.cos(share * math.pi / 2))
        spoilt, target = batch(pictures, rng)
        with precision(spoilt.device):
            guess = model(spoilt)
        guess = guess.float()
        loss = F.l1_loss(guess, target)
        for here, there in zip(edges(guess), edges(target), strict=True):
            loss = loss + 2 * F.l1_loss(here, there)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step, loss_mean = step + 1, loss_mean * 0.99 + float(loss) * 0.01
        if time.monotonic() - saved > SAVE_EVERY_S:
            save(model, folder)
            saved = time.monotonic()
            print(f"{step * BATCH} crops, loss {loss_mean / (1 - 0.99**step):.4f}", flush=True)
    save(model, folder)


def save(model: Upscaler, folder: Path) -> None:
    """In half precision."""
    half = Upscaler(**{name: model.config[name] for name in ("channels", "blocks")})
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    train(asked.out, minutes=asked.minutes, seed=asked.seed, count=asked.pictures)


if __name__ == "__main__":
    main()
