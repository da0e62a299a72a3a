#!/usr/bin/env python3
"""How fast a frame becomes a decision: against other libraries, against its bare model runs, and by its faces.

Usage: speed.py [PHOTO] [--persons 1000] [--repeats 40] [--json FILE.json] [--picture FILE.png]

PHOTO shows one face; without it, a photo of the tests is taken. It is scaled to each size and encoded as JPEG
(quality 90); the same bytes go to all. Visage goes the whole way, bytes → decode → detect → landmarks → align →
embed → search → decision, in a bank of --persons random persons. The others (`peers.py`) do as much with as many
known faces. All take turns, so that a drift of the machine's speed meets each; the median is quoted, and ratios are
taken pair by pair. Then a real server is started on a bank of --persons with two photos each: time to ready, first
identification, memory. What is not installed is left out (benchmarks/peers.txt). Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import httpx
import numpy as np
from matplotlib.figure import Figure
from PIL import Image as PillowImage
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.peers import ways as peer_ways
from tests.api.conftest import Server, start
from tests.photos import fetch
from visage.bank.bank import MemoryBank
from visage.recognition import calibration
from visage.recognition.decision import Decider
from visage.recognition.recognizer import Recognizer
from visage.storage.sqlite import open_store
from visage.types import NewPhoto, Quality
from visage.vision.detect import Detector
from visage.vision.embed import DIMENSION, MODEL_NAME, unit
from visage.vision.image import Limits
from visage.vision.pipeline import Pipeline
from visage.vision.runtime import available_cores

SIZES = ((640, 480), (1280, 960))
CROWD = ("obama", "biden", "astronaut", "obama2", "obama3", "biden", "obama", "astronaut")
PICTURE_BYTES = 20_000
"""About what a stored portrait takes."""

Ways = Mapping[str, Callable[[bytes], Any]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report: a ratio or a figure, and what it should be."""

    what: str
    value: float
    target: str
    holds: bool | None


def main() -> None:
    """Parse the arguments, time, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--persons", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="draw the medians here (PNG)")
    args = parser.parse_args()
    photos = fetch()
    photo = args.photo or photos["obama"]
    frames = {f"{width}×{height}": frame(photo, (width, height)) for width, height in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        recognizer = make_recognizer(Path(folder), args.persons)
        peers, missing = peer_ways(args.persons)
        ways: Ways = {"Visage": lambda data: recognizer.identify(data).faces, **peers}
        medians = {size: take_turns(ways, data, args.repeats) for size, data in frames.items()}
        lines = against_peers(medians)
        lines += [overhead(recognizer, size, data, 2 * args.repeats) for size, data in frames.items()]
        lines += [many_faces(recognizer, photos, args.repeats), tracking(recognizer, frames["640×480"], args.repeats)]
        recognizer.close()
    with tempfile.TemporaryDirectory() as folder:
        lines += serving(Path(folder) / "data", frames["640×480"], args.persons)
    report = {
        "machine": machine(),
        "median_ms": {
            size: {name: round(float(np.median(t)), 2) for name, t in m.items()} for size, m in medians.items()
        },
        "left_out": missing,
        "lines": [asdict(line) for line in lines],
    }
    show(report, lines)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2, ensure_ascii=False))
    if args.picture:
        draw(report, args.picture)


def make_recognizer(folder: Path, persons: int) -> Recognizer:
    """A recognizer with default settings in a bank of random persons."""
    bank = MemoryBank(open_store(folder), model=MODEL_NAME, dimension=DIMENSION)
    fill(bank, persons, photos=1)
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
    recognizer = Recognizer(Pipeline(), bank, decider, limits=Limits())
    recognizer.warm_up()
    return recognizer


def fill(bank: MemoryBank, persons: int, photos: int) -> None:
    """Enrol random persons."""
    rng = np.random.default_rng(1)
    for number in range(persons):
        looks = unit(rng.normal(size=(photos, DIMENSION)).astype(np.float32))
        pictures = [NewPhoto(look, rng.bytes(PICTURE_BYTES), Quality(100)) for look in looks]
        bank.enrol(name=str(number), relationship=None, metadata={}, photos=pictures)


def frame(photo: Path, size: tuple[int, int]) -> bytes:
    """The photo inside a frame of that size, as a webcam would show it: a third of the height is face."""
    with PillowImage.open(photo) as image:
        scale = size[1] / image.height
        scaled = image.convert("RGB").resize((round(image.width * scale), size[1]))
    canvas = PillowImage.new("RGB", size, (96, 96, 96))
    canvas.paste(scaled, ((size[0] - scaled.width) // 2, 0))
    return jpeg(canvas)


def crowd(photos: Mapping[str, Path], count: int) -> bytes:
    """So many of eight people in a frame of 1280×960, each in a place of 320×480."""
    canvas = PillowImage.new("RGB", (1280, 960), (96, 96, 96))
    for index, key in enumerate(CROWD[:count]):
        with PillowImage.open(photos[key]) as image:
            scale = 480 / image.height
            scaled = image.convert("RGB").resize((round(image.width * scale), 480))
        left = max(0, (scaled.width - 320) // 2)
        canvas.paste(scaled.crop((left, 0, left + 320, 480)), (index % 4 * 320, index // 4 * 480))
    return jpeg(canvas)


def jpeg(image: PillowImage.Image) -> bytes:
    """Encoded as cameras do."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def take_turns(ways: Ways, data: bytes, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each way, in turn."""
    for name, way in ways.items():
        if len(way(data)) != 1:
            raise SystemExit(f"{name} does not find the one face of the photo")
    return timed({name: lambda way=way: way(data) for name, way in ways.items()}, repeats)  # type: ignore[misc]


