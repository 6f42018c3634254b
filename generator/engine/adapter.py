"""The adapter file: what a portrait model keeps of a person.

A safetensors file. Its tensors are a LoRA of the denoiser in diffusers' own keys, so
stock `pipe.load_lora_weights` reads it; the tier "instant" has none. Its metadata says
who: the identity tokens, and what likeness is measured against.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from generator.engine.interface import EngineError, Tier

FORMAT = "likeness-adapter-1"
KEY = "likeness"  # of the file's metadata
MAX_BYTES = 16 * 2**20  # ours have 0.2 to 2 MB
MAX_HEADER_BYTES = 2**20
MAX_RANK = 64
_LORA_KEY = re.compile(r"unet\.([\w.]+)\.lora_([AB])\.weight")


@dataclass(frozen=True)
class Yardstick:
    """What pictures of one person are measured with. `face` (E,) is a unit vector."""

    face: Tensor
    same: float  # mean cosine of the person's own references: 100
    stranger: float  # mean cosine of other people: 0
    yaw: float = 0.0  # how far the references' head is turned, radians; older files do not say


@dataclass(frozen=True)
class Adapter:
    """One person, for one base model."""

    base: str
    tier: Tier
    tokens: Tensor  # (K, D) identity tokens
    yardstick: Yardstick
    lora: dict[str, Tensor]  # "unet.<module>.lora_A.weight" and B; empty for "instant"


def write(adapter: Adapter) -> bytes:
    """The file. The same adapter gives the same bytes."""
    who = {
        "format": FORMAT,
        "base": adapter.base,
        "tier": adapter.tier,
        "tokens": _pack(adapter.tokens),
        "face": _pack(adapter.yardstick.face),
        "same": adapter.yardstick.same,
        "stranger": adapter.yardstick.stranger,
        "yaw": adapter.yardstick.yaw,
    }
    # One entry only: safetensors writes several in an order of its own, anew each time.
    return save_tensors(adapter.lora, metadata={KEY: json.dumps(who)})


def read(data: bytes, *, base: str, unet: nn.Module, tokens: tuple[int, int], face: int) -> Adapter:
    """Check and open a file that may come from anywhere. `tokens` is (K, D), `face` is E.

    Raises EngineError: "adapter_too_large", "adapter_broken", "adapter_foreign",
    "adapter_other_base", "adapter_wrong_shape", "adapter_not_finite".
    """
    if len(data) > MAX_BYTES:
        raise EngineError("adapter_too_large", f"The weights exceed {MAX_BYTES // 2**20} MB.")
    who = _header(data)
    if who["base"] != base:
        raise EngineError(
            "adapter_other_base",
            f"These weights were trained for “{str(who['base'])[:40]}”, not for “{base}”.",
        )
    lora = _tensors(data)
    _check_shapes(lora, unet)
    found = Adapter(
        base=base,
        tier="trained" if lora else "instant",
        tokens=_unpack(who["tokens"], tokens),
        yardstick=Yardstick(
            _unpack(who["face"], (face,)), who["same"], who["stranger"], who["yaw"]
        ),
        lora=lora,
    )
    for values in (found.tokens, found.yardstick.face, *lora.values()):
        if not torch.isfinite(values).all():
            raise EngineError(
                "adapter_not_finite", "The weights contain values that are no numbers."
            )
    return found


def _header(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise _broken()
    try:
        header = json.loads(data[8 : 8 + size])
        who = json.loads(header["__metadata__"][KEY])
        numbers = [float(who[name]) for name in ("same", "stranger")] + [float(who.get("yaw", 0))]
        text = [str(who[name]) for name in ("base", "tokens", "face")]
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _broken() from None
    except (KeyError, TypeError, ValueError):
        raise _foreign() from None
    if who.get("format") != FORMAT or not all(np.isfinite(numbers)):
        raise _foreign()
    names = ("same", "stranger", "yaw", "base", "tokens", "face")
    return dict(zip(names, (*numbers, *text), strict=True))


def _tensors(data: bytes) -> dict[str, Tensor]:
    try:
        return load_tensors(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError):
        raise _broken() from None


def _check_shapes(lora: dict[str, Tensor], unet: nn.Module) -> None:
    """Every tensor belongs to a layer of this denoiser, has its shape and its partner."""
    modules = dict(unet.named_modules())
    for key, values in lora.items():
        match = _LORA_KEY.fullmatch(key)
        if not match or not values.is_floating_point():
            raise _foreign()
        name, side = match.groups()
        partner = lora.get(f"unet.{name}.lora_{'B' if side == 'A' else 'A'}.weight")
        layer = _plain(modules.get(name))
        if partner is None or not isinstance(layer, nn.Linear | nn.Conv2d):
            raise _wrong_shape(key)
        rank = values.shape[0 if side == "A" else 1] if values.ndim > 1 else 0
        if not 1 <= rank <= MAX_RANK or tuple(values.shape) != _shape(layer, side, rank):
            raise _wrong_shape(key)
        if rank != partner.shape[1 if side == "A" else 0]:
            raise _wrong_shape(key)


def _plain(module: nn.Module | None) -> nn.Module | None:
    """The layer itself where peft has wrapped it."""
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module  # type: ignore[union-attr, operator, no-any-return]


def _shape(layer: nn.Linear | nn.Conv2d, side: str, rank: int) -> tuple[int, ...]:
    """Shapes peft gives to a LoRA of `layer`."""
    out, inside, *kernel = layer.weight.shape
    if side == "A":
        return (rank, inside, *kernel)
    return (out, rank, *(1 for _ in kernel))


def _pack(values: Tensor) -> str:
    return base64.b64encode(values.detach().cpu().float().numpy().tobytes()).decode("ascii")


def _unpack(text: str, shape: tuple[int, ...]) -> Tensor:
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
        return torch.from_numpy(values.reshape(shape).copy())
    except (binascii.Error, ValueError):
        raise _wrong_shape("identity") from None


def _broken() -> EngineError:
    return EngineError("adapter_broken", "The weights' file is damaged.")


def _foreign() -> EngineError:
    return EngineError("adapter_foreign", "This file holds no portrait model of ours.")


def _wrong_shape(key: str) -> EngineError:
    return EngineError(
        "adapter_wrong_shape", f"The weights do not fit the base model ({key[:80]})."
    )
