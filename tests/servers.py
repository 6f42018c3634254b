"""Real servers for the tests: PostgreSQL, Redis and the studio itself, each on a free port.

    python -m tests.servers -- python -m pytest tests/test_jobs.py

runs a command with DATABASE_URL and REDIS_URL pointing at servers made for it.
Everything started here ends with the process that started it, even if that is killed.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1  # linux/prctl.h
BLANK = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "BROKER_URL", "EMAIL_URL"), "")
WAIT_S = 120.0  # two busy cores; a server that needs longer will not come


def missing(what: str) -> None:
    """Skip where a person works, fail where a machine promises to have looked."""
    sentence = f"{what} is not installed here (make test installs it on Debian, as root)."
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(
    fact: Callable[[], object], what: str, timeout_s: float = WAIT_S, *, every_s: float = 0.05
) -> None:
    """Until `fact()` is true. Raises AssertionError naming `what` never came."""
    deadline = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(every_s)


def _end_with_parent(number: int) -> Callable[[], None]:
    def in_child() -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)

    return in_child


def _end(process: subprocess.Popen[bytes], number: int) -> None:
    process.send_signal(number)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- PostgreSQL and Redis ---------------------------------------------------------
def postgresql_bin() -> Path | None:
    """The folder of the newest PostgreSQL's programs."""
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(folders, key=lambda path: int(path.parent.parent.name))
    found = shutil.which("initdb")
    return newest[-1].parent if newest else Path(found).parent if found else None


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of an empty database "likeness" on a server of its own."""
    programs = postgresql_bin()
    if programs is None:
        missing("PostgreSQL")
    assert programs is not None
    person = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    everybodys = "/tmp" if person else None  # root's own TMPDIR may be closed to others
    folder = Path(tempfile.mkdtemp(prefix="likeness-postgresql-", dir=everybodys))
    if person:
        shutil.chown(folder, person, person)
    port = free_port()

    def call(program: str, *arguments: str) -> bool:
        command = [str(programs / program), *arguments]
        return not subprocess.run(
            command, user=person, cwd=folder, capture_output=True, check=False
        ).returncode

    at = ("-h", "127.0.0.1", "-p", str(port), "-U", "likeness")
    data = str(folder / "data")
    options = ("-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
    made = call("initdb", "-D", data, "-U", "likeness", *options)
    assert made, "initdb failed"
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"],
        user=person,
        cwd=folder,
        preexec_fn=_end_with_parent(signal.SIGINT),  # "fast shutdown" in PostgreSQL's words
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: call("pg_isready", *at[:4]), "PostgreSQL")
        assert call("createdb", *at, "likeness"), "createdb failed"
        yield f"postgresql://likeness@127.0.0.1:{port}/likeness"
    finally:
        _end(server, signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[str]:
    """The address of an empty Redis of its own."""
    program = shutil.which("redis-server")
    if program is None:
        missing("Redis")
    assert program is not None
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="likeness-redis-") as folder:
        server = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            preexec_fn=_end_with_parent(signal.SIGTERM),
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: _listens(port), "Redis")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            _end(server, signal.SIGTERM)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- the studio -------------------------------------------------------------------
SESSION_SCRIPT = """
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest
from django.contrib.sessions.backends.db import SessionStore
people = get_user_model().objects
person = people.filter(email={email!r}).first() or people.create_user({email!r}, "a long password")
request = HttpRequest(); request.session = SessionStore()
login(request, person, backend="allauth.account.auth_backends.AuthenticationBackend")
request.session.save(); print("session", request.session.session_key)
"""


@dataclass
class Studio:
    """One running `manage.py studio`, as a person at a terminal would have it."""

    address: str  # "http://127.0.0.1:41234", no slash at the end
    port: int
    var_dir: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)  # what it has printed so far

    def manage(self, *arguments: str) -> str:
        """What `manage.py <arguments>` prints in this studio's environment."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR, env=self.environment, text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def session_for(self, email: str) -> str:
        """A session key of the person with this address, who is made if needed."""
        words = self.manage("shell", "-v0", "-c", SESSION_SCRIPT.format(email=email)).split()
        return words[words.index("session") + 1]

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/healthz/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def printed(self) -> str:
        return "".join(self.lines)


def unlimited_plans(folder: Path) -> str:
    """For PLANS_FILE of a studio that answers programs as often as they ask."""
    plans = folder / "plans.toml"
    usual = (BASE_DIR / "billing" / "plans.toml").read_text()
    plans.write_text(re.sub(r"(?m)^api_requests = \d+$", "api_requests = 1000000", usual))
    return str(plans)


@functools.cache
def migrated() -> Path:
    """The embedded database of a new studio: copied in a moment, made in several seconds."""
    folder = Path(tempfile.mkdtemp(prefix="likeness-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "manage.py", "migrate", "-v0"]
    environment = {**os.environ, **BLANK, "VAR_DIR": str(folder)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    subprocess.run(command, cwd=BASE_DIR, env=environment, check=True)
    return folder / "studio.sqlite3"


@contextmanager
def studio(var_dir: Path, *arguments: str, **environment: str) -> Iterator[Studio]:
    """A studio with its own database, pictures and port; gone with everything it started."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environ = {
        **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        **BLANK,
        "SITE_URL": address,
        "VAR_DIR": str(var_dir),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    database = var_dir / "studio.sqlite3"
    if not environment.get("DATABASE_URL") and not database.exists():
        shutil.copy(migrated(), database)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "studio", "--port", str(port), *arguments],
        cwd=BASE_DIR,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent(signal.SIGKILL),
    )
    house = Studio(address, port, var_dir, environ, process)
    reader = threading.Thread(target=_read, args=(house,), daemon=True)
    reader.start()
    try:
        wait_for(lambda: " is at " in house.printed() or process.poll() is not None, "the studio")
        assert process.poll() is None, f"the studio ended:\n{house.printed()}"
        yield house
    finally:
        _end_studio(process)
        reader.join(10)


def _end_studio(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read(house: Studio) -> None:
    assert house.process.stdout is not None
    for line in house.process.stdout:
        house.lines.append(line)


def main() -> int:
    command = sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:]
    with ExitStack() as stack:
        environment = {
            **os.environ,
            "DATABASE_URL": stack.enter_context(postgresql()),
            "REDIS_URL": stack.enter_context(redis()),
        }
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
