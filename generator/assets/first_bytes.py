"""What a file is by its first bytes, before any decoder looks at it. Loads no picture library."""

from __future__ import annotations

NOT_AN_IMAGE = "The file must be an image."
_OTHER_IMAGES = (b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\1\0", b"8BPS", b"DDS ", b"\0\0\0\x0cjP")


class Rejected(Exception):
    """The file is refused. `code` is stable, the message is a sentence for its sender."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def sniff(data: bytes) -> None:
    """Refuses by the first bytes what no allowed decoder should even look at."""
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return
    if data[4:8] == b"ftyp":
        return
    if data.startswith(_OTHER_IMAGES):
        raise Rejected(
            "unsupported_format",
            "This kind of image cannot be used. JPEG, PNG, WebP, HEIC and AVIF can.",
        )
    raise Rejected("not_an_image", NOT_AN_IMAGE)
