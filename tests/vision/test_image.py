"""Decoding: what is accepted, what is refused, and that both are what people see."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from visage.errors import ImageTooLarge, InvalidImage
from visage.types import Image
from visage.vision.image import Limits, decode, encode_jpeg

LIMITS = Limits()


def scene() -> Image:
    """A picture without symmetry: 60 high, 80 wide, smooth, with a red top left and a blue bottom right."""
    y, x = np.mgrid[0:60, 0:80]
    return np.stack([255 - 2 * y - x, np.full_like(x, 60), y + 2 * x], axis=2).clip(0, 255).astype(np.uint8)


def encoded(image: PillowImage.Image, kind: str, **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def closeness(a: Image, b: Image) -> float:
    """Mean absolute difference, grey levels."""
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_colour_picture_is_decoded_as_it_was(kind: str) -> None:
    data = encoded(PillowImage.fromarray(scene()), kind)
    assert closeness(decode(data, LIMITS), scene()) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    # Store the picture turned such that the tag turns it back; Pillow knows the inverse of each.
    inverse = {
        1: None,
        2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
        3: PillowImage.Transpose.ROTATE_180,
        4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
        5: PillowImage.Transpose.TRANSPOSE,
        6: PillowImage.Transpose.ROTATE_90,
        7: PillowImage.Transpose.TRANSVERSE,
        8: PillowImage.Transpose.ROTATE_270,
    }[orientation]
    picture = PillowImage.fromarray(scene())
    stored = picture.transpose(inverse) if inverse is not None else picture
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(stored, "JPEG", exif=exif, quality=95), LIMITS)
    assert decoded.shape == (60, 80, 3)
    assert closeness(decoded, scene()) < 3


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_png_of_every_colour_type_becomes_rgb(mode: str) -> None:
    decoded = decode(encoded(PillowImage.fromarray(scene()).convert(mode), "PNG"), LIMITS)
    grey = np.asarray(PillowImage.fromarray(scene()).convert("L"))
    assert decoded.shape == (60, 80, 3)
    assert abs(float(decoded.mean()) - float(grey.mean())) < 25


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    ramp = np.linspace(0, 65535, 80 * 60).reshape(60, 80).astype(np.uint16)
    decoded = decode(encoded(PillowImage.fromarray(ramp), "PNG"), LIMITS)
    assert closeness(decoded, np.repeat((ramp >> 8).astype(np.uint8)[:, :, None], 3, axis=2)) <= 1


def test_a_cmyk_picture_whose_colours_must_be_held_may_have_half_the_pixels() -> None:
    paper = PillowImage.fromarray(scene()).convert("CMYK")
    all_at_once = encoded(paper, "JPEG")
    progressive = encoded(paper, "JPEG", progressive=True)
    assert decode(all_at_once, Limits(max_pixels=60 * 80)).shape == (60, 80, 3)
    assert decode(progressive, Limits(max_pixels=2 * 60 * 80)).shape == (60, 80, 3)
    with pytest.raises(ImageTooLarge):
        decode(progressive, Limits(max_pixels=60 * 80))
    in_colour = encoded(PillowImage.fromarray(scene()), "JPEG", progressive=True)
    assert decode(in_colour, Limits(max_pixels=60 * 80)).shape == (60, 80, 3)


def test_cmyk_jpeg_looks_like_its_rgb() -> None:
    decoded = decode(encoded(PillowImage.fromarray(scene()).convert("CMYK"), "JPEG", quality=95), LIMITS)
    assert closeness(decoded, scene()) < 6


def test_grey_jpeg_becomes_rgb() -> None:
    decoded = decode(encoded(PillowImage.fromarray(scene()).convert("L"), "JPEG"), LIMITS)
    assert (decoded[:, :, 0] == decoded[:, :, 2]).all()


def test_transparency_is_laid_on_white() -> None:
    clear = PillowImage.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (decode(encoded(clear, "PNG"), LIMITS) == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(InvalidImage, match=r"^Invalid image format\. Supported: JPEG, PNG$"):
        decode(encoded(PillowImage.fromarray(scene()), kind), LIMITS)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        decode(data, LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_picture_is_refused(kind: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    data = encoded(PillowImage.fromarray(noise), kind)
    with pytest.raises(InvalidImage):
        decode(data[: int(len(data) * part)], LIMITS)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(ImageTooLarge):
        decode(b"\xff\xd8\xff" + bytes(2000), Limits(max_bytes=1000))


def test_a_huge_png_is_refused_by_its_header() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(ImageTooLarge):
        decode(data, LIMITS)


def test_metadata_does_not_survive_encoding() -> None:
    exif = PillowImage.Exif()
    exif[0x010E] = "secret place"
    data = encoded(PillowImage.fromarray(scene()), "JPEG", exif=exif)
    assert b"secret place" in data
    assert b"secret place" not in encode_jpeg(decode(data, LIMITS), 90)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutated_picture_is_decoded_or_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG"]))
    content = bytearray(encoded(PillowImage.fromarray(scene()), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(content), LIMITS)
    except (InvalidImage, ImageTooLarge):
        return
    assert decoded.ndim == 3
    assert decoded.dtype == np.uint8
