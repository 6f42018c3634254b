"""Pictures for the upload door's tests, good and hostile, made from nothing when asked for."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

DATA = Path(__file__).parent / "data"
HEIC = DATA / "portrait.heic"  # 480 × 360: a painted face, encoded with heif-enc 1.15
SIZE = (640, 480)


def scene(size: tuple[int, int] = SIZE) -> Image.Image:
    """Red above, blue below: which way is up can be seen."""
    picture = Image.new("RGB", size, (200, 30, 30))
    picture.paste((30, 30, 200), (0, size[1] // 2, *size))
    return picture


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **options)  # type: ignore[arg-type]
    return out.getvalue()


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def rotated() -> bytes:
    """Lies on its side, says so in EXIF (6: turn right), and knows where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    sideways = scene().transpose(Image.Transpose.ROTATE_90)
    return encoded(sideways, "JPEG", exif=exif, quality=95)


def with_orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(scene(), "JPEG", exif=exif)


def animated(format: str, frames: int = 2) -> bytes:
    others = [scene().rotate(20 * number) for number in range(1, frames)]
    return encoded(scene(), format, save_all=True, append_images=others, duration=50)


def mpo() -> bytes:
    """What many phones call a JPEG: the photo, and a second one behind it."""
    return encoded(scene(), "MPO", save_all=True, append_images=[scene().rotate(5)])


def chunk(name: bytes, body: bytes) -> bytes:
    check = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, more: bytes = b"") -> bytes:
    """A PNG of zeros, honest whatever its size: rows are compressed a few at a time."""
    channels = {0: 1, 2: 3}[colour]
    row = b"\0" * (1 + (width * channels * depth + 7) // 8)
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), more, chunk(b"IDAT", body), chunk(b"IEND", b"")]
    )


