#!/usr/bin/env python3
"""That dlib's network, built here from its own file, gives what dlib gives.

Usage: prove_dlib.py [DIR] [--limit N]

The chips of each face of the tests' photos, and of N photos of DIR (one folder a person), go through dlib and through
Visage. Prints the cosines between the two vectors. Needs dlib (benchmarks/peers.txt; `dlib-bin` is dlib compiled) and
`visage models pull dlib`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.photos import fetch
from visage.vision.align import align
from visage.vision.embed import unit
from visage.vision.image import Limits, decode
from visage.vision.models import DLIB
from visage.vision.opening import open_network
from visage.vision.pipeline import Pipeline
from visage.vision.runtime import Runtime


def main() -> None:
    """Parse the arguments, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path, nargs="?")
    parser.add_argument("--limit", type=int, default=500)
    args = parser.parse_args()
    dlib: Any = importlib.import_module("dlib")
    theirs = dlib.face_recognition_model_v1(str(DLIB.files[0].path))
    pipeline, ours = Pipeline(DLIB), open_network(Runtime(), DLIB)
    files = [*fetch().values(), *(sorted(args.dir.glob("*/*"))[: args.limit] if args.dir else [])]
    cosines = []
    for path in track(files, console=Console(stderr=True)):
        image = decode(path.read_bytes(), Limits())
        for face in pipeline.analyse(image):
            chips = align(image, face.landmarks, DLIB.framing)
            (mine,) = ours(chips)
            for own, chip in zip(mine, chips, strict=True):
                cosines.append(cosine(own, np.array(theirs.compute_face_descriptor(np.ascontiguousarray(chip)))))
    print(f"{len(cosines)} chips: smallest cosine {min(cosines):.7f}, mean {np.mean(cosines):.7f}")


def cosine(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Of two vectors of any length."""
    return float(unit(one.astype(np.float32)) @ unit(other.astype(np.float32)))


if __name__ == "__main__":
    main()
