"""The worker's hold on an engine: a child process that can be timed, canceled and lost.

    engine = EngineProcess()
    adapter = engine.run(TrainCall([png]), on_step=print, on_tick=heartbeat, time_limit_s=900)

The child keeps the base model warm between calls and is replaced when it dies, runs
out of memory or disobeys. Importing this module imports no torch.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Self, overload

from generator.engine import child
from generator.engine.interface import (
    AnimateCall,
    Call,
    Clip,
    EngineError,
    FaceScore,
    FindCall,
    GenerateCall,
    GeneratedImage,
    LikenessCall,
    OnStep,
    Result,
    Sighting,
    TrainCall,
    TrainedAdapter,
)

OnImage = Callable[[int, GeneratedImage], None]
OnTick = Callable[[], None]

TICK_S = 0.5  # `on_tick` is promised at least once a second
OBEY_S = 3.0  # a step takes well under a second; who needs longer is stuck
TIME_LIMIT_S = 900.0

# The kernel sends PR_SET_PDEATHSIG when the *thread* that started a child ends, so
# children are started by one thread that lives as long as this process.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine-starter")


def default_threads() -> int:
    """OMP_NUM_THREADS if set, else half of the cores: pages need the others."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else max(1, (os.cpu_count() or 2) // 2)


@dataclass(frozen=True)
class _Listeners:
    """What the caller wants to hear; any of them may raise to stop the call."""

    on_step: OnStep | None
    on_image: OnImage | None
    on_tick: OnTick | None


