#!/usr/bin/env python3
"""What the networks of the catalogue cost, beside the default: time and memory, and for detectors what they find.

Usage: models.py [--repeats 30]

Every verified network that is here, each in a process of its own (`visage models pull NAME`). Times are medians, in
milliseconds of wall clock and of CPU, on two threads: an embedder for one face that is found, two views; a detector
for a photo of 640 pixels, and for the group photos of the tests (3, 3, 3, 4, 5 and 4 people). Memory is what the
process takes with all networks loaded. How well an embedder tells people apart is `accuracy.py DIR --model NAME`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.photos import fetch
from visage.types import Image
from visage.vision import models
from visage.vision.image import Limits, decode
from visage.vision.models import DETECTORS, EMBEDDERS, Model
from visage.vision.pipeline import Pipeline
from visage.vision.weights import fault_of

GROUPS = {"group1": 3, "group2": 3, "group3": 3, "group4": 4, "group5": 5, "group6": 4}


def main() -> None:
    """Parse the arguments; measure one network, or all in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.repeats)))
        return
    for title, kind in (("Embedders", EMBEDDERS), ("Detectors", DETECTORS)):
        found = [model.name for model in kind if is_here(model)]
        rows = {name: each_alone(name, args.repeats) for name in found}
        table = Table(title, *rows)
        for what in rows[found[0]]:
            table.add_row(what, *(str(rows[name][what]) for name in found))
        Console().print(table)


def is_here(model: Model) -> bool:
    """Can it be run, by what comes with Visage?"""
    return model.is_verified and model.extra is None and not any(map(fault_of, model.files))


def each_alone(name: str, repeats: int) -> dict[str, str]:
    """Measured in a process of its own: its memory is then its own as well."""
    command = [sys.executable, __file__, "--one", name, "--repeats", str(repeats)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed))


def measure(name: str, repeats: int) -> dict[str, str]:
    """The figures of one network."""
    photos = fetch()
    small = at_640(load(photos["obama"]))
    if name in {model.name for model in EMBEDDERS}:
        pipeline = Pipeline(models.embedder(name), threads=2)
        located = pipeline.find(small)
        report = {"one face": timed(lambda: pipeline.describe(small, located), repeats)}
    else:
        pipeline = Pipeline(detector=models.detector(name), threads=2)
        report = {"640 pixels": timed(lambda: pipeline.find(small), repeats)}
    report["memory"] = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
    if name in {model.name for model in DETECTORS}:
        groups = {key: load(photos[key]) for key in GROUPS}
        report["1920 pixels, a group"] = timed(lambda: pipeline.find(groups["group1"]), max(3, repeats // 5))
        found = [len(pipeline.find(group)) for group in groups.values()]
        report["faces of the groups found"] = f"{found} of {[*GROUPS.values()]}"
    return report


def load(path: Path) -> Image:
    """The pixels of a picture."""
    return decode(path.read_bytes(), Limits())


def at_640(image: Image) -> Image:
    """Its longer side at 640 pixels."""
    scale = 640 / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def timed(run: Callable[[], object], repeats: int) -> str:
    """Median wall and CPU milliseconds."""
    run()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = perf_counter(), process_time()
        run()
        walls.append((perf_counter() - wall) * 1e3)
        cpus.append((process_time() - cpu) * 1e3)
    return f"{np.median(walls):.1f} ms ({np.median(cpus):.1f} of CPU)"


if __name__ == "__main__":
    main()
