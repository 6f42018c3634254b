"""What a training drew before it learns, in a file beside its checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def named(parts: Sequence[object]) -> str:
    """A hash of all that decides what is drawn: whose file it is."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def read(path: Path, whose: str) -> dict[str, Any] | None:
    """None: nothing was begun, or it is another one's, or damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept if kept["whose"] == whose else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, whose: str, kept: Mapping[str, object]) -> None:
    """Beside itself, synced and renamed: a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump({"whose": whose, **kept}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
