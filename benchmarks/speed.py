#!/usr/bin/env python3
"""How fast a frame becomes a decision, against `face_recognition` with its default calls, in one run.

Usage: speed.py PHOTO [--persons 1000] [--repeats 40] [--json FILE.json]

PHOTO shows one face. It is scaled to each size and encoded as JPEG (quality 90); the same bytes go to both. Visage
goes the whole way, bytes → decode → detect → landmarks → align → embed → search → decision, in a bank of --persons
random persons. `face_recognition` (dlib HOG, one upsampling, ResNet) decodes with Pillow, finds, encodes, and
compares with as many encodings. The two take turns, so that a drift of the machine's speed meets both; the median
is quoted, and ratios are taken pair by pair. Without `face_recognition` (benchmarks/peers.txt) only Visage is
timed.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image as PillowImage
from rich.console import Console
from rich.table import Table

from visage.bank.bank import MemoryBank
from visage.bank.sqlite import open_store
from visage.recognition import calibration
from visage.recognition.decision import Decider
from visage.recognition.recognizer import Recognizer
from visage.types import NewPhoto, Quality
from visage.vision.embed import DIMENSION, MODEL_NAME, unit
from visage.vision.image import Limits
from visage.vision.pipeline import Pipeline

SIZES = ((640, 480), (1280, 960))


def main() -> None:
    """Parse the arguments, time, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--persons", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recognizer = make_recognizer(Path(folder), args.persons)
        ways: dict[str, Callable[[bytes], object]] = {"visage": lambda data: recognizer.identify(data).faces}
        if peer := face_recognition_way(args.persons):
            ways["face_recognition"] = peer
        report = [measure(frame(args.photo, size), size, ways, args.repeats) for size in SIZES]
        recognizer.close()
    show(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


def make_recognizer(folder: Path, persons: int) -> Recognizer:
    """A recognizer with default settings in a bank of random persons."""
    bank = MemoryBank(open_store(folder), model=MODEL_NAME, dimension=DIMENSION)
    looks = unit(np.random.default_rng(1).normal(size=(persons, DIMENSION)).astype(np.float32))
    for number, look in enumerate(looks):
        photo = NewPhoto(look, b"", Quality(100))
        bank.enrol(name=str(number), relationship=None, metadata={}, photos=[photo])
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
    recognizer = Recognizer(Pipeline(), bank, decider, limits=Limits())
    recognizer.warm_up()
    return recognizer


def face_recognition_way(persons: int) -> Callable[[bytes], object] | None:
    """Bytes → is it one of them, with the default calls; None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import face_recognition  # noqa: PLC0415 - optional
    except ImportError:
        return None
    known = np.random.default_rng(1).normal(size=(persons, 128))

    def way(data: bytes) -> object:
        image = face_recognition.load_image_file(io.BytesIO(data))
        return [face_recognition.face_distance(known, e).min() for e in face_recognition.face_encodings(image)]

    return way


def frame(photo: Path, size: tuple[int, int]) -> bytes:
    """The photo inside a frame of that size, as a webcam would show it: a third of the height is face."""
    with PillowImage.open(photo) as image:
        scale = size[1] / image.height
        scaled = image.convert("RGB").resize((round(image.width * scale), size[1]))
    canvas = PillowImage.new("RGB", size, (96, 96, 96))
    canvas.paste(scaled, ((size[0] - scaled.width) // 2, 0))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def measure(
    data: bytes, size: tuple[int, int], ways: dict[str, Callable[[bytes], object]], repeats: int
) -> dict[str, object]:
    """Median milliseconds of each way, and the ratio to the first, taken pair by pair."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        found = way(data)
        if not isinstance(found, list | tuple) or len(found) != 1:
            raise SystemExit(f"The photo must show one face at {size[0]}×{size[1]}")
    for _ in range(repeats):
        for name, way in ways.items():
            start = perf_counter()
            way(data)
            times[name].append((perf_counter() - start) * 1e3)
    ours = np.array(times["visage"])
    return {
        "size": f"{size[0]}×{size[1]}",
        "median_ms": {name: round(float(np.median(t)), 2) for name, t in times.items()},
        "times_faster": {
            name: round(float(np.median(np.array(t) / ours)), 1) for name, t in times.items() if name != "visage"
        },
    }


def show(report: list[dict[str, object]]) -> None:
    """Print the table."""
    table = Table("frame", "median ms", "Visage is faster by")
    for row in report:
        table.add_row(str(row["size"]), str(row["median_ms"]), str(row["times_faster"]))
    Console().print(table)


if __name__ == "__main__":
    main()
