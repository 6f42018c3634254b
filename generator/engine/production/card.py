"""What a person's file says beside its tensors, read without torch: so a page may read it too."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from generator.engine.interface import EngineError

FORMAT = "likeness-person-1"
KEY = "likeness"  # of the file's metadata
MAX_HEADER_BYTES = 16 * 2**20
VIEWS_MAX = 24


@dataclass(frozen=True)
class View:
    """One picture of an identity sheet, made by the engine from the references."""

    jpeg: bytes
    words: str  # what it was asked to show
    likeness: int | None = None  # None: nothing to measure with

    @property
    def name(self) -> str:
        """By which a person rejects it."""
        return hashlib.sha256(self.jpeg).hexdigest()


def header(data: bytes) -> dict[str, Any]:
    """Of a file or of its beginning. Raises EngineError: "adapter_broken", "adapter_foreign"."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise broken()
    try:
        metadata = json.loads(data[8 : 8 + size]).get("__metadata__", {})
        who = json.loads(metadata.get(KEY, "{}"))
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise broken() from None
    if not isinstance(who, dict) or (who and who.get("format") != FORMAT):
        raise foreign()
    return who


def views(data: bytes) -> tuple[View, ...]:
    """The identity sheet of a file; empty where nobody made one. Errors as `header`."""
    return views_of(header(data))


def views_of(who: dict[str, Any]) -> tuple[View, ...]:
    given = who.get("views", [])
    if not isinstance(given, list) or len(given) > VIEWS_MAX:
        raise foreign()
    return tuple(_view(one) for one in given)


def _view(one: Any) -> View:
    try:
        likeness = one["likeness"]
        jpeg, words = base64.b64decode(str(one["jpeg"]), validate=True), str(one["words"])[:300]
        return View(jpeg, words, None if likeness is None else max(0, min(100, int(likeness))))
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        raise foreign() from None


def packed(view: View) -> dict[str, Any]:
    """As it stands in JSON."""
    jpeg = base64.b64encode(view.jpeg).decode("ascii")
    return {"jpeg": jpeg, "words": view.words, "likeness": view.likeness}


def broken() -> EngineError:
    return EngineError("adapter_broken", "The weights' file is damaged.")


def foreign() -> EngineError:
    return EngineError("adapter_foreign", "This file holds no portrait model of ours.")