def timed(
    calls: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = perf_counter
) -> dict[str, list[float]]:
    """Milliseconds of each call, in turn, after two rounds that do not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(repeats + 2):
        for name, call in calls.items():
            start = clock()
            call()
            if number >= 2:
                times[name].append((clock() - start) * 1e3)
    return times


def ratio(times: Mapping[str, list[float]], upper: str, lower: str) -> float:
    """The median of the ratios, taken round by round."""
    return float(np.median(np.array(times[upper]) / np.array(times[lower])))


def against_peers(medians: Mapping[str, Mapping[str, list[float]]]) -> list[Line]:
    """How many times faster than each other library."""
    lines = []
    for (size, times), least in zip(medians.items(), (20, 30), strict=True):
        for name in times:
            if name != "Visage":
                times_faster = ratio(times, name, "Visage")
                target, holds = "", None
                if name == "face_recognition":
                    target, holds = f"≥ {least}", times_faster >= least
                lines.append(
                    Line(f"{size}, one face: times faster than {name}", round(times_faster, 1), target, holds)
                )
    return lines


def overhead(recognizer: Recognizer, size: str, data: bytes, repeats: int) -> Line:
    """The whole way against its bare model runs, in turn: one face is one run of each, two of the embedder."""
    pipeline = recognizer._pipeline
    parts = pipeline._networks
    assert isinstance(parts.detector, Detector)
    pixels = [np.zeros((n, side, side, 3), dtype=np.uint8) for n, side in ((1, 256), (1, 192), (2, 112))]
    networks = (parts.detector._network, parts.landmarker._network, parts.embedder._network)

    def bare() -> None:
        for network, batch in zip(networks, pixels, strict=True):
            network(batch)

    times = timed({"whole": lambda: recognizer.identify(data), "bare": bare}, repeats)
    value = ratio(times, "whole", "bare")
    is_target = size == "640×480"
    return Line(
        f"{size}, one face: the whole way against its bare model runs",
        round(value, 2),
        "≤ 1.35" if is_target else "",
        value <= 1.35 if is_target else None,
    )


def many_faces(recognizer: Recognizer, photos: Mapping[str, Path], repeats: int) -> Line:
    """Eight faces in a frame against one in the same frame."""
    frames = {str(count): crowd(photos, count) for count in (1, 8)}
    for count, data in frames.items():
        if len(recognizer.identify(data).faces) != int(count):
            raise SystemExit(f"{count} faces are not all found")
    times = timed(
        {count: lambda data=data: recognizer.identify(data) for count, data in frames.items()},  # type: ignore[misc]
        repeats,
    )
    value = ratio(times, "8", "1")
    return Line("8 faces in a frame against 1", round(value, 2), "≤ 5", value <= 5)


def tracking(recognizer: Recognizer, data: bytes, repeats: int) -> Line:
    """CPU time a frame of a steady face at 30 frames a second, against the full way for each frame."""
    now = 0.0

    def clock() -> float:
        return now

    camera = recognizer.camera()
    camera._clock = clock
    followed = []
    for number in range(30 + 3 * repeats):
        now = number / 30
        start = process_time()
        recognizer.identify(data, camera)
        if number >= 30:
            followed.append(process_time() - start)
    full = timed({"full": lambda: recognizer.identify(data)}, repeats, process_time)["full"]
    value = float(np.mean(followed) * 1e3 / np.mean(full))
    return Line(
        "a steady face at 30 frames a second: CPU time against the full way",
        round(value, 2),
        "≤ 0.33",
        value <= 1 / 3,
    )


def serving(data_dir: Path, data: bytes, persons: int) -> list[Line]:
    """Start a real server, twice: the second start finds the compiled models."""
    bank = MemoryBank(open_store(data_dir), model=MODEL_NAME, dimension=DIMENSION)
    fill(bank, persons, photos=2)
    bank.close()
    lines = []
    for which in ("first", "later"):
        began = perf_counter()
        server = start(data_dir)
        ready_s = perf_counter() - began
        try:
            idle_mb = memory_mb(server)
            first_ms, steady_ms = identify_times(server, data)
            settled_mb = memory_mb(server)
        finally:
            server.stop()
        lines.append(Line(f"{which} start to ready, {persons:,} persons, s", round(ready_s, 2), "≤ 5", ready_s <= 5))
        value = first_ms / steady_ms
        lines.append(Line(f"{which} start: first identification against later", round(value, 2), "≤ 2", value <= 2))
    most_mb = max(idle_mb, settled_mb)
    lines.append(Line("resident memory, idle, MB", round(most_mb), "≤ 400", most_mb <= 400))
    return lines


def identify_times(server: Server, data: bytes) -> tuple[float, float]:
    """Milliseconds of the first identification, and the median of the next."""
    times = []
    with httpx.Client(base_url=server.api, timeout=60) as client:
        client.get("/health")
        client.build_request("POST", "/identify", files={"image": data}).read()  # the client's own first time
        for _ in range(31):
            start_s = perf_counter()
            client.post("/identify", files={"image": data}).raise_for_status()
            times.append((perf_counter() - start_s) * 1e3)
    return times[0], float(np.median(times[1:]))


def memory_mb(server: Server) -> float:
    """Resident memory of the server's process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (kilobytes,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return kilobytes * 1024 / 1e6


