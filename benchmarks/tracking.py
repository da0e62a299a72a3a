#!/usr/bin/env python3
"""Who is called what over the frames of a film, in random scenes made of photos of many people.

Usage: python -m benchmarks.tracking DIR [--scenes N] [--registered N] [--strangers N] [--seed N] [--only KIND]
       [--alone] [--threads N] [--json FILE]

DIR holds one folder of photos a person. So many people with three photos or more are registered with two of them and
play with a third; the others are strangers. Each scene is one of `KINDS`, at 30 frames a second, 640×480. Prints for
each kind: wrong names in frames of a track after its third, carried over from another actor of the scene or mistaken
(somebody else of the family), and wrong names before; tracks that took a name along to somebody else; names that went
away and came back; and the part of the frames in which a registered person who is in full view was named. `--alone`
shows each frame as if it were the only one: what the names are worth without tracking.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.films import WIDTH, Actor, Place, Script, Tally, cut_out, show
from visage.bank.bank import MemoryBank
from visage.recognition import calibration
from visage.recognition.decision import Decider
from visage.recognition.recognizer import Recognizer
from visage.storage.sqlite import open_store
from visage.vision.embed import DIMENSION, MODEL_NAME
from visage.vision.image import Limits, decode
from visage.vision.pipeline import Pipeline

Random = np.random.Generator
Scene = Callable[[Actor, Actor, Random], Script]


def cross(one: Actor, two: Actor, random: Random) -> Script:
    """Two people walk past each other."""
    frames, side = int(random.integers(45, 100)), random.uniform(150, 230)
    y, step = 240, random.uniform(-25, 25)
    script = []
    for t in np.linspace(0, 1, frames):
        first = Place(one, 110 + 420 * t, y, side * 1.1)
        second = Place(two, 530 - 420 * t, y + step, side)
        script.append([second, first])
    return script


def cover(one: Actor, two: Actor, random: Random) -> Script:
    """Somebody steps in front of somebody, and stays there."""
    side, frames = random.uniform(150, 220), int(random.integers(12, 30))
    start = [Place(one, 320, 240, side)]
    script = [start] * 30
    for t in np.linspace(0, 1, frames):
        script = [*script, [*start, Place(two, 640 - 320 * t, 240, side * 1.15)]]
    return [*script, *([[*start, Place(two, 320, 240, side * 1.15)]] * 45)]


def replace(one: Actor, two: Actor, random: Random) -> Script:
    """Somebody leaves; after a moment somebody else is in the same place."""
    side, x = random.uniform(120, 230), random.uniform(200, 440)
    gap = int(random.integers(1, 12))
    return [*([[Place(one, x, 240, side)]] * 35), *([[]] * gap), *([[Place(two, x, 240, side)]] * 45)]


def cut(one: Actor, two: Actor, random: Random) -> Script:
    """From one frame to the next somebody else is in the same place."""
    side, x, at = random.uniform(120, 230), random.uniform(200, 440), int(random.integers(20, 50))
    return [*([[Place(one, x, 240, side)]] * at), *([[Place(two, x, 240, side)]] * 45)]


def swap(one: Actor, two: Actor, random: Random) -> Script:
    """Two people change places from one frame to the next."""
    side, at = random.uniform(120, 220), int(random.integers(20, 50))
    script: Script = [[Place(one, 180, 240, side), Place(two, 460, 240, side)]] * at
    return [*script, *([[Place(two, 180, 240, side), Place(one, 460, 240, side)]] * 40)]


def dissolve(one: Actor, two: Actor, random: Random) -> Script:
    """One face fades into another."""
    side, frames = random.uniform(150, 230), int(random.integers(4, 20))
    fading = [[Place(one, 320, 240, side), Place(two, 320, 240, side, opacity=t)] for t in np.linspace(0, 1, frames)]
    return [*([[Place(one, 320, 240, side)]] * 30), *fading, *([[Place(two, 320, 240, side)]] * 45)]


def turn(one: Actor, two: Actor, random: Random) -> Script:
    """Somebody turns away and back; once in two, it is somebody else who turns back."""
    side, frames = random.uniform(160, 230), int(random.integers(8, 30))
    other = two if random.random() < 0.5 else one
    away = [[Place(one, 320, 240, side, turned=t)] for t in np.linspace(0, 1.1, frames)]
    back = [[Place(other, 320, 240, side, turned=t)] for t in np.linspace(1.1, 0, frames)]
    return [*([[Place(one, 320, 240, side)]] * 20), *away, *back, *([[Place(other, 320, 240, side)]] * 35)]


def light(one: Actor, two: Actor, random: Random) -> Script:
    """The light goes off and on again; once in two, somebody else is there then."""
    side, dark = random.uniform(140, 230), int(random.integers(5, 25))
    other, low = (two if random.random() < 0.5 else one), random.uniform(0.05, 0.5)
    night = [[Place(one, 320, 240, side, light=low)]] * dark
    return [*([[Place(one, 320, 240, side)]] * 20), *night, *([[Place(other, 320, 240, side)]] * 40)]


def fast(one: Actor, two: Actor, random: Random) -> Script:
    """Somebody runs past somebody who stands still."""
    side, speed = random.uniform(130, 200), random.uniform(15, 70)
    script = []
    for number in range(90):
        x = speed * number % (2 * WIDTH)
        runner = [Place(one, min(x, 2 * WIDTH - x), 235, side * 1.1)]
        script.append([Place(two, 320, 240, side), *runner])
    return script


def dropouts(one: Actor, two: Actor, random: Random) -> Script:
    """Frames without anybody, now and then; whoever is there changes once."""
    side, x = random.uniform(130, 230), random.uniform(200, 440)
    script = []
    for number in range(90):
        who = one if number < 45 else two
        gone = random.random() < 0.2
        script.append([] if gone else [Place(who, x + 30 * np.sin(number / 9), 240, side)])
    return script


KINDS: dict[str, Scene] = {
    scene.__name__: scene for scene in (cross, cover, replace, cut, swap, dissolve, turn, light, fast, dropouts)
}


def main() -> None:
    """Parse the arguments, play, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--registered", type=int, default=40)
    parser.add_argument("--strangers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(KINDS))
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        bank = MemoryBank(open_store(Path(folder)), model=MODEL_NAME, dimension=DIMENSION)
        pipeline = Pipeline(threads=args.threads)
        decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
        recognizer = Recognizer(pipeline, bank, decider, limits=Limits())
        family, strangers = cast(args.dir, recognizer, pipeline, args.registered, args.strangers, random)
        rows = []
        for number in range(args.scenes):
            kind = args.only or list(KINDS)[number % len(KINDS)]
            one, two = pair(family, strangers, random)
            tally = show(recognizer, KINDS[kind](one, two, random), seed=number, tracked=not args.alone)
            rows.append(row(number, kind, one, two, tally))
        recognizer.close()
    table(rows)
    for entry in rows:
        if entry["carried"] or entry["switches"]:
            print(
                entry["scene"], entry["kind"], entry["one"], "/", entry["two"], entry["wrong"][:4], entry["switches"]
            )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


def cast(
    folder: Path, recognizer: Recognizer, pipeline: Pipeline, registered: int, strangers: int, random: Random
) -> tuple[list[Actor], list[Actor]]:
    """Register some people; returns them and the strangers, as actors."""
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    random.shuffle(people)
    known: list[Actor] = []
    unknown: list[Actor] = []
    for person in people:
        photos = sorted(person.iterdir())
        enough = len(photos) >= 3
        if enough and len(known) < registered:
            name = person.name.replace("_", " ")
            images = [photo.read_bytes() for photo in photos[:2]]
            if actor := as_actor(name, photos[2], pipeline):
                recognizer.enrol(name=name, relationship=None, metadata={}, images=images)
                known.append(actor)
        elif len(unknown) < strangers and (actor := as_actor(None, photos[0], pipeline)):
            unknown.append(actor)
    return known, unknown


def as_actor(name: str | None, photo: Path, pipeline: Pipeline) -> Actor | None:
    """The face in the middle of a photo; None where there is none."""
    image = decode(photo.read_bytes(), Limits())
    middle = np.array(image.shape[1::-1]) / 2
    found = pipeline.find(image)
    if not found:
        return None
    nearest = min(found, key=lambda face: float(np.hypot(*(face.landmarks.mean(axis=0) - middle))))
    return cut_out(name, image, nearest.box)


def pair(family: list[Actor], strangers: list[Actor], random: Random) -> tuple[Actor, Actor]:
    """Known and stranger, stranger and known, or two known."""
    first, second = random.choice(len(family), 2, replace=False)
    stranger = strangers[int(random.integers(len(strangers)))]
    draw = random.random()
    if draw < 0.5:
        return family[first], stranger
    return (stranger, family[first]) if draw < 0.7 else (family[first], family[second])


def row(number: int, kind: str, one: Actor, two: Actor, tally: Tally) -> dict[str, Any]:
    """The figures of one scene."""
    return {
        "scene": number,
        "kind": kind,
        "one": one.name,
        "two": two.name,
        "frames": len(tally.answers),
        "carried": sum(1 for entry in tally.late if entry[2] in (one.name, two.name)),
        "mistaken": sum(1 for entry in tally.late if entry[2] not in (one.name, two.name)),
        "early": len(tally.wrong) - len(tally.late),
        "switches": tally.switches,
        "flickers": tally.flickers,
        "tracks": len(tally.owners),
        "named": sum(tally.named.values()),
        "seen": sum(tally.seen.values()),
        "wrong": tally.wrong,
    }


def table(rows: list[dict[str, Any]]) -> None:
    """Print what came of it, by kind and altogether."""
    columns = ("carried", "mistaken", "early", "switches", "flickers", "tracks")
    shown = Table("kind", "scenes", "frames", *columns, "named")
    for kind in [*dict.fromkeys(entry["kind"] for entry in rows), "all"]:
        some = [entry for entry in rows if kind in (entry["kind"], "all")]
        sums = {name: sum(entry[name] for entry in some) for name in (*columns, "frames", "named", "seen")}
        named = f"{sums['named'] / max(sums['seen'], 1):.1%}"
        shown.add_row(kind, str(len(some)), str(sums["frames"]), *(str(sums[name]) for name in columns), named)
    Console(width=110).print(shown)


if __name__ == "__main__":
    main()
