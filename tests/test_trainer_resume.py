"""A training that is killed, canceled or goes wrong: what is kept, and what is not believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from generator.engine.interface import Canceled, EngineError
from generator.engine.production.training import FAMILIES, checkpoint, recipe
from tests import tiny_checkpoints, trainer_parts
from tests.servers import BASE_DIR
from tests.trainer_parts import learn, small

CHECKPOINT = checkpoint.NAME
pytestmark = pytest.mark.engine
bases = trainer_parts.bases
# Trains each time in a process of its own and says so before each step. Those are its children:
# what they import is imported once.
TRAINS = """
import os, sys, torch
from pathlib import Path
from tests.trainer_parts import learn, small
def step():
    print("step", flush=True)
for line in sys.stdin:
    name, base, folder, count = line.split("\\t")
    if child := os.fork():
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)
        continue
    learn(name, Path(base), Path(folder), small(checkpoint_every_steps=3),
          references=tuple(range(int(count))), should_cancel=step)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def trains() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", TRAINS],
        cwd=BASE_DIR,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize(
    ("name", "count"), [("sdxl", 3), ("klein", 1), ("klein", 3), ("qwen_edit", 3), ("wan", 3)]
)
def test_a_training_that_was_killed_goes_on_bit_for_bit(
    name: str,
    count: int,
    bases: dict[str, Path],
    trains: subprocess.Popen[str],
    tmp_path: Path,
) -> None:
    assert trains.stdin and trains.stdout
    trains.stdin.write(f"{name}\t{bases[name]}\t{tmp_path / 'a'}\t{count}\n")
    trains.stdin.flush()
    child = int(trains.stdout.readline())
    for _ in range(11):  # asked twice before the first step, so amid the ninth
        assert trains.stdout.readline() == "step\n"
    os.kill(child, signal.SIGKILL)
    while (line := trains.stdout.readline()) == "step\n":
        pass  # what it had said before it was killed
    assert line == "ended\n"
    assert not (tmp_path / "a" / "adapter.safetensors").exists()
    told: list[Any] = []
    pictures = tuple(range(count))
    rhythm = small(checkpoint_every_steps=3)
    resumed = learn(name, bases[name], tmp_path / "a", rhythm, references=pictures, told=told)
    whole = learn(name, bases[name], tmp_path / "b", small(), references=pictures)
    assert resumed.read_bytes() == whole.read_bytes()
    steps = [step.done for step in told if step.phase == "train"]
    assert steps and min(steps) > 6  # it went on from a checkpoint, it did not begin again


FIRST = small(steps=4, checkpoint_every_steps=2, ema=0.0)


