"""Several people's adapters in one picture, each where its person stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generator.engine.production import memory, regions
from generator.engine.production.families import FAMILIES
from generator.engine.production.person import Person
from generator.engine.production.serving import Server
from tests import tiny_checkpoints
from tests.production_parts import (
    SHORT,
    code_of,
    drawn,
    load,
    make,
    photo,
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
    assert found.of(8)[0, :, 0].tolist() == [1, 1, 0, 0] * 2
    assert found.of(3).shape == (2, 3, 1)
    assert torch.equal(found.of(11)[:, 3:], found.of(8))
    assert found.of(5).tolist() == [[[0.5]], [[0.5]]]  # neither: no place is known


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


def test_an_adapter_changes_its_own_half_and_little_of_the_other(server: Server) -> None:
    wish, who = asked(7, width=128, height=128, steps=2), somebody(server, 2)
    layout = server.family.layout(wish, regions.side_by_side(2), [])
    base, everywhere = (server.alone(wish, one, quiet) for one in (None, who))
    right = server.together(wish, [NOBODY, who], layout, quiet)
    bled, kept = (
        a / b for a, b in zip(changed(right, base), changed(everywhere, base), strict=True)
    )
    print(f"of its effect everywhere: {bled:.2f} in the other half, {kept:.2f} in its own")
    assert bled < 0.4  # attention, and a decoder that norms the picture as a whole
    assert kept > 0.8


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
    people = [
        engine.train([photo(number)], tier="trained", recipe=SHORT).safetensors for number in (1, 2)
    ]
    request = {"prompt": "[[a]] and [[b]] at the beach"}
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
    usual = drawn(engine, wanted(**request), people)
    assert usual == drawn(engine, wanted(**request, regions=(left, right)), people)
    assert usual != drawn(engine, wanted(**request, regions=(right, left)), people)
    for boxes in ((left,), (left, (0.6, 0.0, 0.5, 1.0)), (left, (0.2, 0.0, 0.0, 1.0))):
        wrong = wanted(**request, regions=boxes)
        assert code_of(lambda wrong=wrong: engine.generate(wrong, people)) == "bad_request"  # type: ignore[misc]
