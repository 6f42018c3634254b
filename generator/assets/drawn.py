"""Storing what the engine made: pictures, clips, and everything that is derived from them once.

Runs in workers. Beside a picture lie its thumbnails; beside a clip its poster's thumbnails, the
same clip in another format, and its worst frame.
"""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from generator.assets import intake, measures, provenance
from generator.assets.models import Asset
from generator.assets.services import delete_assets, sibling, thumbnail_name
from generator.engine.interface import Clip, GeneratedImage

if TYPE_CHECKING:
    from generator.jobs.models import Generation

WORST_PX = 512


def store_generated(generation: Generation, index: int, generated: GeneratedImage) -> Asset:
    """One drawn picture of a job, for its owner only. Drawing the same index again replaces it."""
    found = measures.of_image(generation, generated)
    packet = provenance.xmp(engine=generation.engine, is_drawn=generation.source_id is None)
    return store_png(
        generated.png,
        packet,
        **_about(generation, index),
        seed=generated.seed,
        likeness=measures.lowest(found),
        measures=found,
    )


def store_clip(generation: Generation, clip: Clip) -> Asset:
    """The clip of a job: H.264 as its file, VP9 and the worst frame beside it."""
    found = measures.of_clip(generation, clip)
    asset = Asset(
        **_about(generation, 0),
        width=clip.width,
        height=clip.height,
        seed=clip.seed,
        likeness=measures.lowest(found),
        measures=found,
    )
    beside = {".webm": clip.webm}
    if clip.worst_picture:
        beside["_worst.webp"] = thumbnail(_opened(clip.worst_picture), WORST_PX)
    return save(asset, clip.mp4, "mp4", _opened(clip.poster), beside)


def store_png(png: bytes, packet: bytes = b"", **fields: object) -> Asset:
    """Our own engine's picture: decoded here, since nobody else could have written it."""
    picture = _opened(png)
    asset = Asset(width=picture.width, height=picture.height, **fields)
    return save(asset, provenance.marked(png, packet) if packet else png, "png", picture)


def save(
    asset: Asset,
    data: bytes,
    extension: str,
    picture: Image.Image,
    beside: dict[str, bytes] | None = None,
) -> Asset:
    """Files first, the row last: a file without a row is swept up later."""
    asset.id = uuid.uuid4()
    asset.color = average(picture)
    asset.thumbnail_px = max(intake.THUMBNAILS)
    asset.file.save(f"{asset.id}.{extension}", ContentFile(data), save=False)
    for side in intake.THUMBNAILS:
        webp = thumbnail(picture, side)
        default_storage.save(thumbnail_name(asset, side), ContentFile(webp))
    for ending, more in (beside or {}).items():
        default_storage.save(sibling(asset, ending), ContentFile(more))
    asset.save(force_insert=True)
    return asset


def thumbnail(picture: Image.Image, side: int) -> bytes:
    """WebP of at most `side` px; never larger than the picture."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=85, method=2)
    return out.getvalue()


def average(picture: Image.Image) -> str:
    """The colour that stands for a picture until it is there: "#rrggbb"."""
    red, green, blue = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[misc]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _about(generation: Generation, index: int) -> dict[str, object]:
    delete_assets(Asset.objects.filter(generation=generation, index=index))
    return {
        "owner_id": generation.owner_id,
        "kind": Asset.Kind(generation.kind),
        "generation": generation,
        "index": index,
    }


def _opened(png: bytes) -> Image.Image:
    with Image.open(io.BytesIO(png), formats=("PNG", "JPEG")) as opened:
        return opened.convert("RGB")
