"""More base models, true in every format and tiny in every size; see `tiny_checkpoints`.

wan(tmp_path / "wan"); wan_animate(tmp_path / "animate"); qwen_edit(tmp_path / "qwen")
ip_adapter(tmp_path / "sdxl" / "ip_adapter")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
    UniPCMultistepScheduler,
    WanAnimatePipeline,
    WanAnimateTransformer3DModel,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.tiny_checkpoints import (
    LETTERS,
    WORDS,
    _qwen_tokenizer,
    _random,
    _saved,
    _sdxl_unet,
)

SEEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|im_start|>"]


def wan(folder: Path, *, seed: int = 0) -> Path:
    """As Wan2.2-TI2V-5B: the first frame's latents stand in the clip, times are per token."""
    with _random(seed):
        pipe = WanImageToVideoPipeline(
            tokenizer=_t5_tokenizer(),
            text_encoder=_t5(),
            vae=_measured(
                AutoencoderKLWan(
                    base_dim=8, z_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                    temperal_downsample=[False, True, True], in_channels=12, out_channels=12,
                    is_residual=True, patch_size=2, scale_factor_spatial=16, decoder_base_dim=8,
                )
            ),
            scheduler=UniPCMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
            ),
            transformer=_way_through_wan(
                WanTransformer3DModel(
                    patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=16,
                    in_channels=8, out_channels=8, text_dim=32, freq_dim=32, ffn_dim=32,
                    num_layers=2, rope_max_seq_len=64,
                )
            ),
            expand_timesteps=True,
        )  # fmt: skip
    return _saved(pipe, folder)


def wan_animate(folder: Path, *, seed: int = 0) -> Path:
    """As Wan2.2-Animate-14B: skeletons, a motion encoder for faces, CLIP for the person."""
    with _random(seed):
        pipe = WanAnimatePipeline(
            tokenizer=_t5_tokenizer(),
            text_encoder=_t5(),
            vae=AutoencoderKLWan(
                base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                temperal_downsample=[False, True, True],
            ),
            scheduler=UniPCMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
            ),
            image_processor=CLIPImageProcessor(size=8, crop_size=8),
            image_encoder=CLIPVisionModel(
                CLIPVisionConfig(
                    hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
                    image_size=8, patch_size=2, projection_dim=8,
                )
            ),
            transformer=WanAnimateTransformer3DModel(
                num_attention_heads=2, attention_head_dim=12, in_channels=36, latent_channels=16,
                out_channels=16, text_dim=32, freq_dim=32, ffn_dim=32, num_layers=2, image_dim=8,
                rope_max_seq_len=32, motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16},
                motion_encoder_size=16, motion_style_dim=8, motion_dim=4, motion_encoder_dim=16,
                face_encoder_hidden_dim=16, face_encoder_num_heads=2, inject_face_latents_blocks=2,
            ),
        )  # fmt: skip
    return _saved(pipe, folder)


def qwen_edit(folder: Path, *, seed: int = 0) -> Path:
    """As Qwen-Image-Edit-2509. Its processor is written by hand: the class wants torchvision."""
    tokenizer = _qwen_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": SEEN})
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SEEN}
    with _random(seed):
        pipe = QwenImageEditPlusPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(
                use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, shift_terminal=0.02,
                base_image_seq_len=256, max_image_seq_len=8192,
            ),
            vae=_measured(
                AutoencoderKLQwenImage(
                    base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                    temperal_downsample=[False, True, True],
                )
            ),
            text_encoder=Qwen2_5_VLForConditionalGeneration(_seeing(len(tokenizer), ids)),
            tokenizer=tokenizer,
            processor=None,
            transformer=_way_through_qwen(
                QwenImageTransformer2DModel(
                    patch_size=2, in_channels=16, out_channels=4, num_layers=2,
                    attention_head_dim=16, num_attention_heads=2, joint_attention_dim=32,
                    axes_dims_rope=(4, 6, 6),
                )
            ),
        )  # fmt: skip
    _saved(pipe, folder)
    tokenizer.save_pretrained(folder / "processor")
    Qwen2VLImageProcessorPil().save_pretrained(folder / "processor")
    index = json.loads((folder / "model_index.json").read_text())
    index["processor"] = ["transformers", "Qwen2VLProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder


def ip_adapter(folder: Path, *, seed: int = 0) -> Path:
    """As h94/IP-Adapter's plus-face of SDXL and the CLIP beside it, for `tiny_checkpoints.sdxl`."""
    with _random(seed):
        eyes = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                image_size=32, patch_size=8, projection_dim=32,
            )
        )  # fmt: skip
        tensors = {f"image_proj.{name}": x for name, x in _resampler(32, 64, words=64).items()}
        unet = _sdxl_unet("test")
        crossed = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
        for number, name in enumerate(crossed):
            wide = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for side in ("k", "v"):  # the numbers between are those of self-attention
                key = f"ip_adapter.{2 * number + 1}.to_{side}_ip.weight"
                tensors[key] = torch.randn(wide, 64) * 0.3
    eyes.save_pretrained(folder / "models" / "image_encoder", safe_serialization=True)
    (folder / "sdxl_models").mkdir(parents=True)
    save_file(tensors, folder / "sdxl_models" / "ip-adapter-plus-face_sdxl_vit-h.safetensors")
    return folder


