"""Adapters put on and taken off a warm denoiser in place, one for all rows or one for each.

A layer that an adapter touches becomes a slot: the same layer, which adds what is worn. Base
weights are never written, so nothing is ever left behind (fusing an adapter and taking it out
again was measured to leave 14 % of the attention weights changed, in bfloat16). Slots have a fixed
rank; smaller adapters are padded with zeros. Knows nothing of diffusion.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.engine.interface import EngineError
from generator.engine.production.regions import Layout

KEPT = 64  # adapters kept ready; 33 to 47 MB each at rank 16


class Slot(nn.Module):
    """Mixed into a linear layer's own class, before it; see `_slotted`."""

    worn_a: Tensor | None = None  # (r, in) for all rows, or (rows, in, r)
    worn_b: Tensor | None = None  # (out, r), or (rows, r, out)
    worn_apart: tuple[tuple[int, Tensor, Tensor], ...] = ()  # person, A and B as for all rows
    layout: Layout | None = None  # how much each of these counts at each token
    called: str = ""  # this layer, in the denoiser; for `layout`

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x)
        if self.layout:
            shares = self.layout.of(self.called, x.shape[1] if x.ndim == 3 else 0).to(x)
            for person, a, b in self.worn_apart:
                part = shares[person] if x.ndim == 3 else shares[person, 0]
                out = out + part * F.linear(F.linear(x, a), b)
            return out
        a, b = self.worn_a, self.worn_b
        if a is None or b is None:
            return out
        if a.ndim == 2:
            return out + F.linear(F.linear(x, a), b)
        rows = x.shape[0]
        if len(a) != rows:  # guidance repeats the whole batch; repeated here once, not each step
            a, b = (each.repeat(rows // len(each), 1, 1) for each in (a, b))
            self.worn_a, self.worn_b = a, b
        low = torch.bmm(x.reshape(rows, -1, x.shape[-1]), a)
        return torch.baddbmm(out.reshape(rows, -1, out.shape[-1]), low, b).view_as(out)


_classes: dict[type[nn.Module], type[nn.Module]] = {}


def _slotted(kind: type[nn.Module]) -> type[nn.Module]:
    """`kind` with a slot: whatever class a quantiser gave the layer, its own forward is kept."""
    if kind not in _classes:
        _classes[kind] = type(f"Slot{kind.__name__}", (Slot, kind), {})
    return _classes[kind]


@dataclass(frozen=True)
class Garment:
    """One adapter as slots want it: for each layer A (rank, in) and B (out, rank), padded."""

    rank: int
    names: tuple[str, ...]
    a: tuple[Tensor, ...]
    b: tuple[Tensor, ...]


class Wardrobe:
    """All adapters of one denoiser. Tensors lie where it computes, whatever is offloaded."""

    def __init__(
        self, denoiser: nn.Module, *, rank: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.denoiser = denoiser
        self.rank = rank
        self.device, self.dtype = device, dtype
        self._layers = {n: m for n, m in denoiser.named_modules() if isinstance(m, nn.Linear)}
        self._places: dict[str, tuple[Tensor, Tensor]] = {}  # what a slot's adapter is copied into
        self._kept: OrderedDict[str, Garment] = OrderedDict()
        self._worn: tuple[str, ...] = ()  # layers that wear something now
        self._shape: tuple[tuple[str, ...], int] | None = None  # of what all rows wear
        self._rooms: tuple[list[Tensor], list[Tensor]] = ([], [])  # all A and all B of it

    def garment(self, name: str, tensors: dict[str, Tensor]) -> Garment:
        """`tensors` by "<layer>.lora_A.weight" and B, kept under `name`, its file's hash.

        Raises EngineError: "adapter_wrong_shape", "adapter_foreign".
        """
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        layers = sorted({key.rpartition(".lora_")[0] for key in tensors})
        pairs = [self._pair(layer, tensors) for layer in layers]
        rank = max((found for *_, found in pairs), default=0)
        made = Garment(rank, tuple(layers), tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))
        self._kept[name] = made
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made

    def _pair(self, layer: str, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor, int]:
        plain = self._layers.get(layer)
        a, b = (tensors.get(f"{layer}.lora_{side}.weight") for side in "AB")
        if plain is None or a is None or b is None:
            raise EngineError("adapter_foreign", f"The adapter is not for this engine ({layer}).")
        assert isinstance(plain, nn.Linear)
        fits = a.ndim == b.ndim == 2 and a.shape[0] == b.shape[1]
        if not fits or (a.shape[1], b.shape[0]) != (plain.in_features, plain.out_features):
            raise EngineError("adapter_wrong_shape", f"The adapter does not fit ({layer}).")
        if len(a) > self.rank:
            raise EngineError(
                "adapter_wrong_shape", f"This engine wears adapters up to rank {self.rank}."
            )
        more = self.rank - len(a)
        put = {"device": self.device, "dtype": self.dtype}
        return F.pad(a.to(**put), (0, 0, 0, more)), F.pad(b.to(**put), (0, more)), len(a)

    def put_on(self, garment: Garment) -> None:
        """One adapter for every row, by two copies of many tensors each."""
        if self._shape != (garment.names, garment.rank):
            self._show(garment.names, garment.rank)
        if garment.names:
            a, b = self._rooms
            torch._foreach_copy_(a, list(garment.a))
            torch._foreach_copy_(b, list(garment.b))

    def _show(self, names: tuple[str, ...], rank: int) -> None:
        """Layers see their places, as far as that rank goes; whoever comes next may only copy."""
        self._install(names)
        self._take_off_others(names)
        places = [self._places[name] for name in names]
        for name, (a, b) in zip(names, places, strict=True):
            layer = self._layers[name]
            layer.worn_a, layer.worn_b = a[:rank], b[:, :rank]  # type: ignore[assignment]
        self._rooms = [a for a, _ in places], [b for _, b in places]
        self._shape = (names, rank)

    def put_on_rows(self, garments: Sequence[Garment | None]) -> None:
        """Row i of the next batches wears `garments[i]`; None wears nothing."""
        names = tuple(sorted({name for one in garments if one for name in one.names}))
        self._install(names)
        self._take_off_others(names)
        rank = max((one.rank for one in garments if one), default=0)
        found = [dict(zip(g.names, zip(g.a, g.b, strict=True), strict=True)) if g else {}
                 for g in garments]  # fmt: skip
        for name in names:
            nothing = [torch.zeros_like(place) for place in self._places[name]]
            pairs = [one.get(name, nothing) for one in found]
            layer = self._layers[name]
            layer.worn_a = torch.stack([pair[0][:rank].T for pair in pairs])  # type: ignore[assignment]
            layer.worn_b = torch.stack([pair[1][:, :rank].T for pair in pairs])  # type: ignore[assignment]
        self._worn = names

    def put_on_apart(self, garments: Sequence[Garment | None], layout: Layout) -> None:
        """All of them at once, each at its own tokens."""
        names = tuple(sorted({name for one in garments if one for name in one.names}))
        self._install(names)
        self._take_off_others(())
        for name in names:
            self._layers[name].layout = layout  # type: ignore[assignment]
            self._layers[name].called = name  # type: ignore[assignment]
            found = [(person, one, one.names.index(name)) for person, one in enumerate(garments)
                     if one and name in one.names]  # fmt: skip
            worn = tuple((person, one.a[at], one.b[at]) for person, one, at in found)
            self._layers[name].worn_apart = worn  # type: ignore[assignment]
        self._worn = names

    def take_off(self) -> None:
        """The denoiser is the base model's own again."""
        self._take_off_others(())

    @contextmanager
    def wearing(self, garments: Sequence[Garment | None]) -> Iterator[None]:
        """One for all where all are the same, else one for each row."""
        first = garments[0] if garments else None
        if all(one is first for one in garments):
            self.put_on(first or NOTHING)
        else:
            self.put_on_rows(garments)
        try:
            yield
        finally:
            self.take_off()

    @contextmanager
    def wearing_apart(self, garments: Sequence[Garment | None], layout: Layout) -> Iterator[None]:
        """Several in one picture, as `layout` says."""
        self.put_on_apart(garments, layout)
        try:
            yield
        finally:
            self.take_off()

    def _take_off_others(self, names: tuple[str, ...]) -> None:
        for name in self._worn:
            self._layers[name].worn_apart = ()  # type: ignore[assignment]
            self._layers[name].layout = None  # type: ignore[assignment]
        for name in set(self._worn) - set(names):
            layer = self._layers[name]
            layer.worn_a = layer.worn_b = None  # type: ignore[assignment]
        self._worn, self._shape = names, None

    def _install(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._places:
                continue
            layer = self._layers[name]
            assert isinstance(layer, nn.Linear)
            layer.__class__ = _slotted(type(layer))
            shapes = (self.rank, layer.in_features), (layer.out_features, self.rank)
            a, b = (torch.zeros(s, device=self.device, dtype=self.dtype) for s in shapes)
            self._places[name] = (a, b)


NOTHING = Garment(0, (), (), ())
