"""Base models of two families, true in every format and tiny in every size.

The pipelines' own classes and configurations, tokenizers trained here on a few words, saved by
`save_pretrained`: `DiffusionPipeline.from_pretrained(folder)` takes the very way of a real one.
Weights are random, the same for each seed, but for a straight way from a denoiser's input to its
output: it answers with about what it is given. That is what a trained one does where there is much
noise, and without it no adapter of attention layers could learn anything. Nothing is fetched.

    sdxl(tmp_path / "sdxl"); klein(tmp_path / "klein", size="bench")
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
)

# "bench" has about as much to do per step as a page has time for; in "weights" denoiser, text
# encoder and VAE are to each other as in the model itself, and weigh more than what is imported.
Size = Literal["test", "bench", "weights"]

WORDS = (
    "a photo portrait of the person man woman with red blue green hair beard glasses smiling at "
    "beach in snow city forest wearing hat suit dress looking left right close up studio light"
)
LETTERS = " ".join(string.ascii_lowercase + string.digits)  # each also ends a word
VOCABULARY = 600
CHAT = (  # what of Qwen3's template is used: one user's message, an empty thought
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def sdxl(folder: Path, *, size: Size = "test", seed: int = 0) -> Path:
    """A StableDiffusionXLPipeline of 32 px and up. Returns `folder`."""
    with _random(seed):
        pipe = StableDiffusionXLPipeline(
            vae=_sdxl_vae(size),
            text_encoder=_heard(CLIPTextModel(_clip(*_SDXL_TEXT[size][0]))),
            text_encoder_2=_heard(CLIPTextModelWithProjection(_clip(*_SDXL_TEXT[size][1]))),
            tokenizer=_clip_tokenizer(),
            tokenizer_2=_clip_tokenizer(pad="!"),
            unet=_sdxl_unet(size),
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                timestep_spacing="leading",
                steps_offset=1,
            ),
            add_watermarker=False,
        )
    return _saved(pipe, folder)


def klein(folder: Path, *, size: Size = "test", seed: int = 0, is_distilled: bool = False) -> Path:
    """A Flux2KleinPipeline of 16 px and up."""
    with _random(seed):
        pipe = Flux2KleinPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(
                shift=3.0, use_dynamic_shifting=True, time_shift_type="exponential"
            ),
            vae=_klein_vae(size),
            text_encoder=_heard(Qwen3ForCausalLM(_qwen(size))),
            tokenizer=_qwen_tokenizer(),
            transformer=_klein_transformer(size),
            is_distilled=is_distilled,
        )
    return _saved(pipe, folder)


@contextmanager
def _random(seed: int) -> Iterator[None]:
    """The same weights each time; nobody else's random numbers are used up."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def _heard(encoder: Any) -> Any:
    """Words differ by as much as a trained encoder's: new ones have a spread of 0.02."""
    encoder.get_input_embeddings().weight.mul_(50)
    return encoder


def _saved(pipe: Any, folder: Path) -> Path:
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


_SDXL_TEXT = {  # width and layers of both
    "test": ((32, 2), (32, 2)), "bench": ((32, 2), (32, 2)), "weights": ((192, 17), (384, 25)),
}  # fmt: skip


def _sdxl_unet(size: Size) -> UNet2DConditionModel:
    """SDXL's layout: no attention at the top, deeper transformers below."""
    wide = size != "test"
    unet = UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels={
            "test": (16, 32, 32),
            "bench": (32, 64, 128),
            "weights": (64, 128, 256),
        }[size],
        layers_per_block=2 if wide else 1,
        transformer_layers_per_block={
            "test": (1, 1, 1),
            "bench": (1, 2, 4),
            "weights": (1, 2, 10),
        }[size],
        attention_head_dim=(2, 4, 8) if wide else (2, 2, 2),
        norm_num_groups=16 if wide else 4,
        cross_attention_dim=sum(width for width, _ in _SDXL_TEXT[size]),  # side by side
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    )
    _lay_way_through_unet(unet)
    return unet


