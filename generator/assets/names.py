"""What a file may be called on a page. Stored names are always `<uuid>.<ext>`."""

from __future__ import annotations

import re
import unicodedata

NAME_MAX = 120  # code points, Asset.display_name
_BAD_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|;%$`\']+')


def display_name(sent: str | None) -> str:
    """The last part of the sender's path as plain text: one line, no controls, no tricks."""
    last = re.split(r"[/\\]", sent or "")[-1]
    normal = unicodedata.normalize("NFC", last)
    shown = "".join(c for c in normal if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return " ".join(shown.split())[:NAME_MAX]


def download_name(wanted: str, extension: str) -> str:
    """`<wanted>.<extension>`, safe as a file name on every system."""
    stem = _BAD_IN_FILE_NAMES.sub(" ", display_name(wanted)).strip(" .-") or "likeness"
    return f"{stem[:80]}.{extension}"