def _resampler(seen: int, width: int, *, words: int) -> dict[str, torch.Tensor]:
    """Four layers that read the patches of a picture into four words, in the keys of the paper's
    code; heads have 64 numbers."""
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, 4, width), "proj_in.weight": (width, seen), "proj_in.bias": (width,),
        "proj_out.weight": (words, width), "proj_out.bias": (words,),
        "norm_out.weight": (words,), "norm_out.bias": (words,),
    }  # fmt: skip
    for layer in range(4):
        look, think = f"layers.{layer}.0", f"layers.{layer}.1"
        norms = (f"{look}.norm1", f"{look}.norm2", f"{think}.0")
        shapes |= {f"{norm}.{end}": (width,) for norm in norms for end in ("weight", "bias")}
        shapes |= {
            f"{look}.to_q.weight": (64, width), f"{look}.to_kv.weight": (128, width),
            f"{look}.to_out.weight": (width, 64), f"{think}.1.weight": (4 * width, width),
            f"{think}.3.weight": (width, 4 * width),
        }  # fmt: skip
    return {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}


@torch.no_grad()
def _measured(vae: Any) -> Any:
    """Its latents have the mean and the spread that its config tells, about 1, and its pictures
    the contrast of pictures, as a trained one's."""
    blobs = torch.rand(16, 3, 4, 4) * 2 - 1
    pictures = torch.nn.functional.interpolate(blobs, size=(64, 64), mode="bicubic")
    latents = torch.cat([vae.encode(one[None, :, None]).latent_dist.mode() for one in pictures])
    for values in (*vae.quant_conv.parameters(), latents):
        values /= latents.std()
    found = latents.transpose(0, 1).flatten(1)
    vae.register_to_config(latents_mean=found.mean(1).tolist(), latents_std=found.std(1).tolist())
    for name, values in vae.decoder.named_parameters():
        if name.endswith("bias"):
            values.zero_()  # they would be most of the picture
    vae.decoder.conv_out.weight *= 8
    return vae


@torch.no_grad()
def _way_through_qwen(transformer: Any) -> Any:
    """What comes in goes out, and gates are open: as klein's."""
    torch.nn.init.orthogonal_(transformer.img_in.weight)
    transformer.proj_out.weight.copy_(transformer.img_in.weight.T)
    transformer.time_text_embed.timestep_embedder.linear_2.weight *= 10
    return transformer


@torch.no_grad()
def _way_through_wan(transformer: Any) -> Any:
    """The same; it reads channels before places and writes places before channels."""
    inward = transformer.patch_embedding.weight
    torch.nn.init.orthogonal_(inward)
    transformer.proj_out.weight.copy_(inward.permute(2, 3, 4, 1, 0).flatten(0, 3))
    transformer.condition_embedder.time_embedder.linear_2.weight *= 10
    return transformer


def _seeing(vocabulary: int, ids: dict[str, int]) -> Qwen2_5_VLConfig:
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": vocabulary, "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
            "rope_parameters": {
                "rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1_000_000.0
            },
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": 32, "window_size": 112, "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip


def _t5() -> UMT5EncoderModel:
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(_t5_tokenizer()), d_model=32, d_kv=8, d_ff=32, num_layers=2, num_heads=4
        )
    )  # fmt: skip


def _t5_tokenizer() -> T5TokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS, LETTERS], trainer)
    return T5TokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        extra_ids=0, model_max_length=512,
    )  # fmt: skip