def png_that_says(width: int, height: int) -> bytes:
    """Only the header; there is nothing behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64))


def text_bomb() -> bytes:
    """80 MB of letters in 80 kB of a zTXt chunk."""
    packed = zlib.compress(b"a" * 80_000_000, 9)
    return png(*SIZE, more=chunk(b"zTXt", b"Comment\0\0" + packed))


def webp_that_says(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    body = b"VP8L" + struct.pack("<IBI", 5, 0x2F, bits) + b"\0"
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def many_scans(count: int) -> bytes:
    """A progressive JPEG that refines its last scan over and over."""
    data = encoded(scene(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + (data[last:-2] * count) + data[-2:]


def bad_crc() -> bytes:
    data = bytearray(encoded(scene(), "PNG"))
    data[29] ^= 0xFF
    return bytes(data)


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def sixteen_bit_grey() -> bytes:
    ramp = np.linspace(0, 65535, SIZE[0], dtype=np.uint16)
    return encoded(Image.fromarray(np.tile(ramp, (SIZE[1], 1))), "PNG")


Make = Callable[[], bytes]
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
LAUGHS = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><svg>&c;</svg>'

# name: (how it is made, the code it is refused with)
REFUSED: dict[str, tuple[Make, str]] = {
    "empty": (lambda: b"", "not_an_image"),
    "one byte": (lambda: b"\xff", "not_an_image"),
    "text": (lambda: b"hello, this is no picture at all", "not_an_image"),
    "html": (lambda: b"<html><script>alert(1)</script></html>", "not_an_image"),
    "program": (lambda: b"\x7fELF\x02\x01\x01" + b"\0" * 200, "not_an_image"),
    "zip": (lambda: b"PK\x03\x04" + b"\0" * 200, "not_an_image"),
    "pdf": (lambda: b"%PDF-1.7\n1 0 obj", "not_an_image"),
    "eps with a pipe": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) run", "not_an_image"),
    "mvg": (lambda: b"push graphic-context\nfill 'url(https://x|id)'", "not_an_image"),
    "svg with a script": (lambda: SVG, "not_an_image"),
    "billion laughs": (lambda: LAUGHS, "not_an_image"),
    "gif": (lambda: encoded(scene(), "GIF"), "unsupported_format"),
    "animated gif": (lambda: animated("GIF"), "unsupported_format"),
    "bmp": (lambda: encoded(scene(), "BMP"), "unsupported_format"),
    "tiff": (lambda: encoded(scene(), "TIFF"), "unsupported_format"),
    "ico": (lambda: encoded(scene((256, 256)), "ICO"), "unsupported_format"),
    "jpeg 2000": (lambda: encoded(scene(), "JPEG2000"), "unsupported_format"),
    "photoshop": (lambda: b"8BPS\0\1" + b"\0" * 100, "unsupported_format"),
    "start of a jpeg only": (lambda: b"\xff\xd8\xff\xe0", "unreadable"),
    "half a jpeg": (lambda: cut(encoded(noise(400, 400), "JPEG"), 0.5), "unreadable"),
    "nearly a jpeg": (lambda: cut(encoded(noise(400, 400), "JPEG"), 0.98), "unreadable"),
    "half a png": (lambda: cut(encoded(noise(400, 400), "PNG"), 0.5), "unreadable"),
    "half a webp": (lambda: cut(encoded(noise(400, 400), "WEBP"), 0.5), "unreadable"),
    "half a heic": (lambda: cut(HEIC.read_bytes(), 0.5), "unreadable"),
    "half an avif": (lambda: cut(encoded(noise(300, 300), "AVIF"), 0.5), "unreadable"),
    "bad checksum": (bad_crc, "unreadable"),
    "no width": (lambda: png_that_says(0, 0), "unreadable"),
    "900 MP in 1 bit": (lambda: png(30000, 30000, depth=1, colour=0), "too_large"),
    "81 MP": (lambda: png(9000, 9000, colour=0), "too_large"),
    "2 147 483 647 squared": (lambda: png_that_says(2**31 - 1, 2**31 - 1), "too_large"),
    "26 MP": (lambda: png(5200, 5000, colour=0), "too_large"),
    "webp of 268 MP": (lambda: webp_that_says(16383, 16383), "unreadable"),
    "one long line": (lambda: png(9000, 300), "too_large"),
    "80 MB of text": (text_bomb, "unreadable"),
    "300 scans": (lambda: many_scans(300), "too_many_scans"),
    "animated png": (lambda: animated("PNG"), "animated"),
    "animated webp": (lambda: animated("WEBP"), "animated"),
    "animated avif": (lambda: animated("AVIF"), "animated"),
    "one pixel": (lambda: encoded(scene((1, 2)), "PNG"), "too_small"),
    "255 pixels": (lambda: encoded(scene((255, 255)), "PNG"), "too_small"),
    "one column": (lambda: encoded(scene((1, 4000)), "PNG"), "too_small"),
}

RGBA = Image.new("RGBA", SIZE, (200, 30, 30, 0))  # says red, shows nothing
PALETTE = scene().quantize(8)
# name: (how it is made, what its upper half must look like, or None)
TAKEN: dict[str, tuple[Make, tuple[int, int, int] | None]] = {
    "jpeg": (lambda: encoded(scene(), "JPEG", quality=95), (200, 30, 30)),
    "png": (lambda: encoded(scene(), "PNG"), (200, 30, 30)),
    "webp": (lambda: encoded(scene(), "WEBP", quality=95), (200, 30, 30)),
    "avif": (lambda: encoded(scene(), "AVIF", quality=95), (200, 30, 30)),
    "heic": (HEIC.read_bytes, None),
    "progressive jpeg": (lambda: encoded(scene(), "JPEG", progressive=True), (200, 30, 30)),
    "rotated jpeg": (rotated, (200, 30, 30)),
    "orientation 0": (lambda: with_orientation(0), (200, 30, 30)),
    "orientation 300": (lambda: with_orientation(300), (200, 30, 30)),
    "broken exif": (lambda: encoded(scene(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff"), (200, 30, 30)),
    "two photos in one": (mpo, (200, 30, 30)),
    "cmyk": (lambda: encoded(scene().convert("CMYK"), "JPEG", quality=95), None),
    "grey": (lambda: encoded(scene().convert("L"), "JPEG"), None),
    "16 bits of grey": (sixteen_bit_grey, None),
    "black and white": (lambda: encoded(scene().convert("1"), "PNG"), None),
    "palette": (lambda: encoded(PALETTE, "PNG"), (200, 30, 30)),
    "palette with a hole": (lambda: encoded(PALETTE, "PNG", transparency=0), None),
    "transparent": (lambda: encoded(RGBA, "PNG"), (255, 255, 255)),
    "grey with alpha": (lambda: encoded(RGBA.convert("LA"), "PNG"), (255, 255, 255)),
    "garbage profile": (lambda: encoded(scene(), "PNG", icc_profile=b"no profile"), (200, 30, 30)),
    "jpeg with a page behind it": (
        lambda: encoded(scene(), "JPEG") + b"<script>alert(1)</script>", None,
    ),
    "panorama": (lambda: encoded(scene((4096, 512)), "JPEG"), None),
    "24 MP of noise": (lambda: encoded(noise(6000, 4000), "JPEG", quality=85), None),
}  # fmt: skip

FILE_NAMES = [
    "../../etc/passwd.jpg", "..\\..\\win.ini.jpg", "/abs", "C:\\x.jpg", "a\x00b.jpg", "a\nb.jpg",
    "a\r\nSet-Cookie: x=1.jpg", "x" * 300 + ".jpg", "é" * 120 + ".jpg", "👩‍👩‍👧‍👦.jpg",
    "a\u202egpj.exe",
    "a\u200bb.jpg", ".jpg", "..", ".htaccess", "-rf.jpg", "CON.jpg", "NUL", "a.jpg.exe",
    "a.php.jpg", "a.jpg;.php", '"><img onerror=alert(1)>', "$(id)", "%2e%2e%2f", "   ",
    "ｆｕｌｌ.jpg", "ﬁle.jpg", "",
]  # fmt: skip
