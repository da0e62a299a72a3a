#!/usr/bin/env python3
"""One name twice in a frame, and a later word against an earlier one: what the two rules do to strangers.

Usage: twice.py EMBEDDINGS.npz [--gallery 100] [--enrolled 3] [--trials 20] [--json FILE.json]

EMBEDDINGS.npz is written by `accuracy.py DIR --embeddings`. In each trial some persons are enrolled. Then frames of
two faces are put together: two photos of a person that are each named alone (one may be the enrolled photo: the
picture on the wall), and a person beside every stranger who is given that name alone. And each such stranger is
rejected, before another photo of the person is registered: that must not lift it; where the rejected look was the
person's own, it should.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from visage.recognition import calibration
from visage.recognition.decision import Decider, Likeness
from visage.recognition.gallery import CANDIDATES
from visage.types import Person
from visage.vision.embed import MODEL_NAME, unit

Embeddings = NDArray[np.float32]


class Trial:
    """Some persons, enrolled with some of their photos, and the product's rule."""

    def __init__(self, vectors: Embeddings, enrolled: list[NDArray[np.int64]], photos: int, decider: Decider) -> None:
        now = datetime.now(UTC)
        self.vectors, self.decider = vectors, decider
        self.templates = np.stack([unit(vectors[rows[:photos]].mean(axis=0)) for rows in enrolled])
        self.persons = [Person(str(i), str(i), None, {}, now, now, photos) for i in range(len(enrolled))]

    def names(self, *rows: int) -> list[int | None]:
        """Who the faces of one frame are said to be."""
        likenesses = []
        for row in rows:
            similarities = self.templates @ self.vectors[row]
            best = np.argsort(-similarities)[:CANDIDATES]
            likenesses.append([Likeness(self.persons[i], float(similarities[i])) for i in best])
        verdicts = self.decider.decide(
            likenesses,
            qualities=[100] * len(rows),
            persons=len(self.persons),
            embeddings=self.vectors[list(rows)],
        )
        return [int(verdict.match.person.name) if verdict.match else None for verdict in verdicts]

    def lifts(self, rows: NDArray[np.int64], taught: int, rejected: int) -> bool:
        """Does registering a photo, beside those in `rows`, lift a rejection?"""
        template = unit(self.vectors[[*rows, taught]].mean(axis=0))
        look = self.vectors[taught]
        return self.decider.contradicts(
            float(template @ look), float(self.vectors[rejected] @ look), photos=len(rows) + 1
        )


def main() -> None:
    """Parse the arguments, put frames together, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--gallery", type=int, default=100)
    parser.add_argument("--enrolled", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    data = np.load(args.embeddings)
    _, labels = np.unique(data["names"], return_inverse=True)
    photos = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
    counts: Counter[str] = Counter()
    for seed in range(args.trials):
        rng = np.random.default_rng(seed)
        able = rng.permutation([i for i, rows in enumerate(photos) if len(rows) > args.enrolled])[: args.gallery]
        shuffled = [rng.permutation(photos[i]) for i in able]
        trial = Trial(data["embeddings"], shuffled, args.enrolled, decider)
        shown = [
            [row for row in rows[args.enrolled :][:5] if trial.names(row) == [i]] for i, rows in enumerate(shuffled)
        ]
        for i, rows in enumerate(shown):
            for first, row in enumerate(rows):
                for other in [shuffled[i][0], *rows[:first]]:
                    counts["a person twice"] += 1
                    counts["… and named twice"] += trial.names(row, other) == [i, i]
                for other in rows[:first]:
                    counts["own look rejected, another photo registered"] += 1
                    counts["… which lifted that"] += trial.lifts(shuffled[i][: args.enrolled], row, other)
        for stranger in np.setdiff1d(np.arange(len(photos)), able):
            face = int(photos[stranger][0])
            counts["strangers"] += 1
            (name,) = trial.names(face)
            if name is None:
                continue
            counts["… given a name alone"] += 1
            for row in [shuffled[name][0], *shown[name]]:
                counts["a person beside a stranger who alone has that name"] += 1
                counts["… both named"] += trial.names(face, row) == [name, name]
            for row in shown[name]:
                counts["stranger rejected, another photo registered"] += 1
                counts["… which lifted it"] += trial.lifts(shuffled[name][: args.enrolled], row, face)
    table = Table("", "times")
    for what in sorted(counts, key=list(counts).index):
        table.add_row(what, f"{counts[what]:,}")
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(counts, indent=2))


if __name__ == "__main__":
    main()
