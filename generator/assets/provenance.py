"""What a drawn picture says about itself: that a machine made it, and which.

IPTC's "digital source type" in an XMP packet, as browsers, search engines and picture programs
read it. Nothing about people or prompts: a picture is passed on. The pixels are not touched.
"""

from __future__ import annotations

import struct
import zlib
from xml.sax.saxutils import escape

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DRAWN = SOURCE + "trainedAlgorithmicMedia"
CHANGED = SOURCE + "compositeWithTrainedAlgorithmicMedia"  # made from somebody's picture
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<xmp:CreatorTool>{tool}</xmp:CreatorTool>"
    "<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = len(_PNG) + 25  # the signature and IHDR, which comes first


def xmp(*, engine: str, is_drawn: bool) -> bytes:
    """The packet, UTF-8. `is_drawn`: from words alone, not from somebody's picture."""
    source = DRAWN if is_drawn else CHANGED
    return _PACKET.format(tool=escape(f"Likeness ({engine})"), source=source).encode()


def labelled(png: bytes, packet: bytes) -> bytes:
    """The same PNG with the packet, if there is one, right behind its header."""
    if not packet:
        return png
    if not png.startswith(_PNG):
        raise ValueError("Only PNG can be labelled.")
    body = b"XML:com.adobe.xmp\0\0\0\0\0" + packet  # keyword, not compressed, no language
    chunk = b"iTXt" + body
    whole = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:_HEAD] + whole + png[_HEAD:]
