"""The limited child that decodes what strangers send: `python -m generator.assets.normalise`.

Reads a file from standard input and answers one line of JSON, then the bytes it announces. It may
use 1.2 GB and 10 s of processor time, write no file and open no connection; a file that kills it
kills nothing else. Knows nothing about Django, people or names.
"""

from __future__ import annotations

import ctypes
import dataclasses
import io
import json
import os
import re
import resource
import sys
import warnings

from generator.assets.first_bytes import Rejected, sniff

MEMORY = 1_200_000_000  # bytes: a 24 MP photo with alpha and a profile needs 700 MB
CPU_S = 10
MIN_SIDE, MAX_SIDE = 256, 8192  # px
MAX_PIXELS = 25_000_000
MAX_SCANS = 64  # a camera writes about 10; 3000 progressive scans cost 60 s
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF")
THUMBNAILS = (256, 512, 1024)  # px, longest side
REFERENCE_SIDE = (512, 1024)  # px, the least and the most a reference square has
QUALITY = 95  # JPEG: WebP refused valid 24 MP photos
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h

UNREADABLE = "Failed to read the image. Please try again later."
_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")  # the next real marker in scan data


def limit_self() -> None:
    """Called before any picture library is loaded, so that nothing can grow first."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)  # no network, where the kernel lets us say so


def count_scans(data: bytes) -> int:
    """How many times a JPEG would be decoded over: its SOS markers up to the end of the image."""
    scans, at = 0, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xD9:
            break
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            scans += 1
            following = _SCAN.search(data, at)
            if following is None or scans > MAX_SCANS:
                break
            at = following.start()
    return scans


def check_size(width: int, height: int) -> None:
    """Raises Rejected in words that name the picture's size and the limit."""
    here = f"This image is {width} × {height} pixels."
    if min(width, height) < MIN_SIDE:
        raise Rejected("too_small", f"{here} Each side must have at least {MIN_SIDE}.")
    if max(width, height) > MAX_SIDE:
        raise Rejected("too_large", f"{here} Each side may have at most {MAX_SIDE}.")
    if width * height > MAX_PIXELS:
        raise Rejected(
            "too_large", f"{here} It may have at most {MAX_PIXELS // 1_000_000} megapixels."
        )


