"""Storing what the engine made: pictures, clips, and everything that is derived from them once.

Runs in workers. Beside a picture lie its thumbnails; beside a clip its poster's thumbnails, the
same clip in another format, and its worst frame.
"""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from billing.plans import plan_of
from generator.assets import intake, marks, measures, provenance
from generator.assets.models import Asset
from generator.assets.services import delete_assets, sibling
from generator.engine import film
from generator.engine.interface import Clip, GeneratedImage

if TYPE_CHECKING:
    from generator.jobs.models import Generation

WORST_PX = 512
Marked = tuple[bytes, bytes]  # MP4 and WebM


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


def marked_clip(generation: Generation, clip: Clip) -> Marked | None:
    """The clip once more with the mark, MP4 and WebM, where the plan shows one. Takes seconds."""
    if not _is_marked(generation):
        return None
    frames = (marks.marked(Image.fromarray(frame)) for frame in film.decode(clip.mp4))
    return film.encode(map(np.asarray, frames), width=clip.width, height=clip.height, fps=clip.fps)


def store_clip(generation: Generation, clip: Clip, marked: Marked | None) -> Asset:
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
    poster = _opened(clip.poster)
    worst = _opened(clip.worst_picture) if clip.worst_picture else None
    beside = {".webm": clip.webm, **_worst(worst)}
    asset.is_marked = marked is not None
    if marked:
        copies = {".mp4": marked[0], ".webm": marked[1], **_thumbnails(marks.marked(poster))}
        beside |= _with_mark(copies | _worst(worst and marks.marked(worst)))
    return save(asset, clip.mp4, "mp4", poster, beside)


def store_png(png: bytes, packet: bytes = b"", **fields: object) -> Asset:
    """Our own engine's picture: decoded here, since nobody else could have written it."""
    picture = _opened(png)
    asset = Asset(width=picture.width, height=picture.height, **fields)
    beside = {}
    if asset.is_marked:
        copy = marks.marked(picture)
        beside = _with_mark({".png": provenance.labelled(_png(copy), packet), **_thumbnails(copy)})
    return save(asset, provenance.labelled(png, packet), "png", picture, beside)


def save(
    asset: Asset,
    data: bytes,
    extension: str,
    picture: Image.Image,
    beside: dict[str, bytes],
) -> Asset:
    """Files first, the row last: a file without a row is swept up later."""
    asset.id = uuid.uuid4()
    asset.color = average(picture)
    asset.thumbnail_px = max(intake.THUMBNAILS)
    asset.file.save(f"{asset.id}.{extension}", ContentFile(data), save=False)
    for ending, more in {**_thumbnails(picture), **beside}.items():
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
        "is_marked": _is_marked(generation),
    }


def _thumbnails(picture: Image.Image) -> dict[str, bytes]:
    return {f"_{side}.webp": thumbnail(picture, side) for side in intake.THUMBNAILS}


def _worst(frame: Image.Image | None) -> dict[str, bytes]:
    return {"_worst.webp": thumbnail(frame, WORST_PX)} if frame else {}


def _with_mark(files: dict[str, bytes]) -> dict[str, bytes]:
    return {marks.MARK + ending: data for ending, data in files.items()}


def _is_marked(generation: Generation) -> bool:
    """A face becomes a reference: nobody's model shall learn the mark."""
    return generation.kind != Asset.Kind.FACE and plan_of(generation.owner).watermark


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _opened(png: bytes) -> Image.Image:
    with Image.open(io.BytesIO(png), formats=("PNG", "JPEG")) as opened:
        return opened.convert("RGB")
