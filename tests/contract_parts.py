"""Somebody's program at a running studio: their account, their keys, and what they ask."""

from __future__ import annotations

import base64
import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.servers import BASE_DIR, Studio, wait_for

ASK_EVERY_S = 0.4  # 600 requests a minute are allowed
PATIENCE_S = 300.0  # a training, on two busy cores
PHOTO = (BASE_DIR / "examples" / "photos" / "person-1.jpg").read_bytes()
MAKE = """
from django.core.management import call_command
from accounts.models import User
from billing.models import Subscription
Subscription.objects.create(user=User.objects.create_user({email!r}), plan="mega")
for more in ([], ["--scopes", "read"], ["--spend-limit", "0"]):
    call_command("api_key", "create", {email!r}, *more)
"""


@dataclass(frozen=True)
class Account:
    """On the largest plan, with three keys."""

    studio: Studio
    key: str  # may everything
    reader: str  # may only look
    poor: str  # may spend nothing

    def client(self, base: str, header: str, key: str | None = None) -> httpx.Client:
        headers = {header: self.key if key is None else key} if key != "" else {}
        return httpx.Client(base_url=self.studio.address + base, headers=headers, timeout=90)

    def balance(self) -> int:
        with self.client("/api/v1", "X-API-Key") as client:
            return int(client.get("/account").raise_for_status().json()["balance"])

    def cost(self, **asked: Any) -> int:
        with self.client("/api/v1", "X-API-Key") as client:
            return int(client.post("/estimate", json=asked).raise_for_status().json()["credits"])

    def address_of(self, data: bytes) -> str:
        """Where this studio shows a picture, as a photo's URL."""
        with self.client("/api/v1", "X-API-Key") as client:
            answer = client.post("/assets", files={"file": ("photo.jpg", data)})
            return str(answer.raise_for_status().json()["url"])


def new_account(studio: Studio) -> Account:
    script = MAKE.format(email=f"{uuid.uuid4().hex}@example.com")
    words = studio.manage("shell", "-v0", "-c", script).split()
    return Account(studio, *words[-3:])


@pytest.fixture(scope="module")
def account(live_studio: Studio) -> Account:
    return new_account(live_studio)


def asking(base: str, header: str) -> Any:
    """The fixture `ask` of one API: the account's program, under the key that may everything."""

    @pytest.fixture(scope="module")
    def ask(account: Account) -> Iterator[httpx.Client]:
        with account.client(base, header) as client:
            yield client

    return ask


def polled(
    read: Callable[[], Any],
    is_over: Callable[[Any], bool],
    what: str,
    seen: list[Any] | None = None,
) -> Any:
    """What `read()` tells when it is over; everything it told before goes into `seen`."""
    told = [] if seen is None else seen

    def looked() -> bool:
        told.append(read())
        return is_over(told[-1])

    wait_for(looked, what, PATIENCE_S, every_s=ASK_EVERY_S)
    return told[-1]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def opened(picture: str | bytes) -> Image.Image:
    """From bytes, base64, or an address that asks for no key."""
    if isinstance(picture, str):
        is_address = picture.startswith("http")
        picture = httpx.get(picture).raise_for_status().content if is_address else (
            base64.b64decode(picture, validate=True)
        )  # fmt: skip
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image


def refused(answer: httpx.Response, wanted: int) -> str:
    """The code of a typed error in Phota's shape; its id is the header's."""
    assert answer.status_code == wanted, answer.text
    told = answer.json()
    assert set(told) == {"code", "detail", "request_id"} and told["detail"]
    assert told["request_id"] == answer.headers["X-Request-Id"]
    assert isinstance(told["detail"], list if wanted == 422 else str)
    return str(told["code"])