def decode(data: bytes) -> Image.Image:
    """An upright RGB picture in sRGB without metadata. Raises Rejected."""
    sniff(data)
    if data.startswith(b"\xff\xd8") and count_scans(data) > MAX_SCANS:
        raise Rejected("too_many_scans", "This JPEG is built to be slow. Please save it again.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            check_size(*picture.size)
            if picture.format in ("PNG", "WEBP", "AVIF") and getattr(picture, "n_frames", 1) > 1:
                raise Rejected("animated", "An animation cannot be used. Please choose a photo.")
            picture.load()
            return to_rgb(upright(picture))
    except Rejected:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Rejected(
            "too_large", f"This image has more than {MAX_PIXELS // 1_000_000} megapixels."
        ) from error
    except Exception as error:  # decoders raise anything at all
        raise Rejected("unreadable", UNREADABLE) from error


def upright(picture: Image.Image) -> Image.Image:
    """EXIF orientation applied. A broken EXIF block leaves the picture as it lies."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - metadata is no reason to refuse a picture
        return picture


def to_rgb(picture: Image.Image) -> Image.Image:
    """sRGB, 8 bits, on white where it was transparent."""
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips at 255
        picture = Image.fromarray((np.asarray(picture).clip(0, 65535) >> 8).astype(np.uint8))
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        picture = picture.convert("RGB")
    elif picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("RGB")
    picture = from_profile(picture, profile)
    if alpha is not None:
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=alpha)
        picture = white
    picture.info.clear()
    return picture


def from_profile(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours as sRGB means them; a profile that cannot be read is ignored, as browsers do."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return picture.convert("RGB")


def jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, exif=b"")
    return out.getvalue()


def thumbnail(picture: Image.Image, side: int) -> bytes:
    """WebP, at most `side` px on its longest side."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=82, method=2)
    return out.getvalue()


def cut(picture: Image.Image, frame: Square) -> Image.Image:
    """The square as a reference: what lies inside the picture, 512 to 1024 px a side."""
    square = fitted(frame, *picture.size)
    if square.size < MIN_CROP:
        raise Rejected("frame_too_small", f"The frame must be at least {MIN_CROP} pixels wide.")
    side = min(REFERENCE_SIDE[1], max(REFERENCE_SIDE[0], square.size))
    if not square.angle:
        box = (square.x, square.y, square.x + square.size, square.y + square.size)
        return picture.resize((side, side), Image.Resampling.LANCZOS, box=box)
    return _upright_square(picture, square, side)


def _upright_square(picture: Image.Image, square: Square, side: int) -> Image.Image:
    """A turned square set upright: first to its final scale, so that turning blurs only once."""
    (x, y), reach = square.middle, square.reach
    around = round(2 * reach * side / square.size)
    box = (max(0, x - reach), max(0, y - reach),
           min(picture.width, x + reach), min(picture.height, y + reach))  # fmt: skip
    scaled = picture.resize((around, around), Image.Resampling.LANCZOS, box=box)
    upright = scaled.rotate(square.angle, Image.Resampling.BICUBIC)
    margin = (around - side) // 2
    return upright.crop((margin, margin, margin + side, margin + side))


def turned(picture: Image.Image, degrees: int) -> Image.Image:
    """A quarter, half or three quarters clockwise. No pixel is invented or lost."""
    turns = {
        90: Image.Transpose.ROTATE_270,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_90,
    }
    return picture.transpose(turns[degrees])


def packed(picture: Image.Image, findings: dict[str, object]) -> tuple[dict[str, object], bytes]:
    """The answer's JSON and its bytes: the JPEG, then each thumbnail."""
    parts = [jpeg(picture), *(thumbnail(picture, side) for side in THUMBNAILS)]
    header: dict[str, object] = {
        "width": picture.width,
        "height": picture.height,
        "lengths": [len(part) for part in parts],
        "findings": findings,
    }
    return header, b"".join(parts)


def converted(data: bytes, format: str, xmp: bytes) -> bytes:
    """One of our own pictures, of any size, in another format."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as own:
        kind = {"jpg": "JPEG", "webp": "WEBP"}[format]
        about = {"xmp": xmp} if xmp else {}
        own.convert("RGB").save(out, kind, quality=QUALITY, **about)
    return out.getvalue()


def answer(words: list[str], data: bytes) -> tuple[dict[str, object], bytes]:
    """`normalise`; for what this door has stored `crop X Y SIZE ANGLE`, `turn DEGREES` and
    `convert FORMAT XMP`, the packet in hexadecimal digits.
    """
    if words[0] == "convert":
        return {}, converted(data, words[1], bytes.fromhex(words[2]))
    picture = decode(data)
    numbers = [int(word) for word in words[1:]]
    if words[0] == "crop":
        return packed(cut(picture, Square(*numbers)), {})
    if words[0] == "turn":
        picture = turned(picture, *numbers)
    return packed(picture, dataclasses.asdict(faces.look(picture)))


def main() -> int:
    try:
        header, body = answer(sys.argv[1:], sys.stdin.buffer.read())
    except Rejected as rejected:
        header, body = {"code": rejected.code, "message": rejected.message}, b""
    except (MemoryError, cv2.error):
        header, body = {"code": "unreadable", "message": UNREADABLE}, b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + body)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    limit_self()

import cv2  # noqa: E402 - after the limits
import numpy as np  # noqa: E402
import pi_heif  # noqa: E402
from PIL import Image, ImageCms, ImageOps  # noqa: E402

from generator.assets import faces  # noqa: E402
from generator.assets.frames import MIN_CROP, Square, fitted  # noqa: E402

pi_heif.register_heif_opener()
warnings.simplefilter("error", Image.DecompressionBombWarning)
if __name__ == "__main__":
    sys.exit(main())
