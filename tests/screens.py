"""Remake docs/screens/*.png and the pictures on the front page.

    python -m tests.screens            painted people, a minute
    python -m tests.screens --engine   people the engine learns and draws, some minutes

Starts the web server alone on a folder of its own (a worker would finish the jobs that are
shown unfinished), fills it through the product's own services, and photographs every place of
tests/screens_list.py on a phone and on a desk.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).resolve().parent.parent
SCREENS = BASE_DIR / "docs" / "screens"
HOME = BASE_DIR / "static" / "img" / "home"
HOME_NAMES = ("cafe", "beach", "night", "library", "snow")  # the order of sitters.REQUESTS
PNG_MAX = 300 * 1024  # bytes; a larger one is stored with 256 colours


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        _settle_in(Path(folder))
        from tests import photos, screens_rows

        seeds = screens_rows.SEEDS[: 1 if options.front_page else None]
        sitters = screens_rows.sitters(seeds, with_engine=options.engine)
        if not options.keep_home:
            _front_page(sitters[0])
        if options.front_page:
            return
        rows = screens_rows.fill(sitters)
        with _web(Path(folder)) as address:
            _photograph(address, rows, options.only, photos.saved(Path(folder)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", action="store_true", help="let the engine learn and draw")
    parser.add_argument("--keep-home", action="store_true", help="leave the front page's pictures")
    parser.add_argument("--front-page", action="store_true", help="only the front page's pictures")
    parser.add_argument("--only", default="", help="only names that match: ^model-desk$")
    return parser.parse_args()


def _settle_in(folder: Path) -> None:
    """This process and the web server share one empty studio."""
    from tests.servers import free_port

    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.screens_settings",
        "VAR_DIR": str(folder),
        "SITE_URL": f"http://127.0.0.1:{free_port()}",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's loop is not ours
    }
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def _front_page(sitter: Any) -> None:
    """The reference and the first picture of each request, as WebP."""
    HOME.mkdir(parents=True, exist_ok=True)
    _webp(sitter.reference, HOME / "reference.webp")
    for name, (_, pictures) in zip(HOME_NAMES, sitter.drawn, strict=True):
        _webp(pictures[0].png, HOME / f"{name}.webp")


def _webp(png: bytes, path: Path) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(path, "WEBP", quality=88, method=6)


@contextmanager
def _web(folder: Path) -> Iterator[str]:
    """The studio's pages and socket, without a worker."""
    from tests.servers import wait_for

    address = os.environ["SITE_URL"]
    port = address.rpartition(":")[2]
    command = [sys.executable, "-m", "uvicorn", "studio.asgi:application", "--port", port,
               "--lifespan", "off", "--log-level", "error"]  # fmt: skip
    with (folder / "web.log").open("w") as log:
        process = subprocess.Popen(command, cwd=BASE_DIR, stderr=log)
        try:
            wait_for(lambda: _answers(address), "the studio")
            yield address
        finally:
            process.terminate()
            process.wait(15)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/healthz/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _photograph(address: str, rows: dict[str, str], only: str, photo: Path) -> None:
    import shutil

    from playwright.sync_api import sync_playwright

    from tests.screens_list import PLACES

    SCREENS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for screen, size in PLACES:
            if re.search(only, f"{screen.name}-{size}"):
                for scheme in ("dark", "light") if screen.light else ("dark",):
                    _take(browser, address, rows, photo, screen, size, scheme)


def _take(
    browser: Any, address: str, rows: dict[str, str], photo: Path, screen: Any, size: str,
    scheme: str,
) -> None:  # fmt: skip
    from tests.screens_list import SIZES, show

    context = browser.new_context(
        base_url=address, color_scheme=scheme, reduced_motion="reduce", **SIZES[size]
    )
    if screen.person:
        key = rows[screen.person]
        context.add_cookies([{"name": "sessionid", "value": key, "url": address}])
    page = context.new_page()
    show(page, screen, rows=rows, photo=photo)
    name = screen.name + ("-light" if scheme == "light" else "")
    path = SCREENS / f"{name}-{size}.png"
    if screen.whole:  # pictures far down the page are waited for as well
        page.evaluate("for (const image of document.images) image.loading = 'eager'")
        page.wait_for_function("() => [...document.images].every(image => image.complete)")
    page.screenshot(path=path, animations="disabled", full_page=screen.whole)
    _slim(path)
    print(path.relative_to(BASE_DIR), f"{path.stat().st_size // 1024} KB", flush=True)
    context.close()


def _slim(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        whole = picture.convert("RGB")
    whole.save(path, optimize=True)
    if path.stat().st_size > PNG_MAX:
        whole.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    main()
