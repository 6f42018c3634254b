"""Keeps the studio's own processes alive, and takes them along when it ends.

    Supervisor([Child("web", [...]), Child("worker", [...])]).run()

Knows nothing of Django. Children are started in process groups of their own, so
that Ctrl-C at a terminal reaches this process alone, which then asks them to end.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

DRAIN_S = 10.0  # a worker hands its job back in well under this; then it is killed
FIRST_PAUSE_S = 1.0  # before a dead child is started again; doubles with every death
LONGEST_PAUSE_S = 30.0
GOOD_LIFE_S = 60.0  # who lived this long died of something new
TICK_S = 0.25
PR_SET_PDEATHSIG = 1  # linux/prctl.h
STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESTART = signal.SIGUSR1  # sent by `--reload` to this very process

Say = Callable[[str], None]


@dataclass
class Child:
    """One process that should be running."""

    name: str
    command: Sequence[str]
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    start_at: float = 0.0  # not before this moment of time.monotonic()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            self.command,
            env=environment,
            pass_fds=self.pass_fds,
            process_group=0,
            preexec_fn=_end_with(os.getpid()),
        )
        self.started_at = time.monotonic()

    def signal(self, number: int) -> None:
        """To the child alone for a request, to its whole group for SIGKILL."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


def _end_with(parent: int) -> Callable[[], None]:
    """Runs in the child before its program: it is killed when its parent is gone."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def in_child() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before prctl took effect
            os._exit(1)

    return in_child


class Supervisor:
    """Runs children until it is told to stop. For the main thread only."""

    def __init__(
        self, children: Sequence[Child], *, environment: dict[str, str], say: Say = print
    ) -> None:
        self.children = children
        self.environment = environment
        self.say = say
        self._signals, self._wake = os.pipe()

    def start(self) -> None:
        """Listen to signals and start every child."""
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        for number in (*STOP, RESTART, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # their bytes in the pipe are what counts
        for child in self.children:
            child.start(self.environment)

    def run(self) -> None:
        """Keep the children running until SIGINT, SIGTERM or SIGHUP; then drain."""
        while not (received := self._wait(TICK_S)).intersection(STOP):
            if RESTART in received:
                self._end_all()
                self._forgive()
            for child in self.children:
                self._keep(child)
        self._end_all()

    def wait_until(self, fact: Callable[[], bool], *, needs: Child) -> bool:
        """Whether `fact` came true while `needs` was running and nobody said stop."""
        while needs.is_running:
            if fact():
                return True
            if self._wait(TICK_S).intersection(STOP):
                return False
        return False

    def stop(self) -> None:
        self._end_all()

    def _wait(self, timeout_s: float) -> set[int]:
        """The numbers of the signals that arrived within `timeout_s`."""
        ready, _, _ = select.select([self._signals], [], [], timeout_s)
        return set(os.read(self._signals, 512)) if ready else set()

    def _keep(self, child: Child) -> None:
        now = time.monotonic()
        if child.is_running:
            return
        if child.process is not None:
            child.signal(signal.SIGKILL)  # whatever it left in its group
            if now - child.started_at > GOOD_LIFE_S:
                child.pause_s = FIRST_PAUSE_S
            self.say(
                f"The {child.name} process ended (exit status {child.process.returncode}); "
                f"starting it again in {child.pause_s:.0f} s."
            )
            child.process = None
            child.start_at = now + child.pause_s
            child.pause_s = min(2 * child.pause_s, LONGEST_PAUSE_S)
        elif now >= child.start_at:
            child.start(self.environment)

    def _forgive(self) -> None:
        """After a change of source the next start deserves no pause."""
        for child in self.children:
            child.process, child.pause_s, child.start_at = None, FIRST_PAUSE_S, 0.0

    def _end_all(self) -> None:
        """Ask, wait at most DRAIN_S (a second Ctrl-C: not at all), then kill."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_S
        while any(child.is_running for child in self.children) and time.monotonic() < deadline:
            if self._wait(TICK_S).intersection(STOP):
                break
        for child in self.children:
            child.signal(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()
