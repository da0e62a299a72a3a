#!/usr/bin/env python3
"""How well the default models tell people apart, through the product's own pipeline.

Usage: accuracy.py DIR [--embeddings FILE.npz] [--json FILE.json] [--calibrate]

DIR holds one folder of photos a person. Each photo gives one face: the most prominent one. Prints a table:
verification rate (VR) at three false accept rates, and, for 1 and 3 photos enrolled, rank 1 and the detection and
identification rate (DIR) at two false-name rates (FPIR). --embeddings keeps `names` and `embeddings`;
--calibrate writes the calibration that Visage ships for the model.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from visage.recognition import calibration
from visage.recognition.evaluation import open_set, verification
from visage.recognition.recognizer import prominence
from visage.vision.embed import MODEL_NAME
from visage.vision.image import Limits, decode
from visage.vision.pipeline import Pipeline

# What the prototype reached on the development half of Labeled Faces in the Wild, %.
PROTOTYPE = (99.81, 99.40, 98.24, 95.15, 91.87, 98.97, 98.16)


def main() -> None:
    """Parse the arguments, embed, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--embeddings", type=Path, help="write names and embeddings here (.npz)")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--calibrate", action="store_true", help="write the calibration of the model")
    args = parser.parse_args()
    names, embeddings, missed = embed_folder(args.dir)
    if args.embeddings:
        np.savez(args.embeddings, names=names, embeddings=embeddings)
    _, labels = np.unique(names, return_inverse=True)
    if args.calibrate:
        calibration.save(calibration.fit(MODEL_NAME, embeddings, labels), calibration.path_of(MODEL_NAME))
    report = evaluate(embeddings, labels)
    show(report, missed)
    if args.json:
        args.json.write_text(json.dumps({"images": len(names), "no_face": missed, "figures": report}, indent=2))


def embed_folder(folder: Path) -> tuple[NDArray[np.str_], NDArray[np.float32], int]:
    """Embed DIR/PERSON/*.jpg; returns the person of each embedding, the embeddings, and how many had no face."""
    pipeline = Pipeline()
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not files:
        sys.exit(f"{folder} holds no folders with photos")
    names, embeddings, missed = [], [], 0
    for path in track(files, description="Embedding", console=Console(stderr=True)):
        image = decode(path.read_bytes(), Limits())
        faces = pipeline.analyse(image)
        if not faces:
            missed += 1
            continue
        names.append(path.parent.name)
        height, width = image.shape[:2]
        embeddings.append(max(faces, key=lambda face: prominence(face, width, height)).embedding)
    return np.array(names), np.array(embeddings), missed


def evaluate(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """The figures, in %, by name."""
    pairs = verification(embeddings, labels)
    report = {f"VR at FAR {rate:g}": 100 * value for rate, value in pairs.rates.items()}
    for enrolled in (1, 3):
        result = asdict(open_set(embeddings, labels, enrolled=enrolled))
        for fpir, value in result["dir"].items():
            report[f"{enrolled} photo(s): DIR at FPIR {fpir:.1%}"] = 100 * value
    return {name: round(value, 2) for name, value in report.items()}


def show(report: dict[str, float], missed: int) -> None:
    """Print the table."""
    table = Table("", "measured %", "prototype %")
    for (name, value), floor in zip(report.items(), PROTOTYPE, strict=True):
        table.add_row(name, f"{value:.2f}", f"{floor:.2f}")
    Console().print(table)
    Console().print(f"photos without a face: {missed}")


if __name__ == "__main__":
    main()
