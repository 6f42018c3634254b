"""What a person does with what they made: keep it in folders, love it, show it, delete it.

Deleting hides at once and is undone for some seconds; then the sweeper removes rows and files.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from billing.refusals import Refusal
from generator.assets.models import FOLDER_NAME_MAX, Asset, AssetQuerySet, Folder, Share
from generator.assets.services import delete_assets
from generator.jobs import lifecycle
from generator.jobs import services as jobs
from generator.jobs.models import Generation
from generator.portraits.models import PortraitModel

if TYPE_CHECKING:
    from accounts.models import User

UNDO = timedelta(seconds=10)
GRACE = timedelta(seconds=5)  # for the request of somebody who undoes at the last moment
AT_ONCE = 150  # pictures that one action moves, deletes or packs: a form has 200 fields at most
FOLDERS_MAX = 200
PURGED_AT_ONCE = 200


def chosen(user: User, ids: Sequence[str]) -> AssetQuerySet:
    """Their own pictures among `ids`, at most `AT_ONCE`. Raises Refusal."""
    wanted = [found for found in map(_as_uuid, ids) if found]
    if not wanted:
        raise Refusal("nothing_chosen", "Please choose some pictures first.")
    if len(wanted) > AT_ONCE:
        raise Refusal("too_many", f"Please choose at most {AT_ONCE} pictures at once.")
    own: AssetQuerySet = Asset.objects.made().filter(owner=user, pk__in=wanted)
    return own


# --- deleting ------------------------------------------------------------------
def delete(pictures: AssetQuerySet) -> list[uuid.UUID]:
    """Hide them now. A generation that has nothing left is hidden with its last picture."""
    with transaction.atomic():
        ids = list(pictures.values_list("pk", flat=True))
        Asset.objects.filter(pk__in=ids).update(deleted_at=Now())
        touched = Generation.objects.filter(assets__in=ids, state=lifecycle.State.SUCCEEDED)
        left = Asset.objects.filter(deleted_at__isnull=True).values("generation")
        empty = touched.exclude(pk__in=left.filter(generation__isnull=False))
        Generation.objects.filter(pk__in=list(empty.values_list("pk", flat=True))).update(
            deleted_at=Now(), updated_at=Now()
        )
    return ids


def delete_generation(generation: Generation) -> None:
    """Hide it with everything that came of it; an unfinished one is canceled first."""
    with transaction.atomic():
        lifecycle.cancel_now(generation)
        Asset.objects.filter(generation=generation).update(deleted_at=Now())
        Generation.objects.filter(pk=generation.pk).update(deleted_at=Now(), updated_at=Now())


def restore(user: User, ids: Sequence[str]) -> list[uuid.UUID]:
    """Undo `delete`. Raises Refusal("too_late") once it is gone."""
    wanted = [found for found in map(_as_uuid, ids) if found]
    with transaction.atomic():
        own = Asset.objects.filter(owner=user, pk__in=wanted, deleted_at__isnull=False)
        found = list(own.values_list("pk", flat=True))
        if not found:
            raise _too_late()
        own.update(deleted_at=None)
        Generation.objects.filter(assets__in=found).update(deleted_at=None, updated_at=Now())
    return found


def restore_generation(generation: Generation) -> None:
    with transaction.atomic():
        deleted = Generation.objects.filter(pk=generation.pk, deleted_at__isnull=False)
        if not deleted.update(deleted_at=None, updated_at=Now()):
            raise _too_late()
        Asset.objects.filter(generation=generation).update(deleted_at=None)


def purge() -> int:
    """What can no longer be undone goes for good. The sweeper calls it."""
    is_over = Q(deleted_at__lt=Now() - UNDO - GRACE)
    count = 0
    for generation in Generation.objects.filter(is_over)[:PURGED_AT_ONCE]:
        jobs.delete_generation(generation)
        count += 1
    doomed = list(Asset.objects.filter(is_over)[:PURGED_AT_ONCE])
    delete_assets(doomed)
    return count + len(doomed)


# --- keeping -------------------------------------------------------------------
def set_favourite(picture: Asset, *, is_favourite: bool) -> None:
    Asset.objects.filter(pk=picture.pk).update(is_favourite=is_favourite)
    picture.is_favourite = is_favourite


def create_folder(user: User, name: str) -> Folder:
    """Raises Refusal: folder_name, folder_exists, too_many_folders."""
    name = _folder_name(name)
    if Folder.objects.filter(owner=user).count() >= FOLDERS_MAX:
        raise Refusal("too_many_folders", f"You have {FOLDERS_MAX} folders. Delete one first.")
    try:
        with transaction.atomic():
            return Folder.objects.create(owner=user, name=name)
    except IntegrityError as error:
        raise _exists(name) from error


def rename_folder(folder: Folder, name: str) -> None:
    name = _folder_name(name)
    try:
        with transaction.atomic():
            Folder.objects.filter(pk=folder.pk).update(name=name)
    except IntegrityError as error:
        raise _exists(name) from error


def move(pictures: AssetQuerySet, folder: Folder | None) -> int:
    """Into a folder, or out of all."""
    return pictures.update(folder=folder)


# --- showing -------------------------------------------------------------------
def share(picture: Asset) -> Share:
    """Its link; the same one as long as it is not revoked."""
    made, _ = Share.objects.get_or_create(
        asset=picture, defaults={"token": secrets.token_urlsafe(18)}
    )
    return made


def revoke(picture: Asset) -> None:
    Share.objects.filter(asset=picture).delete()


def publish(picture: Asset) -> None:
    """Show it on Explore. Raises Refusal("private_model") where somebody in it is private."""
    with transaction.atomic():
        shows = PortraitModel.objects.filter(appearances__generation=picture.generation)
        closed = shows.filter(is_public=False).first()
        if closed is not None:
            raise Refusal(
                "private_model",
                f"{closed.name} is a private model. Make it public first, or share a link.",
                status=409,
            )
        Asset.objects.filter(pk=picture.pk).update(
            is_public=True,
            published_at=timezone.now(),  # SQLite's own clock is too coarse for a cursor
        )


def unpublish(pictures: Iterable[Asset] | AssetQuerySet) -> None:
    ids = [picture.pk for picture in pictures]
    Asset.objects.filter(pk__in=ids).update(is_public=False, published_at=None)


def _folder_name(name: str) -> str:
    name = jobs.clean_text(name, "name")
    if not name or len(name) > FOLDER_NAME_MAX:
        raise Refusal("folder_name", f"A folder's name has 1 to {FOLDER_NAME_MAX} characters.")
    return name


def _exists(name: str) -> Refusal:
    return Refusal("folder_exists", f"You have a folder “{name}” already.", status=409)


def _too_late() -> Refusal:
    return Refusal("too_late", "This is deleted for good by now.", status=409)


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
