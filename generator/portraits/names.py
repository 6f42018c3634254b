"""One rule for what a person may call a portrait model, in forms, services, API and JS alike.

NFC, then invisible direction marks dropped, then stripped; 1 to 32 code points of which one can be
seen. static/js/create.js counts the same way.
"""

from __future__ import annotations

import re
import unicodedata

from billing.refusals import Refusal
from generator.portraits.models import DESCRIPTION_MAX, NAME_MAX

NAME_MISSING = "Please enter the name for your model."
# Direction overrides would turn the rest of a page around; a BOM is a leftover of some editors.
_DROPPED = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]")
_NEVER_NAMED = {"Cc", "Cs", "Cn"}  # controls with NUL, lone surrogates, U+FFFF and its like
_UNSEEN = {"Cf", "Mn", "Me", "Zs", "Zl", "Zp"}


def clean_name(sent: str) -> str:
    """The name as it is stored. Raises Refusal: name_missing, name_too_long or bad_text."""
    name = _clean(sent, allowed="")
    if all(unicodedata.category(c) in _UNSEEN for c in name):
        raise Refusal("name_missing", NAME_MISSING)
    if len(name) > NAME_MAX:
        raise Refusal(
            "name_too_long",
            f"The name may have at most {NAME_MAX} characters; this has {len(name)}.",
        )
    return name


def clean_description(sent: str) -> str:
    """Free text of several lines. Raises Refusal: description_too_long or bad_text."""
    text = _clean(sent.replace("\r\n", "\n"), allowed="\n\t")
    if len(text) > DESCRIPTION_MAX:
        raise Refusal(
            "description_too_long",
            f"The description may have at most {DESCRIPTION_MAX} characters; this has {len(text)}.",
        )
    return text


def _clean(sent: str, *, allowed: str) -> str:
    text = unicodedata.normalize("NFC", _DROPPED.sub("", sent)).strip()
    if any(unicodedata.category(c) in _NEVER_NAMED and c not in allowed for c in text):
        raise Refusal("bad_text", "This text contains characters that cannot be shown.")
    return text
