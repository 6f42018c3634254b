"""Pictures between their three forms: bytes, Pillow images, tensors in [-1, 1]."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageFilter, UnidentifiedImageError
from torch import Tensor

from generator.engine.interface import EngineError

MAX_SIDE_PX = 8192  # references are squares cut by our own code; larger is a mistake
PREVIEW_PX = 128
# A mild mask after enlarging 256 px to 512: edges regain their contrast, noise does not show.
SHARPEN = ImageFilter.UnsharpMask(radius=1.6, percent=60, threshold=2)


def read(data: bytes) -> Image.Image:
    """A PNG, JPEG or WebP as RGB. Raises EngineError("bad_picture")."""
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        if max(image.size) > MAX_SIDE_PX:
            raise EngineError("bad_picture", f"A reference has more than {MAX_SIDE_PX} px a side.")
        return image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise EngineError("bad_picture", "A picture could not be read.") from error


def read_square(data: bytes) -> Image.Image:
    """As `read`; a picture that is not square is refused: cutting is the person's choice."""
    image = read(data)
    if image.width != image.height:
        raise EngineError("bad_picture", "Choose a square picture, or cut it to a square first.")
    return image


def to_tensor(image: Image.Image, size_px: int) -> Tensor:
    """(1, 3, size_px, size_px) in [-1, 1]; averaged over areas, as the encoders saw theirs."""
    return as_tensor(image.resize((size_px, size_px), Image.Resampling.BOX))


def as_tensor(image: Image.Image) -> Tensor:
    """(1, 3, H, W) in [-1, 1], of the picture's own size."""
    values = torch.from_numpy(np.array(image, dtype=np.float32))
    return values.permute(2, 0, 1)[None] / 127.5 - 1.0


def to_image(pixels: Tensor) -> Image.Image:
    """(3, H, W) in [-1, 1] to RGB; values outside are cut."""
    levels = (pixels.float().clamp(-1, 1) + 1) * 127.5
    return Image.fromarray(levels.round().byte().permute(1, 2, 0).cpu().numpy())


def enlarge(image: Image.Image, height_px: int) -> Image.Image:
    """To `height_px` by Lanczos, sharpened a little; untouched if it is that high."""
    if image.height == height_px:
        return image
    size = (round(image.width * height_px / image.height), height_px)
    return image.resize(size, Image.Resampling.LANCZOS).filter(SHARPEN)


def to_png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def to_preview(image: Image.Image) -> bytes:
    """JPEG of at most 128 px a side, 2 to 4 kB."""
    small = image.copy()
    small.thumbnail((PREVIEW_PX, PREVIEW_PX))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=70)
    return out.getvalue()
