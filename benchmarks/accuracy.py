#!/usr/bin/env python3
"""How well a model tells people apart, through the product's own pipeline.

Usage: accuracy.py DIR [--model NAME] [--detector NAME] [--embeddings FILE.npz] [--json FILE.json] [--robustness N]
       [--leave-out NAME …] [--calibrate]

DIR holds one folder of photos a person. Each photo gives one face: the most prominent one. Prints a table:
verification rate (VR) at three false accept rates, and, for 1 and 3 photos enrolled, rank 1 and the detection and
identification rate (DIR) at two false-name rates (FPIR). --robustness compares N photos with changed copies of
themselves; --leave-out skips persons whom the data has under a second name; --embeddings keeps `names` and
`embeddings`; --calibrate writes the calibration that Visage ships for the model. What the decisions make of the
embeddings is measured by `visage evaluate DIR`.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageEnhance
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from visage.recognition import calibration
from visage.recognition.dataset import LabelledFaces, embed_folder
from visage.recognition.enrolment import prominence
from visage.recognition.evaluation import figures
from visage.types import Face, Image
from visage.vision import models
from visage.vision.image import Limits, decode
from visage.vision.pipeline import Pipeline

# What the prototype reached on the development half of Labeled Faces in the Wild, %.
PROTOTYPE = (99.81, 99.40, 98.24, 95.15, 91.87, 98.97, 98.16)


def main() -> None:
    """Parse the arguments, embed, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--model", default=models.DEFAULT_EMBEDDER.name, help="of the catalogue")
    parser.add_argument("--detector", default=models.DEFAULT_DETECTOR.name, help="of the catalogue")
    parser.add_argument("--embeddings", type=Path, help="write names and embeddings here (.npz)")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--robustness", type=int, default=0, metavar="N", help="photos to change")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="NAME", help="persons whose label is wrong")
    parser.add_argument("--calibrate", action="store_true", help="write the calibration of the model")
    args = parser.parse_args()
    model = models.embedder(args.model)
    pipeline = Pipeline(model, models.detector(args.detector))
    robustness = measure_robustness(args.dir, pipeline, args.robustness) if args.robustness else {}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Embedding", total=None)
        faces = embed_folder(args.dir, pipeline, lambda n, total: progress.update(task, completed=n, total=total))
    faces = without(faces, args.leave_out)
    if args.embeddings:
        np.savez(args.embeddings, names=faces.names, embeddings=faces.embeddings)
    if args.calibrate:
        fitted = calibration.fit(model.space, faces.embeddings, faces.labels, faces.qualities)
        calibration.save(fitted, calibration.path_of(model.space))
    report = figures(faces.embeddings, faces.labels)
    show(report, robustness, len(faces.no_face))
    if args.json:
        content = {"images": len(faces.files), "no_face": faces.no_face, "figures": report, "robustness": robustness}
        args.json.write_text(json.dumps(content, indent=2))


def without(faces: LabelledFaces, names: Sequence[str]) -> LabelledFaces:
    """All but some persons."""
    kept = ~np.isin(faces.names, names)
    persons, labels = np.unique(faces.names[kept], return_inverse=True)
    return LabelledFaces(
        persons=tuple(str(person) for person in persons),
        labels=labels.astype(np.int64),
        files=tuple(file for file, keep in zip(faces.files, kept, strict=True) if keep),
        embeddings=faces.embeddings[kept],
        qualities=faces.qualities[kept],
        no_face=faces.no_face,
    )


def measure_robustness(folder: Path, pipeline: Pipeline, count: int) -> dict[str, dict[str, float]]:
    """Cosine of a photo to changed copies of itself, by change: median, fifth percentile, part at or above 0.8."""
    files = sorted(folder.glob("*/*.jpg"))
    files = files[:: max(1, len(files) // count)][:count]
    cosines: dict[str, list[float]] = {}
    for path in track(files, description="Changing", console=Console(stderr=True)):
        original = decode(path.read_bytes(), Limits())
        face = most_prominent(pipeline.analyse(original), original)
        if face is None:
            continue
        for name, data in changed_copies(original, face):
            image = decode(data, Limits())
            again = most_prominent(pipeline.analyse(image), image)
            cosines.setdefault(name, []).append(float(again.embedding @ face.embedding) if again else 0.0)
    return {
        name: {
            "median": round(float(np.median(values)), 3),
            "5th percentile": round(float(np.percentile(values, 5)), 3),
            "at least 0.8": round(float((np.array(values) >= 0.8).mean()), 3),
        }
        for name, values in cosines.items()
    }


def most_prominent(faces: list[Face], image: Image) -> Face | None:
    """The face that a picture is of; None where there is none."""
    height, width = image.shape[:2]
    return max(faces, key=lambda face: prominence(face, width, height), default=None)


def changed_copies(original: Image, face: Face) -> Iterator[tuple[str, bytes]]:
    """The same picture stored turned (EXIF), compressed hard, rolled, small, dark and grey."""
    picture = PillowImage.fromarray(original)
    # Orientation n says how a viewer must turn the stored pixels: they are stored turned the other way.
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    for orientation, transpose in turned.items():
        exif = PillowImage.Exif()
        exif[0x0112] = orientation
        stored = picture.transpose(PillowImage.Transpose(transpose))
        yield f"EXIF orientation {orientation}", encode(stored, exif=exif)
    yield "JPEG quality 30", encode(picture, quality=30)
    for angle in (-45, 45):
        yield f"rolled {angle:+d}°", encode(picture.rotate(angle, PillowImage.Resampling.BICUBIC))
    scale = 40 / float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    if scale < 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        yield "40 px between the eyes", encode(picture.resize(size, PillowImage.Resampling.LANCZOS))
    yield "half the light", encode(ImageEnhance.Brightness(picture).enhance(0.5))
    yield "grey", encode(picture.convert("L"))


def encode(picture: PillowImage.Image, quality: int = 95, exif: PillowImage.Exif | None = None) -> bytes:
    """As JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, exif=exif or b"")
    return buffer.getvalue()


def show(report: dict[str, float], robustness: dict[str, dict[str, float]], missed: int) -> None:
    """Print the tables."""
    table = Table("", "measured %", "prototype %")
    for (name, value), floor in zip(report.items(), PROTOTYPE, strict=False):
        table.add_row(name, f"{value:.2f}", f"{floor:.2f}")
    Console().print(table)
    if robustness:
        table = Table("the same picture", "median cosine", "5th percentile", "at least 0.8")
        for change, values in robustness.items():
            table.add_row(change, *(f"{value:.3f}" for value in values.values()))
        Console().print(table)
    Console().print(f"photos without a face: {missed}")


if __name__ == "__main__":
    main()
