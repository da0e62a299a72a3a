"""What this machine does: the stages of a frame, timed with different numbers of threads, and what to set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import cv2
import numpy as np
from rich.table import Table

from visage.cli.console import err, out, say
from visage.types import Box, Image
from visage.vision.align import FACE_SIZE, TEMPLATE
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.landmarks import MESH_POINTS
from visage.vision.pipeline import LocatedFace, Pipeline
from visage.vision.runtime import available_cores

_FRAME = (480, 640)
_MANY = 8
_FACE_PX = 200
"""Side of the face in the frame, pixels: someone an arm's length from a webcam."""

_MAX_FPS = 30
_SHARE = 0.5
"""A camera should leave this part of the machine to others."""
_SEARCHES, _LOOKS = 1 / 4, 1 / 30
"""How often the frame of a steady face is searched anew, and that face embedded (`recognition/tracker.py`)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Median milliseconds of each stage of a 640×480 JPEG, and of the whole way with one face and with eight."""

    threads: int
    decode: float
    detect: float
    landmarks: float
    embed: float
    one_face: float
    many_faces: float

    @property
    def tracked(self) -> float:
        """Milliseconds of a frame of one steady face: followed, now and then searched and embedded."""
        return self.decode + self.landmarks + _SEARCHES * (self.detect + self.landmarks) + _LOOKS * self.embed

    @property
    def frames_a_second(self) -> int:
        """What one camera may send, with half of the machine left."""
        return max(1, min(_MAX_FPS, int(_SHARE * 1000 / self.tracked)))


def run(seconds: float = 12.0) -> None:
    """Time, print the table, recommend."""
    cores = available_cores()
    candidates = thread_counts(cores)
    with err.status("Timing; leave the machine alone for some seconds …"):
        timings = [measure(threads, seconds / len(candidates)) for threads in candidates]
    table = Table("Threads", "Decode", "Detect", "Landmarks", "Embed", "1 face, in all", f"{_MANY} faces, in all")
    for timing in timings:
        stages = (timing.decode, timing.detect, timing.landmarks, timing.embed, timing.one_face, timing.many_faces)
        table.add_row(str(timing.threads), *(f"{ms:.1f}" for ms in stages))
    out.print(table)
    best = recommended(timings)
    say("Median milliseconds for a frame of 640×480 pixels.")
    value = 0 if best.threads == cores else best.threads
    say(f"Set VISAGE_INFERENCE_THREADS={value}{' (the default)' if value == 0 else ''}.")
    say(f"A camera may send {best.frames_a_second} frames a second.")


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4 … up to the number of cores, and that number itself; at most five."""
    powers = [2**n for n in range(cores.bit_length()) if 2**n < cores]
    return [*powers[:4], cores]


def recommended(timings: Sequence[Timing]) -> Timing:
    """The fewest threads that are within a tenth of the fastest."""
    fastest = min(timing.one_face for timing in timings)
    return min((t for t in timings if t.one_face <= 1.1 * fastest), key=lambda timing: timing.threads)


def measure(threads: int, seconds: float) -> Timing:
    """Time every stage in turn, for so many seconds.

    No face of a person is shipped to be timed. The networks take as long for a smooth picture, so each stage is
    told where to look.
    """
    pipeline = Pipeline(threads=threads)
    image = smooth_frame()
    pipeline.warm_up(image)
    data = encode_jpeg(image, 90)
    one, many = [a_face()], [a_face()] * _MANY

    def whole(faces: Sequence[LocatedFace]) -> None:
        pixels = decode(data, Limits())
        pipeline.find(pixels)
        pipeline.follow(pixels, [face.mesh for face in faces])
        pipeline.describe(pixels, faces)

    stages: dict[str, Callable[[], object]] = {
        "decode": lambda: decode(data, Limits()),
        "detect": lambda: pipeline.find(image),
        "landmarks": lambda: pipeline.follow(image, [one[0].mesh]),
        "embed": lambda: pipeline.describe(image, one),
        "one_face": lambda: whole(one),
        "many_faces": lambda: whole(many),
    }
    times: dict[str, list[float]] = {name: [] for name in stages}
    end = perf_counter() + seconds
    while perf_counter() < end or len(times["decode"]) < 3:
        for name, stage in stages.items():
            start = perf_counter()
            stage()
            times[name].append((perf_counter() - start) * 1e3)
    return Timing(threads, **{name: float(np.median(values)) for name, values in times.items()})


def smooth_frame() -> Image:
    """(480, 640, 3) uint8: soft colours, as large a JPEG as a room before a webcam makes."""
    small = np.random.default_rng(0).integers(40, 215, (30, 40, 3), dtype=np.uint8)
    return cv2.resize(small, _FRAME[::-1], interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def a_face() -> LocatedFace:
    """Where a face would be, in the middle of the frame."""
    scale = _FACE_PX / FACE_SIZE
    corner = np.array([_FRAME[1] - _FACE_PX, _FRAME[0] - _FACE_PX], dtype=np.float32) / 2
    landmarks = (TEMPLATE * scale + corner).astype(np.float32)
    mesh = np.zeros((MESH_POINTS, 3), dtype=np.float32)
    mesh[:, :2] = np.random.default_rng(0).uniform(corner, corner + _FACE_PX, (MESH_POINTS, 2))
    return LocatedFace(Box(float(corner[0]), float(corner[1]), _FACE_PX, _FACE_PX), landmarks, mesh, 1.0)
