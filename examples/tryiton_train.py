"""The whole way of TryItOnAI's API against a studio: photos in, a trained person's pictures out.

    python examples/tryiton_train.py http://127.0.0.1:8000 lk_… [me1.jpg me2.jpg] [--gender man]

Uploads the photos, takes the first unused model and two styles, trains, waits for every picture,
then puts the first one somewhere else. Needs httpx and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import httpx

POLL_S = 5
PHOTO = Path(__file__).parent / "photos" / "person-1.jpg"
PATIENCE_S = 24 * 3600  # what the original allows a training


def asked(answer: httpx.Response) -> Any:
    """The answer's body; the studio's own sentence where it said no."""
    told = answer.json()
    if answer.status_code != 200:
        sys.exit(f"{answer.request.url.path}: {answer.status_code} {told['message']}")
    return told


def upload(api: httpx.Client, photo: Path) -> str:
    with photo.open("rb") as file:
        told = asked(api.post("upload-image", files={"file": (photo.name, file)}))
    return str(told["imageUrl"])


def train(api: httpx.Client, photos: list[Path], gender: str, features: str) -> str:
    """The id of the model that is being trained."""
    unused = [model["id"] for model in asked(api.get("models")) if not model["is_used"]]
    if not unused:
        sys.exit("Every model of this account is used. Delete one in the studio.")
    styles = [style["id"] for style in asked(api.get("styles", params={"gender": gender}))]
    body = {
        "modelId": unused[0],
        "gender": gender,
        "styles": styles[:2],
        "customizations": features,
        "imageUrls": [upload(api, photo) for photo in photos],
    }
    told = asked(api.post("train-model", json=body))
    for warning in told["warnings"]:
        print("warning:", warning)
    return str(told["modelId"])


def results(api: httpx.Client, model: str) -> list[str]:
    """The addresses of its pictures, once every style is drawn or given up."""
    until, said = time.monotonic() + PATIENCE_S, ""
    while time.monotonic() < until:
        told = asked(api.get("results", params={"modelId": model}))
        if told["message"] != said:
            said = told["message"]
            print(said, flush=True)
        if told["status"] == "success":
            return list(told["imageUrls"])
        if told["status"] == "error":
            sys.exit(f"No pictures: {said}")
        time.sleep(POLL_S)
    sys.exit("This takes too long.")


def recreate(api: httpx.Client, picture: str, category: str, prompt: str) -> bytes:
    """Asked for, then fetched from the address that was told before there was a picture."""
    body = {"imageUrl": picture, "category": category, "prompt": prompt}
    address = asked(api.post("recreate", json=body))["imageUrls"][0]
    while (answer := httpx.get(address)).status_code == 404:
        time.sleep(POLL_S)
    if answer.status_code != 200:
        asked(answer)
    return answer.content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", help="http://127.0.0.1:8000")
    parser.add_argument("key", help="an API key that may read, generate and train")
    parser.add_argument("photos", nargs="*", type=Path, default=[PHOTO], help="of one person")
    parser.add_argument("--gender", choices=["man", "woman"], default="woman")
    parser.add_argument("--features", default="", help='"wearing glasses, freckles"')
    parser.add_argument("--out", type=Path, default=Path("tryiton-output"))
    sent = parser.parse_args()
    base, headers = f"{sent.site.rstrip('/')}/api/key/", {"x-tryiton-key": sent.key}
    sent.out.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=base, headers=headers, timeout=120) as api:
        pictures = results(api, train(api, sent.photos, sent.gender, sent.features))
        for number, address in enumerate(pictures, 1):
            (sent.out / f"{number}.png").write_bytes(httpx.get(address).content)
        made = recreate(api, pictures[0], "background", "a beach")
        (sent.out / "recreated.png").write_bytes(made)
    print(f"{len(pictures) + 1} pictures are in {sent.out}/")


if __name__ == "__main__":
    main()
