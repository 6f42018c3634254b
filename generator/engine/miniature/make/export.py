"""Write and check the folder of weights that `load_base` reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from generator.engine.miniature.autoencoder import PatchAutoencoder
from generator.engine.miniature.encoders import AttributeReader, IdentityEncoder
from generator.engine.miniature.make.recipe import new_scheduler, new_text_encoder, new_unet
from generator.engine.miniature.make.tokens import train_tokenizer

MOST_BYTES = 20_000_000  # what the repository carries at most


def export(
    folder: Path,
    *,
    vae: PatchAutoencoder,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    identity_encoder: IdentityEncoder,
    reader: AttributeReader,
) -> int:
    """Write every part in half precision, replace `folder` in one move; its size in bytes."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.float16)
    pipe.save_pretrained(fresh)
    _unindent(fresh / "tokenizer" / "tokenizer.json")
    identity_encoder.half().save_pretrained(fresh / "identity_encoder")
    reader.half().save_pretrained(fresh / "reader")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder_bytes(folder)


def _unindent(file: Path) -> None:
    """More than half of a tokenizer's file is white space."""
    words = json.loads(file.read_text())
    file.write_text(json.dumps(words, ensure_ascii=False, separators=(",", ":")))


def folder_bytes(folder: Path) -> int:
    """How many bytes the files below `folder` hold together."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def export_skeleton(folder: Path, labels: dict[str, list[str] | None]) -> int:
    """The true layout with untrained weights, for work on what stands above the model."""
    tokenizer = train_tokenizer(["a portrait of a person"])
    return export(
        folder,
        vae=PatchAutoencoder(),
        unet=new_unet(),
        text_encoder=new_text_encoder(tokenizer),
        tokenizer=tokenizer,
        identity_encoder=IdentityEncoder(),
        reader=AttributeReader(labels),
    )
