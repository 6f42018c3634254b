"""How much slower a job's state is for a program than the smallest page is for a person.

    python -m benchmarks.api [--requests 300]

`GET /api/v1/jobs/<id>` with a key is asked for in turn with `/minimal/<id>/` (benchmarks/ratios.py)
on one kept connection. Wanted at the 95th percentile: at most 1.2 times as slow, whether the
person has one row or 500.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.pages import WARM_UP, p95
from benchmarks.ratios import EMAIL, MAKE_ROWS, MANY
from tests.servers import Studio, studio, unlimited_plans

WANTED = 1.2


def compared(
    house: Studio, pages: list[tuple[str, dict[str, str]]], requests: int
) -> list[list[float]]:
    """Milliseconds of every request for each of these, asked for in turn."""
    times: list[list[float]] = [[] for _ in pages]
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)) as connection:
        for number in range(WARM_UP + requests):
            for taken, (path, headers) in zip(times, pages, strict=True):
                begun = time.perf_counter()
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                if number >= WARM_UP:
                    taken.append(1000 * (time.perf_counter() - begun))
                assert answer.status == 200, f"{path}: {answer.status}"
    return times


def report(name: str, total: int, least: list[float], ours: list[float]) -> None:
    ratio = p95(ours) / p95(least)
    median = statistics.median(ours) / statistics.median(least)
    words = "as wanted" if ratio <= WANTED else "TOO SLOW"
    print(
        f"{name:15} {total:3} rows: p95 {p95(ours):6.2f} ms, minimal {p95(least):6.2f} ms, ratio "
        f"{ratio:.2f} (of medians {median:.2f}), at most {WANTED}: {words}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=300, help="of each")
    requests = parser.parse_args().requests
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(
            Path(folder),
            DJANGO_SETTINGS_MODULE="benchmarks._minimal_settings",
            PLANS_FILE=unlimited_plans(Path(folder)),
            DEFAULT_PLAN="mega",
        ) as house,
    ):
        cookie = f"sessionid={house.session_for(EMAIL)}"
        key = house.manage("api_key", "create", EMAIL).strip()
        for total, added in ((1, 1), (MANY, MANY - 1)):
            said = house.manage("shell", "-v0", "-c", MAKE_ROWS.format(count=added)).split()
            training, generation, model = said[said.index("rows") + 1 :][:3]
            for name, path in (
                ("training", f"/api/v1/jobs/{training}"),
                ("generation", f"/api/v1/jobs/{generation}"),
                ("profile", f"/v1/phota/profiles/{model}/status"),
            ):
                pages = [
                    (f"/minimal/{training}/", {"Cookie": cookie}),
                    (path, {"X-API-Key": key}),
                ]
                report(name, total, *compared(house, pages, requests))


if __name__ == "__main__":
    main()
