"""A library of 25,000 pictures beside the smallest page the same process can answer.

    python -m benchmarks.library [--requests 200] [--pictures 25000]

Wanted at the 95th percentile: every page of it at most 2.0 times as slow as `/minimal/<id>/` (see
ratios.py); and while somebody scrolls through it, a cumulative layout shift below 0.05.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.pages import p95
from benchmarks.ratios import compared
from tests.screens_list import SIZES
from tests.servers import Studio, studio

EMAIL = "bench@example.com"
RATIO_MAX, SHIFT_MAX = 2.0, 0.05
SCROLLS = 60  # of one screen each
# Four pictures of each generation, all with the file of one real picture.
MAKE_ROWS = """
import datetime, io, uuid
from django.utils import timezone
from PIL import Image
from accounts.models import User
from generator.assets.drawn import store_png
from generator.assets.models import Asset
from generator.jobs.models import Appearance, Generation, Training
from generator.portraits.models import PortraitModel
person, count = User.objects.get(email="bench@example.com"), {count}
out = io.BytesIO()
Image.linear_gradient("L").resize((512, 512)).convert("RGB").save(out, "PNG")
square = store_png(out.getvalue(), owner=person, kind="reference")
model = PortraitModel.objects.create(owner=person, name="Ada", reference=square)
training = Training.objects.create(owner=person, portrait_model=model, state="succeeded",
    engine="miniature")
now, words = timezone.now(), ("at the beach", "in a cafe, smiling", "in the snow")
made = Generation.objects.bulk_create([Generation(owner=person, portrait_model=model, kind="image",
    state="succeeded", engine="miniature", count=4, charged=16, prompt=words[n % 3])
    for n in range(count // 4)], batch_size=500)
Appearance.objects.bulk_create([Appearance(generation=one, portrait_model=model, place=0)
    for one in made], batch_size=500)
assets = Asset.objects.bulk_create([Asset(owner=person, kind="image", generation=one, index=index,
    file=square.file.name, width=512, height=512 if n % 2 else 384, color="#887766",
    thumbnail_px=square.thumbnail_px, likeness=40 + n % 60) for n, one in enumerate(made)
    for index in range(4)], batch_size=500)
for n, one in enumerate(assets):
    one.created_at = now - datetime.timedelta(minutes=n)
Asset.objects.bulk_update(assets, ["created_at"], batch_size=500)
deep = assets[count * 4 // 5]
print("rows", training.pk, f"{{deep.created_at.isoformat()}}_{{deep.id}}".replace("+", "%2B"))
"""
WATCH = """() => { window.shift = 0; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true }); }"""


def shift(house: Studio, size: str, key: str) -> tuple[float, int]:
    """The layout shift of somebody who scrolls for a while, and how many pictures they saw."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(base_url=house.address, **SIZES[size])
        context.add_cookies([{"name": "sessionid", "value": key, "url": house.address}])
        page = context.new_page()
        page.goto("/library/")
        page.evaluate(WATCH)
        for _ in range(SCROLLS):
            page.evaluate("() => scrollBy(0, innerHeight)")
            page.wait_for_timeout(150)
        found = page.evaluate("() => [window.shift, document.querySelectorAll('.tile').length]")
        browser.close()
    return float(found[0]), int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=200, help="of each page")
    parser.add_argument("--pictures", type=int, default=25_000)
    chosen = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(Path(folder), DJANGO_SETTINGS_MODULE="benchmarks._minimal_settings") as house,
    ):
        key = house.session_for(EMAIL)
        said = house.manage("shell", "-v0", "-c", MAKE_ROWS.format(count=chosen.pictures)).split()
        training, cursor = said[said.index("rows") + 1 :][:2]
        paths = {
            "newest": "/library/",
            "far down": f"/library/?before={cursor}",
            "likeness": "/library/?likeness=90",
            "words": "/library/?q=snow",
        }
        for name, path in paths.items():
            least, ours = compared(
                house, f"/minimal/{training}/", path,
                cookie=f"sessionid={key}", requests=chosen.requests,
            )  # fmt: skip
            ratio, median = p95(ours) / p95(least), statistics.median
            print(
                f"{name:10} p95 {p95(ours):6.2f} ms, minimal {p95(least):6.2f} ms, ratio "
                f"{ratio:.2f} (of medians {median(ours) / median(least):.2f}), at most "
                f"{RATIO_MAX}: {'as wanted' if ratio <= RATIO_MAX else 'TOO SLOW'}",
                flush=True,
            )
        for size in SIZES:
            moved, seen = shift(house, size, key)
            words = "as wanted" if moved < SHIFT_MAX else "TOO MUCH"
            print(f"{size:10} shift {moved:.3f} over {seen} pictures, below {SHIFT_MAX}: {words}")


if __name__ == "__main__":
    main()
