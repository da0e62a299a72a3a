"""From bytes to pixels: sniff, limits, orientation, decode.

Only two decoders are ever reached, by the first bytes of the content: libjpeg-turbo (simplejpeg, with Pillow's JPEG
reader for what it refuses, such as CMYK) and Pillow's PNG reader, each by name: nothing else of Pillow is looked up
or imported. `container.py` checks the limits against the header, before any pixel is decoded, and hands on only what
makes pixels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import Image as PillowImage
from PIL import ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from visage.errors import ImageTooLarge, InvalidImage
from visage.types import Image
from visage.vision.container import JPEG_START, PNG_START, read_jpeg, read_png

PillowImage.MAX_IMAGE_PIXELS = None  # the limits here are stricter, and answer in our words

_STRIP_PIXELS = 4_000_000
"""What Pillow decodes is converted in strips: beside Pillow's copy there is only the result, 3 bytes a pixel."""

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
    try:
        if data.startswith(JPEG_START):
            container = read_jpeg(data, limits.max_pixels)
            pixels = _decode_jpeg(container.essential, container.channels)
        elif data.startswith(PNG_START):
            container = read_png(data, limits.max_pixels)
            with PngImageFile(io.BytesIO(container.essential)) as picture:
                pixels = _convert(picture)
        else:
            raise InvalidImage
    except (ImageTooLarge, InvalidImage):
        raise
    except Exception as exc:
        # Hostile pictures make decoders raise nearly anything (SyntaxError, struct.error, MemoryError, …).
        raise InvalidImage from exc
    if pixels.shape[:2] != (container.height, container.width):
        raise InvalidImage  # the decoder reads another header than the one that was checked
    return _turn_upright(pixels, container.orientation)


def encode_jpeg(image: Image, quality: int) -> bytes:
    """Encode (H, W, 3) uint8 RGB as a JPEG without any metadata; full chroma resolution."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling="444"
    )
    return encoded


def _decode_jpeg(data: bytes, channels: int) -> Image:
    if channels != 4:
        try:
            decoded: Image = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
        except ValueError:
            pass  # odd but perhaps readable; Pillow refuses what is truncated
        else:
            return decoded
    with JpegImageFile(io.BytesIO(data)) as picture:
        return _convert(picture)


def _convert(picture: PillowImage.Image) -> Image:
    """Any mode that a JPEG or PNG can have → (H, W, 3) uint8, RGB."""
    picture.load()
    width, height = picture.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    wide = _is_wide(picture)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        pixels[top:bottom] = _rgb(picture.crop((0, top, width, bottom)), picture, wide=wide)
    return pixels


def _rgb(part: PillowImage.Image, picture: PillowImage.Image, *, wide: bool) -> Image:
    if part.mode.startswith("I") or part.mode == "F":
        values = np.asarray(part).astype(np.int32)
        grey = np.clip(values >> 8 if wide else values, 0, 255).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
    if picture.has_transparency_data:
        layer = part.convert("RGBA")
        paper = PillowImage.new("RGBA", layer.size, "white")
        part = PillowImage.alpha_composite(paper, layer)
    elif part.mode == "CMYK" and "adobe" not in picture.info:
        part = ImageOps.invert(part)
    return np.asarray(part.convert("RGB"))


def _is_wide(picture: PillowImage.Image) -> bool:
    """Are its grey values of 16 bits? Pillow's 32-bit mode holds either kind."""
    if picture.mode in {"I", "F"}:
        return float(picture.getextrema()[1]) > 255  # type: ignore[arg-type]
    return picture.mode.startswith("I;16")


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
