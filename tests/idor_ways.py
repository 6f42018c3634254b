"""Every operation of every API: how its owner asks for it, and which ids of theirs it takes."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from tests.job_parts import png

FILE = "a picture as a multipart file"


@dataclass(frozen=True)
class Way:
    """How somebody asks for an operation. "<model>" and the like stand for rows of theirs."""

    body: Any = None
    id: str = ""  # what the address names
    status: int = 200  # for the owner
    scope: str = "read"
    query: str = ""
    engine: str = "miniature"  # the studio's

    @property
    def names(self) -> str:
        """Where the rows it takes stand."""
        return json.dumps(self.body) + self.query


def _made(body: dict[str, Any]) -> Way:
    return Way(body, status=202, scope="generate")


V1 = {
    "get /account": Way(),
    "get /options": Way(),
    "get /styles": Way(),
    "post /estimate": Way({"kind": "image"}),
    "get /portrait-models": Way(),
    "post /portrait-models": Way({"name": "Eve", "image": "<face>"}, status=201, scope="train"),
    "get /portrait-models/{id}": Way(id="<model>"),
    "patch /portrait-models/{id}": Way({"name": "Eve"}, id="<model>", scope="train"),
    "delete /portrait-models/{id}": Way(id="<model>", status=204, scope="train"),
    "post /portrait-models/{id}/trainings": Way(id="<model>", status=202, scope="train"),
    "get /portrait-models/{id}/views": Way(id="<model>"),
    "post /portrait-models/{id}/views/reject": Way(
        {"names": ["<view>"]}, id="<model>", status=202, scope="train", engine="klein"
    ),
    "post /faces": _made({"age": 30}),
    "post /images": _made(
        {
            "portrait_model_ids": ["<model>"],
            "prompt": "at the beach",
            "pose": "<picture>",
            "style_picture": "<picture>",
        }
    ),
    "post /videos": _made({"portrait_model_ids": ["<model>"], "image": "<picture>"}),
    "post /edits": _made(
        {
            "portrait_model_ids": ["<model>"],
            "image": "<picture>",
            "mask": "<picture>",
            "prompt": "in the snow",
        }
    ),
    "post /enhancements": _made({"portrait_model_ids": ["<model>"], "image": "<picture>"}),
    "post /restyles": _made(
        {"portrait_model_ids": ["<model>"], "image": "<picture>", "style_picture": "<picture>"}
    ),
    "post /variations": _made({"portrait_model_ids": ["<model>"], "image": "<picture>"}),
    "get /jobs": Way(),
    "get /jobs/{id}": Way(id="<job>"),
    "delete /jobs/{id}": Way(id="<job>", status=204, scope="generate"),
    "get /jobs/{id}/events": Way(id="<job>"),
    "post /jobs/{id}/cancel": Way(id="<waiting>", scope="generate"),
    "post /jobs/{id}/recreate": Way(id="<job>", status=202, scope="generate"),
    "get /assets": Way(),
    "post /assets": Way(FILE, status=201, scope="generate"),
    "get /assets/{id}": Way(id="<picture>"),
    "delete /assets/{id}": Way(id="<picture>", status=204, scope="generate"),
    "get /assets/{id}/content": Way(id="<picture>"),
    "get /webhooks": Way(),
    "post /webhooks": Way({"url": "https://1.1.1.1/new"}, status=201, scope="generate"),
    "get /webhooks/secret": Way(scope="generate"),
    "get /webhooks/deliveries": Way(),
    "post /webhooks/deliveries/{id}/send-again": Way(id="<delivery>", status=202, scope="generate"),
    "post /webhooks/{id}/test": Way(id="<endpoint>", status=202, scope="generate"),
    "delete /webhooks/{id}": Way(id="<endpoint>", status=204, scope="generate"),
}
PHOTO = base64.b64encode(png(side=300)).decode()
LATER = {"async": True, "response_mode": "urls"}
PHOTA = {
    "post /profiles/add": Way({"image_urls": [PHOTO]}, scope="train"),
    "get /profiles/ids": Way(),
    "get /profiles/{id}/status": Way(id="<model>"),
    "get /profiles/{id}/profile_picture": Way(id="<model>"),
    "delete /profiles/{id}": Way(id="<model>", scope="train"),
    "post /generate": _made({"prompt": "[[<model>]] at the beach", **LATER}),
    "post /edit": _made(
        {"prompt": "in the snow", "images": ["<picture>"], "profile_ids": ["<model>"], **LATER}
    ),
    "post /enhance": _made({"image": "<picture>", "profile_ids": ["<model>"], **LATER}),
    "post /remix": _made(
        {
            "input_image": "<picture>",
            "reference_image": "<picture>",
            "profile_ids": ["<model>"],
            **LATER,
        }
    ),
    "get /jobs/{id}": Way(id="<job>"),
    "get /webhook-secret": Way(),
}
TRYITON = {
    "get /models": Way(),
    "get /styles": Way(query="gender=man"),
    "post /upload-image": Way(FILE, scope="generate"),
    "post /train-model": Way(
        {
            "modelId": "<slot>",
            "gender": "man",
            "styles": ["noir-man"],
            "customizations": "",
            "imageUrls": [PHOTO],
        },
        scope="train",
    ),
    "get /results": Way(query="modelId=<slot>"),
    "post /recreate": Way(
        {"imageUrl": "<picture>", "category": "clothes", "prompt": "a red coat"}, scope="generate"
    ),
}
WAYS = {"v1": V1, "phota": PHOTA, "tryiton": TRYITON}
OPEN = {"tryiton": ["get /pictures/{id}"]}  # to whoever has its signed address
