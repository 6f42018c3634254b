"""Two people, from photos to a dinner party, through the API in Phota's shape.

    python examples/phota_quickstart.py http://127.0.0.1:8000/v1/phota KEY [PHOTO_URL ...]

Only the address and the key differ from what Phota's own guide does. Without photo URLs two
portraits are taken from the pictures that lie beside this file's project.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

POLL_S = 2
PHOTOS = Path(__file__).parent / "photos"


def call(base: str, key: str, method: str, path: str, body: Any = None) -> Any:
    """The answer's JSON. Raises SystemExit with what the service said."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  # the address is the caller's own
        base + path,
        data=data,
        method=method,
        headers={"X-API-Key": key, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error


def profile_of(base: str, key: str, image_urls: list[str]) -> str:
    """Send the reference images, then poll until the profile is READY."""
    id = str(call(base, key, "POST", "/profiles/add", {"image_urls": image_urls})["profile_id"])
    while True:
        status = call(base, key, "GET", f"/profiles/{id}/status")
        print(f"profile {id}: {status['status']} {status['message']}", flush=True)
        if status["status"] == "READY":
            return id
        if status["status"] in ("ERROR", "INACTIVE"):
            raise SystemExit(status["message"])
        time.sleep(POLL_S)


def main(base: str, key: str, *urls: str) -> None:
    photos = list(urls) or [own(path) for path in sorted(PHOTOS.glob("*.jpg"))[:2]]
    first, second = profile_of(base, key, photos[:1]), profile_of(base, key, photos[1:2])

    made = call(base, key, "POST", "/generate", {"prompt": f"A photo of [[{first}]] at the beach"})
    keep(made, "generated")

    body = {
        "prompt": "Make it snow", "images": made["images"][:1], "profile_ids": [first, second],
    }  # fmt: skip
    keep(call(base, key, "POST", "/edit", body), "edited")

    prompt = f"A photo of [[{first}]] and [[{second}]] at a dinner party"
    keep(call(base, key, "POST", "/generate", {"prompt": prompt}), "dinner")


def keep(made: dict[str, Any], name: str) -> None:
    path = Path(f"{name}.png")
    path.write_bytes(base64.b64decode(made["images"][0]))
    print(f"{path}: {made['known_subjects']['counts']}", flush=True)


def own(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1].rstrip("/"), *sys.argv[2:])
