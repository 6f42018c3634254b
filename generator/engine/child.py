"""The engine's own process: keeps one base model warm and answers one call at a time.

Started by `generator.engine.process`, never by hand. Torch is imported here only,
by the engine's factory. Messages are tuples over a pipe between our own two
processes: ("call", Call), ("cancel",) come in, the ones of `_Outbox` go out.
"""

from __future__ import annotations

import ctypes
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from generator.engine import garbage, registry
from generator.engine.interface import (
    AnimateCall,
    Call,
    Canceled,
    Engine,
    EngineError,
    FindCall,
    GenerateCall,
    GeneratedImage,
    Result,
    Step,
    TrainCall,
)

NICENESS = 5  # pages stay fast while a training runs on the same cores
PR_SET_PDEATHSIG = 1  # linux/prctl.h
UNSOUND = {"out_of_memory", "engine_failed"}  # codes after which the child is replaced


@dataclass(frozen=True)
class Settings:
    """What the parent decides about its child."""

    engine: str
    threads: int
    weights: str | None
    commercial_only: bool
    parent_pid: int
    face_files: tuple[str, str] = ("", "")  # detector, embedder


class _Session:
    """One call's way out, and its cancel flag."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.canceled = threading.Event()

    def step(self, step: Step) -> None:
        self.pipe.send(("step", step))
        self.stop_if_canceled()

    def image(self, index: int, image: GeneratedImage) -> None:
        self.pipe.send(("image", index, image))
        self.stop_if_canceled()

    def stop_if_canceled(self) -> None:
        if self.canceled.is_set():
            raise Canceled


def serve(pipe: Connection, settings: Settings) -> None:
    """Answer calls until the parent closes the pipe or dies."""
    _prepare(settings)
    session = _Session(pipe)
    calls: queue.Queue[Call] = queue.Queue()
    threading.Thread(target=_listen, args=(session, calls), daemon=True).start()
    engine: Engine | None = None
    while True:
        call = calls.get()
        try:
            if engine is None:
                engine = _load(session, settings)
            result = _answer(engine, call, session)
        except Canceled:
            pipe.send(("canceled",))
        except EngineError as error:
            pipe.send(("error", error.code, error.message, error.retryable))
        except Exception as error:  # noqa: BLE001  the parent must hear of every failure
            traceback.print_exc(file=sys.stderr)
            pipe.send(("error", *explain(error)))
        else:
            pipe.send(("done", result, _peak_mb()))


def _prepare(settings: Settings) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != settings.parent_pid:  # it died before prctl took effect
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.nice(NICENESS)
    # Read by OpenMP when torch is imported. Spinning threads on busy cores were
    # measured up to 17 times slower than sleeping ones.
    os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["HF_HUB_OFFLINE"] = "1"  # weights are never fetched inside a call
    for name in ("DIFFUSERS_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


def _listen(session: _Session, calls: queue.Queue[Call]) -> None:
    """Runs beside the call, so that a cancel arrives while the engine works."""
    try:
        while True:
            kind, *rest = session.pipe.recv()
            if kind == "call":
                session.canceled.clear()
                calls.put(rest[0])
            else:
                session.canceled.set()
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone: there is nobody to work for


def _load(session: _Session, settings: Settings) -> Engine:
    session.step(Step("load", 0, 1))
    start = time.perf_counter()
    weights = Path(settings.weights) if settings.weights else None
    detector, embedder = (Path(name) if name else None for name in settings.face_files)
    with garbage.paused():
        engine = registry.load(
            settings.engine,
            weights=weights,
            detector=detector,
            embedder=embedder,
            commercial_only=settings.commercial_only,
        )
    session.pipe.send(("loaded", time.perf_counter() - start))
    session.step(Step("load", 1, 1))
    return engine


def _answer(engine: Engine, call: Call, session: _Session) -> Result:
    if isinstance(call, TrainCall):
        return engine.train(
            call.references,
            tier=call.tier,
            seed=call.seed,
            resume_dir=Path(call.resume_dir) if call.resume_dir else None,
            recipe=call.recipe,
            on_step=session.step,
        )
    if isinstance(call, GenerateCall):
        return engine.generate(
            call.request,
            call.adapters,
            seed=call.seed,
            on_step=session.step,
            on_image=session.image,
        )
    if isinstance(call, AnimateCall):
        return engine.animate(call.request, call.adapters, seed=call.seed, on_step=session.step)
    if isinstance(call, FindCall):
        return engine.find_subject(call.photos, on_step=session.step)
    return engine.likeness(call.reference, call.picture)


def explain(error: Exception) -> tuple[str, str, bool]:
    """Code, sentence and whether to try again, for an error nobody planned."""
    text = str(error).lower()
    # torch says "can't allocate memory" on a CPU and raises OutOfMemoryError on a GPU.
    if (
        isinstance(error, MemoryError)
        or "outofmemory" in type(error).__name__.lower()
        or "allocate memory" in text
    ):
        return "out_of_memory", "The machine ran out of memory while drawing.", True
    return "engine_failed", "The engine failed. The error is in the worker's log.", True


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux gives KiB
