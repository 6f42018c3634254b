"""The one way into the limited child that decodes uploads (see `normalise`).

The child gets a clean environment and no way back but its answer. Whatever goes wrong in it becomes
a Refusal in words; nothing it does can take the web process along.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from dataclasses import dataclass

from django.conf import settings

from billing.refusals import Refusal
from generator.assets.frames import Square

log = logging.getLogger(__name__)

WALL_S = 20  # twice the child's processor time: the machine may be busy
AT_ONCE = 2  # children per web process; each may use 1.2 GB
WAIT_S = 30  # for one of them to end
THUMBNAILS = (256, 512, 1024)  # px, as the child makes them
UNREADABLE = "Failed to read the image. Please try again later."
TOO_COMPLEX = (
    "This image takes too long to read. Please save it again as a plain JPEG and try that."
)
_seats = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Picture:
    """What came out of the child: sRGB, upright, without metadata."""

    jpeg: bytes
    width: int  # px
    height: int  # px
    thumbnails: dict[int, bytes]  # WebP by longest side in px
    findings: dict[str, object]  # see faces.Findings; empty for a crop


def normalise(data: bytes) -> Picture:
    """Decode what a stranger sent. Raises Refusal with status 422."""
    return _ask(["normalise"], data)


def crop(jpeg: bytes, frame: Square) -> Picture:
    """The square of an already normalised picture, in its px. Raises Refusal."""
    return _ask(["crop", *map(str, (frame.x, frame.y, frame.size, frame.angle))], jpeg)


def turn(jpeg: bytes, degrees: int) -> Picture:
    """An already normalised picture turned clockwise by 90, 180 or 270. Raises Refusal."""
    return _ask(["turn", str(degrees)], jpeg)


def convert(data: bytes, format: str, xmp: bytes) -> bytes:
    """One of our own pictures as "jpg" or "webp", with that XMP packet. Raises Refusal."""
    answer = _run(["convert", format, xmp.hex()], data)
    head, _, body = answer.partition(b"\n")
    header = json.loads(head)
    if "code" in header:
        raise Refusal(header["code"], header["message"])
    return body


def _ask(words: list[str], data: bytes) -> Picture:
    return _unpacked(_run(words, data))


def _run(words: list[str], data: bytes) -> bytes:
    """The child's answer to one file."""
    if not _seats.acquire(timeout=WAIT_S):
        raise Refusal("busy", "Many photos are arriving right now. Please try again in a minute.")
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-m", "generator.assets.normalise", *words],
            input=data,
            capture_output=True,
            timeout=WALL_S,
            cwd=settings.BASE_DIR,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},  # no secrets for a decoder
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refusal("too_complex", TOO_COMPLEX) from error
    finally:
        _seats.release()
    if done.returncode != 0:
        log.warning("an upload killed its reader: status %s", done.returncode)
        raise Refusal(
            "too_complex" if done.returncode < 0 else "unreadable",
            TOO_COMPLEX if done.returncode < 0 else UNREADABLE,
        )
    return done.stdout


def _unpacked(answer: bytes) -> Picture:
    head, _, body = answer.partition(b"\n")
    header = json.loads(head)
    if "code" in header:
        raise Refusal(header["code"], header["message"])
    parts, at = [], 0
    for length in header["lengths"]:
        parts.append(body[at : at + length])
        at += length
    return Picture(
        jpeg=parts[0],
        width=header["width"],
        height=header["height"],
        thumbnails=dict(zip(THUMBNAILS, parts[1:], strict=True)),
        findings=header["findings"],
    )
