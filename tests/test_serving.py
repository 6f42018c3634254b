"""Adapters swapped in place, and several people in one batch."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from generator.engine.interface import Canceled, EngineError
from generator.engine.production import memory
from generator.engine.production.families import FAMILIES, Asked
from generator.engine.production.lora_slots import Wardrobe
from generator.engine.production.person import Person
from generator.engine.production.products import quicken
from generator.engine.production.serving import Request, Server
from tests import tiny_checkpoints
from tests.production_parts import short_prompts  # noqa: F401  a fixture

pytestmark = pytest.mark.engine
SIDE = 64
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["sdxl", "klein"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    name = request.param
    folder = getattr(tiny_checkpoints, name)(tmp_path_factory.mktemp(name))
    return Server(FAMILIES[name].load(folder, memory.CPU, CPU), rank=8)


def somebody(server: Server, seed: int, rank: int = 4) -> Person:
    """An adapter of every projection of attention; no training needed to tell people apart."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for name, layer in server.family.denoiser.named_modules():
        if isinstance(layer, nn.Linear) and (".to_" in name or ".add_" in name):
            a, b = (rank, layer.in_features), (layer.out_features, rank)
            tensors[f"{name}.lora_A.weight"] = 0.1 * torch.randn(a, generator=generator)
            tensors[f"{name}.lora_B.weight"] = 0.1 * torch.randn(b, generator=generator)
    family = type(server.family).__name__.lower()
    return Person(family, "trained", (), tensors, sha256=f"{seed}-{rank}")


def asked(seed: int, prompt: str = "a photo of the person", **more: object) -> Asked:
    usual: dict[str, object] = {"width": SIDE, "height": SIDE, "steps": 4, "guidance": 4.0}
    return Asked(prompt, seed, **(usual | more))  # type: ignore[arg-type]


def alone(server: Server, who: Person | None, seed: int) -> Image.Image:
    return server.alone(asked(seed), who, lambda done, total: None)


def apart(left: Image.Image | None, right: Image.Image | None) -> int:
    assert left and right
    return int(np.abs(np.asarray(left, np.int16) - np.asarray(right, np.int16)).max())


def checksum(server: Server) -> str:
    whole = hashlib.sha256()
    for name, values in sorted(server.family.denoiser.state_dict().items()):
        whole.update(name.encode() + values.numpy().tobytes())
    return whole.hexdigest()


def test_fifty_swaps_leave_base_and_pictures_as_they_were(server: Server) -> None:
    people = [None, *(somebody(server, seed) for seed in range(4))]
    before, dice = checksum(server), random.Random(0)
    first = [alone(server, who, 7) for who in people]
    assert min(apart(a, b) for i, a in enumerate(first) for b in first[:i]) > 0
    for _ in range(50):
        server.wardrobe.put_on(server.garment(dice.choice(people[1:])))  # type: ignore[arg-type]
    server.wardrobe.take_off()
    assert [apart(a, alone(server, who, 7)) for a, who in zip(first, people, strict=True)] == [
        0
    ] * 5
    assert checksum(server) == before


def test_ranks_below_the_slots_are_padded(server: Server) -> None:
    """The same adapter with zeros after it is the same person."""
    narrow = somebody(server, 1, rank=4)
    padded = {
        name: torch.cat([values, torch.zeros_like(values)], dim=0 if "lora_A" in name else 1)
        for name, values in narrow.lora.items()
    }
    wide = Person(narrow.family, "trained", (), padded, sha256="wide")
    assert apart(alone(server, narrow, 3), alone(server, wide, 3)) <= 1
    with pytest.raises(EngineError, match="up to rank 8"):
        server.garment(somebody(server, 1, rank=9))


