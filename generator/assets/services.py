"""Storing, cropping and removing pictures. Every stored picture has its thumbnails beside it.

What the engine draws is stored by `drawn`.

Files are written before their rows: a file without a row is swept up later, a row without a file
would be a broken picture.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from billing.refusals import Refusal
from generator.assets import intake, marks
from generator.assets.frames import Square, fitted
from generator.assets.models import Asset, AssetQuerySet
from generator.assets.names import display_name

if TYPE_CHECKING:
    from accounts.models import User

KEPT_UNUSED = timedelta(hours=24)  # an upload or reference that nothing uses
UPLOADS_AT_ONCE = 30  # per person, unused; the sweeper and the trash button make room
UPLOAD_MAX = 20 * 1024 * 1024  # bytes of one file


def store_upload(user: User, file: UploadedFile[bytes]) -> Asset:
    """One photo, decoded in the limited child and stored upright as JPEG. Raises Refusal."""
    if (file.size or 0) > UPLOAD_MAX:
        raise Refusal("too_large", "This file is larger than 20 MB.")
    unused_ones = Asset.objects.filter(
        owner=user, kind=Asset.Kind.UPLOAD, expires_at__isnull=False, photo__isnull=True
    )
    if unused_ones.count() >= UPLOADS_AT_ONCE:
        raise Refusal(
            "too_many_uploads",
            f"You have {UPLOADS_AT_ONCE} unused photos. Delete some, or wait until tomorrow.",
        )
    picture = intake.normalise(file.read())
    return store_picture(
        picture, owner=user, kind=Asset.Kind.UPLOAD, display_name=display_name(file.name)
    )


def crop_reference(upload: Asset, *, x: int, y: int, size: int, angle: int = 0) -> Asset:
    """The square at (x, y), px of the original, as a new reference of 512 to 1024 px a side.

    Unused squares cut from the same upload before are removed: one upload, one frame.
    """
    frame = fitted(Square(x, y, size, angle), upload.width, upload.height)
    with upload.file.open("rb") as file:
        picture = intake.crop(file.read(), frame)
    delete_assets(unused(upload.crops.all()))
    return store_picture(
        picture,
        owner=upload.owner,
        kind=Asset.Kind.REFERENCE,
        display_name=upload.display_name,
        source=upload,
        findings={"frame": asdict(frame)},
    )


def crop_suggested(upload: Asset) -> Asset:
    """The reference the door itself would cut: around the face to learn from."""
    return crop_reference(upload, **upload.findings["crop"])


def turn_upload(upload: Asset, *, degrees: int) -> Asset:
    """The photo turned clockwise by 90, 180 or 270, looked at anew, in place of the old one.

    What a model was made of stays as it was: then the turned photo is a second one.
    """
    if degrees not in (90, 180, 270):
        raise Refusal("bad_turn", "A photo turns by 90, 180 or 270 degrees.")
    with upload.file.open("rb") as file:
        picture = intake.turn(file.read(), degrees)
    if not upload.crops.filter(portrait_model__isnull=False).exists():
        delete_assets(unused_family(upload))
    return store_picture(
        picture, owner=upload.owner, kind=Asset.Kind.UPLOAD, display_name=upload.display_name
    )


def use_anyway(upload: Asset, *, code: str) -> Asset | None:
    """Stop warning of one problem of this photo; the reference cut from it, if there is one."""
    accepted = {*upload.findings.get("accepted", []), code[:20]}
    upload.findings["accepted"] = sorted(accepted)[:20]
    upload.save(update_fields=["findings"])
    return unused(upload.crops.all()).first()


def reference_from_face(face: Asset) -> Asset:
    """A copy of a drawn face to learn from: the face itself stays in the history."""
    with face.file.open("rb") as file:
        data = file.read()
    delete_assets(unused(face.crops.all()))
    asset = Asset(
        owner=face.owner,
        kind=Asset.Kind.REFERENCE,
        source=face,
        seed=face.seed,
        width=face.width,
        height=face.height,
        color=face.color,
        thumbnail_px=face.thumbnail_px,
        expires_at=timezone.now() + KEPT_UNUSED,
    )
    small = {side: _stored(thumbnail_name(face, side)) for side in _sides(face)}
    return _saved(asset, data, "png", small)


def own_reference(user: User | AnonymousUser, id: str) -> Asset | None:
    """What this person may learn from under that id: a reference or a drawn face of theirs."""
    try:
        wanted = uuid.UUID(id)
    except ValueError:
        return None
    if not user.is_authenticated:
        return None
    kinds = [Asset.Kind.REFERENCE, Asset.Kind.FACE]
    own = Asset.objects.filter(id=wanted, owner=user, kind__in=kinds)
    return own.select_related("source").first()


def unused(assets: AssetQuerySet) -> AssetQuerySet:
    """Those that no portrait model learns from."""
    return assets.filter(portrait_model__isnull=True, further_reference__isnull=True)


def unused_family(asset: Asset) -> list[Asset]:
    """An unused picture with the upload it was cut from and that upload's other unused squares."""
    root = asset.source if asset.source and asset.source.kind == Asset.Kind.UPLOAD else asset
    family = {root.pk: root, asset.pk: asset}
    family.update({crop.pk: crop for crop in unused(root.crops.all())})
    return list(family.values())


