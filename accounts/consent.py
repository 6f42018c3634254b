"""Who is in an uploaded photo: asked with every photo, kept with the words that were shown.

Texts are never changed once people have answered them: a new wording is a new version.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import Consent, User


@dataclass(frozen=True)
class Wording:
    question: str
    note: str


TEXTS = {
    "2026-11": Wording(
        "Who is in this photo?",
        "A model draws new pictures of this person. Use your own face, one you have permission "
        "for, or one that belongs to nobody.",
    ),
}
CURRENT = "2026-11"  # the version that forms show; the older ones stay provable


def given(user: User, *, kind: str, text_version: str) -> Consent | None:
    """The answer as a row to be saved, or None if nothing valid was answered.

    A page opened before a new wording was published still counts for the words it showed.
    """
    if kind not in Consent.Kind.values or text_version not in TEXTS:
        return None
    return Consent(user=user, kind=kind, text_version=text_version)
