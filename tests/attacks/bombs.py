"""Pictures that are made to harm, each from its smallest recipe."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image as PillowImage


def encoded(image: PillowImage.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 64, height: int = 48) -> PillowImage.Image:
    """A picture of noise."""
    return PillowImage.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_chunks(*chunks: bytes, png: bytes | None = None) -> bytes:
    """A sound PNG with chunks behind its header."""
    png = png or encoded(noise(), "PNG")
    return png[:33] + b"".join(chunks) + png[33:]


def with_segments(*segments: bytes, jpeg: bytes | None = None) -> bytes:
    """A sound JPEG with segments behind its start."""
    jpeg = jpeg or encoded(noise(), "JPEG")
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size, and has no pixels."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


def jpeg_header(width: int, height: int, frame: int = 0xC0) -> bytes:
    """A small JPEG whose header promises another size, or another kind of coding."""
    jpeg = encoded(noise(), "JPEG")
    at = jpeg.index(b"\xff\xc0")
    return (
        jpeg[: at + 1] + bytes([frame]) + jpeg[at + 2 : at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]
    )


def deflated(size: int) -> bytes:
    """Zeros, a thousandth of their size."""
    return zlib.compress(bytes(size), 9)


def broken_checksum(kind: bytes, png: bytes | None = None) -> bytes:
    """A PNG in which one chunk has a wrong CRC, and its body is sound."""
    data = bytearray(png or with_chunks(chunk(b"tEXt", b"a\0b")))
    at = data.index(kind)
    (size,) = struct.unpack_from(">I", data, at - 4)
    data[at + 4 + size] ^= 1
    return bytes(data)


def apng(frames: int) -> bytes:
    """An animation of tiny frames."""
    png = encoded(PillowImage.new("L", (1, 1)), "PNG")
    pixels = zlib.compress(bytes(2))
    body = [chunk(b"acTL", struct.pack(">II", frames, 0))]
    tail = []
    for number in range(frames):
        control = struct.pack(">IIIIIHHBB", 2 * number, 1, 1, 0, 0, 1, 10, 0, 0)
        tail += [chunk(b"fcTL", control), chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + pixels)]
    return png[:33] + b"".join(body) + png[33:-12] + b"".join(tail) + png[-12:]


def many_scans(count: int, side: int = 2000) -> bytes:
    """A progressive JPEG whose last scan is repeated: each costs the decoder a walk over all of the picture."""
    jpeg = encoded(PillowImage.new("RGB", (side, side), "grey"), "JPEG", progressive=True)
    at = jpeg.rindex(b"\xff\xda")
    return jpeg[:at] + jpeg[at:-2] * count + jpeg[-2:]


def exif_of_entries(count: int) -> bytes:
    """EXIF of many entries that all point at the same bytes, the orientation among them."""
    head = b"II*\0" + struct.pack("<IH", 8, count)
    entries = [struct.pack("<HHII", 0x0112, 3, 1, 6)]
    entries += [struct.pack("<HHII", 0x8000 + number, 7, 60_000, 0) for number in range(count - 1)]
    return (head + b"".join(entries)).ljust(65_000, b"\0")


REFUSED: dict[str, Callable[[], bytes]] = {
    "zTXt of 200 MB": lambda: with_chunks(chunk(b"zTXt", b"k\0\0" + deflated(200 * 2**20))),
    "zTXt of 1 MB, 5,000 times": lambda: with_chunks(*[chunk(b"zTXt", b"k\0\0" + deflated(2**20 - 9))] * 5000),
    "iCCP of 200 MB": lambda: with_chunks(chunk(b"iCCP", b"k\0\0" + deflated(200 * 2**20))),
    "iCCP that is no deflate": lambda: with_chunks(chunk(b"iCCP", b"k\0\0junk")),
    "APNG of 10,000 frames": lambda: apng(10_000),
    "PNG of 800,000 empty chunks": lambda: with_chunks(chunk(b"tEXt", b"") * 800_000),
    "PNG truncated": lambda: encoded(noise(), "PNG")[:-40],
    "PNG without an end": lambda: encoded(noise(), "PNG")[:-12],
    "PNG of a header": lambda: encoded(noise(), "PNG")[:33],
    "PNG with a broken CRC of IHDR": lambda: broken_checksum(b"IHDR"),
    "PNG with a broken CRC of IDAT": lambda: broken_checksum(b"IDAT"),
    "PNG with a broken CRC of tEXt": lambda: broken_checksum(b"tEXt"),
    "PNG of no width": lambda: png_header(0, 10),
    "PNG chunk longer than the file": lambda: encoded(noise(), "PNG")[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT",
    "JPEG truncated": lambda: encoded(noise(), "JPEG")[:600],
    "JPEG of 5,000 scans": lambda: many_scans(5000),
    "JPEG of no height": lambda: jpeg_header(64, 0),
    "JPEG, lossless": lambda: jpeg_header(64, 48, 0xC3),
    "JPEG, arithmetic": lambda: jpeg_header(64, 48, 0xC9),
    "JPEG of two headers": lambda: with_segments(segment(0xC0, b"\x08\0\x30\0\x40\x01\x01\x11\0")),
    "JPEG segment longer than the file": lambda: b"\xff\xd8\xff\xe1\xff\xffExif\0\0",
    "zero bytes": lambda: b"",
}
"""Each is INVALID_IMAGE."""

TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "PNG of 50,000 × 50,000": lambda: png_header(50_000, 50_000),
    "PNG of 2³¹ × 2³¹": lambda: png_header(2**31 - 1, 2**31 - 1),
    "PNG of 1 × 50,000,000": lambda: png_header(1, 50_000_000),
    "JPEG of 65,535 × 65,535": lambda: jpeg_header(65_535, 65_535),
}
"""Each is IMAGE_TOO_LARGE by its header."""

HARMLESS: dict[str, Callable[[], bytes]] = {
    "PNG of 1 × 1": lambda: encoded(noise(1, 1), "PNG"),
    "JPEG of 1 × 1": lambda: encoded(noise(1, 1), "JPEG"),
    "iTXt of 200 MB": lambda: with_chunks(chunk(b"iTXt", b"k\0\1\0\0\0" + deflated(200 * 2**20))),
    "EXIF of 4,000 entries in a JPEG": lambda: with_segments(segment(0xE1, b"Exif\0\0" + exif_of_entries(4000))),
    "EXIF of 4,000 entries in a PNG": lambda: with_chunks(chunk(b"eXIf", exif_of_entries(4000))),
    "JPEG with 9 MB of profile": lambda: with_segments(*[segment(0xE2, b"ICC_PROFILE\0" + bytes(65_000))] * 140),
    "JPEG with 9 MB of EXIF": lambda: with_segments(*[segment(0xE1, b"Exif\0\0" + bytes(65_000))] * 140),
    "JPEG with 9 MB of comments": lambda: with_segments(*[segment(0xFE, bytes(65_000))] * 140),
    "JPEG with a broken profile": lambda: encoded(noise(), "JPEG", icc_profile=b"no profile"),
    "PNG with a broken profile": lambda: encoded(noise(), "PNG", icc_profile=b"no profile"),
    "JPEG with a multi-picture index": lambda: with_segments(segment(0xE2, b"MPF\0II*\0" + bytes(60))),
    "PNG of 700 × 65,535": lambda: encoded(PillowImage.new("1", (700, 65_535)), "PNG"),
    "PNG of 65,535 × 1": lambda: encoded(PillowImage.new("L", (65_535, 1)), "PNG"),
}
"""Each is decoded; what is dangerous in it is never read."""

OTHER_FORMATS: dict[str, Callable[[], bytes]] = {
    **{kind: partial(encoded, noise(), kind) for kind in ("TIFF", "GIF", "WEBP", "BMP", "PPM", "ICO", "TGA")},
    "SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "HTML": lambda: b"<!doctype html><script>alert(1)</script>",
    "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "PDF": lambda: b"%PDF-1.7\n",
    "ZIP": lambda: b"PK\x03\x04" + bytes(60),
    "JPEG 2000": lambda: b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(60),
}
