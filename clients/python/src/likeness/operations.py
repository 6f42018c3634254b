"""What can be asked for, said once for both clients."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from likeness.models import Account, Asset, Estimate, Job, Options, PortraitModel

T = TypeVar("T")
Picture = str | Path | Asset  # an id, a URL or base64; a file; something made or uploaded
Person = str | PortraitModel


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and what its answer means."""

    method: str
    path: str
    read: Callable[[Any], T]
    params: dict[str, Any] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    file: tuple[str, bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]
    next: str | None


def account() -> Call[Account]:
    return Call("GET", "/account", Account.read)


def options() -> Call[Options]:
    return Call("GET", "/options", Options.read)


def estimate(kind: str, **more: Any) -> Call[Estimate]:
    return Call("POST", "/estimate", Estimate.read, json={"kind": kind, **more})


def upload(path: str | Path) -> Call[Asset]:
    file = Path(path)
    return Call("POST", "/assets", Asset.read, file=(file.name, file.read_bytes()))


def asset(id: str) -> Call[Asset]:
    return Call("GET", f"/assets/{id}", Asset.read)


def job(id: str) -> Call[Job]:
    return Call("GET", f"/jobs/{id}", Job.read)


def cancel(id: str) -> Call[Job]:
    return Call("POST", f"/jobs/{id}/cancel", Job.read)


def portrait_model(id: str) -> Call[PortraitModel]:
    return Call("GET", f"/portrait-models/{id}", PortraitModel.read)


def delete(what: str, id: str) -> Call[None]:
    """`what`: "jobs", "assets" or "portrait-models"."""
    return Call("DELETE", f"/{what}/{id}", lambda sent: None)


def create_portrait_model(
    name: str, image: Picture, *, key: str, is_trial: bool, **more: Any
) -> Call[PortraitModel]:
    body = {"name": name, "image": sendable(image), **more}
    headers = repeatable(key, is_trial=is_trial)
    return Call("POST", "/portrait-models", PortraitModel.read, json=body, headers=headers)


def make(
    path: str, people: Sequence[Person], *, key: str, is_trial: bool, **asked: Any
) -> Call[Job]:
    """A generation of any kind, of these people."""
    ids = [one.id if isinstance(one, PortraitModel) else one for one in people]
    body = {name: sendable(value) for name, value in asked.items() if value is not None}
    body |= {"portrait_model_ids": ids} if ids else {}
    return Call("POST", path, Job.read, json=body, headers=repeatable(key, is_trial=is_trial))


def jobs(state: str, before: str) -> Call[Page[Job]]:
    return Call("GET", "/jobs", _page(Job.read), params={"state": state, "before": before})


def assets(kind: str, before: str) -> Call[Page[Asset]]:
    return Call("GET", "/assets", _page(Asset.read), params={"kind": kind, "before": before})


def portrait_models(before: str) -> Call[Page[PortraitModel]]:
    return Call("GET", "/portrait-models", _page(PortraitModel.read), params={"before": before})


def _page(read: Callable[[Any], T]) -> Callable[[Any], Page[T]]:
    return lambda sent: Page([read(one) for one in sent["items"]], sent["next"])


def sendable(value: Any) -> Any:
    if isinstance(value, Asset):
        return value.id
    return base64.b64encode(value.read_bytes()).decode() if isinstance(value, Path) else value


def repeatable(key: str, *, is_trial: bool) -> dict[str, str]:
    """The same key is the same row, however often a request has to be sent."""
    trial = {"X-Dry-Run": "1"} if is_trial else {}
    return {"Idempotency-Key": key or uuid.uuid4().hex, **trial}
