"""The worker's own process: light, and quick to leave when there is nothing to hand back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.servers import BASE_DIR, wait_for

WORDS = """
import sys
import studio.worker
from generator.jobs.actors import RUNNERS
assert RUNNERS["training"].engine.pid is None, "an engine was started"
heavy = {"torch", "diffusers", "transformers", "skia"} & set(sys.modules)
sys.exit(f"the worker imports {heavy}" if heavy else 0)
"""


def test_the_worker_imports_nothing_heavy_and_starts_no_engine_by_itself() -> None:
    subprocess.run([sys.executable, "-c", WORDS], cwd=BASE_DIR, check=True, env=os.environ)


def test_an_idle_worker_leaves_when_asked(tmp_path: Path) -> None:
    environment = {**os.environ, "VAR_DIR": str(tmp_path), "DATABASE_URL": "", "REDIS_URL": ""}
    environment["DJANGO_SETTINGS_MODULE"] = "studio.settings"
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"], cwd=BASE_DIR, env=environment, check=True
    )
    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "studio.worker"],
            cwd=BASE_DIR, env=environment, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        wait_for(lambda: "worker ready" in log.read_text(), "the worker")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
    finally:
        worker.kill()
        worker.wait()
    assert "Traceback" not in log.read_text()
