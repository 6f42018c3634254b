"""A step's loss and gradient as one compiled function, for trainings long enough to be worth it.

Forward and way back are traced together, once, down to single operations; inductor compiles what
is left of them. A step then runs no Python of the model, no checks of dynamo and no autograd.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch._inductor
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from generator.engine.production.training.families import Batch
from generator.engine.production.training.layers import FlatLora

Loss = Callable[[Batch, Tensor], Tensor]


class Joint:
    """Of the layers of `lora`. Whatever else `loss` reads may not change from then on."""

    def __init__(self, lora: FlatLora, loss: Loss) -> None:
        self._lora = lora
        self._loss = loss
        self._compiled: dict[tuple[torch.Size, ...], Callable[..., tuple[Tensor, Tensor]]] = {}

    @torch.no_grad()
    def __call__(self, batch: Batch, focus: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and its gradient by `lora.live`; compiles for minutes at each new shape."""
        names = sorted(batch.words)
        words = [batch.words[name] for name in names]
        given = [self._lora.live, batch.latents, batch.noise, batch.level, focus, *words]
        shape = tuple(x.shape for x in given)
        if shape not in self._compiled:
            graph = self._traced(names, given)
            self._compiled[shape] = torch._inductor.compile(graph, given)
        return self._compiled[shape](*given)

    def _traced(self, names: list[str], given: list[Tensor]) -> torch.fx.GraphModule:
        @torch.enable_grad()
        def both(live: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
            live = live.detach().requires_grad_()
            latents, noise, level, focus, *words = rest
            batch = Batch(latents, noise, level, dict(zip(names, words, strict=True)))
            with self._lora.reading(live):
                loss = self._loss(batch, focus)
            (grad,) = torch.autograd.grad(loss, live)
            return loss.detach(), grad

        return make_fx(both)(*given)
