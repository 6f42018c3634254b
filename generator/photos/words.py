"""How many photos were used and why others were not, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from generator.photos.models import Photo

Outcome = Photo.Outcome
# (one photo, several photos) for the outcomes that need no sentence of their own
REASONS = {
    Outcome.NO_FACE: ("shows no face that could be found", "show no face that could be found"),
    Outcome.TOO_SMALL: ("shows the face too small", "show the face too small"),
    Outcome.SOMEBODY_ELSE: ("shows other people only", "show other people only"),
    Outcome.SURPLUS: ("was not needed", "were not needed"),
}


def summary(photos: Sequence[Photo]) -> str:
    """ "4 of 6 photos were used. Photos 2 and 5 show other people only." """
    used = sum(photo.outcome == Outcome.USED for photo in photos)
    if len(photos) == 1:
        return "The photo was used."
    count = f"All {used}" if used == len(photos) else f"{used} of {len(photos)}"
    verb = "was" if used == 1 else "were"
    return " ".join(filter(None, [f"{count} photos {verb} used.", left_out(photos)]))


def left_out(photos: Iterable[Photo]) -> str:
    """Why photos were not used; empty when there is nothing to say."""
    photos = list(photos)
    sentences = []
    for outcome, (one, several) in REASONS.items():
        places = [photo.place for photo in photos if photo.outcome == outcome]
        if places:
            sentences.append(f"{_photos(places)} {one if len(places) == 1 else several}.")
    for why in dict.fromkeys(photo.why for photo in photos if photo.why):
        places = [photo.place for photo in photos if photo.why == why]
        sentences.append(f"{_photos(places)}: {why}")
    return " ".join(sentences)


def too_few(usable: int, least: int, tier: str) -> str:
    if not usable:
        return "No photo shows a face large enough to learn."
    photos = "1 photo" if usable == 1 else f"{usable} photos"
    return (
        f"Only {photos} can be used, and the tier “{tier}” needs {least}. "
        "Add others, or leave the tier out."
    )


def _photos(places: Sequence[int]) -> str:
    if len(places) == 1:
        return f"Photo {places[0]}"
    return f"Photos {', '.join(map(str, places[:-1]))} and {places[-1]}"
