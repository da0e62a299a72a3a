"""Mutated JPEG and PNG files against the decoder: `python -m tests.attacks.fuzz_images [COUNT] [--guided]`.

Every mutant must be decoded or refused in the contract's words; a crash, a hang of seconds, another exception or a
warning ends the run and leaves the file as `crash-….bin`. With `--guided`, and atheris installed, libFuzzer follows
the coverage of the container walk; the C decoders are no part of its map.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tests.attacks.bombs import apng, chunk, encoded, exif_of_entries, noise, segment, with_chunks, with_segments
from visage.errors import ImageTooLarge, InvalidImage
from visage.vision.image import Limits, decode

LIMITS = Limits(max_pixels=4_000_000)
SLOWEST_S = 10.0
INTERESTING = [0, 1, 2, 7, 8, 15, 16, 127, 128, 254, 255]


def seeds() -> list[bytes]:
    """Small sound pictures of every kind, and some unsound ones."""
    picture = noise(48, 40)
    jpegs = [encoded(picture.convert(mode), "JPEG") for mode in ("RGB", "L", "CMYK")]
    jpegs += [encoded(picture, "JPEG", progressive=True), encoded(picture, "JPEG", subsampling=2, quality=30)]
    jpegs += [encoded(picture, "JPEG", restart_marker_blocks=1), encoded(picture, "JPEG", icc_profile=bytes(200))]
    jpegs += [with_segments(segment(0xE1, b"Exif\0\0" + exif_of_entries(12)[:300]))]
    pngs = [encoded(picture.convert(mode), "PNG") for mode in ("RGB", "L", "P", "RGBA", "LA", "1")]
    pngs += [encoded(picture.convert("P"), "PNG", transparency=bytes(100)), apng(3)]
    pngs += [with_chunks(chunk(b"eXIf", exif_of_entries(12)[:300]), chunk(b"zTXt", b"a\0\0x\x9c\x03\0\0\0\0\1"))]
    return jpegs + pngs


def mutants(source: random.Random, count: int) -> Iterator[bytes]:
    """Mutants: bits, bytes, runs, cuts, copies, splices of two; half of the PNGs with their checksums mended."""
    pool = seeds()
    for _ in range(count):
        data = bytearray(source.choice(pool))
        for _ in range(1 << source.randrange(5)):
            if len(data) < 8:
                break
            at = source.randrange(len(data))
            match source.randrange(7):
                case 0:
                    data[at] ^= 1 << source.randrange(8)
                case 1:
                    data[at] = source.choice(INTERESTING)
                case 2:
                    data[at : at + source.randrange(1, 9)] = source.randbytes(source.randrange(1, 9))
                case 3:
                    del data[at : at + source.randrange(1, 64)]
                case 4:
                    data[at:at] = data[at : at + source.randrange(1, 64)] * source.randrange(1, 4)
                case 5:
                    other = source.choice(pool)
                    data[at:] = other[source.randrange(len(other)) :]
                case _:
                    del data[at + len(data) // 2 :]
        yield mended(bytes(data)) if source.random() < 0.5 else bytes(data)


def mended(data: bytes) -> bytes:
    """A PNG whose checksums are right again, as far as its chunks can be followed."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    stream, parts = io.BytesIO(data[8:]), [data[:8]]
    while len(head := stream.read(8)) == 8:
        body = stream.read(min(int.from_bytes(head[:4], "big"), len(data)))
        parts.append(chunk(head[4:], body))
        stream.read(4)
    return b"".join(parts)


def survive(pictures: Iterable[bytes]) -> int:
    """Decode each; returns how many there were.

    Raises:
        AssertionError: one was neither decoded nor refused, or took too long.
    """
    count = 0
    for count, picture in enumerate(pictures, 1):  # noqa: B007 - it is what is returned
        check(picture)
    return count


def check(picture: bytes) -> bool:
    """Decode a picture; was it accepted?"""
    started = time.monotonic()
    try:
        decoded = decode(picture, LIMITS)
    except (InvalidImage, ImageTooLarge):
        accepted = False
    else:
        accepted = True
        assert decoded.ndim == 3
        assert decoded.shape[2] == 3
        assert decoded.dtype == np.uint8
        assert decoded.flags.c_contiguous
        assert decoded.size <= 3 * LIMITS.max_pixels
    assert time.monotonic() - started < SLOWEST_S
    return accepted


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    if arguments.guided:
        return guided(arguments.count)
    started, accepted = time.monotonic(), 0
    for number, mutant in enumerate(mutants(random.Random(arguments.seed), arguments.count)):
        Path("crash-last.bin").write_bytes(mutant)  # stays where the interpreter itself dies
        try:
            accepted += check(mutant)
        except BaseException:
            Path(f"crash-{arguments.seed}-{number}.bin").write_bytes(mutant)
            raise
    Path("crash-last.bin").unlink(missing_ok=True)
    spent = time.monotonic() - started
    print(  # noqa: T201
        f"{arguments.count:,} mutants: {accepted:,} decoded, the others refused, no crash, {spent:.0f} s"
    )
    return None


def guided(count: int) -> None:
    """libFuzzer, with the coverage of `container.py` and `image.py`."""
    import atheris

    import visage.vision.container
    import visage.vision.image

    atheris.instrument_func(visage.vision.container.read_jpeg)
    for name in ("read_jpeg", "read_png", "exif_orientation", "_inflated_size"):
        setattr(visage.vision.container, name, atheris.instrument_func(getattr(visage.vision.container, name)))
    for name in ("read_jpeg", "read_png"):
        setattr(visage.vision.image, name, getattr(visage.vision.container, name))
    corpus = Path(".cache/fuzz")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(corpus), f"-runs={count}", "-max_len=20000", "-rss_limit_mb=2048"], run_one)
    atheris.Fuzz()


def run_one(data: bytes) -> None:
    """What libFuzzer calls."""
    check(data)
    check(mended(data))


if __name__ == "__main__":
    main()
