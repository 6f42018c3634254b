"""What this studio does not draw: the words and phrases of the file that BLOCKED_WORDS names.

A list of words is no judgement of meaning: it catches what its operator wrote down, however it is
spelt in Unicode, as whole words. What pictures show is not looked at.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from billing.refusals import Refusal

log = logging.getLogger(__name__)

PHRASE_MAX = 8  # words of one line
_WORD = re.compile(r"[^\W_]+")

Phrase = tuple[str, ...]


def check(text: str) -> None:
    """Raises Refusal("content_blocked"). Takes time in proportion to the text."""
    if not settings.BLOCKED_WORDS:
        return
    try:
        found = _found(_words(text), blocked())
    except (OSError, ValueError) as error:
        log.error("BLOCKED_WORDS cannot be read, so nothing is drawn: %s", error)
        words = "The list of what this studio does not draw cannot be read. Nothing was charged."
        raise Refusal("content_blocked", words) from error
    if found:
        words = f"“{' '.join(found)}” is not drawn in this studio. Please write something else."
        raise Refusal("content_blocked", f"{words} Nothing was charged.")


def blocked() -> frozenset[Phrase]:
    """The list as it is now: a changed file counts at once. Raises OSError, ValueError."""
    path = Path(settings.BLOCKED_WORDS)
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, changed_at: int) -> frozenset[Phrase]:
    phrases = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = tuple(_words(line.partition("#")[0]))
        if len(words) > PHRASE_MAX:
            raise ValueError(f"line {number} has more than {PHRASE_MAX} words")
        phrases.add(words)
    return frozenset(phrases - {()})


def _words(text: str) -> list[str]:
    """Letters alike in meaning become the same ones: full width, accents, case; hidden ones go."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return _WORD.findall("".join(one for one in plain if unicodedata.category(one) not in _UNSEEN))


_UNSEEN = ("Mn", "Cf")  # accents by themselves, zero-width and soft hyphens


def _found(words: list[str], phrases: frozenset[Phrase]) -> Phrase:
    lengths = {len(phrase) for phrase in phrases}
    windows = (
        tuple(words[start : start + length]) for start in range(len(words)) for length in lengths
    )
    return next((window for window in windows if window in phrases), ())
