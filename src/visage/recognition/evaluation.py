"""How good a model is on labelled photos: verification, and open-set identification.

Embeddings and labels in, figures out. The protocol is that of BLUFR-style evaluations of Labeled Faces in the Wild
(Liao et al. 2014): verification over all pairs; identification with a gallery of some persons, genuine probes from
their other photos, and impostor probes from persons of whom there is a single photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verification:
    """One against one, over all pairs of photos.

    Attributes:
        genuine_pairs, impostor_pairs: how many there were.
        rates: false accept rate → verification rate, both 0–1.
        thresholds: false accept rate → cosine.
    """

    genuine_pairs: int
    impostor_pairs: int
    rates: dict[float, float]
    thresholds: dict[float, float]


@dataclass(frozen=True, slots=True)
class OpenSet:
    """One against many, where the probe may be a stranger; means over the trials, 0–1.

    Attributes:
        persons: in the gallery.
        rank_1: the right person came first.
        dir: FPIR → detection and identification rate: first, and above the threshold of that FPIR.
        spread: FPIR → standard deviation of that rate over the trials.
    """

    persons: int
    rank_1: float
    dir: dict[float, float]
    spread: dict[float, float]


def verification(
    embeddings: Embeddings, labels: Labels, rates: tuple[float, ...] = (1e-3, 1e-4, 1e-5)
) -> Verification:
    """Verification rate at given false accept rates.

    Args:
        embeddings: (n, D) float32, unit length.
        labels: (n,) int, whose each is.
    """
    genuine_parts, impostor_parts = [], []
    for start in range(0, len(embeddings), 512):
        scores = embeddings[start : start + 512] @ embeddings.T
        for row, similarities in enumerate(scores):
            rest = slice(start + row + 1, None)
            same = labels[rest] == labels[start + row]
            genuine_parts.append(similarities[rest][same])
            impostor_parts.append(similarities[rest][~same])
    genuine, impostor = np.concatenate(genuine_parts), np.concatenate(impostor_parts)
    thresholds = {}
    for rate in rates:
        k = max(1, int(rate * len(impostor)))
        thresholds[rate] = float(np.partition(impostor, -k)[-k])
    reached = {rate: float((genuine >= threshold).mean()) for rate, threshold in thresholds.items()}
    return Verification(len(genuine), len(impostor), reached, thresholds)


def open_set(
    embeddings: Embeddings,
    labels: Labels,
    *,
    enrolled: int,
    gallery: int = 300,
    trials: int = 10,
    seed: int = 7,
    fpirs: tuple[float, ...] = (0.01, 0.003),
) -> OpenSet:
    """Detection and identification rate at given false-name rates.

    Args:
        embeddings: (n, D) float32, unit length.
        labels: (n,) int, 0-based, whose each is.
        enrolled: photos in a person's template (the mean of the unit embeddings).
        gallery: persons enrolled, drawn anew in each trial.
        trials: how many draws are averaged.
        seed: of the draws.
        fpirs: tolerated parts of strangers who are given a name.
    """
    count = np.bincount(labels)
    rng = np.random.default_rng(seed)
    impostors = embeddings[np.isin(labels, np.flatnonzero(count == 1))]
    rows, persons = [], 0
    for _ in range(trials):
        templates, probes, truth = [], [], []
        for person in rng.permutation(np.flatnonzero(count > enrolled))[:gallery]:
            photos = rng.permutation(np.flatnonzero(labels == person))
            templates.append(embeddings[photos[:enrolled]].mean(axis=0))
            chosen = photos[enrolled : enrolled + 10]
            probes.append(embeddings[chosen])
            truth += [len(templates) - 1] * len(chosen)
        stacked = np.array(templates)
        stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)
        persons = len(stacked)
        top_impostor = (impostors @ stacked.T).max(axis=1)
        scores = np.concatenate(probes) @ stacked.T
        right, top = scores.argmax(axis=1) == np.array(truth), scores.max(axis=1)
        rows.append([right.mean()] + [(right & (top >= np.quantile(top_impostor, 1 - f))).mean() for f in fpirs])
    mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
    return OpenSet(
        persons,
        float(mean[0]),
        {f: float(m) for f, m in zip(fpirs, mean[1:], strict=True)},
        {f: float(s) for f, s in zip(fpirs, spread[1:], strict=True)},
    )


def figures(embeddings: Embeddings, labels: Labels) -> dict[str, float]:
    """Both protocols in one table, %, by name; what cannot be measured on so few is left out."""
    count = np.bincount(labels)
    table: dict[str, float] = {}
    if (count > 1).any() and len(count) > 1:
        pairs = verification(embeddings, labels)
        table |= {f"VR at FAR {rate:g}": value for rate, value in pairs.rates.items()}
    for enrolled in (1, 3):
        if (count > enrolled).sum() > 1 and (count == 1).any():
            found = open_set(embeddings, labels, enrolled=enrolled)
            table |= {f"{enrolled} photo(s): DIR at FPIR {fpir:.1%}": value for fpir, value in found.dir.items()}
    return {name: round(100 * value, 2) for name, value in table.items()}


def halves(labels: Labels, seed: int = 7) -> list[tuple[Labels, Labels]]:
    """The persons in two halves, both ways round: what is fitted to the first is tested on the second."""
    persons = np.random.default_rng(seed).permutation(labels.max() + 1)
    one, other = persons[: len(persons) // 2], persons[len(persons) // 2 :]
    return [(one, other), (other, one)]
