"""The studio's name in a corner of a result, on plans that show it.

The picture itself stays as it was drawn: a marked copy lies beside it, and the media door hands out
whichever the owner's plan says now. So a larger plan takes the mark off everything made before, and
whatever starts from a picture starts from the clean one.
"""

from __future__ import annotations

from django.conf import settings
from PIL import Image, ImageDraw, ImageFont

from billing.plans import plan_of
from generator.assets.models import Asset

HEIGHT = 0.035  # of the words, of the picture's shorter side
MARGIN = 0.03
MARK = "_marked"  # in the names of the marked copy's files, before what tells them apart
SHADE, INK = (0, 0, 0, 120), (255, 255, 255, 200)  # legible on light and on dark


def is_shown(asset: Asset) -> bool:
    """Whether the marked copy is what leaves the studio."""
    return asset.is_marked and plan_of(asset.owner).watermark


def marked(picture: Image.Image) -> Image.Image:
    """A copy with the mark at the bottom right."""
    side = min(picture.size)
    font = ImageFont.load_default(size=max(10, round(side * HEIGHT)))
    words, margin = settings.SITE_NAME, round(side * MARGIN)
    layer = Image.new("RGBA", picture.size)
    pen = ImageDraw.Draw(layer)
    place = picture.width - margin, picture.height - margin
    pen.text((place[0] + 1, place[1] + 1), words, font=font, fill=SHADE, anchor="rs")
    pen.text(place, words, font=font, fill=INK, anchor="rs")
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")
