#!/usr/bin/env python3
"""What Visage takes for a face, and whose: real faces at any roll and covered in many ways, and what is no face.

Usage: look.py DIR [--photos N] [--strangers N] [--others FOLDER] [--groups FILE.csv] [--json FILE.json]

DIR holds one folder of photos a person. N photos are taken evenly from all (default 100), each with the face in its
middle, and made into sets: rolled in steps of 30°, covered (a mask of cloth, dark glasses, a veil, a headscarf, a
beard, all drawn), seen badly, cut by the border, and without the face (hair in its place). FOLDER holds folders of
pictures without real faces: each is a set, upright and upside down. FILE.csv names people (columns `name`,
`age_band`, `skin_group`): children and dark skin become sets of their own, as they are and in low light.

For each set, in % of its pictures: no face found; refused (found, but neither registered nor named); taken (may be
registered); and of these like their own person (cosine to the photo as it is at least 0.5) and unlike (below 0.3).

Then people on their heads: 60 are registered with one photo upside down, and so are 60 others upright. Other photos
of both, upside down, are identified, and N photos of strangers, upside down (--strangers, default 500).
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.disguises import CHANGES, Change
from visage.bank.bank import MemoryBank
from visage.errors import VisageError
from visage.recognition import calibration
from visage.recognition.decision import Decider
from visage.recognition.enrolment import USABLE, prominence
from visage.recognition.recognizer import Recognizer
from visage.storage.sqlite import open_store
from visage.types import Face, Image
from visage.vision.embed import DIMENSION, MODEL_NAME
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Pipeline

SEED = 11
ITSELF, ANOTHER = 0.5, 0.3
REGISTERED = 60


@dataclass(slots=True)
class Tally:
    """What became of the pictures of one set."""

    pictures: int = 0
    no_face: int = 0
    refused: int = 0
    taken: int = 0
    itself: int = 0
    another: int = 0

    def add(self, face: Face | None, original: Face | None) -> None:
        """Count one picture: the face that it is of, and the same face in the photo as it is."""
        self.pictures += 1
        if face is None:
            self.no_face += 1
        elif face.quality.score < USABLE:
            self.refused += 1
        else:
            self.taken += 1
            if original is not None:
                likeness = float(face.embedding @ original.embedding)
                self.itself += likeness >= ITSELF
                self.another += likeness < ANOTHER


def main() -> None:
    """Parse the arguments, look, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--photos", type=int, default=100, metavar="N")
    parser.add_argument("--strangers", type=int, default=500, metavar="N")
    parser.add_argument("--others", type=Path, help="a folder of folders of pictures without faces")
    parser.add_argument("--groups", type=Path, help="a .csv: name, age_band, skin_group")
    parser.add_argument("--json", type=Path, help="write the report here")
    args = parser.parse_args()
    pipeline, tallies = Pipeline(), dict[str, Tally]()
    files = sorted(args.dir.glob("*/*.jpg"))
    everyone = files[:: max(1, len(files) // args.photos)][: args.photos]
    look_at(everyone, CHANGES, pipeline, tallies, "")
    for group, members in groups(args.groups).items():
        one_each = [next(iter(sorted((args.dir / name).glob("*.jpg"))), None) for name in members]
        some = [path for path in one_each if path is not None][: args.photos]
        changes = {kind: CHANGES[kind] for kind in ("as it is", "low light, noise")}
        look_at(some, changes, pipeline, tallies, f"{group}: ")
    if args.others:
        look_at_others(args.others, pipeline, tallies)
    report = {name: asdict(tally) for name, tally in tallies.items()}
    show(report)
    overturned = upside_down(args.dir, pipeline, args.strangers)
    Console().print(f"upside down: {overturned}")
    if args.json:
        args.json.write_text(json.dumps({"sets": report, "upside_down": overturned}, indent=2))


def look_at(
    files: list[Path], changes: dict[str, Change], pipeline: Pipeline, tallies: dict[str, Tally], prefix: str
) -> None:
    """Make each photo into a picture of each kind, and count what is taken."""
    for number, path in enumerate(track(files, description=prefix or "photos", console=Console(stderr=True))):
        image = decode(path.read_bytes(), Limits())
        middle = np.array(image.shape[1::-1]) / 2
        located = pipeline.find(image)
        if not located:
            continue
        place = min(located, key=lambda face: float(np.linalg.norm(face.landmarks.mean(axis=0) - middle)))
        (original,) = pipeline.describe(image, [place])
        for kind, change in changes.items():
            picture = np.ascontiguousarray(change(image, place, np.random.default_rng([SEED, number])))
            face = most_prominent(pipeline.analyse(picture), picture)
            tallies.setdefault(prefix + kind, Tally()).add(face, original)


def look_at_others(folder: Path, pipeline: Pipeline, tallies: dict[str, Tally]) -> None:
    """Look at pictures that show no real face, upright and upside down."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    for path in track(paths, description="others", console=Console(stderr=True)):
        image = decode(path.read_bytes(), Limits())
        for turn, picture in ((": ", image), (", upside down: ", np.ascontiguousarray(image[::-1, ::-1]))):
            face = most_prominent(pipeline.analyse(picture), picture)
            tallies.setdefault(f"{path.parent.name}{turn[:-2]}", Tally()).add(face, None)


def most_prominent(faces: list[Face], image: Image) -> Face | None:
    """The face that a picture is of; None where there is none."""
    height, width = image.shape[:2]
    return max(faces, key=lambda face: prominence(face, width, height), default=None)


def groups(path: Path | None) -> dict[str, list[str]]:
    """Names of people by group, from a file of labels."""
    if path is None:
        return {}
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        "children": [row["name"] for row in rows if row["age_band"].startswith("under")],
        "dark skin": [row["name"] for row in rows if row["skin_group"] == "black"],
    }


def upside_down(folder: Path, pipeline: Pipeline, strangers: int) -> dict[str, int]:
    """Register people upside down and upright, then show others upside down to the whole product; counts.

    `also_upright`: of the strangers who were named, those to whom the upright photo gives the same name.
    """
    people = [sorted(path.glob("*.jpg")) for path in sorted(folder.iterdir()) if path.is_dir()]
    np.random.default_rng(SEED).shuffle(people)
    several = [photos for photos in people if len(photos) > 1][: 2 * REGISTERED]
    taken = {id(photos) for photos in several}
    others = [photos[0] for photos in people if id(photos) not in taken][:strangers]
    counts = dict.fromkeys(
        ("registered", "refused", "right", "wrong", "not_named", "strangers", "strangers_named", "also_upright"), 0
    )
    with tempfile.TemporaryDirectory() as data_dir:
        bank = MemoryBank(open_store(Path(data_dir)), model=MODEL_NAME, dimension=DIMENSION)
        decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
        recognizer = Recognizer(pipeline, bank, decider, limits=Limits())
        registered: dict[str, Path] = {}
        for number, (first, second, *_) in enumerate(several):
            image = overturn(first) if number < REGISTERED else first.read_bytes()
            try:
                recognizer.enrol(name=first.parent.name, relationship=None, metadata={}, images=[image])
                registered[first.parent.name] = second
            except VisageError:
                counts["refused"] += 1
        counts["registered"] = len(registered)
        for name, path in track(registered.items(), description="registered", console=Console(stderr=True)):
            said = names_in(recognizer, path)
            counts["right" if name in said else "wrong" if said else "not_named"] += 1
        for path in track(others, description="strangers", console=Console(stderr=True)):
            counts["strangers"] += 1
            if said := names_in(recognizer, path):
                counts["strangers_named"] += 1
                upright = recognizer.identify(path.read_bytes()).faces
                counts["also_upright"] += bool(said & {face.match.person.name for face in upright if face.match})
        recognizer.close()
    return counts


def overturn(path: Path) -> bytes:
    """A photo upside down, encoded."""
    return encode_jpeg(np.ascontiguousarray(decode(path.read_bytes(), Limits())[::-1, ::-1]), 95)


def names_in(recognizer: Recognizer, path: Path) -> set[str]:
    """Whom the product names in a photo upside down."""
    return {face.match.person.name for face in recognizer.identify(overturn(path)).faces if face.match}


def rows_of(report: dict[str, dict[str, int]]) -> Iterator[tuple[str, ...]]:
    """One row a set, in %."""
    for name, counts in report.items():
        parts = [100 * counts[key] / counts["pictures"] for key in ("no_face", "refused", "taken")]
        of_taken = [counts["itself"], counts["another"]] if counts["itself"] or counts["another"] else []
        named = [f"{100 * count / max(counts['taken'], 1):.0f}" for count in of_taken] or ["", ""]
        yield name, str(counts["pictures"]), *(f"{part:.0f}" for part in parts), *named


def show(report: dict[str, dict[str, int]]) -> None:
    """Print the table."""
    table = Table("pictures", "n", "no face %", "refused %", "taken %", "of these like themselves %", "unlike %")
    for row in rows_of(report):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
