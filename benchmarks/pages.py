"""How long pages take, alone and while a training runs on the same machine.

    python -m benchmarks.pages [--requests 200] [--json FILE]

One client on one kept connection, a real `manage.py studio`, signed in as its only person.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.servers import BASE_DIR, Studio, free_port, studio, wait_for

WARM_UP = 10  # requests that are not counted: templates are compiled at the first ones
EMAIL = "bench@example.com"
START_TRAINING = """
import io, uuid
from PIL import Image
from django.core.files.base import ContentFile
from accounts.models import Consent, User
from generator.assets.models import Asset
from generator.portraits.services import create_portrait_model
person = User.objects.get(email="bench@example.com")
out = io.BytesIO()
Image.new("RGB", (512, 512), "tan").save(out, "PNG")
square = Asset.objects.create(owner=person, kind=Asset.Kind.REFERENCE, width=512, height=512,
    file=ContentFile(out.getvalue(), "reference.png"))
model = create_portrait_model(person, id=uuid.uuid4(), name="Ada", description="", is_public=True,
    reference=square, consent=Consent(user=person, kind="me", text_version="2026-11"))
print("training", model.trainings.get().pk)
"""
Times = dict[str, list[float]]


def measure(address: str, paths: dict[str, str], *, requests: int, cookie: str = "") -> Times:
    """Milliseconds of every request, by name. Raises if an answer is not a page."""
    host = address.removeprefix("http://")
    times: Times = {}
    with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        for name, path in paths.items():
            took = [_one(connection, path, cookie) for _ in range(WARM_UP + requests)]
            times[name] = took[WARM_UP:]
    return times


def _one(connection: http.client.HTTPConnection, path: str, cookie: str) -> float:
    start = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}: there is nothing to measure.")
    return (time.perf_counter() - start) * 1000


@contextmanager
def minimal() -> Iterator[str]:
    """The address of the smallest Django application, served by the same server."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "uvicorn", "benchmarks._minimal:application"]
    command += ["--port", address.rpartition(":")[2], "--log-level", "warning", "--no-access-log"]
    server = subprocess.Popen(command, cwd=BASE_DIR)
    try:
        wait_for(lambda: _answers(address), "the minimal application")
        yield address
    finally:
        server.terminate()
        server.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def start_training(house: Studio) -> str:
    """The id of a training that is learning by now."""
    id = house.manage("shell", "-v0", "-c", START_TRAINING).split()[-1]
    wait_for(lambda: state_of(house, id)[1] == "train", "the first step of a training", 300)
    return id


def state_of(house: Studio, id: str) -> tuple[str, str]:
    """State and phase, read past the studio so that asking costs it nothing."""
    query = "SELECT state, phase, error_message FROM generator_training WHERE id = ?"
    with closing(sqlite3.connect(house.var_dir / "studio.sqlite3")) as database:
        state, phase, error = database.execute(query, (id.replace("-", ""),)).fetchone()
    assert state in ("queued", "running", "succeeded"), f"the training {state}: {error}"
    return str(state), str(phase)


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=200, help="of each page")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    with minimal() as address:
        base = measure(address, {"minimal view": "/"}, requests=chosen.requests)
    weights = os.environ.get("ENGINE_WEIGHTS", "")
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(Path(folder), ENGINE_WEIGHTS=weights) as house,
    ):
        cookie = f"sessionid={house.session_for(EMAIL)}"
        paths = {"home": "/", "create a model": "/models/new/", "workstation": "/create/"}
        idle = measure(house.address, paths, requests=chosen.requests, cookie=cookie)
        id = start_training(house)
        paths["status fragment"] = f"/trainings/{id}/"
        busy = measure(house.address, paths, requests=chosen.requests, cookie=cookie)
        was = state_of(house, id)
        if was[0] == "running":
            print("The training ran all the time.")
        else:
            print("The training ended before the last request: its figures are too good.")
        wait_for(lambda: state_of(house, id)[0] == "succeeded", "the training", 900)
        fragment = {"status fragment": paths["status fragment"]}
        idle |= measure(house.address, fragment, requests=chosen.requests, cookie=cookie)
    report(base, idle, busy, chosen.json)


def report(base: Times, idle: Times, busy: Times, file: Path | None) -> None:
    floor = p95(base["minimal view"])
    figures = {
        name: {
            "idle_p50_ms": round(statistics.median(idle[name]), 2),
            "idle_p95_ms": round(p95(idle[name]), 2),
            "training_p95_ms": round(p95(busy[name]), 2),
            "training_to_idle": round(p95(busy[name]) / p95(idle[name]), 2),
            "idle_to_minimal": round(p95(idle[name]) / floor, 2),
        }
        for name in idle
    }
    print(f"p95 of the smallest Django view: {floor:.2f} ms; {os.cpu_count()} cores")
    print(f"{'':16} {'p50':>8} {'p95':>8} {'training':>9} {'ratio':>6} {'to minimal':>11}")
    for name, row in figures.items():
        print(
            f"{name:16} {row['idle_p50_ms']:8} {row['idle_p95_ms']:8} {row['training_p95_ms']:9} "
            f"{row['training_to_idle']:6} {row['idle_to_minimal']:11}"
        )
    if file:
        figures["minimal view"] = {"idle_p95_ms": round(floor, 2)}
        file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
