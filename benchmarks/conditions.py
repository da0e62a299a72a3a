#!/usr/bin/env python3
"""Who is named when the picture is a hard one: dark, blurred, small, covered, rolled, turned away.

Usage: conditions.py DIR [--photos N] [--persons N] [--draws N] [--only NAME ...] [--json FILE.json]
       [--picture FILE.png] [--examples PHOTO FILE.jpg]

DIR holds one folder of photos a person. One photo each of so many persons with four photos or more, and of as many
strangers, is spoiled in each way of `CONDITIONS`: the picture, as a camera would give it, encoded again; what covers
a face is drawn by the landmarks of the clean photo. In each draw so many of the persons are enrolled in an empty bank
with 1 and with 3 other photos, as they are, and the product names the spoiled ones on its default settings, by the
thresholds of clean pictures. Photos of faces that are turned away are those of DIR, sorted by the pipeline's pose.
Prints for each condition how many people are named right, how many are called by another's name, how many strangers
are named, and in how many pictures no face is found where it is.

--picture draws the table; --examples shows what becomes of one photo.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from visage.bank.bank import MemoryBank
from visage.recognition import calibration
from visage.recognition.decision import Decider
from visage.recognition.enrolment import USABLE, prominence
from visage.recognition.recognizer import Recognizer
from visage.settings import Settings
from visage.storage.sqlite import open_store
from visage.types import Face, Image, NewPhoto
from visage.vision.embed import DIMENSION, MODEL_NAME
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Pipeline

Points = NDArray[np.float32]
Random = np.random.Generator

SEED = 7
ENROLLED = (1, 3)
SPARE = 9
"""So many photos of a person, besides the one that is spoiled, are looked at."""
FEWEST = 20
"""Of fewer pictures nothing is drawn."""
CLEAN = "clean"


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The face of one clean photo.

    Attributes:
        person, photo: whose, and the file.
        face: as the product sees it.
        mesh: (468, 2) float32 pixels (x, y).
    """

    person: str
    photo: Path
    face: Face
    mesh: Points


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that the product is shown: whose face is in it, from which photo, and what was found there."""

    person: str
    photo: Path
    face: Face | None


@dataclass(frozen=True, slots=True, eq=False)
class Spoiled:
    """A spoiled picture.

    Attributes:
        data: the JPEG.
        place: where the face is, a complex number x + iy, pixels.
        reach: between the eyes, pixels.
    """

    data: bytes
    place: complex
    reach: float


def as_it_is(image: Image, look: Look, random: Random) -> Spoiled:
    """The photo."""
    return _moved(image, look)


def dark(image: Image, look: Look, random: Random) -> Spoiled:
    """Gamma 3, and the noise of a camera that turns itself up: a standard deviation of 8 of 255."""
    return _moved(255 * (image / 255) ** 3 + random.normal(0, 8, image.shape), look)


def moving(image: Image, look: Look, random: Random) -> Spoiled:
    """Somebody moves, in any direction: every point is smeared over a quarter of the distance between the eyes."""
    length, angle = _eyes(look) / 4, random.uniform(0, math.pi)
    side = 2 * math.ceil(length / 2) + 1
    # Drawn sixteen times as large, so that the smear has its length and its direction to a fraction of a pixel.
    large = np.zeros((16 * side, 16 * side), dtype=np.float32)
    middle, half = np.full(2, 8 * side), 8 * length * np.array([math.cos(angle), math.sin(angle)])
    start, end = ((round(x), round(y)) for x, y in (middle - half, middle + half))
    cv2.line(large, start, end, 1.0, 16)
    kernel = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
    return _moved(cv2.filter2D(image, -1, kernel / kernel.sum()), look)


def between_the_eyes(pixels: int) -> Spoil:
    """A picture so small that there are so many pixels between the eyes; a smaller one stays as it is."""

    def spoil(image: Image, look: Look, random: Random) -> Spoiled:
        return _scaled(image, look, min(1.0, pixels / _eyes(look)))

    return spoil


def compressed(image: Image, look: Look, random: Random) -> Spoiled:
    """JPEG of quality 20."""
    return _moved(image, look, quality=20)


_JAW = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)
_NOSE = 5
"""Vertices of the mesh: along the jaw from below one ear to below the other, and above the tip of the nose, half way
from forehead to chin."""


def masked(image: Image, look: Look, random: Random) -> Spoiled:
    """The lower half, with the tip of the nose, is covered by something of one colour."""
    outline = look.mesh[[*_JAW, _NOSE]]
    middle = outline.mean(axis=0)
    outline = middle + 1.06 * (outline - middle)
    outline[-1] = look.mesh[_NOSE]
    colour = random.choice([(235, 240, 242), (150, 190, 215), (30, 30, 34)])
    covered = image.copy()
    cv2.fillPoly(covered, [np.array([_fine(point) for point in outline])], colour.tolist(), cv2.LINE_AA, _SHIFT)
    return _moved(covered, look)


def behind_glasses(image: Image, look: Look, random: Random) -> Spoiled:
    """Dark glasses."""
    covered = image.copy()
    right, left = look.face.landmarks[:2].astype(float)
    across, eyes = left - right, _eyes(look)
    roll = math.degrees(math.atan2(across[1], across[0]))
    down = np.array([-across[1], across[0]]) * 0.06
    for eye in (right + down, left + down):
        axes = _fine(np.array([0.46 * eyes, 0.37 * eyes]))
        cv2.ellipse(covered, _fine(eye), axes, roll, 0, 360, (18, 18, 20), -1, cv2.LINE_AA, _SHIFT)
    thickness = max(1, round(eyes / 14))
    ends = (right - 0.75 * across, left + 0.75 * across)
    cv2.line(covered, _fine(ends[0]), _fine(ends[1]), (18, 18, 20), thickness, cv2.LINE_AA, _SHIFT)
    return _moved(covered, look)


def rolled(angle: float) -> Spoil:
    """The camera, or the head, is rolled to either side; nothing is cut off."""

    def spoil(image: Image, look: Look, random: Random) -> Spoiled:
        height, width = image.shape[:2]
        turn = np.exp(1j * math.radians(angle * random.choice([-1, 1])))
        side = math.ceil(math.hypot(width, height))
        shift = complex(side, side) / 2 - turn * complex(width, height) / 2
        matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
        canvas = cv2.warpAffine(
            image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=(96,) * 3
        )
        return _moved(canvas, look, turn, shift)

    return spoil


def small(image: Image, look: Look, random: Random) -> Spoiled:
    """A picture of 100 pixels."""
    return _scaled(image, look, 100 / max(image.shape[:2]))


def large(image: Image, look: Look, random: Random) -> Spoiled:
    """A picture of four megapixels that the face fills."""
    return _scaled(image, look, 2000 / max(image.shape[:2]))


def far_away(image: Image, look: Look, random: Random) -> Spoiled:
    """The photo is a small part of a picture of three megapixels."""
    canvas = np.full((1500, 2000, 3), 96, dtype=np.uint8)
    height, width = (min(*lengths) for lengths in zip(image.shape[:2], canvas.shape[:2], strict=True))
    top, left = (int(random.integers(free + 1)) for free in (1500 - height, 2000 - width))
    canvas[top : top + height, left : left + width] = image[:height, :width]
    return _moved(canvas, look, shift=complex(left, top))


Spoil = Callable[[Image, Look, Random], Spoiled]

CONDITIONS: Mapping[str, Spoil] = {
    CLEAN: as_it_is,
    "gamma 3, noise": dark,
    "motion blur, ¼ eye distance": moving,
    "40 px between the eyes": between_the_eyes(40),
    "28 px": between_the_eyes(28),
    "16 px": between_the_eyes(16),
    "JPEG quality 20": compressed,
    "lower half covered": masked,
    "dark glasses": behind_glasses,
    **{f"roll {angle}°": rolled(angle) for angle in range(30, 181, 30)},
    "picture of 100 px": small,
    "picture of 2000 px": large,
    "small in a large picture": far_away,
}
YAWS = {"yaw 15–30°": (15, 30), "yaw 30–45°": (30, 45), "yaw over 45°": (45, 181)}
"""Photos as they are, by how far the head is turned to either side, degrees."""

_SHIFT = 4
"""Bits of a fraction in the coordinates that are drawn."""


def _fine(point: NDArray[np.floating[Any]]) -> tuple[int, int]:
    x, y = np.round(point * 2**_SHIFT).astype(int).tolist()
    return x, y


def _eyes(look: Look) -> float:
    return float(np.linalg.norm(look.face.landmarks[1] - look.face.landmarks[0]))


def _scaled(image: Image, look: Look, scale: float) -> Spoiled:
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return _moved(cv2.resize(image, None, fx=scale, fy=scale, interpolation=way), look, turn=scale)


def _moved(image: NDArray[Any], look: Look, turn: complex = 1, shift: complex = 0, quality: int = 95) -> Spoiled:
    """Encode a picture in which z of the photo has become turn · z + shift."""
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    middle = complex(*look.face.landmarks.mean(axis=0).tolist())
    return Spoiled(encode_jpeg(pixels, quality), turn * middle + shift, abs(turn) * _eyes(look))


def main() -> None:
    """Parse the arguments, look, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--photos", type=int, default=300, help="photos of persons, and of strangers, to spoil")
    parser.add_argument("--persons", type=int, default=100, help="persons in the bank")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=list(CONDITIONS), help="these, and clean")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--picture", type=Path, help="draw the report here: .png or .svg")
    parser.add_argument("--examples", nargs=2, type=Path, metavar=("PHOTO", "FILE.jpg"))
    args = parser.parse_args()
    pipeline = Pipeline()
    if args.examples:
        photo, examples = args.examples
        show_examples(photo, examples, pipeline)
    looks, strangers = collect(args.dir, args.photos, pipeline)
    shown = spoil_all(looks, strangers, args.only, pipeline)
    report = ask(looks, shown, args.persons, args.draws, pipeline)
    show(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if args.picture:
        draw(report, args.picture)


def collect(folder: Path, count: int, pipeline: Pipeline) -> tuple[dict[str, list[Look]], list[Look]]:
    """Look at the photos of so many persons with more than three, and at one each of so many others."""
    random = np.random.default_rng(SEED)
    people: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.glob("*/*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"}):
        people.setdefault(path.parent.name, []).append(path)
    several = random.permutation([name for name in people if len(people[name]) > max(ENROLLED)])[:count].tolist()
    others = random.permutation(sorted(set(people) - set(several)))[:count].tolist()
    files = [people[name][i] for name in several for i in random.permutation(len(people[name]))[: SPARE + 1]]
    files += [people[name][int(random.integers(len(people[name])))] for name in others]
    found = [
        look
        for path in track(files, description="Looking", console=Console(stderr=True))
        if (look := look_at(path, pipeline)) is not None
    ]
    looks = {name: [look for look in found if look.person == name] for name in several}
    enough = {name: each for name, each in looks.items() if len(each) > max(ENROLLED)}
    return enough, [look for look in found if look.person not in looks]


