"""The shapes and numbers of the recipe, and the untrained models they describe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffusers import DPMSolverMultistepScheduler
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from generator.engine.miniature.conditioning import IDENTITY_TOKENS
from generator.engine.miniature.denoiser import Denoiser

TEXT_TOKENS = 64  # T: words of a prompt, padding included
WIDTH = 128  # D: width of text states and identity tokens
VOCABULARY = 2048  # entries of the tokenizer
LATENT_CHANNELS = 64
LATENT_SIDE = 8
TRAIN_STEPS = 1000  # timestep = sigma * 1000


@dataclass(frozen=True)
class Folder:
    """Where a making keeps its data, checkpoints and outcome. Ignored by git."""

    root: Path

    def path(self, name: str) -> Path:
        """`root/name`, with the folders above it made."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained CLIP text encoder, 3 layers of 128."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TEXT_TOKENS,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder = CLIPTextModel(config)
    encoder.set_attn_implementation("eager")  # twice as fast as SDPA in bf16 on a CPU
    return encoder


def new_unet() -> Denoiser:
    """An untrained denoiser: latents (B, 64, 8, 8) and prompt_embeds (B, T + K, 128)."""
    unet = Denoiser(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=1,
        attention_head_dim=4,  # diffusers reads this as the number of heads
        cross_attention_dim=WIDTH,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",  # pooled words reach every layer: conditioning from step 1
        addition_embed_type_num_heads=4,
        use_linear_projection=True,
        time_embedding_dim=128,  # more would spend its weights on telling the time
        norm_num_groups=16,
    )
    unet.set_attn_processor(AttnProcessor())
    return unet


def new_scheduler() -> DPMSolverMultistepScheduler:
    """Flow matching, the model predicting the clean latents.

    Nearly all steps go where there is much noise (`flow_shift`): what this model adds in
    the clear is mottle. Likeness of drawn to painted faces rose from .87 to .92 by it.
    """
    return DPMSolverMultistepScheduler(
        num_train_timesteps=TRAIN_STEPS,
        prediction_type="sample",
        use_flow_sigmas=True,
        flow_shift=8.0,
        solver_order=1,
        steps_offset=1,  # what the stock pipeline asks for; flow sigmas do not use it
    )


__all__ = [
    "IDENTITY_TOKENS",
    "Folder",
    "new_scheduler",
    "new_text_encoder",
    "new_unet",
]