def test_one_batch_holds_several_people(server: Server) -> None:
    people = [somebody(server, 1), None, somebody(server, 2, rank=8), somebody(server, 1)]
    counted: list[int] = []
    drawn = server.render(
        [Request(asked(seed), who) for seed, who in enumerate(people)],
        lambda done, total: counted.append(done),
    )
    assert counted == [1, 2, 3, 4]  # four steps: all of them in one batch
    singles = [alone(server, who, seed) for seed, who in enumerate(people)]
    assert max(apart(a, b) for a, b in zip(drawn, singles, strict=True)) <= 1
    assert apart(drawn[0], alone(server, None, 0)) > 1


def test_a_batch_is_quick_and_a_picture_alone_exact(server: Server) -> None:
    layers = quicken(server.family.denoiser)
    seen: list[bool] = []

    def tell(done: int, total: int) -> None:
        seen.append(all(layer.is_on for layer in layers))

    who = somebody(server, 1)
    server.render([Request(asked(1), who), Request(asked(2), who)], tell)
    assert layers and seen and all(seen)
    seen.clear()
    server.alone(asked(1), who, tell)
    assert seen and not any(layer.is_on for layer in layers) and not any(seen)


def test_requests_of_other_sizes_and_steps_are_batches_of_their_own(server: Server) -> None:
    who = somebody(server, 1)
    requests = [Request(asked(0), who), Request(asked(1, steps=5), who), Request(asked(2), who)]
    counted: list[tuple[int, int]] = []
    drawn = server.render(requests, lambda done, total: counted.append((done, total)))
    assert len(counted) == 4 + 5
    assert [apart(image, server.alone(one.asked, who, lambda d, t: None)) <= 1
            for image, one in zip(drawn, requests, strict=True)] == [True] * 3  # fmt: skip


def test_a_canceled_row_drops_its_own_picture_only(server: Server) -> None:
    who = somebody(server, 1)
    canceled: list[int] = []
    requests = [Request(asked(0), who), Request(asked(1), who, lambda: bool(canceled))]
    drawn = server.render(requests, lambda done, total: canceled.append(done))
    assert drawn[1] is None
    assert apart(drawn[0], alone(server, who, 0)) <= 1


def test_a_batch_that_nobody_waits_for_stops(server: Server) -> None:
    steps: list[int] = []
    request = Request(asked(0), None, lambda: len(steps) >= 2)
    assert server.render([request], lambda done, total: steps.append(done)) == [None]
    assert steps == [1, 2]


def test_an_adapter_that_does_not_fit_keeps_nobody_else_waiting(server: Server) -> None:
    wrong = Person("x", "trained", (), {"nowhere.lora_A.weight": torch.ones(1, 1)}, sha256="no")
    drawn = server.render([Request(asked(0), wrong), Request(asked(1))])
    assert drawn[0] is None and drawn[1] is not None


def test_an_exception_takes_everything_off(server: Server) -> None:
    before = alone(server, None, 1)

    def stop(done: int, total: int) -> None:
        raise Canceled

    with pytest.raises(Canceled):
        server.alone(asked(1), somebody(server, 1), stop)
    with pytest.raises(Canceled):
        server.render([Request(asked(1), somebody(server, s)) for s in (1, 2)], stop)
    (bare,) = server.family.draw([asked(1)], lambda done, total: None)
    assert apart(bare, before) == 0


def test_a_prompt_is_encoded_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    encode = server.family.pipe.encode_prompt
    words = "a photo nobody asked for before"

    def listening(*args: object, **more: object) -> object:
        heard.extend(args)
        return encode(*args, **more)

    monkeypatch.setattr(server.family.pipe, "encode_prompt", listening)
    for _ in range(2):
        server.alone(asked(1, words), None, lambda done, total: None)
    assert heard.count(words) == 1


def test_adapters_are_kept_up_to_a_number(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generator.engine.production.lora_slots.KEPT", 2)
    family = server.family
    wardrobe = Wardrobe(family.denoiser, rank=8, device=CPU, dtype=torch.float32)
    for seed in range(4):
        who = somebody(server, seed)
        wardrobe.garment(who.sha256, who.lora)
    assert list(wardrobe._kept) == ["2-4", "3-4"]
