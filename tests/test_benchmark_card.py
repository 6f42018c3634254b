"""The bases that a card is measured with are as large as the models themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import card
from generator.engine import registry
from generator.engine.production.training.families import Where
from tests import trainer_parts

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", sorted(card.TRUE))
def test_a_base_of_true_size_has_the_parameters_of_the_catalogue(name: str, tmp_path: Path) -> None:
    base = trainer_parts.BUILD[name](tmp_path / name)
    nowhere = Where(torch.device("meta"), torch.bfloat16)
    found = {}
    for part, (kind, larger) in card.TRUE[name].items():
        model = card.built(kind, base / part, larger, nowhere)
        found[part] = sum(values.numel() for values in model.parameters()) / 1e9
    weights = registry.weights_of(name)
    assert weights
    beside = {"unet": 0.42}  # layers of IP-Adapter, which the catalogue counts there
    for part, billions in found.items():
        wanted = weights.parts[part] - beside.get(part, 0)
        assert billions == pytest.approx(wanted, abs=0.01), part
