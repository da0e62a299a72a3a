"""From bytes to pixels: sniff, limits, orientation, decode.

Only two decoders are ever reached, by the first bytes of the content: libjpeg-turbo (simplejpeg, with Pillow for
what it refuses, such as CMYK) and Pillow's PNG reader. Limits are checked against the header, before any pixel
is decoded.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import Image as PillowImage
from PIL import ImageOps

from visage.errors import ImageTooLarge, InvalidImage
from visage.types import Image

PillowImage.MAX_IMAGE_PIXELS = None  # the limits here are stricter, and answer in our words

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF_ORIENTATION = 0x0112

# EXIF 2.32, table 4.6.4 A: what must be done to the stored picture to see it upright, as
# (transpose, flip rows, flip columns), in that order.
_UPRIGHT = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused before it is decoded."""

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 50_000_000


def decode(data: bytes, limits: Limits) -> Image:
    """Decode a JPEG or PNG of any colour type to upright RGB.

    Grey, palette, CMYK and 16-bit pictures are converted; transparency is laid on white.

    Args:
        data: the encoded picture; its name and content type do not matter.
        limits: bytes and pixels allowed.

    Returns: (H, W, 3) uint8, RGB, C-contiguous, EXIF orientation applied.

    Raises:
        ImageTooLarge: more bytes or pixels than allowed.
        InvalidImage: no JPEG or PNG, or a broken one.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"The image has more than {limits.max_bytes:,} bytes", {"max_bytes": limits.max_bytes})
    if data.startswith(_JPEG):
        kind = "JPEG"
    elif data.startswith(_PNG):
        kind = "PNG"
    else:
        raise InvalidImage
    try:
        with PillowImage.open(io.BytesIO(data), formats=[kind]) as header:
            width, height = header.size
            if width * height > limits.max_pixels:
                raise ImageTooLarge(
                    f"The image has more than {limits.max_pixels:,} pixels",
                    {"max_pixels": limits.max_pixels},
                )
            orientation = _orientation(header)
            if kind == "JPEG" and header.mode in {"RGB", "L"}:
                pixels = _decode_jpeg(data, header)
            else:
                pixels = _convert(header)
    except (ImageTooLarge, InvalidImage):
        raise
    except Exception as exc:
        # Hostile pictures make decoders raise nearly anything (SyntaxError, struct.error, MemoryError, …).
        raise InvalidImage from exc
    return _turn_upright(pixels, orientation)


def encode_jpeg(image: Image, quality: int) -> bytes:
    """Encode (H, W, 3) uint8 RGB as a JPEG without any metadata; full chroma resolution."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling="444"
    )
    return encoded


def _orientation(header: PillowImage.Image) -> int:
    try:
        return int(header.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken EXIF is no reason to refuse a photo
        return 1


def _decode_jpeg(data: bytes, header: PillowImage.Image) -> Image:
    try:
        decoded: Image = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except ValueError:
        return _convert(header)  # odd but perhaps readable; Pillow refuses what is truncated
    return decoded


def _convert(header: PillowImage.Image) -> Image:
    header.load()
    mode = header.mode
    if mode.startswith("I") or mode == "F":
        wide = np.asarray(header).astype(np.int64)
        grey = np.clip(wide >> 8 if mode.startswith("I;16") or wide.max(initial=0) > 255 else wide, 0, 255)
        return cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
    if header.has_transparency_data:
        layer = header.convert("RGBA")
        paper = PillowImage.new("RGBA", layer.size, "white")
        header = PillowImage.alpha_composite(paper, layer)
    elif mode == "CMYK" and "adobe" not in header.info:
        header = ImageOps.invert(header)
    return np.array(header.convert("RGB"))


def _turn_upright(pixels: Image, orientation: int) -> Image:
    if orientation not in _UPRIGHT:
        return np.ascontiguousarray(pixels)
    transpose, flip_rows, flip_columns = _UPRIGHT[orientation]
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    if flip_rows:
        pixels = pixels[::-1]
    if flip_columns:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
