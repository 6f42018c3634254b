"""One training loop for every model: clock, learning rate, average of weights, checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

CHECKPOINT_EVERY_S = 180.0  # what a crash can cost
LAST_SHARE = 0.05  # of the peak learning rate, reached when the time is over


def pick_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision(device: torch.device) -> AbstractContextManager[object]:
    """bf16 autocast where the hardware multiplies it: GPUs, and CPUs with AMX or AVX-512 BF16
    (4 to 8 x as fast as single precision)."""
    fast = device.type == "cuda" or bool(
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    )
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def is_matrix(weight: Tensor) -> bool:
    """Whether it maps many features to many: what Muon is made for."""
    return weight.ndim > 1 and min(weight.shape[:2]) >= 64


class Matrices:
    """Muon for matrices and convolutions, those seen as (out, in * h * w), by name.

    Its steps are orthogonal: weak directions of a gradient move as far as strong ones
    (Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982, whose scale lets it share AdamW's rate).
    """

    def __init__(self, weights: dict[str, nn.Parameter], rate: float) -> None:
        self.weights = weights
        self.flat = {n: nn.Parameter(flattened(w.detach(), like=w)) for n, w in weights.items()}
        self.optimizer = torch.optim.Muon(
            list(self.flat.values()), lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
        )

    def step(self, rate: float) -> None:
        """Move every matrix along its gradient."""
        for name, weight in self.weights.items():
            grad = weight.grad
            self.flat[name].grad = None if grad is None else flattened(grad, like=weight)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()

    def momentum(self, name: str) -> Tensor | None:
        """What Muon remembers of a matrix, None before its first step."""
        state = self.optimizer.state.get(self.flat[name], {})
        momentum: Tensor | None = state.get("momentum_buffer")
        return momentum

    def resume(self, name: str, momentum: Tensor) -> None:
        """Go on with the momentum of a checkpoint."""
        flat = self.flat[name]
        self.optimizer.state[flat]["momentum_buffer"] = momentum.to(flat.device)


def flattened(tensor: Tensor, *, like: Tensor) -> Tensor:
    """A tensor (O, I, ...) as (O, I * ...) in the order in which `like` lies in memory."""
    if like.ndim == 4 and not like.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)  # channels last
    return tensor.reshape(len(tensor), -1)


class Training:
    """Trains `module` for `seconds` of wall time, over as many sessions as that takes.

    The state is one safetensors file, replaced in one move: after a kill the next session
    goes on from the last checkpoint.
    """

    def __init__(
        self,
        module: nn.Module,
        file: Path,
        *,
        seconds: float,
        peak: float,
        average: float = 0.999,
        decay: float = 0.01,
        warm_up: int = 100,
        muon: bool = False,
    ) -> None:
        self.module, self.file = module, file
        self.peak, self.average, self.warm_up = peak, average, warm_up
        learning = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.names, self.parameters = list(learning), list(learning.values())
        chosen = {n: p for n, p in learning.items() if muon and is_matrix(p)}
        self.matrices = Matrices(chosen, peak) if chosen else None
        others = [p for n, p in learning.items() if n not in chosen]
        self.optimizer = torch.optim.AdamW(
            others, lr=peak, betas=(0.9, 0.99), weight_decay=decay, fused=True
        )
        self.mean = [p.detach().clone() for p in self.parameters]
        self.step_count, self.samples, self.before_s = 0, 0, 0.0
        self.started = self.saved = time.monotonic()
        if file.exists():
            self._resume()
        self.total_s = self.before_s + seconds

    @property
    def elapsed_s(self) -> float:
        """Seconds trained, earlier sessions included."""
        return self.before_s + time.monotonic() - self.started

    def running(self) -> bool:
        """Whether there is time left."""
        return self.elapsed_s < self.total_s

    def rate(self) -> float:
        """Warm-up by steps, then half a cosine over wall time down to `LAST_SHARE`."""
        share = min(1.0, self.elapsed_s / self.total_s)
        falling = LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * share))
        return self.peak * falling * min(1.0, (self.step_count + 1) / self.warm_up)

    def learn(self, loss: Tensor, samples: int) -> float:
        """One optimiser step; the norm of its gradient. Writes a checkpoint when it is time."""
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.parameters, 1.0))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        if math.isfinite(norm):
            self.optimizer.step()
            if self.matrices:
                self.matrices.step(self.rate())
        self.module.zero_grad(set_to_none=True)
        self.step_count, self.samples = self.step_count + 1, self.samples + samples
        weight = 1 - min(self.average, (1 + self.step_count) / (10 + self.step_count))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], weight)
        if time.monotonic() - self.saved > CHECKPOINT_EVERY_S:
            self.save()
        return norm

    def save(self) -> None:
        """Write weights, averages, moments and counters."""
        tensors = {f"buffer.{n}": b for n, b in self.module.named_buffers() if b.numel()}
        for name, weight, mean in zip(self.names, self.parameters, self.mean, strict=True):
            tensors[f"weight.{name}"], tensors[f"mean.{name}"] = weight.detach(), mean
            for moment, value in self.optimizer.state.get(weight, {}).items():
                tensors[f"{moment}.{name}"] = value.reshape(-1) if value.ndim == 0 else value
            if self.matrices and name in self.matrices.flat:
                momentum = self.matrices.momentum(name)
                tensors |= {} if momentum is None else {f"momentum.{name}": momentum}
        counters = [self.step_count, self.samples, self.elapsed_s]
        fresh = self.file.with_suffix(".new")
        save_file(
            {name: value.contiguous() for name, value in tensors.items()},
            fresh,
            metadata={"counters": json.dumps(counters)},
        )
        fresh.replace(self.file)
        self.saved = time.monotonic()

    def _resume(self) -> None:
        with safe_open(self.file, framework="pt") as state:
            counters = json.loads(state.metadata()["counters"])
            self.step_count, self.samples, self.before_s = counters
            names = set(state.keys())
            for name, buffer in self.module.named_buffers():
                if f"buffer.{name}" in names:
                    buffer.copy_(state.get_tensor(f"buffer.{name}"))
            for index, (name, weight) in enumerate(zip(self.names, self.parameters, strict=True)):
                weight.data.copy_(state.get_tensor(f"weight.{name}"))
                self.mean[index].copy_(state.get_tensor(f"mean.{name}"))
                if f"exp_avg.{name}" in names:
                    self.optimizer.state[weight] = {
                        "step": state.get_tensor(f"step.{name}").reshape(()),
                        "exp_avg": state.get_tensor(f"exp_avg.{name}").to(weight.device),
                        "exp_avg_sq": state.get_tensor(f"exp_avg_sq.{name}").to(weight.device),
                    }
                if self.matrices and f"momentum.{name}" in names:
                    self.matrices.resume(name, state.get_tensor(f"momentum.{name}"))


def begin(module: nn.Module, file: Path, *, elapsed_s: float = 0.0) -> None:
    """Write a checkpoint to go on from that has nothing but weights."""
    tensors = {}
    for name, weight in module.named_parameters():
        if not weight.requires_grad:
            continue
        tensors[f"weight.{name}"] = weight.detach().clone()
        tensors[f"mean.{name}"] = weight.detach().clone()
    save_file(tensors, file, metadata={"counters": json.dumps([0, 0, elapsed_s])})


def load_trained(module: nn.Module, file: Path, *, mean: bool = True) -> nn.Module:
    """`module` with the weights of a checkpoint, averaged ones by default."""
    kind = "mean." if mean else "weight."
    with safe_open(file, framework="pt") as state:
        names: Iterable[str] = state.keys()
        weights = {n.removeprefix(kind): state.get_tensor(n) for n in names if n.startswith(kind)}
        weights |= {
            n.removeprefix("buffer."): state.get_tensor(n) for n in names if n.startswith("buffer.")
        }
    module.load_state_dict(weights, strict=False)
    return module


class Log:
    """A line of JSON per report, appended to a file and printed."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def write(self, **values: object) -> None:
        """Report."""
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}
        line = json.dumps(rounded)
        with self.file.open("a") as out:
            out.write(line + "\n")
        print(self.file.stem, line, flush=True)
