"""Lighthouse's four categories for the pages where people meet the studio.

    python -m benchmarks.lighthouse [--runs 3] [--phone]

Needs Node: `npx` fetches lighthouse into its cache once. Without Node or a network it says so and
ends well. Prints the best of some runs: on a busy machine the others measure the neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.servers import Studio, free_port, studio

LIGHTHOUSE = "lighthouse@12"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
WANTED = 95
PAGES = {
    "create": "/models/new/", "generator": "/influencer/", "models": "/models/",
    "studio": "/create/", "library": "/library/",
}  # fmt: skip
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
FILL = "from tests import screens_rows; screens_rows.fill_and_tell()"
LIMIT_S = 400


@contextmanager
def signed_in_browser(house: Studio, key: str) -> Iterator[int]:
    """The debugging port of a Chromium that this session is signed in with.

    Lighthouse's own extra headers reach the page but not its pictures.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=shutil.which("chromium"),
            args=[*FLAGS, f"--remote-debugging-port={port}"],
        )
        context.add_cookies([{"name": "sessionid", "value": key, "url": house.address}])
        try:
            yield port
        finally:
            context.close()


def report(address: str, *, port: int, is_phone: bool) -> dict[str, Any]:
    """What Lighthouse says about one page in the browser at `port`."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "report.json")
        command = [
            *tool(), address, "--quiet", "--output=json", f"--output-path={result}",
            f"--port={port}", "--disable-storage-reset",
            f"--only-categories={','.join(CATEGORIES)}",
            *([] if is_phone else ["--preset=desktop"]),
        ]  # fmt: skip
        subprocess.run(command, check=True, timeout=LIMIT_S, cwd=folder)
        found: dict[str, Any] = json.loads(result.read_text())
    return found


def reports(address: str, *, port: int, is_phone: bool, runs: int) -> list[dict[str, Any]]:
    """That many reports. On a busy machine Lighthouse now and then misses the start of a page."""
    found: list[dict[str, Any]] = []
    for _ in range(3 * runs):
        try:
            found.append(report(address, port=port, is_phone=is_phone))
        except subprocess.CalledProcessError as error:
            print(f"    a run failed with status {error.returncode}", flush=True)
        if len(found) == runs:
            return found
    raise SystemExit(f"Lighthouse failed on {address}.")


def tool() -> list[str]:
    """An installed lighthouse (LIGHTHOUSE names its file), else what npx fetches."""
    own = os.environ.get("LIGHTHOUSE")
    return ["node", own] if own else ["npx", "--yes", LIGHTHOUSE]


def scores(found: dict[str, Any]) -> dict[str, int]:
    return {name: round(100 * found["categories"][name]["score"]) for name in CATEGORIES}


def complaints(found: dict[str, Any], category: str) -> list[str]:
    """The audits that cost this category points, the dearest first."""
    refs = found["categories"][category]["auditRefs"]
    audits = [(ref["weight"], found["audits"][ref["id"]]) for ref in refs if ref["weight"]]
    lost = [(weight * (1 - audit["score"]), audit) for weight, audit in audits
            if audit["score"] is not None and audit["score"] < 1]  # fmt: skip
    lost.sort(key=lambda pair: -pair[0])
    return [f"{audit['title']} ({audit.get('displayValue', '')})" for _, audit in lost[:6]]


def examine(house: Studio, port: int, *, runs: int, is_phone: bool) -> None:
    for name, path in PAGES.items():
        address = house.address + path
        found = reports(address, port=port, is_phone=is_phone, runs=runs)
        best = {kind: max(scores(one)[kind] for one in found) for kind in CATEGORIES}
        words = "  ".join(f"{kind} {best[kind]:3}" for kind in CATEGORIES)
        print(f"{name:10} {'phone' if is_phone else 'desk '} {words}", flush=True)
        for kind in CATEGORIES:
            if best[kind] < WANTED:
                closest = max(found, key=lambda one: scores(one)[kind])
                print(
                    "".join(f"    {kind}: {line}\n" for line in complaints(closest, kind)), end=""
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of each page")
    parser.add_argument("--phone", action="store_true", help="also as a slow phone on slow mobile")
    parser.add_argument("--only-phone", action="store_true")
    chosen = parser.parse_args()
    if not shutil.which("node") or not shutil.which("chromium"):
        print("Lighthouse needs Node and Chromium; one of them is not here.")
        return
    try:
        subprocess.run([*tool(), "--version"], check=True, capture_output=True, timeout=LIMIT_S)
    except (subprocess.SubprocessError, OSError):
        print(f"{LIGHTHOUSE} could not be fetched.")
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; wanted: {WANTED} everywhere")
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder)) as house:
        key = json.loads(house.manage("shell", "-v0", "-c", FILL).splitlines()[-1])["alice"]
        with signed_in_browser(house, key) as port:
            if not chosen.only_phone:
                examine(house, port, runs=chosen.runs, is_phone=False)
            if chosen.phone or chosen.only_phone:
                examine(house, port, runs=chosen.runs, is_phone=True)


if __name__ == "__main__":
    main()
