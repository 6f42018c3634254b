"""Storing, cropping and removing pictures. Every stored picture has its two thumbnails beside it.

Files are written before their rows: a file without a row is swept up later, a row without a file
would be a broken picture.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from PIL import Image

from billing.plans import plan_of
from billing.refusals import Refusal
from generator.assets import intake, marks
from generator.assets.frames import Square, fitted
from generator.assets.models import Asset, AssetQuerySet
from generator.assets.names import display_name
from generator.engine.interface import GeneratedImage

if TYPE_CHECKING:
    from accounts.models import User
    from generator.jobs.models import Generation

KEPT_UNUSED = timedelta(hours=24)  # an upload or reference that nothing uses
UPLOADS_AT_ONCE = 30  # per person, unused; the sweeper and the trash button make room
UPLOAD_MAX = 20 * 1024 * 1024  # bytes of one file


def store_upload(user: User, file: UploadedFile[bytes]) -> Asset:
    """One photo, decoded in the limited child and stored upright as JPEG. Raises Refusal."""
    if (file.size or 0) > UPLOAD_MAX:
        raise Refusal("too_large", "This file is larger than 20 MB.")
    if Asset.objects.filter(owner=user, kind=Asset.Kind.UPLOAD).count() >= UPLOADS_AT_ONCE:
        raise Refusal(
            "too_many_uploads",
            f"You have {UPLOADS_AT_ONCE} unused photos. Delete some, or wait until tomorrow.",
        )
    picture = intake.normalise(file.read())
    return _store_picture(
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
    return _store_picture(
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
    return _store_picture(
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
    return _store_drawn(
        data,
        owner=face.owner,
        kind=Asset.Kind.REFERENCE,
        source=face,
        seed=face.seed,
        expires_at=timezone.now() + KEPT_UNUSED,
    )


def store_generated(generation: Generation, index: int, generated: GeneratedImage) -> Asset:
    """One drawn picture of a job, for its owner only. Drawing the same index again replaces it."""
    delete_assets(Asset.objects.filter(generation=generation, index=index))
    likeness = max((face.likeness for face in generated.faces), default=None)
    return _store_drawn(
        generated.png,
        owner_id=generation.owner_id,
        kind=Asset.Kind(generation.kind),
        generation=generation,
        index=index,
        seed=generated.seed,
        likeness=likeness,
        # A face becomes a reference: nobody's model shall learn the mark.
        is_marked=generation.kind != Asset.Kind.FACE and plan_of(generation.owner).watermark,
    )


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
    return assets.filter(portrait_model__isnull=True)


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


def file_names(asset: Asset) -> list[str]:
    """Every stored file of an asset: the picture and its thumbnails, then those with the mark."""
    clean = str(asset.file.name)
    pictures = [clean, marks.name_of(clean)] if asset.is_marked else [clean]
    return [name for picture in pictures for name in (picture, *_thumbnail_names(picture))]


def shown_name(asset: Asset, side: int | None = None) -> str:
    """The file that leaves the studio, as the owner's plan has it; `side` is a thumbnail's, px."""
    clean = str(asset.file.name)
    picture = marks.name_of(clean) if marks.is_shown(asset) else clean
    return picture if side is None else _thumbnail_name(picture, side)


def thumbnail_name(asset: Asset, side: int) -> str:
    return _thumbnail_name(str(asset.file.name), side)


def _thumbnail_name(picture: str, side: int) -> str:
    return f"{picture.rpartition('.')[0]}_{side}.webp"


def _thumbnail_names(picture: str) -> list[str]:
    return [_thumbnail_name(picture, side) for side in intake.THUMBNAILS]


def _store_picture(picture: intake.Picture, **fields: object) -> Asset:
    fields["findings"] = picture.findings or fields.get("findings", {})
    asset = Asset(
        width=picture.width,
        height=picture.height,
        expires_at=timezone.now() + KEPT_UNUSED,
        **fields,
    )
    return _saved(asset, picture.jpeg, "jpg", picture.thumbnails)


def _store_drawn(png: bytes, **fields: object) -> Asset:
    """Our own engine's picture: decoded here, since nobody else could have written it."""
    with Image.open(io.BytesIO(png), formats=("PNG", "JPEG")) as opened:
        picture = opened.convert("RGB")
    thumbnails = {side: _thumbnail(picture, side) for side in intake.THUMBNAILS}
    asset = Asset(width=picture.width, height=picture.height, **fields)
    asset = _saved(asset, png, "png", thumbnails)
    if asset.is_marked:
        _save_marked(asset, picture)
    return asset


def _save_marked(asset: Asset, picture: Image.Image) -> None:
    copy, name = marks.marked(picture), marks.name_of(str(asset.file.name))
    default_storage.save(name, ContentFile(marks.png_of(copy)))
    for side in intake.THUMBNAILS:
        default_storage.save(_thumbnail_name(name, side), ContentFile(_thumbnail(copy, side)))


def _thumbnail(picture: Image.Image, side: int) -> bytes:
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=85, method=2)
    return out.getvalue()


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