@torch.no_grad()
def _lay_way_through_unet(unet: UNet2DConditionModel) -> None:
    """Each input as x and -x to the last block and out: silu(x) - silu(-x) is x again."""
    last = unet.up_blocks[-1].resnets[-1]
    above = last.conv_shortcut.in_channels - unet.conv_in.out_channels  # what comes from below
    pairs = 2 * unet.config.in_channels
    unet.conv_in.weight[:pairs] = 0
    unet.conv_in.bias[:pairs] = 0
    last.conv_shortcut.weight[:pairs, above:] = 0
    unet.conv_out.weight *= 0.1
    unet.conv_out.bias.zero_()
    for channel in range(pairs):
        sign = 1 - 2 * (channel % 2)
        unet.conv_in.weight[channel, channel // 2, 1, 1] = sign
        last.conv_shortcut.weight[channel, above + channel] = 1
        unet.conv_out.weight[channel // 2, channel, 1, 1] += sign


def _klein_transformer(size: Size) -> Flux2Transformer2DModel:
    heavy = size == "weights"
    transformer = Flux2Transformer2DModel(
        in_channels=128,
        num_layers={"test": 1, "bench": 2, "weights": 5}[size],
        num_single_layers={"test": 4, "bench": 6, "weights": 20}[size],
        attention_head_dim=32,
        num_attention_heads=10 if heavy else 4,  # as wide as its input, else that could not pass
        joint_attention_dim=3 * _qwen(size).hidden_size,  # three of its layers side by side
        timestep_guidance_channels=32,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=False,
    )
    with torch.no_grad():
        torch.nn.init.orthogonal_(transformer.x_embedder.weight)
        transformer.proj_out.weight.copy_(transformer.x_embedder.weight.T)
        # Else every gate is nearly shut, and so is everything that could learn.
        transformer.time_guidance_embed.timestep_embedder.linear_2.weight *= 10
    return transformer


@torch.no_grad()
def _sdxl_vae(size: Size) -> AutoencoderKL:
    """Its latents spread by about 1 and it is sure of them, as a trained one."""
    vae = AutoencoderKL(
        block_out_channels={
            "test": (8, 8, 8, 8),
            "bench": (16, 32, 32, 64),
            "weights": (32, 64, 128, 128),
        }[size],
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=1 if size == "test" else 2,  # more would take a picture's colour away
        scaling_factor=0.13025,
        force_upcast=True,
    )
    vae.quant_conv.weight[:4] *= 32
    vae.quant_conv.weight[4:] = 0
    vae.quant_conv.bias[4:] = -10
    return vae


def _klein_vae(size: Size) -> AutoencoderKLFlux2:
    """Its statistics are no mean of 0 and spread of 1: whoever forgets them is found out."""
    vae = AutoencoderKLFlux2(
        block_out_channels=(16, 32, 64, 64) if size == "weights" else (8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=32,
        norm_num_groups=1,
    )
    vae.bn.running_mean.normal_(0.0, 0.1)
    vae.bn.running_var.uniform_(0.03, 0.09)
    return vae


def _clip(width: int, layers: int) -> CLIPTextConfig:
    tokenizer = _clip_tokenizer()
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        projection_dim=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _qwen(size: Size) -> Qwen3Config:
    heavy = size == "weights"
    return Qwen3Config(
        vocab_size=len(_qwen_tokenizer()),
        hidden_size=320 if heavy else 32,
        intermediate_size=1200 if heavy else 64,
        num_hidden_layers=28,  # the pipeline reads the 27th
        num_attention_heads=10 if heavy else 2,
        num_key_value_heads=10 if heavy else 1,
        head_dim=32 if heavy else 16,
        tie_word_embeddings=True,
    )


@cache
def _clip_pieces() -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _trained(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<|startoftext|>", "<|endoftext|>"],
            initial_alphabet=_alphabet(),
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )


@cache
def _qwen_pieces() -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _trained(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=_alphabet(),
            show_progress=False,
        ),
    )


def _alphabet() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _trained(
    tokenizer: Tokenizer, trainer: trainers.BpeTrainer
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges, in the order they were learnt."""
    tokenizer.train_from_iterator([WORDS, LETTERS], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [(left, right) for left, right in model["merges"]]


def _clip_tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    vocabulary, merges = _clip_pieces()
    return CLIPTokenizer(
        vocab=dict(vocabulary), merges=list(merges), pad_token=pad, model_max_length=77
    )


def _qwen_tokenizer() -> Qwen2Tokenizer:
    vocabulary, merges = _qwen_pieces()
    tokenizer = Qwen2Tokenizer(
        vocab=dict(vocabulary),
        merges=list(merges),
        eos_token="<|im_end|>",
        extra_special_tokens=["<|im_start|>"],
        model_max_length=4096,
    )
    tokenizer.chat_template = CHAT
    return tokenizer
