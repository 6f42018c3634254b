"""How much longer "not yours" takes than "does not exist", for each shape of the API.

    python -m benchmarks.strangers [--requests 200]

Somebody asks for rows of another person and for rows of nobody, in turn on one kept connection: a
busy moment of the machine meets both. Both get the same bytes from the same statements
(tests/test_api_idor.py); here is what a clock could still tell. Wanted of the medians: at most a
fifth apart.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.pages import WARM_UP
from tests.servers import Studio, studio, unlimited_plans

WANTED = 0.2
STRANGER = "stranger@example.com"
# What somebody else has, and nobody may see. Prints the ids.
MAKE_ROWS = """
import uuid
from accounts.models import User
from generator.api.tryiton.models import Slot
from generator.assets.models import Asset
from generator.jobs.models import Generation
from generator.portraits.models import PortraitModel
from generator.webhooks.models import WebhookEndpoint
person = User.objects.create_user("owner@example.com")
asset = Asset.objects.create(owner=person, kind="reference", width=512, height=512,
    file=f"assets/{uuid.uuid4()}.jpg")
model = PortraitModel.objects.create(owner=person, name="Ada", reference=asset, is_public=False,
    weights="weights/none.safetensors")
job = Generation.objects.create(owner=person, kind="image", prompt="a beach", portrait_model=model,
    engine="miniature", state="succeeded")
hook = WebhookEndpoint.objects.create(owner=person, url="https://1.1.1.1/hook", events=[])
slot = Slot.objects.create(owner=person)
print("rows", asset.pk, model.pk, job.pk, hook.pk, slot.pk)
"""
NAMES = ("asset", "model", "job", "hook", "slot")
LATER = {"async": True, "response_mode": "urls"}
OWN, PHOTA, TRYITON = "X-API-Key", "X-API-Key", "x-tryiton-key"
CASES: list[tuple[str, str, str, str, Any]] = [
    # which row, header, method, path, body: "<id>" is that row's id or nobody's
    ("model", OWN, "GET", "/api/v1/portrait-models/<id>", None),
    ("model", OWN, "POST", "/api/v1/images", {"portrait_model_ids": ["<id>"], "prompt": "a beach"}),
    ("model", OWN, "POST", "/api/v1/images", {"prompt": "[[<id>]] at the beach"}),
    ("asset", OWN, "GET", "/api/v1/assets/<id>", None),
    ("asset", OWN, "POST", "/api/v1/edits", {"image": "<id>", "prompt": "in the snow"}),
    ("job", OWN, "GET", "/api/v1/jobs/<id>", None),
    ("hook", OWN, "DELETE", "/api/v1/webhooks/<id>", None),
    ("model", PHOTA, "GET", "/v1/phota/profiles/<id>/status", None),
    ("model", PHOTA, "POST", "/v1/phota/generate", {"prompt": "[[<id>]] at the beach", **LATER}),
    ("asset", PHOTA, "POST", "/v1/phota/enhance", {"image": "<id>", **LATER}),
    ("job", PHOTA, "GET", "/v1/phota/jobs/<id>", None),
    ("slot", TRYITON, "GET", "/api/key/results?modelId=<id>", None),
    ("asset", TRYITON, "POST", "/api/key/recreate",
     {"imageUrl": "<id>", "category": "hair", "prompt": "short"}),
]  # fmt: skip


def compared(
    house: Studio, case: tuple[str, str, str, str, Any], key: str, row: str, requests: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of every request for somebody's row and for nobody's."""
    _, header, method, path, body = case
    headers = {header: key, "Content-Type": "application/json"}
    theirs: list[float] = []
    nobodys: list[float] = []
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)) as connection:
        for number in range(WARM_UP + requests):
            pair = [(row, theirs), (str(uuid.uuid4()), nobodys)]
            for id, taken in pair if number % 2 else reversed(pair):  # neither always follows
                sent = json.dumps(body).replace("<id>", id) if body else None
                begun = time.perf_counter()
                connection.request(method, path.replace("<id>", id), sent, headers)
                answer = connection.getresponse()
                answer.read()
                if number >= WARM_UP:
                    taken.append(1000 * (time.perf_counter() - begun))
                assert 400 <= answer.status < 500 and answer.status != 429, (path, answer.status)
    return theirs, nobodys


def report(case: tuple[str, str, str, str, Any], theirs: list[float], nobodys: list[float]) -> None:
    middle = statistics.median(theirs), statistics.median(nobodys)
    ratio = middle[0] / middle[1]
    words = "as wanted" if abs(ratio - 1) <= WANTED else "TOLD APART"
    print(
        f"{case[2]:6} {case[3]:32} ({case[0]:5}): theirs {middle[0]:6.2f} ms, nobody's "
        f"{middle[1]:6.2f} ms, ratio {ratio:.3f}, within {1 - WANTED:.1f}..{1 + WANTED:.1f}: "
        f"{words}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    requests = parser.parse_args().requests
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(
            Path(folder), PLANS_FILE=unlimited_plans(Path(folder)), DEFAULT_PLAN="mega"
        ) as house,
    ):
        said = house.manage("shell", "-v0", "-c", MAKE_ROWS).split()
        rows = dict(zip(NAMES, said[said.index("rows") + 1 :], strict=True))
        house.session_for(STRANGER)
        key = house.manage("api_key", "create", STRANGER).strip()
        for case in CASES:
            report(case, *compared(house, case, key, rows[case[0]], requests))


if __name__ == "__main__":
    main()