def look_at(path: Path, pipeline: Pipeline) -> Look | None:
    """The most prominent face of a photo; None where there is none."""
    image = decode(path.read_bytes(), Limits())
    height, width = image.shape[:2]
    located = pipeline.find(image)
    faces = pipeline.describe(image, located)
    if not faces:
        return None
    best = max(range(len(faces)), key=lambda index: prominence(faces[index], width, height))
    return Look(path.parent.name, path, faces[best], located[best].mesh[:, :2])


def spoil_all(
    looks: Mapping[str, Sequence[Look]], strangers: Sequence[Look], only: Sequence[str] | None, pipeline: Pipeline
) -> dict[str, list[Shown]]:
    """What the product finds in the spoiled photos: the first of each person, and the strangers'; by condition."""
    photos = [*(each[0] for each in looks.values()), *strangers]
    names = [name for name in CONDITIONS if only is None or name in (CLEAN, *only)]
    shown: dict[str, list[Shown]] = {name: [] for name in names}
    for number, look in enumerate(track(photos, description="Spoiling", console=Console(stderr=True))):
        image = decode(look.photo.read_bytes(), Limits())
        for name in names:
            spoiled = CONDITIONS[name](image, look, np.random.default_rng([SEED, number]))
            faces = pipeline.analyse(decode(spoiled.data, Limits()))
            shown[name].append(Shown(look.person, look.photo, face_at(faces, spoiled)))
    every = [*(look for each in looks.values() for look in each), *strangers]
    for name, (least, most) in YAWS.items():
        turned = [look for look in every if least <= abs(look.face.pose.yaw) < most]
        shown[name] = [Shown(look.person, look.photo, look.face) for look in turned]
    return shown


