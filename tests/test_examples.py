"""The examples run as they stand: an address and a key, nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from PIL import Image

from tests.servers import BASE_DIR, Studio

pytestmark = [pytest.mark.live, pytest.mark.engine, pytest.mark.timeout(900)]
RICH = (
    "from accounts.models import User; from billing.models import Subscription; "
    "Subscription.objects.create(user=User.objects.create_user('{email}'), plan='mega')"
)


def run(studio: Studio, folder: Path, name: str, base: str) -> str:
    email = f"{uuid.uuid4().hex}@example.com"
    studio.manage("shell", "-v0", "-c", RICH.format(email=email))
    key = studio.manage("api_key", "create", email).split()[-1]
    script = BASE_DIR / "examples" / name
    done = subprocess.run(
        [sys.executable, str(script), studio.address + base, key],
        cwd=folder, capture_output=True, text=True, check=False, timeout=600,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_photos_to_a_dinner_party(live_studio: Studio, tmp_path: Path) -> None:
    said = run(live_studio, tmp_path, "phota_quickstart.py", "/v1/phota")
    assert said.count("READY") == 2
    for name in ("generated", "edited", "dinner"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width >= 512
    counts = json.loads(said.rsplit("dinner.png: ", 1)[1].replace("'", '"'))
    assert len(counts) == 2  # both are found in the picture, not only in the prompt


def test_from_photos_to_every_style_and_another_background(
    live_studio: Studio, tmp_path: Path
) -> None:
    said = run(live_studio, tmp_path, "tryiton_train.py", "")
    assert "3 pictures are in" in said
    for name in ("1", "2", "recreated"):
        with Image.open(tmp_path / "tryiton-output" / f"{name}.png") as picture:
            assert picture.width >= 444