def machine() -> str:
    """The processor and how many of its cores this process may use."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return f"{names[0] if names else 'unknown processor'}, {available_cores()} cores"


def show(report: Mapping[str, Any], lines: list[Line]) -> None:
    """Print the tables."""
    console = Console()
    console.print(report["machine"])
    medians = Table("frame", "median ms, bytes to decision")
    for size, values in report["median_ms"].items():
        medians.add_row(size, ", ".join(f"{name} {ms}" for name, ms in values.items()))
    console.print(medians)
    table = Table("what", "measured", "target", "")
    for line in lines:
        table.add_row(line.what, str(line.value), line.target, {True: "holds", False: "MISSED", None: ""}[line.holds])
    console.print(table)
    for name, reason in report["left_out"].items():
        console.print(f"Left out: {name} ({reason})", markup=False)


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Bars of the medians, on a logarithmic scale."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots(1, len(report["median_ms"]), sharex=True)
    for axis, (size, values) in zip(axes, report["median_ms"].items(), strict=True):
        bars = axis.barh(list(values), list(values.values()), color=["#1b6ca8", *["#9aa5b1"] * (len(values) - 1)])
        axis.bar_label(bars, fmt="%.1f ms", padding=3)
        axis.set(title=f"{size}, one face", xscale="log", xlabel="median ms, bytes to decision")
        axis.set_xlim(1, 10 * max(values.values()))
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(report["machine"], fontsize=9)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
