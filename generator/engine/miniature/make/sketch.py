"""Train what sketches: the renderer from true plans, then the planner before it.

No picture needs a UNet here, and no caption its encoder: the text states are kept. So
1,500 samples pass a core in a second, against 160 of a UNet of 5.7 M weights.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from generator.engine.miniature.conditioning import append_identity
from generator.engine.miniature.denoiser import (
    CHOICES,
    NUMBERS,
    PLAN,
    Denoiser,
    decided,
    sketching,
)
from generator.engine.miniature.make.diffusion import Pictures, add_noise, sigmas
from generator.engine.miniature.make.latent import (
    LatentReader,
    load_latent_reader,
    perceptual_loss,
    read_all,
)
from generator.engine.miniature.make.loop import (
    Log,
    Training,
    half_precision,
    load_trained,
    pick_device,
)
from generator.engine.miniature.make.pictures import CAPTIONS, PEOPLE, Store
from generator.engine.miniature.make.plan import plans
from generator.engine.miniature.make.recipe import TRAIN_STEPS, WIDTH, Folder, new_unet
from generator.engine.miniature.make.text import load_text_encoder
from generator.engine.miniature.make.words import StrangeWords, load_tokenizer

BATCH = 1024
PEAK = 2e-3
REPORT_EVERY = 200  # steps
CERTAIN, EYED = BATCH // 2, BATCH // 8  # true plans rendered too, and how many of them are read
PLANNED = 3.0  # weight of the plan: of the squares of latents eyes and beards have few
JUDGED = 3.0  # weight of what a reader of latents sees in those
MEASURED = ("squares", "exact", "planned", "judged")


def train_renderer(folder: Folder, seconds: float) -> None:
    """True plans to clean latents."""
    torch.manual_seed(0)
    device, pictures = pick_device(), Pictures(folder)
    known = torch.from_numpy(plans(Store(folder, PEOPLE)))
    renderer = new_unet().renderer.to(device)
    training = Training(
        renderer, folder.path("renderer.safetensors"), seconds=seconds, peak=PEAK, muon=True
    )
    log, held = Log(folder.path("log/renderer.jsonl")), pictures.held_out[::4]
    while training.running():
        rows = pictures.rng.choice(pictures.train, BATCH)
        with half_precision(device):
            drawn = renderer(known[rows].to(device))
        training.learn(F.mse_loss(drawn.float(), pictures.clean(rows).to(device)), BATCH)
        if training.step_count % (2 * REPORT_EVERY) == 0:
            with torch.no_grad(), half_precision(device):
                drawn = renderer(known[held].to(device))
            missed = F.mse_loss(drawn.float().cpu(), pictures.clean(held))
            log.write(samples=training.samples, held_out=missed.item(), s=training.elapsed_s)
    training.save()


@torch.no_grad()
def write_states(folder: Folder) -> None:
    """Text states (…, T, D) of all captions in half precision, a tenth of them disturbed."""
    store, device = Store(folder, PEOPLE), pick_device()
    text = load_text_encoder(folder).to(device)
    strange = StrangeWords(load_tokenizer(folder), seed=5)
    for name in ("full", "scene"):
        ids = np.asarray(store.open(f"{name}_ids"))
        states = store.reserve(f"{name}_states", (*ids.shape, WIDTH), np.float16)
        flat, found = ids.reshape(-1, ids.shape[-1]), states.reshape(-1, ids.shape[-1], WIDTH)
        for start in range(0, len(flat), BATCH):
            part = strange.disturb(flat[start : start + BATCH].astype(np.int64), 0.1)
            with half_precision(device):
                said = text(torch.from_numpy(part).to(device)).last_hidden_state
            found[start : start + BATCH] = said.half().cpu().numpy()


def train_sketch(folder: Folder, seconds: float) -> None:
    """Words, identity and noise to a plan and its latents; begins with the trained renderer."""
    torch.manual_seed(0)
    store, device, pictures = Store(folder, PEOPLE), pick_device(), Pictures(folder)
    unet = new_unet()
    load_trained(unet.renderer, folder.path("renderer.safetensors"))
    unet = unet.to(device)
    training = Training(
        sketching(unet), folder.path("sketch.safetensors"), seconds=seconds, peak=PEAK, muon=True
    )
    log = Log(folder.path("log/sketch.jsonl"))
    full, scene = store.open("full_states"), store.open("scene_states")
    known, nothing = torch.from_numpy(plans(store)), nothing_said(folder, pictures)
    eye = load_latent_reader(folder).to(device)
    answers = read_all(eye, pictures.latents)
    losses = []
    while training.running():
        rows = pictures.rng.choice(pictures.train, BATCH)
        said = full[rows, pictures.rng.integers(CAPTIONS, size=BATCH)]
        words, who = pictures.told(rows, said, scene, nothing)
        told = append_identity(torch.from_numpy(words), torch.from_numpy(who)).to(device)
        wanted = {name: found[rows[:EYED]] for name, found in answers.items()}
        clean, plan = pictures.clean(rows).to(device), known[rows].to(device)
        losses.append(sketch_step(unet, eye, training, clean, plan, told, wanted))
        if training.step_count % REPORT_EVERY == 0:
            values = dict(zip(MEASURED, np.mean(losses, axis=0).tolist(), strict=True))
            log.write(samples=training.samples, **values, s=training.elapsed_s)
            losses = []
    training.save()


def nothing_said(folder: Folder, pictures: Pictures) -> np.ndarray:
    """The states (T, D) of no words."""
    with torch.no_grad():
        states = load_text_encoder(folder)(pictures.empty[None]).last_hidden_state
    found: np.ndarray = states[0].numpy().astype(np.float16)
    return found


def sketch_step(
    unet: Denoiser,
    eye: LatentReader,
    training: Training,
    clean: Tensor,
    plan: Tensor,
    states: Tensor,
    wanted: dict[str, Tensor],
) -> tuple[float, ...]:
    """One step; its losses in the order of `MEASURED`.

    Half the true plans are rendered beside the guessed ones, and read by `eye`: a renderer that
    sees guesses alone forgets what a mouth looks like that nobody doubts.
    """
    sigma = sigmas(len(clean)).to(clean.device)
    noisy = add_noise(clean, torch.randn_like(clean), sigma)
    with half_precision(clean.device):
        guess = unet.planner(noisy, unet.time(noisy, sigma * TRAIN_STEPS), states)
        drawn = unet.renderer(torch.cat([decided(guess.float()), plan[:CERTAIN]])).float()
        guessed, certain = drawn.split([len(clean), len(drawn) - len(clean)])
        judged = perceptual_loss(eye, certain[:EYED], wanted)
    squares, exact = F.mse_loss(guessed, clean), F.mse_loss(certain, clean[:CERTAIN])
    planned = plan_loss(guess.float(), plan)
    training.learn(squares + exact + PLANNED * planned + JUDGED * judged, len(clean))
    return squares.item(), exact.item(), planned.item(), judged.item()


def plan_loss(guess: Tensor, plan: Tensor) -> Tensor:
    """Squares of the numbers and cross-entropy of the choices, over all that a plan holds."""
    squares = F.mse_loss(guess[:, :NUMBERS], plan[:, :NUMBERS], reduction="none").sum(1)
    chosen = plan[:, NUMBERS:].split(CHOICES, dim=1)
    for choice, right in zip(guess[:, NUMBERS:].split(CHOICES, dim=1), chosen, strict=True):
        squares = squares + F.cross_entropy(choice, right.argmax(1), reduction="none")
    return squares.mean() / PLAN
