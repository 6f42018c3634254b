"""What the studio answers. Fields that this version does not know are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")
Json = Mapping[str, Any]


def _known(kind: type[T], sent: Json, **read: Any) -> T:
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    return kind(**{**{name: sent[name] for name in sent if name in names}, **read})


@dataclass(frozen=True)
class Face:
    """Somebody in a picture; `likeness` from 0 to 100."""

    portrait_model_id: str
    likeness: int
    is_missing: bool = False
    worst: int | None = None


@dataclass(frozen=True)
class Asset:
    """A picture or clip. `url` opens for 24 hours without a key."""

    id: str
    kind: str
    url: str
    width: int
    height: int
    created_at: datetime
    seed: int | None = None
    likeness: int | None = None
    faces: list[Face] = field(default_factory=list)

    @classmethod
    def read(cls, sent: Json) -> Asset:
        faces = [_known(Face, one) for one in sent.get("faces", [])]
        return _known(cls, sent, faces=faces, created_at=_moment(sent))


@dataclass(frozen=True)
class Job:
    """A training or a generation, and how far it is."""

    id: str
    noun: str
    kind: str
    state: str
    phase: str
    percent: int
    credits: int
    seed: int
    created_at: datetime
    jobs_ahead: int = 0
    portrait_model_ids: list[str] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    prompt: str = ""
    count: int = 1
    assets: list[Asset] = field(default_factory=list)
    error: dict[str, str] | None = None
    is_trial: bool = False

    @classmethod
    def read(cls, sent: Json) -> Job:
        assets = [Asset.read(one) for one in sent.get("assets", [])]
        return _known(cls, sent, assets=assets, created_at=_moment(sent))

    @property
    def is_over(self) -> bool:
        return self.state not in ("queued", "running")


@dataclass(frozen=True)
class PortraitModel:
    """A person the studio knows, or is learning (`training`)."""

    id: str
    name: str
    description: str
    is_public: bool
    is_own: bool
    is_ready: bool
    reference_url: str
    created_at: datetime
    others_may_use: bool = False
    likeness: int | None = None
    training: Job | None = None
    is_trial: bool = False

    @classmethod
    def read(cls, sent: Json) -> PortraitModel:
        training = Job.read(sent["training"]) if sent.get("training") else None
        return _known(cls, sent, training=training, created_at=_moment(sent))


@dataclass(frozen=True)
class Estimate:
    credits: int
    balance: int
    is_enough: bool

    @classmethod
    def read(cls, sent: Json) -> Estimate:
        return _known(cls, sent)


@dataclass(frozen=True)
class Account:
    """The key's owner: `plan` and `key` as the studio describes them."""

    plan: dict[str, Any]
    balance: int
    next_refill: int
    next_refill_at: datetime
    key: dict[str, Any]

    @classmethod
    def read(cls, sent: Json) -> Account:
        at = datetime.fromisoformat(sent["next_refill_at"])
        return _known(cls, sent, next_refill_at=at)


@dataclass(frozen=True)
class Options:
    """What the studio's engine can do; everything it said is in `all`."""

    engine: str
    kinds: list[str]
    aspect_ratios: list[str]
    people_max: int
    all: dict[str, Any]

    @classmethod
    def read(cls, sent: Json) -> Options:
        return _known(cls, sent, all=dict(sent))


def _moment(sent: Json) -> datetime:
    return datetime.fromisoformat(sent["created_at"])
