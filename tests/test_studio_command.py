"""`manage.py studio`, run as a person runs it and ended in every way a process can end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import BASE_DIR, Studio, wait_for

pytestmark = pytest.mark.live
StartStudio = Callable[..., Studio]


def processes_of(house: Studio) -> dict[int, str]:
    """Process id -> command line of everything that runs in this studio's environment."""
    mark = f"VAR_DIR={house.var_dir}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(folder.name)] = words
        except OSError:  # it ended meanwhile
            continue
    return {pid: words for pid, words in found.items() if words}  # a zombie has no words


def the(house: Studio, module: str) -> int:
    """The id of the process that runs this module, once there is one."""
    ids: list[int] = []

    def found() -> bool:
        ids[:] = [pid for pid, words in processes_of(house).items() if f"-m {module}" in words]
        return bool(ids)

    wait_for(found, module)
    return ids[0]


def test_it_makes_its_tables_and_prints_the_address_it_can_be_found_at(
    start_studio: StartStudio, tmp_path: Path
) -> None:
    house = start_studio(DATABASE_URL=f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    assert f"Likeness is at {house.address}/\n" in house.printed()
    assert house.session_for("alice@example.com")


def test_nothing_is_left_when_it_is_killed(start_studio: StartStudio) -> None:
    house = start_studio()
    the(house, "studio.web")
    the(house, "studio.worker")
    house.process.kill()
    wait_for(lambda: not processes_of(house), "the end of every process")


DRAW = """
import uuid
from accounts.models import User
from generator.jobs.services import submit_generation
person = User.objects.create_user("ada@example.com", "a long password")
submit_generation(person, id=uuid.uuid4(), kind="face", prompt="a woman", count=4)
"""


def test_the_engine_ends_with_a_killed_studio(
    start_studio: StartStudio, engine_weights: Path
) -> None:
    house = start_studio(ENGINE_WEIGHTS=str(engine_weights))
    house.manage("shell", "-c", DRAW)
    wait_for(lambda: "multiprocessing.spawn" in str(processes_of(house)), "the engine")
    house.process.kill()
    wait_for(lambda: not processes_of(house), "the end of every process")


def test_ctrl_c_ends_everything_in_order(start_studio: StartStudio) -> None:
    house = start_studio()
    the(house, "studio.worker")
    house.process.send_signal(signal.SIGINT)
    assert house.process.wait(15) == 0
    assert not processes_of(house)
    assert "Traceback" not in house.printed()


@pytest.mark.parametrize("module", ["studio.web", "studio.worker"])
def test_a_process_that_dies_is_replaced(start_studio: StartStudio, module: str) -> None:
    house = start_studio()
    first = the(house, module)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: first not in processes_of(house), "its end")
    assert the(house, module) != first
    wait_for(house.is_healthy, "health")


def test_a_port_in_use_is_said_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "manage.py", "studio", "--port", str(port)],
            cwd=BASE_DIR,
            env=os.environ | {"VAR_DIR": str(tmp_path)},
            text=True,
            capture_output=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be used: Address already in use." in done.stderr
    assert f"--port {port + 1}" in done.stderr