class EngineProcess:
    """One engine in one child process. Calls from several threads wait for each other."""

    def __init__(
        self,
        engine: str = "miniature",
        *,
        threads: int | None = None,
        weights: Path | None = None,
        commercial_only: bool = False,
        detector: Path | None = None,
        embedder: Path | None = None,
    ) -> None:
        """`weights`: another folder than the engine's own. `detector` and `embedder`: files that
        engines without a reader of faces measure with. Starts nothing yet."""
        self.engine = engine
        self.threads = threads or default_threads()
        self.weights = str(weights) if weights else None
        self.commercial_only = commercial_only
        self.face_files = (str(detector or ""), str(embedder or ""))
        self.load_s: float | None = None  # how long the last child took to load its base
        self.peak_rss_mb = 0.0  # the highest any child reported
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._busy = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        return self._child.pid if self._child and self._child.is_alive() else None

    # fmt: off
    @overload
    def run(self, call: TrainCall, *, on_step: OnStep | None = None,
            on_image: OnImage | None = None, on_tick: OnTick | None = None,
            time_limit_s: float = TIME_LIMIT_S) -> TrainedAdapter: ...
    @overload
    def run(self, call: GenerateCall, *, on_step: OnStep | None = None,
            on_image: OnImage | None = None, on_tick: OnTick | None = None,
            time_limit_s: float = TIME_LIMIT_S) -> list[GeneratedImage]: ...
    @overload
    def run(self, call: AnimateCall, *, on_step: OnStep | None = None,
            on_image: OnImage | None = None, on_tick: OnTick | None = None,
            time_limit_s: float = TIME_LIMIT_S) -> Clip: ...
    @overload
    def run(self, call: LikenessCall, *, on_step: OnStep | None = None,
            on_image: OnImage | None = None, on_tick: OnTick | None = None,
            time_limit_s: float = TIME_LIMIT_S) -> list[FaceScore]: ...
    @overload
    def run(self, call: FindCall, *, on_step: OnStep | None = None,
            on_image: OnImage | None = None, on_tick: OnTick | None = None,
            time_limit_s: float = TIME_LIMIT_S) -> list[Sighting]: ...
    # fmt: on
    def run(
        self,
        call: Call,
        *,
        on_step: OnStep | None = None,
        on_image: OnImage | None = None,
        on_tick: OnTick | None = None,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> Result:
        """Run one call in the child; the callbacks run here, in the calling thread.

        `on_tick` is called at least once a second. Any callback may raise (Canceled,
        usually): the child is told to stop, killed if it does not within 3 s, and
        the exception goes on to the caller. Starting and loading count as time.

        Raises EngineError, among others "engine_died" (retryable), "time_limit" and
        "out_of_memory"; the next call then starts a new child.
        """
        with self._lock:
            deadline = time.monotonic() + time_limit_s
            try:
                self._start_if_needed()
                self._send(("call", call))
                self._busy = True
                return self._follow(deadline, _Listeners(on_step, on_image, on_tick))
            except BaseException:
                if self._busy:
                    self._stop_call()
                raise

    def close(self) -> None:
        """End the child. The next call would start a new one."""
        with self._lock:
            self._kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Everything below runs under the lock.

    def _start_if_needed(self) -> None:
        if self._child and self._pipe and self._child.is_alive() and not self._pipe.poll():
            return  # between calls a living child says nothing; a dead one's pipe is at its end
        self._kill()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        settings = child.Settings(
            self.engine,
            self.threads,
            self.weights,
            self.commercial_only,
            os.getpid(),
            self.face_files,
        )
        # daemon: ended together with this process instead of being waited for.
        process = context.Process(
            target=child.serve, args=(theirs, settings), name=f"engine-{self.engine}", daemon=True
        )
        _starter.submit(process.start).result()
        self._child = process
        theirs.close()  # kept open, it would hide the child's death from us

    def _follow(self, deadline: float, listeners: _Listeners) -> Result:
        next_tick = 0.0
        while True:
            now = time.monotonic()
            if now >= deadline:
                self._kill()
                raise EngineError("time_limit", "The engine took too long and was stopped.")
            if listeners.on_tick and now >= next_tick:
                next_tick = now + TICK_S
                listeners.on_tick()
            message = self._receive(min(TICK_S, deadline - now))
            if message is None:
                continue
            kind, *rest = message
            if kind == "done":
                return self._finished(*rest)
            if kind == "error":
                raise self._failed(*rest)
            self._tell(listeners, kind, rest)

    def _tell(self, listeners: _Listeners, kind: str, rest: list[Any]) -> None:
        if kind == "step" and listeners.on_step:
            listeners.on_step(*rest)
        elif kind == "image" and listeners.on_image:
            listeners.on_image(*rest)
        elif kind == "loaded":
            (self.load_s,) = rest

    def _finished(self, result: Result, peak_rss_mb: float) -> Result:
        self._busy = False
        self.peak_rss_mb = max(self.peak_rss_mb, peak_rss_mb)
        return result

    def _failed(self, code: str, message: str, retryable: bool) -> EngineError:
        self._busy = False
        if code in child.UNSOUND:
            self._kill()
        return EngineError(code, message, retryable=retryable)

    def _stop_call(self) -> None:
        """Tell the child to stop and wait for its word; kill it if none comes."""
        deadline = time.monotonic() + OBEY_S
        try:
            self._send(("cancel",))
            while self._busy and (left := deadline - time.monotonic()) > 0:
                message = self._receive(left)
                self._busy = message is None or message[0] not in ("done", "error", "canceled")
        except EngineError:
            return  # it died, which stops the call as well
        if self._busy:
            self._kill()

    def _send(self, message: tuple[Any, ...]) -> None:
        assert self._pipe is not None
        try:
            self._pipe.send(message)
        except OSError:
            raise self._died() from None

    def _receive(self, timeout_s: float) -> tuple[Any, ...] | None:
        """One message, or None after `timeout_s`. Pickle is safe here: both ends are ours."""
        assert self._pipe is not None
        try:
            message: tuple[Any, ...] | None = (
                self._pipe.recv() if self._pipe.poll(timeout_s) else None
            )
        except (EOFError, OSError):
            raise self._died() from None
        return message

    def _died(self) -> EngineError:
        if self._child:
            self._child.join(1.0)
        code = self._child.exitcode if self._child else None
        self._kill()
        return EngineError(
            "engine_died",
            f"The engine's process ended unexpectedly (exit status {code}); "
            "the machine may be out of memory.",
            retryable=True,
        )

    def _kill(self) -> None:
        self._busy = False
        if self._child:
            self._child.kill()
            self._child.join()
            with contextlib.suppress(ValueError):  # somebody else has waited for it already
                self._child.close()
        if self._pipe:
            self._pipe.close()
        self._child = self._pipe = None
