"""What a program asks for, made into rows once: idempotency, trial runs, pictures in fields."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.db import transaction
from django.http import HttpRequest

from accounts import keys
from accounts.models import User
from billing.refusals import Refusal
from generator.api.auth import api_key, owner
from generator.assets import fetch
from generator.assets import services as assets
from generator.assets.models import Asset
from generator.workstation.forms import as_uuid, own_picture

Row = TypeVar("Row")
REMEMBERED_S = 24 * 3600  # how long another body under the same key is noticed
KEY_MAX = 255


class _Undone(Exception):
    """A trial run is over: nothing of it stays."""


def new_id(request: HttpRequest, *, key: str | None = None) -> uuid.UUID:
    """The id of the row to be made: the same key (header Idempotency-Key) is the same row.

    Raises Refusal("idempotency_conflict") where the key came with another body.
    """
    sent = key if key is not None else request.headers.get("Idempotency-Key", "")
    if not sent:
        return uuid.uuid4()
    if len(sent) > KEY_MAX:
        raise Refusal("bad_idempotency_key", f"The key is longer than {KEY_MAX} characters.")
    person = owner(request)
    id = uuid.uuid5(uuid.NAMESPACE_URL, f"likeness:{person.pk}:{request.path}:{sent}")
    digest = hashlib.sha256(request.body).hexdigest()
    if not cache.add(f"asked:{id}", digest, REMEMBERED_S) and cache.get(f"asked:{id}") != digest:
        words = "This Idempotency-Key was used for another request."
        raise Refusal("idempotency_conflict", words, status=409)
    return id


def is_trial(request: HttpRequest) -> bool:
    return request.headers.get("X-Dry-Run", "") == "1"


def perform(
    request: HttpRequest,
    act: Callable[[], Row],
    show: Callable[[Row], Any],
    *,
    lent: Iterable[Asset | None] = (),
) -> Any:
    """Do it in the name of the key and show what came of it; in a trial run, then undo it.

    `act` shall be quick: a trial run is one transaction. So pictures are fetched and stored before,
    and those of `lent` that are new go with a trial run.
    """
    with keys.in_name_of(api_key(request)):
        if not is_trial(request):
            return show(act())
        try:
            with transaction.atomic():
                shown = show(act())
                raise _Undone
        except _Undone:
            return shown
        finally:
            for one in lent:
                if one is not None and getattr(one, "is_new", False):
                    assets.delete_assets(assets.unused_family(one))


def picture(user: User, sent: str, *, cut: bool = False) -> Asset | None:
    """The picture of a field: an own asset's id, a URL, or base64; None where nothing was sent.

    `cut`: the square around its face, where an uploaded photo is drawn from. Raises Refusal.
    """
    if not sent:
        return None
    named = fetch.own_asset(user, sent) if fetch.is_own(sent) else None
    if as_uuid(sent):
        found = own_picture(user, sent)
    elif named and named.owner_id == user.pk:
        found = named
    else:
        found = store(user, fetch.picture(user, sent))
    if cut and found and found.kind == Asset.Kind.UPLOAD:
        square = assets.crop_suggested(found)
        square.is_new = True  # type: ignore[attr-defined]
        return square
    return found


def store(user: User, data: bytes) -> Asset:
    """Through the same door as an upload. Marked as new, for a trial run to take away."""
    made = assets.store_upload(user, SimpleUploadedFile("picture", data))
    made.is_new = True  # type: ignore[attr-defined]
    return made


def upload(request: HttpRequest, file: UploadedFile[bytes], show: Callable[[Asset], Any]) -> Any:
    """A photo as it was sent; in a trial run it is looked at and not kept."""
    made = assets.store_upload(owner(request), file)
    told = show(made)
    if is_trial(request):
        assets.delete_assets([made])
    return told
