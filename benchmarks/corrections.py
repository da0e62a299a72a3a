#!/usr/bin/env python3
"""What "that's wrong" does: is the stranger called that name again, and is the person still recognised?

Usage: corrections.py EMBEDDINGS.npz [--gallery 100] [--trials 20] [--json FILE.json]

EMBEDDINGS.npz is written by `accuracy.py DIR --embeddings`. In each trial some persons are enrolled with three
photos; everyone else shows one photo, and where that is given a name, it is rejected as that person. Then the
stranger's other photos are shown, and the person's own, with the rejection and without.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from visage.recognition import calibration
from visage.recognition.decision import Decider, Likeness
from visage.recognition.gallery import CANDIDATES
from visage.types import Embedding, Person
from visage.vision.embed import MODEL_NAME, unit


class Bank:
    """Templates and the product's rule; one person may have a rejected look."""

    def __init__(self, templates: list[Embedding], decider: Decider) -> None:
        now = datetime.now(UTC)
        self.templates = np.stack(templates)
        self.persons = [Person(str(i), str(i), None, {}, now, now, 3, 3) for i in range(len(templates))]
        self.decider = decider

    def name(self, probe: Embedding, rejected_as: str | None = None, look: Embedding | None = None) -> str | None:
        """Whom the probe is called; None where nobody."""
        similarities = self.templates @ probe
        likenesses = []
        for i in np.argsort(-similarities)[:CANDIDATES]:
            person = self.persons[i]
            rejected = float(look @ probe) if look is not None and person.person_id == rejected_as else None
            likenesses.append(Likeness(person, float(similarities[i]), rejected=rejected))
        (verdict,) = self.decider.decide([likenesses], qualities=[100], persons=len(self.persons))
        return verdict.match.person.person_id if verdict.match else None


def main() -> None:
    """Parse the arguments, correct, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--gallery", type=int, default=100)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    data = np.load(args.embeddings)
    vectors = data["embeddings"]
    _, labels = np.unique(data["names"], return_inverse=True)
    photos = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
    counts: Counter[str] = Counter()
    for trial in range(args.trials):
        rng = np.random.default_rng(trial)
        enrolled = rng.permutation([i for i, group in enumerate(photos) if len(group) > 3])[: args.gallery]
        shuffled = [rng.permutation(photos[i]) for i in enrolled]
        bank = Bank([unit(vectors[group[:3]].mean(axis=0)) for group in shuffled], decider)
        for stranger in np.setdiff1d(np.arange(len(photos)), enrolled):
            first, *others = photos[stranger]
            named = bank.name(vectors[first])
            if named is None:
                continue
            counts["rejected"] += 1
            counts["same photo, named again"] += bank.name(vectors[first], named, vectors[first]) == named
            for probe in others:
                counts["other photos, named before"] += bank.name(vectors[probe]) == named
                counts["other photos, named again"] += bank.name(vectors[probe], named, vectors[first]) == named
            for probe in shuffled[int(named)][3:]:
                counts["own photos, named before"] += bank.name(vectors[probe]) == named
                counts["own photos, named still"] += bank.name(vectors[probe], named, vectors[first]) == named
    table = Table("", "times")
    for what, count in counts.items():
        table.add_row(what, str(count))
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(counts, indent=2))


if __name__ == "__main__":
    main()
