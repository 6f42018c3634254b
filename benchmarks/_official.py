"""The loops of diffusers' own LoRA examples, said again in what they do for each step.

`examples/dreambooth/train_dreambooth_lora_sdxl.py` and `..._flux2_klein.py` with `--cache_latents`:
the same parts in the same order, accelerate, peft and AdamW with their usual options, without
trackers, validation and hub. Pictures are prepared by Pillow, torchvision is not needed for it.
What the scripts hold is held here: SDXL's deletes the list of its text encoders but neither of
them (`del tokenizers, text_encoders`; `text_encoder_one` and `_two` are variables of `main`), and
keeps its VAE; klein's deletes its VAE and `text_encoder, tokenizer` but keeps
`text_encoding_pipeline`, which has both. (huggingface/diffusers 14eb3fc and 027e8ee.)

    python -m benchmarks._official klein BASE PICTURES --steps 1 --batch 1 --size 128 --out DIR
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import resource
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.utils import (  # type: ignore[import-untyped]
    DistributedDataParallelKwargs,
    ProjectConfiguration,
    set_seed,
)
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.optimization import get_scheduler
from diffusers.training_utils import (
    compute_density_for_timestep_sampling,
    compute_loss_weighting_for_sd3,
    free_memory,
)
from diffusers.utils import convert_state_dict_to_diffusers
from diffusers.utils.torch_utils import is_compiled_module
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm  # type: ignore[import-untyped]
from transformers import (
    AutoTokenizer,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen2TokenizerFast,
    Qwen3ForCausalLM,
)

from generator.engine import pictures

SDXL_TARGETS = ["to_k", "to_q", "to_v", "to_out.0"]
KLEIN_TARGETS = [
    "to_k", "to_q", "to_v", "to_out.0", "to_qkv_mlp_proj",
    *(f"single_transformer_blocks.{i}.attn.to_out" for i in range(24)),
]  # fmt: skip


class Pictures(torch.utils.data.Dataset[dict[str, Any]]):  # type: ignore[misc]  # torch is Any
    """As DreamBoothDataset: prepared once, repeated to fill a batch."""

    def __init__(self, folder: Path, size_px: int, repeats: int) -> None:
        found = [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())]
        squares = [ImageOps.fit(x, (size_px, size_px), Image.Resampling.LANCZOS) for x in found]
        self.pixels = [pictures.as_tensor(x)[0] for x in squares for _ in range(repeats)]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"index": index, "pixel_values": self.pixels[index]}


def collate(examples: list[dict[str, Any]]) -> dict[str, Any]:
    pixels = torch.stack([example["pixel_values"] for example in examples])
    return {
        "indices": [example["index"] for example in examples],
        "pixel_values": pixels.to(memory_format=torch.contiguous_format).float(),
    }


class Official(ABC):
    """What both scripts share: set up, endless steps, save."""

    prefix = ""
    model: Any

    def __init__(self, base: Path, folder: Path, options: argparse.Namespace) -> None:
        self.base = base
        self.options = options
        self.accelerator = Accelerator(
            gradient_accumulation_steps=1,
            mixed_precision=options.precision,
            project_config=ProjectConfiguration(project_dir=options.out),
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        self.dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
        self.device = self.accelerator.device
        set_seed(options.seed)
        self.prepare(Pictures(folder, options.size, options.batch))
        self.progress = tqdm(range(options.steps), disable=True)
        self.losses: list[float] = []
        self.stepping = self.steps()

    def part(self, kind: Any, folder: str) -> Any:
        return kind.from_pretrained(self.base, subfolder=folder)

    @abstractmethod
    def prepare(self, data: Pictures) -> None: ...

    @abstractmethod
    def loss(self, batch: dict[str, Any]) -> Tensor: ...

    def begin(self, model: Any, targets: list[str], data: Pictures) -> None:
        """Adapter, optimiser, loader and schedule, as both scripts make them."""
        options = self.options
        model.add_adapter(
            LoraConfig(
                r=options.rank,
                lora_alpha=options.rank,
                init_lora_weights="gaussian",
                target_modules=targets,
            )
        )
        learning = [x for x in model.parameters() if x.requires_grad]
        optimizer = torch.optim.AdamW(
            learning, lr=options.rate, betas=(0.9, 0.999), weight_decay=1e-4, eps=1e-8
        )
        loader = torch.utils.data.DataLoader(
            data, batch_size=options.batch, shuffle=True, collate_fn=collate
        )
        schedule = get_scheduler("constant", optimizer=optimizer)
        self.model, self.optimizer, self.loader, self.schedule = self.accelerator.prepare(
            model, optimizer, loader, schedule
        )

    @abstractmethod
    def clipped(self) -> Any: ...

    def steps(self) -> Iterator[None]:
        while True:
            self.model.train()
            for batch in self.loader:
                with self.accelerator.accumulate(self.model):
                    loss = self.loss(batch)
                    self.accelerator.backward(loss)
                    if self.accelerator.sync_gradients:
                        self.accelerator.clip_grad_norm_(self.clipped(), 1.0)
                    self.optimizer.step()
                    self.schedule.step()
                    self.optimizer.zero_grad()
                self.progress.update(1)
                logs = {"loss": loss.detach().item(), "lr": self.schedule.get_last_lr()[0]}
                self.progress.set_postfix(**logs)
                self.accelerator.log(logs)
                self.losses.append(logs["loss"])
                yield

    def step(self) -> None:
        next(self.stepping)

    def adapter(self) -> dict[str, Tensor]:
        found = get_peft_model_state_dict(self.accelerator.unwrap_model(self.model))
        return {f"{self.prefix}.{key}": x.detach() for key, x in found.items()}


class OfficialSdxl(Official):
    prefix = "unet"

    def prepare(self, data: Pictures) -> None:
        names = ("tokenizer", "tokenizer_2")
        tokenizers = [
            AutoTokenizer.from_pretrained(self.base, subfolder=x, use_fast=False) for x in names
        ]
        self.scheduler = self.part(DDPMScheduler, "scheduler")
        encoders = [
            self.part(CLIPTextModel, "text_encoder"),
            self.part(CLIPTextModelWithProjection, "text_encoder_2"),
        ]
        self.vae = self.part(AutoencoderKL, "vae")
        unet = self.part(UNet2DConditionModel, "unet")
        for part in (self.vae, unet, *encoders):
            part.requires_grad_(False)
            part.to(self.device, dtype=torch.float32 if part is self.vae else self.dtype)
        self.embeds, self.pooled = self._words(tokenizers, encoders)
        size = self.options.size
        time_ids = torch.tensor([[size, size, 0, 0, size, size]])
        self.time_ids = time_ids.to(self.device, dtype=self.dtype)
        self.encoders = encoders
        del tokenizers
        gc.collect()
        self.begin(unet, SDXL_TARGETS, data)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _words(self, tokenizers: list[Any], encoders: list[Any]) -> tuple[Tensor, Tensor]:
        hidden = []
        for tokenizer, encoder in zip(tokenizers, encoders, strict=True):
            ids = tokenizer(
                self.options.prompt,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            found = encoder(ids.to(self.device), output_hidden_states=True, return_dict=False)
            pooled = found[0]
            hidden.append(found[-1][-2])
        return torch.concat(hidden, dim=-1), pooled.view(1, -1)

    def clipped(self) -> Any:
        return [x for x in self.model.parameters() if x.requires_grad]

    def loss(self, batch: dict[str, Any]) -> Tensor:
        pixels = batch["pixel_values"].to(dtype=self.vae.dtype)
        latents = self.vae.encode(pixels).latent_dist.sample() * self.vae.config.scaling_factor
        latents = latents.to(self.dtype)
        noise = torch.randn_like(latents)
        size = latents.shape[0]
        steps = self.scheduler.config.num_train_timesteps
        timesteps = torch.randint(0, steps, (size,), device=latents.device).long()
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        added = {
            "time_ids": self.time_ids.repeat(size, 1),
            "text_embeds": self.pooled.repeat(size, 1),
        }
        embeds = self.embeds.repeat(size, 1, 1)
        guess = self.model(noisy, timesteps, embeds, added_cond_kwargs=added).sample
        return F.mse_loss(guess.float(), noise.float(), reduction="mean")


class OfficialKlein(Official):
    prefix = "transformer"

    def prepare(self, data: Pictures) -> None:
        tokenizer = self.part(Qwen2TokenizerFast, "tokenizer")
        self.scheduler = self.part(FlowMatchEulerDiscreteScheduler, "scheduler")
        vae = self.part(AutoencoderKLFlux2, "vae")
        self.centre = vae.bn.running_mean.view(1, -1, 1, 1)
        self.spread = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
        transformer = self.part(Flux2Transformer2DModel, "transformer")
        encoder = self.part(Qwen3ForCausalLM, "text_encoder")
        for part in (vae, transformer, encoder):
            part.requires_grad_(False)
            part.to(self.device, dtype=self.dtype)
        pipe = Flux2KleinPipeline.from_pretrained(
            self.base, vae=None, transformer=None, scheduler=None,
            tokenizer=tokenizer, text_encoder=encoder,
        )  # fmt: skip
        with torch.no_grad():
            self.embeds, self.text_ids = pipe.encode_prompt(
                self.options.prompt, max_sequence_length=self.options.tokens
            )  # with the layers the pipeline reads; the script's own choice differs
            seen = [x[None].to(self.device, self.dtype) for x in data.pixels]
            self.latents = [vae.encode(x).latent_dist.mode() for x in seen]
        self.centre, self.spread = self.centre.to(seen[0]), self.spread.to(seen[0])
        self.pipe = pipe.to("cpu")
        del vae, encoder, tokenizer
        free_memory()
        self.begin(transformer, KLEIN_TARGETS, data)

    def clipped(self) -> Any:
        return self.model.parameters()

    def _sigmas(self, timesteps: Tensor, n_dim: int, dtype: torch.dtype) -> Tensor:
        sigmas = self.scheduler.sigmas.to(self.device, dtype=dtype)
        schedule = self.scheduler.timesteps.to(self.device)
        indices = [(schedule == t).nonzero().item() for t in timesteps]
        sigma = sigmas[indices].flatten()
        while len(sigma.shape) < n_dim:
            sigma = sigma.unsqueeze(-1)
        return sigma

    def loss(self, batch: dict[str, Any]) -> Tensor:
        indices = batch["indices"]
        embeds = self.embeds.repeat_interleave(len(indices), dim=0)
        text_ids = self.text_ids.repeat_interleave(len(indices), dim=0)
        latents = torch.cat([self.latents[index] for index in indices], dim=0)
        latents = Flux2KleinPipeline._patchify_latents(latents)
        latents = (latents - self.centre) / self.spread
        ids = Flux2KleinPipeline._prepare_latent_ids(latents).to(self.device)
        noise = torch.randn_like(latents)
        chances = compute_density_for_timestep_sampling("none", batch_size=len(latents))
        at = (chances * self.scheduler.config.num_train_timesteps).long()
        timesteps = self.scheduler.timesteps[at].to(self.device)
        sigmas = self._sigmas(timesteps, latents.ndim, latents.dtype)
        noisy = (1.0 - sigmas) * latents + sigmas * noise
        packed = Flux2KleinPipeline._pack_latents(noisy)
        unwrapped = self.accelerator.unwrap_model(self.model)
        unwrapped = unwrapped._orig_mod if is_compiled_module(unwrapped) else unwrapped
        assert not unwrapped.config.guidance_embeds
        guess = self.model(
            hidden_states=packed,
            timestep=timesteps / 1000,
            guidance=None,
            encoder_hidden_states=embeds,
            txt_ids=text_ids,
            img_ids=ids,
            return_dict=False,
        )[0]
        guess = guess[:, : packed.size(1) :]
        guess = Flux2KleinPipeline._unpack_latents_with_ids(guess, ids)
        weighting = compute_loss_weighting_for_sd3("none", sigmas=sigmas)
        wrong = weighting.float() * (guess.float() - (noise - latents).float()) ** 2
        return torch.mean(wrong.reshape(len(latents), -1), 1).mean()


LOOPS: dict[str, type[Official]] = {"sdxl": OfficialSdxl, "klein": OfficialKlein}


def save(official: Official, folder: Path) -> None:
    """As the scripts end: `save_lora_weights` of the pipeline."""
    found = get_peft_model_state_dict(official.accelerator.unwrap_model(official.model))
    if isinstance(official, OfficialSdxl):
        layers = convert_state_dict_to_diffusers(found)
        StableDiffusionXLPipeline.save_lora_weights(folder, unet_lora_layers=layers)
    else:
        Flux2KleinPipeline.save_lora_weights(folder, transformer_lora_layers=found)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description="One of diffusers' own training loops.")
    found.add_argument("family", choices=sorted(LOOPS))
    found.add_argument("base", type=Path)
    found.add_argument("folder", type=Path, help="of pictures")
    found.add_argument("--steps", type=int, default=1)
    found.add_argument("--batch", type=int, default=1)
    found.add_argument("--size", type=int, default=128)
    found.add_argument("--rank", type=int, default=16)
    found.add_argument("--rate", type=float, default=1e-4)
    found.add_argument("--tokens", type=int, default=64)
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--prompt", default="a photo of the person")
    found.add_argument("--precision", choices=("no", "bf16"), default="no")
    found.add_argument("--out", type=Path, required=True)
    return found


def main() -> None:
    logging.disable(logging.WARNING)
    options = parser().parse_args()
    official = LOOPS[options.family](options.base, options.folder, options)
    for _ in range(options.steps):
        official.step()
    save(official, options.out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_kb": peak}))


if __name__ == "__main__":
    main()
