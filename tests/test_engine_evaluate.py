"""What the evaluation computes, on numbers whose answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from generator.engine.miniature import evaluate, evaluate_enhance, sheets
from generator.engine.miniature.evaluate_people import _share

pytestmark = pytest.mark.engine


def test_distributions_are_no_distance_from_themselves_and_further_the_more_they_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 8, generator=generator).double()
    assert evaluate.frechet(rows, rows) == pytest.approx(0.0, abs=1e-6)
    assert evaluate.frechet(rows, rows + 3.0) == pytest.approx(8 * 9.0, rel=1e-6)
    assert 0 < evaluate.frechet(rows, rows * 1.5) < evaluate.frechet(rows, rows * 3)


def test_shares_count_who_was_found() -> None:
    assert _share([0, 1, 5, 3], [0, 1, 2, 3]) == 0.75
    assert _share([], []) == 0.0


def test_a_case_is_the_same_person_however_many_pictures_are_painted() -> None:
    one, three = evaluate.case_of(50, shots=1), evaluate.case_of(50)
    assert torch.equal(one.painted[0], three.painted[0])
    assert (one.full, one.scene_labels) == (three.full, three.scene_labels)
    assert set(three.scene_labels) >= {"background", "outfit", "expression", "pose"}


def test_spoilt_pictures_differ_from_the_true_ones_and_from_each_other() -> None:
    pairs = list(evaluate_enhance.spoilt_and_true(count=2, seed=3))
    assert [spoilt.size[0] for spoilt, _ in pairs] == [256, 128]
    assert pairs[0][1].tobytes() != pairs[1][1].tobytes()


def test_a_sheet_has_a_row_for_each_person(tmp_path: Path) -> None:
    column = [torch.zeros(3, 64, 64), torch.ones(3, 64, 64)]
    sheets.write(tmp_path / "sheet.png", [column, column, column])
    step = sheets.TILE_PX + sheets.GAP_PX
    size = Image.open(tmp_path / "sheet.png").size
    assert size == (3 * step - sheets.GAP_PX, 2 * step - sheets.GAP_PX)


def test_the_table_names_every_figure() -> None:
    scores = {"generated": 0.9, "painter": 1.0}
    shown = evaluate.table({"following": {"beard": scores}, "clip": {"flicker": 0.3}})
    assert "beard" in shown and "0.90" in shown and "flicker" in shown
