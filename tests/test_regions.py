"""Several people's adapters in one picture, each where its person stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generator.engine import pictures
from generator.engine.production import memory, regions
from generator.engine.production.families import FAMILIES
from generator.engine.production.person import Person
from generator.engine.production.serving import Server
from tests import tiny_checkpoints
from tests.production_parts import (
    code_of,
    drawn,
    learnt,
    load,
    make,
    short_prompts,  # noqa: F401  a fixture
    wanted,
)
from tests.test_serving import CPU, alone, apart, asked, checksum, somebody

pytestmark = pytest.mark.engine
NOBODY = Person("klein", "instant", ())


def quiet(done: int, total: int) -> None:
    """Nobody waits."""


# --- shares --------------------------------------------------------------------------
def test_each_token_belongs_to_whoever_stands_there() -> None:
    boxes = [(0.0, 0.0, 0.5, 1.0), (0.25, 0.5, 0.5, 0.5)]
    found = regions.layout(boxes, words=3, size=(4, 2), references=[(1, 2), (None, 1)])
    picture = found.picture[:, :8].view(2, 2, 4)
    assert picture[0].tolist() == [[1, 1, 0, 0], [1, 0.5, 0, 0]]
    assert picture[1].tolist() == [[0, 0, 0, 0], [0, 0.5, 1, 0]]
    assert found.picture[:, 8:].tolist() == [[0, 0, 0], [1, 1, 0]]  # references: their own
    assert (found.words == regions.OF_WORDS).all()


def test_layers_are_told_apart_by_what_they_see() -> None:
    found = regions.layout(regions.side_by_side(2), words=3, size=(4, 2), references=[])
    picture = found.of("transformer_blocks.0.attn.to_q", 8)
    assert picture[0, :, 0].tolist() == [1, 1, 0, 0] * 2
    assert found.of("transformer_blocks.0.attn.add_k_proj", 3).shape == (2, 3, 1)
    both = found.of("single_transformer_blocks.0.attn.to_out", 11)
    assert torch.equal(both[:, 3:], picture)
    assert (both[:, :3] == regions.OF_WORDS).all()
    assert found.of("embedder", 5).tolist() == [[[0.5]], [[0.5]]]  # neither: no place is known


@pytest.mark.parametrize("layer", ["add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"])
def test_a_prompt_as_long_as_a_picture_is_not_taken_for_it(layer: str) -> None:
    found = regions.layout(regions.side_by_side(2), words=8, size=(4, 2), references=[])
    words, picture = (found.of(f"blocks.0.attn.{name}", 8) for name in (layer, "to_v"))
    assert (words == regions.OF_WORDS).all()
    assert picture[0, :, 0].tolist() == [1, 1, 0, 0] * 2


# --- on a denoiser -------------------------------------------------------------------
@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tiny_checkpoints.klein(tmp_path_factory.mktemp("klein"))
    return Server(FAMILIES["klein"].load(folder, memory.CPU, CPU), rank=8)


def halves(picture: Any) -> tuple[Any, Any]:
    levels = np.asarray(picture, dtype=np.float32)
    middle = levels.shape[1] // 2
    return levels[:, : middle - 8], levels[:, middle + 8 :]


def changed(one: Any, other: Any) -> list[float]:
    """Left and right, root mean square."""
    pairs = zip(halves(one), halves(other), strict=True)
    return [float(np.sqrt(np.square(a - b).mean())) for a, b in pairs]


def test_an_adapter_changes_its_own_half_and_little_of_the_other(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In latents, and in pixels beside a picture that is the very base's on one side: a decoder
    mixes halves too, and this one, of random weights, carries 0.3 to 0.36 over on its own."""
    latents: list[torch.Tensor] = []
    decode = server.family.pipe.vae.decode

    def noted(given: torch.Tensor, **more: Any) -> Any:
        latents.append(given.clone())
        return decode(given, **more)

    monkeypatch.setattr(server.family.pipe.vae, "decode", noted)
    for seed in (2, 3, 4):
        wish, who = asked(5 + seed, width=128, height=128, steps=2), somebody(server, seed)
        layout = server.family.layout(wish, regions.side_by_side(2), [])
        latents.clear()
        bare, worn = (server.alone(wish, one, quiet) for one in (None, who))
        drawn = server.together(wish, [NOBODY, who], layout, quiet)
        base, everywhere, right = latents
        whole, found = parts(everywhere - base), parts(right - base)
        bled, kept = (a / b for a, b in zip(found, whole, strict=True))
        halved = torch.cat([base.chunk(2, dim=-1)[0], everywhere.chunk(2, dim=-1)[1]], dim=-1)
        with torch.no_grad():
            ideal = pictures.to_image(decode(halved, return_dict=False)[0][0])
        seen = changed(drawn, ideal)[0] / changed(worn, bare)[0]
        print(
            f"of its effect: {bled:.3f} ({seen:.3f} of pixels) beside, {kept:.2f} in its own half"
        )
        assert bled < 0.15 and seen < 0.2  # attention: everything reads from everything
        assert kept > 0.8


def parts(difference: torch.Tensor) -> tuple[float, float]:
    """Left and right, root mean square."""
    left, right = difference.square().chunk(2, dim=-1)
    return float(left.mean().sqrt()), float(right.mean().sqrt())


def test_two_adapters_are_each_nearer_to_themselves(server: Server) -> None:
    wish = asked(7, width=128, height=128, steps=2)
    people = [somebody(server, 1), somebody(server, 2)]
    one, two = (server.alone(wish, who, quiet) for who in people)
    both, mixed = (
        server.together(wish, people, server.family.layout(wish, boxes, []), quiet)
        for boxes in (regions.side_by_side(2), [(0.0, 0.0, 1.0, 1.0)] * 2)
    )
    assert changed(both, one)[0] < 0.7 * changed(mixed, one)[0]
    assert changed(both, two)[1] < 0.7 * changed(mixed, two)[1]


def test_nothing_of_it_is_left_behind(server: Server) -> None:
    who, before = somebody(server, 1), checksum(server)
    bare, worn = alone(server, None, 7), alone(server, who, 7)
    wish = asked(7)
    layout = server.family.layout(wish, regions.side_by_side(2), [])

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.together(wish, [who, somebody(server, 2)], layout, stop)
    assert apart(alone(server, who, 7), worn) == 0
    server.together(wish, [who, somebody(server, 2)], layout, quiet)
    assert apart(alone(server, None, 7), bare) == 0
    assert checksum(server) == before


# --- in an engine --------------------------------------------------------------------
def test_trained_people_are_worn_together_where_no_face_can_be_found(tmp_path: Path) -> None:
    engine = load("klein", make("klein", tmp_path))
    people = [learnt(engine, number) for number in (1, 2)]
    request = {"prompt": "[[a]] and [[b]] at the beach"}
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
    usual = drawn(engine, wanted(**request), people)
    assert usual == drawn(engine, wanted(**request, regions=(left, right)), people)
    assert usual != drawn(engine, wanted(**request, regions=(right, left)), people)
    for boxes in ((left,), (left, (0.6, 0.0, 0.5, 1.0)), (left, (0.2, 0.0, 0.0, 1.0))):
        wrong = wanted(**request, regions=boxes)
        assert code_of(lambda wrong=wrong: engine.generate(wrong, people)) == "bad_request"  # type: ignore[misc]
