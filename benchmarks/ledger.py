"""How much a charge costs beside the least a database can do for it, on SQLite and PostgreSQL.

    python -m benchmarks.ledger [--charges 1000]

"The least" is a transaction of two statements in the same shape, without us: lower a number unless
it would fall below zero, append a row. The two take turns, so that a busy moment of the machine
meets both. Wanted: the charge's 99th percentile at most 3 times that; no lock error with 8 writers;
at least 100 charges a second for one person. PostgreSQL is started where it is installed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

WRITERS = 8
RATIO_MAX, LOCK_ERRORS_MAX, PER_SECOND_MIN = 3.0, 0, 100.0
WARM_UP = 50
GIFT = 10**7  # credits; nobody runs out


def percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


def timed(act: Callable[[], None]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def measure(charges: int) -> int:
    """In a process with the database of its environment. How many wishes were missed."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import Error, connection, connections, transaction

    from accounts.models import User
    from billing import ledger

    call_command("migrate", verbosity=0)
    person = User.objects.create_user(f"{uuid.uuid4()}@example.com")
    with transaction.atomic():
        ledger.grant(ledger.locked(person), GIFT, key=f"gift:{person.pk}", reason="a benchmark")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_account (id INTEGER PRIMARY KEY, credits INTEGER)")
        number = "BIGSERIAL" if connection.vendor == "postgresql" else "INTEGER"
        cursor.execute(
            f"CREATE TABLE bench_entry (id {number} PRIMARY KEY, account INTEGER, amount INTEGER, "
            "key VARCHAR(128) UNIQUE)"
        )
        cursor.execute("INSERT INTO bench_account VALUES (1, %s)", [GIFT])

    def least() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE bench_account SET credits = credits - 1 WHERE id = 1 AND credits >= 1"
            )
            entry: list[int | str] = [1, -1, str(uuid.uuid4())]
            cursor.execute(
                "INSERT INTO bench_entry (account, amount, key) VALUES (%s, %s, %s)", entry
            )

    def charge() -> None:
        with transaction.atomic():
            key = f"generation:{uuid.uuid4()}:charge"
            ledger.charge(ledger.locked(person), 1, key=key, reason="1 picture: at the beach")

    pairs = [(timed(least), timed(charge)) for _ in range(charges + WARM_UP)][WARM_UP:]
    bare, ours = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    errors, lock = 0, threading.Lock()

    def write(count: int) -> None:
        nonlocal errors
        for _ in range(count):
            try:
                charge()
            except Error:
                with lock:
                    errors += 1
        connections.close_all()

    each = max(1, charges // WRITERS)
    start = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, [each] * WRITERS))
    crowd = WRITERS * each / (time.perf_counter() - start)
    alone = 1000 / statistics.mean(ours)
    ratio = percentile(ours, 99) / percentile(bare, 99)
    booked = person.credit_entries.filter(kind="charge").count()
    assert booked == charges + WARM_UP + WRITERS * each - errors, "a charge was lost"
    print(
        f"{connection.vendor:10}  p99 {percentile(ours, 99):6.2f} ms, the least "
        f"{percentile(bare, 99):6.2f} ms, ratio {ratio:.2f} (of medians "
        f"{statistics.median(ours) / statistics.median(bare):.2f}), at most {RATIO_MAX}: "
        f"{said(ratio <= RATIO_MAX)}\n"
        f"{'':10}  {errors} lock errors of {WRITERS * each} with {WRITERS} writers: "
        f"{said(errors <= LOCK_ERRORS_MAX)}\n"
        f"{'':10}  {alone:.0f} charges/s for one person, {crowd:.0f} with {WRITERS} writers, at "
        f"least {PER_SECOND_MIN:.0f}: {said(min(alone, crowd) >= PER_SECOND_MIN)}",
        flush=True,
    )
    good = (ratio <= RATIO_MAX, errors <= LOCK_ERRORS_MAX, min(alone, crowd) >= PER_SECOND_MIN)
    return good.count(False)


def said(is_so: bool) -> str:
    return "as wanted" if is_so else "MISSED"


def run(charges: int, database: str) -> int:
    """In a fresh process: Django has one set of settings."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ, "VAR_DIR": folder, "DATABASE_URL": database,
            "DJANGO_SETTINGS_MODULE": "studio.settings", "SITE_URL": "http://127.0.0.1:8000",
        }  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.ledger", "--here", "--charges", str(charges)]
        return subprocess.run(command, env=environment, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--charges", type=int, default=1000, help="on each database")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        return measure(chosen.charges)
    from tests.servers import postgresql, postgresql_bin

    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    missed = run(chosen.charges, "")
    if postgresql_bin() is None:
        print("PostgreSQL is not installed here; only SQLite was measured.")
        return missed
    with postgresql() as address:
        return missed + run(chosen.charges, address)


if __name__ == "__main__":
    sys.exit(main())
