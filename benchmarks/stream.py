#!/usr/bin/env python3
"""How streams of frames are served: CPU a frame, overhead of the WebSocket, many clients for minutes.

Usage: stream.py PHOTO [--clients N] [--rate N] [--seconds N] [--json FILE] [--picture FILE]

PHOTO shows one face. Frames of 640×480 show it steadily, with the noise of a camera. Prints

1. CPU time a frame of a 30-frame-a-second stream: followed, and the full way for each frame;
2. milliseconds a frame: one client that waits for each reply, and the same frames through the Python API;
3. N clients that send so many frames a second to a real server: replies of each client, time from a frame to its
   reply in the first and the last third of the time, frames passed over, `/health` meanwhile, memory over time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import httpx
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_sync

from benchmarks.speed import frame, make_recognizer
from visage.recognition.recognizer import Recognizer
from visage.vision.image import Limits, decode, encode_jpeg

SIZE = (640, 480)
FRAMES = 30
SETTLED_S = 2.0


def main() -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    frames = steady(args.photo)
    with tempfile.TemporaryDirectory() as folder:
        recognizer = make_recognizer(Path(folder), persons=100)
        report: dict[str, Any] = {"cpu": cpu_a_frame(recognizer, frames)}
        with serving() as (process, url):
            report["waiting"] = overhead(recognizer, frames, url)
            recognizer.close()
            with httpx.Client(base_url=url, timeout=60) as client:
                photo = args.photo.read_bytes()
                client.post("/api/v1/register", data={"name": "Somebody"}, files={"image": photo}).raise_for_status()
            load = asyncio.run(Load(url, process.pid, frames, args.clients, args.rate, args.seconds).run())
        report["load"] = load.figures()
    show(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))
    if args.picture:
        draw(load, args.picture)


def steady(photo: Path) -> list[bytes]:
    """Encoded frames of one face that hardly moves."""
    pixels = decode(frame(photo, SIZE), Limits()).astype(np.int16)
    random = np.random.default_rng(1)
    shaken = [np.roll(pixels, random.integers(-1, 2, 2), (0, 1)) for _ in range(FRAMES)]
    noise = [random.integers(-4, 5, pixels.shape) for _ in range(FRAMES)]
    return [
        encode_jpeg(np.clip(picture + grain, 0, 255).astype(np.uint8), 85)
        for picture, grain in zip(shaken, noise, strict=True)
    ]


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server with default settings on an empty bank, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        visage = Path(sys.executable).parent / "visage"
        process = subprocess.Popen([visage, "serve", "--port", str(port), "--data-dir", folder])
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                try:
                    if httpx.get(f"{url}/api/v1/health").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            yield process, url
        finally:
            process.terminate()
            process.wait(40)


def cpu_a_frame(recognizer: Recognizer, frames: Sequence[bytes], rounds: int = 5) -> dict[str, float]:
    """CPU milliseconds of a frame, of all threads, at 30 frames a second: followed, and each for itself."""
    now = 0.0
    camera = recognizer.camera(lambda: now)
    spent: dict[str, list[float]] = {"tracked": [], "full": []}
    for number in range(rounds):
        start = process_time()
        for data in frames:
            now += 1 / 30
            recognizer.identify(data, camera)
        middle = process_time()
        for data in frames:
            recognizer.identify(data)
        if number:  # the first round also makes the track
            spent["tracked"].append((middle - start) * 1e3 / len(frames))
            spent["full"].append((process_time() - middle) * 1e3 / len(frames))
    means = {name: float(np.mean(values)) for name, values in spent.items()}
    return {**means, "ratio": means["tracked"] / means["full"]}


def overhead(recognizer: Recognizer, frames: Sequence[bytes], url: str, count: int = 150) -> dict[str, float]:
    """Median milliseconds of a frame by three ways, taken in turn."""
    live = url.replace("http", "ws", 1) + "/ws/identify"
    with connect_sync(live, compression=None) as text, connect_sync(live, compression=None) as binary:
        camera = recognizer.camera()

        def send_text(data: bytes) -> object:
            text.send(json.dumps({"type": "frame", "data": base64.b64encode(data).decode()}))
            return json.loads(text.recv())

        def send_binary(data: bytes) -> object:
            binary.send(data)
            return json.loads(binary.recv())

        ways: dict[str, Callable[[bytes], object]] = {
            "python": lambda data: recognizer.identify(data, camera),
            "base64": send_text,
            "binary": send_binary,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number, data in zip(range(count), cycle(frames), strict=False):
            for name, way in ways.items():
                start = perf_counter()
                way(data)
                if number >= 10:
                    times[name].append((perf_counter() - start) * 1e3)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    means = {name: float(np.mean(values)) for name, values in times.items()}
    return {
        **{f"{name}_ms": value for name, value in medians.items()},
        **{f"{name}_ratio": medians[name] / medians["python"] for name in ("base64", "binary")},
        **{f"{name}_ratio_of_means": means[name] / means["python"] for name in ("base64", "binary")},
    }


@dataclass
class Load:
    """Clients that send frames at a fixed rate and read every reply, and what they saw.

    Attributes:
        delays: (seconds since the start, seconds from a frame to its reply) of each client.
        dropped: frames passed over, of each client.
        health: (seconds since the start, seconds of a /health).
        memory: (seconds since the start, MB resident in the server).
    """

    url: str
    pid: int
    frames: Sequence[bytes]
    clients: int
    rate: float
    seconds: float
    delays: list[list[tuple[float, float]]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    health: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    started: float = 0.0

    async def run(self) -> Load:
        """Send, receive, watch."""
        self.delays = [[] for _ in range(self.clients)]
        self.dropped = [0] * self.clients
        self.started = perf_counter()
        await asyncio.gather(self._watch(), *(self._client(number) for number in range(self.clients)))
        return self

    @property
    def _now(self) -> float:
        return perf_counter() - self.started

    async def _client(self, number: int) -> None:
        texts = [base64.b64encode(data).decode() for data in self.frames]
        sent: dict[int, float] = {}
        async with connect(self.url.replace("http", "ws", 1) + "/ws/identify", compression=None) as live:

            async def read() -> None:
                async for message in live:
                    reply = json.loads(message)
                    self.dropped[number] += reply["dropped"]
                    self.delays[number].append((self._now, perf_counter() - sent.pop(reply["frame_id"])))

            reader = asyncio.create_task(read())
            await asyncio.sleep(number / self.clients / self.rate)
            frame_id = 0
            while self._now < self.seconds:
                due = perf_counter() + 1 / self.rate
                sent[frame_id] = perf_counter()
                data = texts[frame_id % len(texts)]
                await live.send(json.dumps({"type": "frame", "data": data, "frame_id": frame_id}))
                frame_id += 1
                await asyncio.sleep(max(0.0, due - perf_counter()))
            await asyncio.sleep(1)
        await reader

    async def _watch(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            while self._now < self.seconds:
                start = perf_counter()
                (await client.get("/api/v1/health")).raise_for_status()
                self.health.append((self._now, perf_counter() - start))
                self.memory.append((self._now, resident_mb(self.pid)))
                await asyncio.sleep(0.2)

    def figures(self) -> dict[str, Any]:
        """What came of it."""
        third = self.seconds / 3
        everything = [pair for client in self.delays for pair in client if pair[0] > SETTLED_S]
        counts = [len(client) for client in self.delays]
        settled = [mb for at, mb in self.memory if at > min(60.0, third)]
        return {
            "clients": self.clients,
            "rate": self.rate,
            "seconds": self.seconds,
            "replies": counts,
            "fairness": min(counts) / max(counts),
            "dropped": self.dropped,
            "delay_ms": percentiles(delay for _, delay in everything),
            "delay_first_third_ms": percentiles(delay for at, delay in everything if at < third),
            "delay_last_third_ms": percentiles(delay for at, delay in everything if at > 2 * third),
            "health_ms": percentiles(delay for _, delay in self.health),
            "memory_mb": {"settled": settled[0], "end": settled[-1], "most": max(settled)},
        }


def percentiles(seconds: Iterator[float]) -> dict[str, float]:
    """Milliseconds."""
    values = np.array(list(seconds)) * 1e3
    return {f"p{part}": round(float(np.percentile(values, part)), 1) for part in (50, 95, 99)}


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    cpu, waiting, load = report["cpu"], report["waiting"], report["load"]
    table = Table("what", "measured", "target")
    table.add_row("CPU a frame, tracked / full", f"{cpu['tracked']:.1f} / {cpu['full']:.1f} ms", "")
    table.add_row("… ratio", f"{cpu['ratio']:.2f}", "≤ 0.33")
    for way in ("base64", "binary"):
        table.add_row(
            f"WebSocket, {way}, against Python",
            f"{waiting[f'{way}_ms']:.1f} / {waiting['python_ms']:.1f} ms, {waiting[f'{way}_ratio']:.2f}",
            "≤ 1.25",
        )
    table.add_row(
        f"{load['clients']} clients × {load['rate']:g}/s, {load['seconds']:g} s: replies", str(load["replies"]), ""
    )
    table.add_row("… fewest / most", f"{load['fairness']:.2f}", "≥ 0.8")
    table.add_row("… passed over", str(sum(load["dropped"])), "")
    for name in ("delay_ms", "delay_first_third_ms", "delay_last_third_ms", "health_ms"):
        goal = "p95 ≤ 50" if name == "health_ms" else ""
        table.add_row(f"… {name}", str(load[name]), goal)
    table.add_row("… resident MB", str({k: round(v) for k, v in load["memory_mb"].items()}), "flat")
    Console(width=130).print(table)


def draw(load: Load, path: Path) -> None:
    """Delay, /health and memory over time."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for client in load.delays:
        above.plot([at for at, _ in client], [delay * 1e3 for _, delay in client], ".", markersize=1)
    above.plot([at for at, _ in load.health], [delay * 1e3 for _, delay in load.health], "k,", label="/health")
    above.set(ylabel="frame to reply, ms", yscale="log")
    below.plot(*zip(*load.memory, strict=True))
    below.set(xlabel="seconds", ylabel="server, resident MB", ylim=(0, None))
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
