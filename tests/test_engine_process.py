"""The engine's process: canceled, killed, timed out, orphaned; and exact all the same."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from generator.engine import child
from generator.engine.interface import (
    Canceled,
    EngineError,
    GenerateCall,
    GeneratedImage,
    GenerateRequest,
    LikenessCall,
    Recipe,
    Step,
    TrainCall,
)
from generator.engine.process import EngineProcess
from tests.engine_parts import make_weights

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parent.parent
DRAW = GenerateCall(GenerateRequest("face", "a portrait of a man"), seed=5)
RECIPE = Recipe(steps=12, evaluation_images=0, checkpoint_every_s=0.0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def engine(weights: Path) -> Iterator[EngineProcess]:
    with EngineProcess(weights=weights, threads=1) as process:
        yield process


@pytest.fixture(scope="module")
def picture(engine: EngineProcess) -> bytes:
    return engine.run(DRAW)[0].png


def is_gone(pid: int) -> bool:
    """Waits for the end of a process, without reaping what others will wait for."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 30)[0])
    finally:
        os.close(handle)


def code_of(error: pytest.ExceptionInfo[EngineError]) -> str:
    return error.value.code


def test_importing_the_parents_side_imports_no_torch() -> None:
    script = (
        "import sys, generator.engine.process, generator.engine.registry, generator.engine.photo;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'django')))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_pictures_and_steps_arrive_as_they_are_made(engine: EngineProcess) -> None:
    told: list[Step] = []
    images: list[tuple[int, GeneratedImage]] = []
    call = GenerateCall(GenerateRequest("face", "a woman", num_images=2), seed=8)
    result = engine.run(call, on_step=told.append, on_image=lambda *pair: images.append(pair))
    assert images == list(enumerate(result))
    assert {step.index for step in told if step.phase == "draw"} == {0, 1}


def test_the_child_lowers_its_priority_and_stays_warm(
    engine: EngineProcess, picture: bytes
) -> None:
    before = engine.pid
    assert before is not None
    assert psutil.Process(before).nice() >= child.NICENESS
    assert engine.run(DRAW)[0].png == picture
    assert engine.pid == before


def test_a_tick_that_raises_stops_the_call_and_keeps_the_child(
    engine: EngineProcess, picture: bytes
) -> None:
    drawing: list[Step] = []

    def stop_once_drawing() -> None:
        if drawing:
            raise Canceled

    before = engine.pid
    long = GenerateCall(GenerateRequest("face", "a man", num_images=500))
    with pytest.raises(Canceled):
        engine.run(long, on_step=drawing.append, on_tick=stop_once_drawing)
    assert engine.pid == before
    assert engine.run(DRAW)[0].png == picture


def test_a_callbacks_own_error_reaches_the_caller(engine: EngineProcess, picture: bytes) -> None:
    def full(index: int, image: GeneratedImage) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        engine.run(DRAW, on_image=full)
    assert engine.run(DRAW)[0].png == picture


def test_an_error_of_the_request_keeps_the_child(engine: EngineProcess, picture: bytes) -> None:
    before = engine.pid
    with pytest.raises(EngineError) as error:
        engine.run(TrainCall([]))
    assert code_of(error) == "no_reference"
    assert not error.value.retryable
    assert engine.pid == before


def test_a_killed_child_is_reported_and_replaced(engine: EngineProcess, picture: bytes) -> None:
    def kill(step: Step) -> None:
        if engine.pid:
            os.kill(engine.pid, signal.SIGKILL)

    with pytest.raises(EngineError) as error:
        engine.run(DRAW, on_step=kill)
    assert code_of(error) == "engine_died"
    assert error.value.retryable
    assert engine.run(DRAW)[0].png == picture


def test_a_child_that_died_between_two_calls_is_replaced(
    engine: EngineProcess, picture: bytes
) -> None:
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    assert engine.run(DRAW)[0].png == picture


def test_a_child_that_somebody_else_waited_for_is_replaced(
    engine: EngineProcess, picture: bytes
) -> None:
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert engine.run(DRAW)[0].png == picture


def test_a_child_that_does_not_obey_is_killed(engine: EngineProcess, picture: bytes) -> None:
    pid = engine.pid
    assert pid is not None

    def freeze(step: Step) -> None:
        os.kill(pid, signal.SIGSTOP)
        raise Canceled

    with pytest.raises(Canceled):
        engine.run(DRAW, on_step=freeze)
    assert is_gone(pid)


def test_the_time_limit_ends_the_child(engine: EngineProcess, picture: bytes) -> None:
    engine.run(DRAW)
    pid = engine.pid
    assert pid is not None
    long = GenerateCall(GenerateRequest("face", "a man", num_images=500))
    with pytest.raises(EngineError) as error:
        engine.run(long, time_limit_s=1.0)
    assert code_of(error) == "time_limit"
    assert is_gone(pid)


def test_running_out_of_memory_has_its_own_code() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60)
    assert child.explain(error.value)[0] == "out_of_memory"
    assert child.explain(MemoryError())[0] == "out_of_memory"
    assert child.explain(RuntimeError("boom"))[0] == "engine_failed"


def test_missing_weights_are_explained(tmp_path: Path) -> None:
    with EngineProcess(weights=tmp_path) as process, pytest.raises(EngineError) as error:
        process.run(DRAW)
    assert code_of(error) == "no_weights"


ORPHAN = """
import os, signal, sys
from pathlib import Path
from generator.engine.process import EngineProcess
from generator.engine.interface import GenerateCall, GenerateRequest

def main():
    process = EngineProcess(weights=Path(sys.argv[1]), threads=1)
    call = GenerateCall(GenerateRequest("face", "a man", num_images=500))

    def tell(step):
        if sys.argv[2] == "frozen":
            os.kill(process.pid, signal.SIGSTOP)
        print(process.pid, flush=True)

    process.run(call, on_step=tell)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("state", ["busy", "frozen"])
def test_the_child_dies_with_its_parent(weights: Path, tmp_path: Path, state: str) -> None:
    """A frozen child cannot see the end of its pipe: only the kernel can end it."""
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    with subprocess.Popen(
        [sys.executable, str(script), str(weights), state],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert is_gone(pid)


def test_a_training_killed_again_and_again_equals_the_uninterrupted_one(
    engine: EngineProcess, picture: bytes, tmp_path: Path
) -> None:
    whole = engine.run(TrainCall([picture], seed=3, recipe=RECIPE))
    resumable = TrainCall([picture], seed=3, recipe=RECIPE, resume_dir=str(tmp_path))
    for last in sorted(random.Random().sample(range(1, 12), 3)):

        def kill(step: Step, last: int = last) -> None:
            if step.phase == "train" and step.done >= last and engine.pid:
                os.kill(engine.pid, signal.SIGKILL)

        with pytest.raises(EngineError) as error:
            engine.run(resumable, on_step=kill)
        assert code_of(error) == "engine_died"
    steps: list[int] = []
    resumed = engine.run(resumable, on_step=lambda s: steps.append(s.done))
    assert resumed.safetensors == whole.safetensors


def test_likeness_is_answered_by_the_child(engine: EngineProcess, picture: bytes) -> None:
    scores = engine.run(LikenessCall(picture, picture))
    assert [0 <= score.likeness <= 100 for score in scores] == [True]