@pytest.fixture(scope="module")
def first(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where klein learnt picture 1 by FIRST."""
    return learn("klein", bases["klein"], tmp_path_factory.mktemp("first"), FIRST).parent


@pytest.mark.parametrize("change", ["picture", "base", "rate", "byte", "half"])
def test_a_checkpoint_of_something_else_is_not_believed(
    change: str, bases: dict[str, Path], first: Path, tmp_path: Path
) -> None:
    base = bases["klein"]
    kept = (first / CHECKPOINT).read_bytes()
    wanted, pictures = FIRST, (1,)
    if change == "picture":
        pictures = (2,)
    elif change == "rate":
        wanted = replace(FIRST, learning_rate=2e-3)
    elif change == "base":
        base = tiny_checkpoints.klein(tmp_path / "other", seed=1)
    elif change == "byte":
        place = -6002  # among the last weights, before 5056 bytes of the generator
        kept = kept[:place] + bytes([kept[place] ^ 8]) + kept[place + 1 :]
    elif change == "half":
        kept = kept[: len(kept) // 2]
    fresh = (first / "adapter.safetensors").read_bytes()
    if change in ("picture", "rate", "base"):
        fresh = learn("klein", base, tmp_path / "b", wanted, references=pictures).read_bytes()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / CHECKPOINT).write_bytes(kept)
    again = learn("klein", base, tmp_path / "c", wanted, references=pictures).read_bytes()
    assert again == fresh


def test_a_checkpoint_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    values = {"x": torch.arange(4.0)}
    checkpoint.put(tmp_path / "x.safetensors", values, {"recipe": "mine"})
    (tmp_path / "x.safetensors.part").write_bytes(b"half of the next one")
    found = checkpoint.get(tmp_path / "x.safetensors", recipe="mine")
    assert found is not None and torch.equal(found[0]["x"], values["x"])
    assert checkpoint.get(tmp_path / "x.safetensors", recipe="another") is None
    checkpoint.put(tmp_path / "x.safetensors", values, {"recipe": "next"})
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_base_with_other_weights_is_another_base(bases: dict[str, Path], tmp_path: Path) -> None:
    other = tiny_checkpoints.klein(tmp_path / "other", seed=1)
    same = tiny_checkpoints.klein(tmp_path / "same")
    assert recipe.fingerprint(other) != recipe.fingerprint(bases["klein"])
    assert recipe.fingerprint(same) == recipe.fingerprint(bases["klein"])


def test_a_canceled_training_stops_before_the_next_step_and_goes_on_later(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    asked: list[bool] = []

    def cancel() -> bool:
        asked.append(len(asked) >= 8)
        return asked[-1]

    told: list[Any] = []
    rhythm = small(checkpoint_every_steps=2)
    with pytest.raises(Canceled):
        learn("klein", bases["klein"], tmp_path / "a", rhythm, should_cancel=cancel, told=told)
    assert asked.count(True) == 1  # nothing was done after the first yes
    assert not (tmp_path / "a" / "adapter.safetensors").exists()
    later = learn("klein", bases["klein"], tmp_path / "a", rhythm)
    whole = learn("klein", bases["klein"], tmp_path / "b", small())
    assert later.read_bytes() == whole.read_bytes()


def test_progress_tells_phases_loss_and_time_left(bases: dict[str, Path], tmp_path: Path) -> None:
    told: list[Any] = []
    learn("klein", bases["klein"], tmp_path, small(steps=30), told=told)
    phases = list(dict.fromkeys(step.phase for step in told))
    assert phases == ["read", "load", "train", "save"]
    losses = [(step.done, step.loss) for step in told if step.loss is not None]
    assert [done for done, _ in losses] == [25, 30]
    assert all(0 < loss < 10 for _, loss in losses)
    assert all(step.total == 30 for step in told)
    assert told[-2].eta_s == 0


def sick(name: str, bad: set[int]) -> Any:
    """The family, but these of its forward passes give no numbers."""
    family, calls = FAMILIES[name], iter(range(10**6))

    def wrong(denoiser: Any, batch: Any, noises: Any) -> Any:
        found = family.wrong(denoiser, batch, noises)
        return found * float("nan") if next(calls) in bad else found

    return replace(family, wrong=wrong)


def test_a_step_that_is_no_number_changes_nothing(bases: dict[str, Path], tmp_path: Path) -> None:
    """The last one of four: what was learnt in three is what is kept."""
    rhythm = small(steps=4, ema=0.0, schedule="constant")
    three = load_file(learn("klein", bases["klein"], tmp_path / "a", replace(rhythm, steps=3)))
    four = load_file(learn(sick("klein", {3}), bases["klein"], tmp_path / "b", rhythm))
    for key, values in three.items():
        assert torch.equal(values, four[key]), key


@pytest.mark.parametrize(("in_a_row", "halvings"), [(4, 0), (5, 1)])
def test_five_bad_steps_in_a_row_go_back_at_half_the_rate(
    in_a_row: int, halvings: int, bases: dict[str, Path], tmp_path: Path
) -> None:
    rhythm = small(steps=30, checkpoint_every_steps=10)
    bad = set(range(12, 12 + in_a_row))
    adapter = learn(sick("klein", bad), bases["klein"], tmp_path, rhythm)
    taken, _, _, halved = load_file(tmp_path / CHECKPOINT)["health"].tolist()
    assert halved == halvings
    assert taken == 30 - in_a_row  # also after going back to step 20, which came after them
    assert all(torch.isfinite(x).all() for x in load_file(adapter).values())


def test_a_training_that_stays_broken_ends_with_a_sentence(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="at half the learning rate as well") as caught:
        learn(sick("klein", set(range(1000))), bases["klein"], tmp_path, small(steps=60))
    assert caught.value.code == "not_finite"
    assert not (tmp_path / "adapter.safetensors").exists()