def face_at(faces: Sequence[Face], spoiled: Spoiled) -> Face | None:
    """The face that was there before; None where none is found."""

    def off(face: Face) -> float:
        return abs(complex(*face.landmarks.mean(axis=0).tolist()) - spoiled.place)

    nearest = min(faces, key=off, default=None)
    return nearest if nearest is not None and off(nearest) <= spoiled.reach else None


def ask(
    looks: Mapping[str, Sequence[Look]],
    shown: Mapping[str, Sequence[Shown]],
    persons: int,
    draws: int,
    pipeline: Pipeline,
) -> dict[str, Any]:
    """Enrol some of the persons, show the pictures, count the answers; again with others."""
    target_fpir = Settings.model_fields["target_fpir"].default
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=target_fpir)
    size = min(persons, len(looks) * 2 // 3)
    counts = {enrolled: {name: np.zeros((draws, 5)) for name in shown} for enrolled in ENROLLED}
    for draw_number in track(range(draws), description="Asking", console=Console(stderr=True)):
        chosen = np.random.default_rng([SEED, draw_number]).permutation(list(looks))[:size].tolist()
        for enrolled in ENROLLED:
            with tempfile.TemporaryDirectory() as folder:
                bank = MemoryBank(open_store(Path(folder)), model=MODEL_NAME, dimension=DIMENSION)
                recognizer = Recognizer(pipeline, bank, decider, limits=Limits())
                used = enrol(bank, {name: looks[name] for name in chosen}, enrolled, draw_number)
                for name, pictures in shown.items():
                    counts[enrolled][name][draw_number] = answers(recognizer, pictures, used)
                recognizer.close()
    return {
        "persons": size,
        "draws": draws,
        "threshold": {str(n): round(decider.threshold(persons=size, photos=n), 4) for n in ENROLLED},
        "conditions": {
            name: {
                "photos": len(pictures),
                "no_face": round(sum(each.face is None for each in pictures) / max(1, len(pictures)), 4),
                **{str(enrolled): rates(counts[enrolled][name]) for enrolled in ENROLLED},
            }
            for name, pictures in shown.items()
        },
    }


def enrol(bank: MemoryBank, looks: Mapping[str, Sequence[Look]], enrolled: int, seed: int) -> dict[str, set[Path]]:
    """Fill a bank; returns whose photos are in it. The first of each person is kept to be shown."""
    used: dict[str, set[Path]] = {}
    for name, each in looks.items():
        able = [look for look in each[1:] if look.face.quality.score >= USABLE]
        order = np.random.default_rng([SEED, seed]).permutation(len(able))[:enrolled]
        photos = [NewPhoto(able[i].face.embedding, b"", able[i].face.quality) for i in order]
        if photos:
            bank.enrol(name=name, relationship=None, metadata={}, photos=photos)
            used[name] = {able[i].photo for i in order}
    return used


def answers(
    recognizer: Recognizer, pictures: Sequence[Shown], used: Mapping[str, set[Path]]
) -> tuple[int, int, int, int, int]:
    """Pictures of persons in the bank, how many named right, as another; pictures of strangers, how many named."""
    own = right = wrong = others = named = 0
    for picture in pictures:
        if picture.photo in used.get(picture.person, ()):
            continue
        answer = recognizer._name([picture.face]) if picture.face is not None else []
        match = answer[0].match if answer else None
        if picture.person in used:
            own += 1
            right += match is not None and match.person.name == picture.person
            wrong += match is not None and match.person.name != picture.person
        else:
            others += 1
            named += match is not None
    return own, right, wrong, others, named


def rates(counts: NDArray[np.float64]) -> dict[str, float]:
    """Parts of the pictures, 0–1, over all draws."""
    own, right, wrong, others, named = counts.sum(axis=0).tolist()
    return {
        "right": round(right / max(1, own), 4),
        "wrong_name": round(wrong / max(1, own), 4),
        "strangers_named": round(named / max(1, others), 4),
        "own_shown": int(own),
        "strangers_shown": int(others),
    }


def show(report: Mapping[str, Any]) -> None:
    """Print the table."""
    table = Table("%", "photos", "no face", *(f"{what}, {n}" for n in ENROLLED for what in _WHAT), pad_edge=False)
    table.columns[0].no_wrap = True
    for name, figures in report["conditions"].items():
        cells = [f"{100 * figures[str(n)][what]:.1f}" for n in ENROLLED for what in _WHAT.values()]
        table.add_row(name, str(figures["photos"]), f"{100 * figures['no_face']:.1f}", *cells)
    console = Console(width=120)
    console.print(f"{report['persons']} persons, with 1 and with 3 clean photos; {report['draws']} draws")
    console.print(table)


_WHAT = {"right": "right", "another": "wrong_name", "stranger": "strangers_named"}


def draw(report: Mapping[str, Any], path: Path) -> None:
    """How many are named right, by condition, with 1 and with 3 photos enrolled."""
    conditions = report["conditions"]
    names = [name for name in conditions if conditions[name]["photos"] >= FEWEST][::-1]
    figure = Figure(figsize=(8.5, 0.29 * len(names) + 1), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    for axes, what in ((left, "right"), (right, "strangers_named")):
        for n, colour in zip(ENROLLED, ("#c0703a", "#2f6f8f"), strict=True):
            values = [100 * conditions[name][str(n)][what] for name in names]
            label = f"{n} photo{'s' if n > 1 else ''} enrolled"
            axes.plot(values, names, "o", color=colour, label=label, markersize=6, clip_on=False)
        axes.grid(color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    left.axvline(90 * conditions[CLEAN]["1"]["right"], color="#777777", linestyle=":", linewidth=1.2)
    left.set(xlim=(0, 100), xlabel="named right (%); dotted: nine tenths of clean, one photo")
    right.axvline(1, color="#777777", linestyle=":", linewidth=1.2)
    right.set(xlim=(0, 3), xlabel="strangers named (%)")
    left.legend(loc="lower left", frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def show_examples(photo: Path, path: Path, pipeline: Pipeline) -> None:
    """One photo in every condition, side by side."""
    look = look_at(photo, pipeline)
    if look is None:
        raise SystemExit(f"There is no face in {photo}")
    image = decode(photo.read_bytes(), Limits())
    tiles = []
    for name, spoil in CONDITIONS.items():
        spoiled = spoil(image, look, np.random.default_rng(SEED))
        tile = cv2.resize(decode(spoiled.data, Limits()), (250, 250), interpolation=cv2.INTER_AREA)
        cv2.putText(tile, name.encode("ascii", "replace").decode(), (4, 14), 0, 0.42, (255, 255, 0), 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 6)
    path.write_bytes(encode_jpeg(np.vstack([np.hstack(tiles[i : i + 6]) for i in range(0, len(tiles), 6)]), 90))


if __name__ == "__main__":
    main()