def delete_assets(assets: Iterable[Asset]) -> None:
    """Rows now, files once the rows are gone for good."""
    doomed = list(assets)
    if not doomed:
        return
    names = [name for asset in doomed for name in file_names(asset)]
    with transaction.atomic():
        Asset.objects.filter(pk__in=[asset.pk for asset in doomed]).delete()
        transaction.on_commit(lambda: _remove(names))


def largest_thumbnail(asset: Asset) -> bytes:
    """WebP, at most 1024 px a side."""
    return _stored(thumbnail_name(asset, asset.thumbnail_px))


def file_names(asset: Asset) -> list[str]:
    """Every stored file of an asset: itself, what lies beside it, and the copies with the mark."""
    endings = [PurePosixPath(str(asset.file.name)).suffix]
    endings += [f"_{side}.webp" for side in _sides(asset)]
    if asset.is_clip:
        endings += [".webm", *(["_worst.webp"] if asset.measures.get("worst") else [])]
    marked = [marks.MARK + ending for ending in endings if asset.is_marked]
    return [sibling(asset, ending) for ending in endings + marked]


def shown_name(asset: Asset, ending: str = "") -> str:
    """The file that leaves the studio, as the owner's plan has it: itself, or a sibling."""
    ending = ending or PurePosixPath(str(asset.file.name)).suffix
    return sibling(asset, marks.MARK + ending if marks.is_shown(asset) else ending)


def thumbnail_name(asset: Asset, side: int) -> str:
    return sibling(asset, f"_{side}.webp")


def sibling(asset: Asset, ending: str) -> str:
    """The stored name of something that belongs to the asset's file."""
    return str(asset.file.name).rpartition(".")[0] + ending


def _sides(asset: Asset) -> list[int]:
    """The thumbnails there are: older pictures have no large one."""
    return [side for side in intake.THUMBNAILS if side <= asset.thumbnail_px]


def _stored(name: str) -> bytes:
    with default_storage.open(name) as file:
        data: bytes = file.read()
    return data


def store_picture(picture: intake.Picture, **fields: object) -> Asset:
    """What came out of the door's child, kept for a day unless something uses it."""
    fields["findings"] = picture.findings or fields.get("findings", {})
    asset = Asset(
        width=picture.width,
        height=picture.height,
        thumbnail_px=max(picture.thumbnails),
        expires_at=timezone.now() + KEPT_UNUSED,
        **fields,
    )
    return _saved(asset, picture.jpeg, "jpg", picture.thumbnails)


def _saved(asset: Asset, data: bytes, extension: str, thumbnails: dict[int, bytes]) -> Asset:
    asset.id = uuid.uuid4()
    asset.file.save(f"{asset.id}.{extension}", ContentFile(data), save=False)
    for side, webp in thumbnails.items():
        default_storage.save(thumbnail_name(asset, side), ContentFile(webp))
    asset.save(force_insert=True)
    return asset


def _remove(names: list[str]) -> None:
    for name in names:
        default_storage.delete(name)
