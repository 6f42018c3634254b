"""How much slower our pages are than the smallest page the same process can answer.

    python -m benchmarks.ratios [--requests 300]

A page is asked for in turn with `/minimal/<id>/` (the same middleware, the same signed-in person,
one row, one line of template) on one kept connection: a busy moment of the machine meets both.
Wanted at the 95th percentile: the create page at most 1.5 times as slow, a status fragment 1.2,
whether the person has one row or 500.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.pages import WARM_UP, _one, p95
from tests.servers import Studio, studio

EMAIL = "bench@example.com"
MANY = 500
WANTED = {"create a model": 1.5, "training": 1.2, "generation": 1.2}
# Rows as the services leave them, without their files. Prints the newest of each kind.
MAKE_ROWS = """
import datetime, uuid
from django.utils import timezone
from accounts.models import User
from generator.assets.models import Asset
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel
person, count = User.objects.get(email="bench@example.com"), {count}
lease = timezone.now() + datetime.timedelta(hours=2)
squares = Asset.objects.bulk_create(Asset(owner=person, kind="reference", width=512, height=512,
    file=f"assets/{{uuid.uuid4()}}.jpg") for _ in range(count))
models = PortraitModel.objects.bulk_create(PortraitModel(owner=person, name="Ada",
    reference=square) for square in squares)
job = dict(owner=person, state="running", engine="miniature", attempt=1, done=430, total=1000,
    lease_until=lease, started_at=timezone.now())
trainings = Training.objects.bulk_create(Training(portrait_model=model, phase="train", charged=20,
    **job) for model in models)
generations = Generation.objects.bulk_create(Generation(portrait_model=model, kind="image",
    phase="draw", count=4, charged=16, prompt="at the beach", **job) for model in models)
print("rows", trainings[0].pk, generations[0].pk, models[0].pk)
"""


def compared(
    house: Studio, minimal: str, path: str, *, cookie: str, requests: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of every request for each of the two, asked for in turn."""
    ours: list[float] = []
    least: list[float] = []
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)) as connection:
        for number in range(WARM_UP + requests):
            pair = _one(connection, minimal, cookie), _one(connection, path, cookie)
            if number >= WARM_UP:
                least.append(pair[0])
                ours.append(pair[1])
    return least, ours


def report(name: str, total: int, least: list[float], ours: list[float]) -> None:
    ratio = p95(ours) / p95(least)
    median = statistics.median(ours) / statistics.median(least)
    words = "as wanted" if ratio <= WANTED[name] else "TOO SLOW"
    print(
        f"{name:15} {total:3} rows: p95 {p95(ours):6.2f} ms, minimal {p95(least):6.2f} ms, ratio "
        f"{ratio:.2f} (of medians {median:.2f}), at most {WANTED[name]}: {words}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=300, help="of each page")
    requests = parser.parse_args().requests
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(Path(folder), DJANGO_SETTINGS_MODULE="benchmarks._minimal_settings") as house,
    ):
        cookie = f"sessionid={house.session_for(EMAIL)}"
        for total, added in ((1, 1), (MANY, MANY - 1)):
            said = house.manage("shell", "-v0", "-c", MAKE_ROWS.format(count=added)).split()
            training, generation = said[said.index("rows") + 1 :][:2]
            paths = {
                "create a model": "/models/new/",
                "training": f"/trainings/{training}/",
                "generation": f"/generations/{generation}/",
            }
            for name, path in paths.items():
                times = compared(
                    house, f"/minimal/{training}/", path, cookie=cookie, requests=requests
                )
                report(name, total, *times)


if __name__ == "__main__":
    main()
