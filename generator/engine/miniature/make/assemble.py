"""Put the trained parts together: into a folder of weights, into a sheet of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from generator.engine.miniature.base import GUIDANCE, STEPS, Base, load_base
from generator.engine.miniature.captions import LABELS
from generator.engine.miniature.conditioning import encode_prompts
from generator.engine.miniature.denoiser import sketching
from generator.engine.miniature.encoders import AttributeReader, IdentityEncoder
from generator.engine.miniature.make.decoder import load_vae
from generator.engine.miniature.make.diffusion import load_unet
from generator.engine.miniature.make.export import export, export_skeleton
from generator.engine.miniature.make.identity import load_identity
from generator.engine.miniature.make.loop import begin
from generator.engine.miniature.make.pictures import HELD_OUT, PEOPLE, Store
from generator.engine.miniature.make.reader import load_reader
from generator.engine.miniature.make.recipe import Folder
from generator.engine.miniature.make.text import load_text_encoder
from generator.engine.miniature.make.words import load_tokenizer


def assemble(folder: Folder, target: Path) -> int:
    """Export the last checkpoints to `target`; the bytes written. Parts not trained yet are new."""
    labels = {name: list(words) if words else None for name, words in LABELS.items()}
    reader, identity = folder.path("reader"), folder.path("identity_encoder")
    return export(
        target,
        vae=load_vae(folder),
        unet=load_unet(folder),
        text_encoder=load_text_encoder(folder),
        tokenizer=load_tokenizer(folder),
        identity_encoder=load_identity(folder) if identity.exists() else IdentityEncoder(),
        reader=load_reader(folder) if reader.exists() else AttributeReader(labels),
    )


def take_up(folder: Folder, weights: Path, seconds: float) -> None:
    """Go on from finished weights where the work files are gone: everything but the data.

    Learning rates start where they would be after half of a making of twice `seconds`.
    """
    base = load_base(weights)
    base.pipe.tokenizer.save_pretrained(folder.path("tokenizer"))
    base.pipe.vae.save_pretrained(folder.path("codec"))
    base.pipe.text_encoder.save_pretrained(folder.path("text_encoder"))
    base.identity_encoder.save_pretrained(folder.path("identity_encoder"))
    base.reader.save_pretrained(folder.path("reader"))
    begin(sketching(base.pipe.unet), folder.path("sketch.safetensors"), elapsed_s=seconds)
    base.pipe.vae.requires_grad_(False).decoder.requires_grad_(True)
    begin(base.pipe.vae, folder.path("decoder.safetensors"), elapsed_s=seconds)
    sketching(base.pipe.unet).requires_grad_(False)
    begin(base.pipe.unet, folder.path("base.safetensors"), elapsed_s=seconds)
    for stage in ("codec", "text", "identity", "reader"):
        folder.path(f"done/{stage}").touch()


def skeleton(folder: Folder) -> int:
    """The layout with untrained weights in `skeleton/`."""
    labels = {name: list(words) if words else None for name, words in LABELS.items()}
    return export_skeleton(folder.path("skeleton"), labels)


@torch.no_grad()
def draw(base: Base, prompts: list[str], identity: torch.Tensor | None, seed: int) -> np.ndarray:
    """Pictures (B, 256, 256, 3) of bytes."""
    pipe = base.pipe
    words = encode_prompts(pipe.tokenizer, pipe.text_encoder, prompts, identity)
    nothing = encode_prompts(pipe.tokenizer, pipe.text_encoder, [""] * len(prompts), None)
    pictures = pipe(
        prompt_embeds=words,
        negative_prompt_embeds=nothing,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images
    return np.rint(np.asarray(pictures) * 255).astype(np.uint8)


def sample_sheet(folder: Folder, weights: Path, file: Path, people: int = 8) -> None:
    """Held-out people in columns: painted, drawn from words, drawn from another picture."""
    base, store = load_base(weights), Store(folder, PEOPLE)
    full, scene = store.captions()
    small = store.open("small")
    rows = [HELD_OUT * (i + 1) * PEOPLE.shots for i in range(people)]
    painted = [Image.fromarray(small[row]).resize((256, 256)) for row in rows]
    others = torch.from_numpy(np.stack([small[row + 1] for row in rows]))
    tokens = base.identity_encoder(others.permute(0, 3, 1, 2).float() / 127.5 - 1)
    words = draw(base, [full[row][0] for row in rows], None, seed=1)
    known = draw(base, [scene[row] for row in rows], tokens, seed=2)
    sheet = Image.new("RGB", (256 * people, 256 * 3))
    for column in range(people):
        sheet.paste(painted[column], (256 * column, 0))
        sheet.paste(Image.fromarray(words[column]), (256 * column, 256))
        sheet.paste(Image.fromarray(known[column]), (256 * column, 512))
    sheet.resize((160 * people, 480), Image.Resampling.LANCZOS).save(file, optimize=True)
