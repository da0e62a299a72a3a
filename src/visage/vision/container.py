"""What a JPEG or PNG file says before any pixel is decoded, and the parts of it that pixels are made from.

A decoder gets `essential` only: no metadata, colour profile or thumbnail, nothing after the end of the picture, no
frames of an animation. What is dropped here can harm no decoder, and is read nowhere else but for the orientation.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from visage.errors import ImageTooLarge, InvalidImage

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"

MAX_SIDE = 65_535
"""Pixels; as much as a JPEG can have. A PNG could have more: millions of rows of a pixel cost a decoder far more than
their pixels do."""

_UPRIGHT = 1
_EXIF_ORIENTATION = 0x0112

# ITU T.81, table B.1. Searched for from behind the last segment, which finds the next marker after entropy-coded data
# (where FF is followed by 00 or by a restart marker) and after stray bytes alike.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_PROGRESSIVE = 0xC2
_HUFFMAN_FRAMES = {0xC0, 0xC1, _PROGRESSIVE}
_HELD_CMYK = 2
"""Of a JPEG whose colours come one after the other, the decoder holds all coefficients, 2 bytes each, beside the
picture. Four colours take twice what three do, whose chroma is usually halved; so they may have half the pixels."""
_EOI, _SOS, _APP1, _APP14, _COM = 0xD9, 0xDA, 0xE1, 0xEE, 0xFE
_DROPPED = {*range(_APP1, 0xF0), _COM} - {_APP14}  # JFIF (APP0) and Adobe (APP14) tell how colours are coded

_MAX_SCANS = 64
_MAX_SCANNED_PIXELS = 1_000_000_000
"""Pixels times scans. Encoders make about ten scans; each costs the decoder a walk over the whole picture, however
few bytes it has, so that a small file of thousands of scans would decode for minutes."""

# PNG 3rd edition, section 11.
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_DEFLATED_TEXT = {b"zTXt", b"iCCP"}
_MAX_TEXT_BYTES = 4 * 1024 * 1024
"""All deflated texts and profiles of a picture together, inflated."""
_MAX_CHUNKS = 100_000


@dataclass(frozen=True, slots=True)
class Container:
    """A picture before it is decoded.

    Attributes:
        width, height: pixels, as stored.
        channels: 1, 3 or 4 of a JPEG; 0 of a PNG, which its decoder knows.
        orientation: EXIF 2.32, 1–8; 1 where there is none or a broken one.
        essential: the same file, of what makes pixels only.
    """

    width: int
    height: int
    channels: int
    orientation: int
    essential: bytes


def read_jpeg(data: bytes, max_pixels: int) -> Container:
    """Walk a JPEG's segments (ITU T.81, annex B).

    Only Huffman-coded pictures of 8 bits, sequential or progressive, are accepted: what cameras and browsers make.

    Raises:
        ImageTooLarge: more pixels than allowed, or than fit into the memory that they may take.
        InvalidImage: another kind of JPEG, a broken one, or one made to decode for minutes.
    """
    width = height = channels = scans = 0
    is_progressive = False
    orientation: int | None = None
    parts = [data[:2]]
    at = 2
    while found := _MARKER.search(data, at):
        marker, start = data[found.start() + 1], found.start()
        if scans:
            parts.append(data[at:start])  # entropy-coded
        at = found.end()
        if marker == _EOI:
            parts.append(data[start:at])
            break
        size = int.from_bytes(data[at : at + 2], "big")
        if size < 2 or at + size > len(data):
            raise InvalidImage
        body = data[at + 2 : at + size]
        at += size
        if marker in _FRAMES:
            if height or marker not in _HUFFMAN_FRAMES or len(body) < 6 or body[0] != 8:
                raise InvalidImage
            height, width, channels = struct.unpack_from(">HHB", body, 1)
            _check_size(width, height, max_pixels)
            is_progressive = marker == _PROGRESSIVE
        elif marker == _SOS:
            scans += 1
            if not height or scans > _MAX_SCANS or scans * width * height > _MAX_SCANNED_PIXELS:
                raise InvalidImage
            is_held = channels > 3 and (is_progressive or body[:1] < bytes([channels]))
            _check_size(width, height, max_pixels // (_HELD_CMYK if is_held else 1))
        elif marker == _APP1 and orientation is None and body.startswith(b"Exif\0\0"):
            orientation = exif_orientation(body[6:])
        if marker not in _DROPPED:
            parts.append(data[start:at])
    else:  # no end: what was cut off is the decoder's to judge
        parts.append(data[at:])
    if not scans or channels not in {1, 3, 4}:
        raise InvalidImage
    return Container(width, height, channels, orientation or _UPRIGHT, b"".join(parts))


def read_png(data: bytes, max_pixels: int) -> Container:
    """Walk a PNG's chunks.

    Raises:
        ImageTooLarge: more pixels than allowed; judged by the first chunk, whatever follows.
        InvalidImage: a broken one, an animation, or one whose texts would fill the memory.
    """
    width = height = 0
    orientation = _UPRIGHT
    parts = [PNG_START]
    at, room = len(PNG_START), _MAX_TEXT_BYTES
    for number in range(_MAX_CHUNKS):
        try:
            size, kind = struct.unpack_from(">I4s", data, at)
            end = at + 12 + size
            body = data[at + 8 : end - 4]
            if number == 0:
                if kind != b"IHDR" or size != 13:
                    raise InvalidImage
                width, height = struct.unpack_from(">II", body)
                _check_size(width, height, max_pixels)
            (checksum,) = struct.unpack_from(">I", data, end - 4)
        except struct.error as exc:
            raise InvalidImage from exc
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise InvalidImage
        if kind in _PIXEL_CHUNKS:
            parts.append(data[at:end])
        elif kind == b"acTL":
            raise InvalidImage
        elif kind == b"eXIf":
            orientation = exif_orientation(body)
        elif kind in _DEFLATED_TEXT:
            room -= _inflated_size(body.partition(b"\0")[2][1:], room)
        at = end
        if kind == b"IEND":
            return Container(width, height, 0, orientation, b"".join(parts))
    raise InvalidImage


def exif_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block (a TIFF header and directories); 1 where there is none or it is broken.

    Nothing else of the block is read: a general reader follows every entry wherever it points, and writes a line into
    the log for each that is broken, thousands for one picture.

    Source: TIFF 6.0, section 2.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return _UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, at)
            if tag == _EXIF_ORIENTATION and kind in {3, 4}:
                (value,) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", exif, at + 8)
                return int(value) if 1 <= value <= 8 else _UPRIGHT
    except struct.error:  # broken EXIF is no reason to refuse a photo
        pass
    return _UPRIGHT


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise ImageTooLarge(f"The image has more than {MAX_SIDE:,} pixels on a side", {"max_side": MAX_SIDE})
    if width * height > max_pixels:
        raise ImageTooLarge(f"The image has more than {max_pixels:,} pixels", {"max_pixels": max_pixels})
    if not width or not height:
        raise InvalidImage


def _inflated_size(deflated: bytes, room: int) -> int:
    """How many bytes it inflates to.

    Raises:
        InvalidImage: more than there is room for, or no deflated data.
    """
    inflater = zlib.decompressobj()
    try:
        size = len(inflater.decompress(deflated, room + 1))
    except zlib.error as exc:
        raise InvalidImage from exc
    if size > room:
        raise InvalidImage
    return size
