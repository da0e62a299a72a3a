#!/usr/bin/env python3
"""How far the quality of a picture tells errors beforehand, through the product's own pipeline.

Usage: quality.py DIR [--model NAME] [--json FILE.json] [--picture FILE.png] [--limit N]

DIR holds one folder of photos a person. Each photo gives one face: the most prominent one. Where there are several
photos of a person, each is looked at twice, as it is and in one poorer form (small, blurred, dark, bright, hazy, cut,
covered; the seed is fixed). What a score should tell is the likeness of a picture: its cosine to the mean of up to
five other photos of the same person, as they are. A picture is missed where its likeness is below 0.5. Prints

1. how well a weighted sum predicts the likeness: its weights fitted by least squares on half of the persons and
   tested on the other half, both ways round, beside those in use (`clarity` in `visage.vision.models`);
2. error versus reject: pictures missed, of those that remain when the poorest are set aside;
3. how often two pictures of different persons reach 0.5, by the scores of both, and how many are missed;
4. how alike pictures of different persons are, by the score of one, beside good photos as they are: by how much, in
   Fisher's z, one pair in a thousand, and in ten thousand, lies higher or lower;
5. identification with templates that weigh their photos by the score or alike, some of the photos poor.

--picture draws the second; --limit takes only N persons, evenly from all. The likeness of another model than the
default is brought to the default's scale by a straight line through two points: what one pair of strangers in a
thousand reaches, and the middle of the photos as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from visage.bank.views import template_weights, views_of
from visage.recognition import calibration
from visage.recognition.enrolment import USABLE, prominence
from visage.types import Face, Image
from visage.vision import models
from visage.vision.align import ARCFACE, align, on_template
from visage.vision.embed import Runs, unit
from visage.vision.image import Limits, decode
from visage.vision.models import Clarity, EmbedderModel
from visage.vision.movement import undo_movement
from visage.vision.opening import open_network
from visage.vision.pipeline import Pipeline
from visage.vision.quality import measure
from visage.vision.runtime import Runtime

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

AS_IT_IS = "as it is"
POORER = ("small", "blurred", "dark", "bright", "hazy", "cut", "covered", "moving")
THRESHOLD = 0.5
MIDDLE = 0.849
"""Median likeness of photos as they are, to the default model."""
SEED = 7
OTHERS = 5
ALIKE, FEWEST = (1e-3, 1e-4), 30
REJECTED = tuple(percent / 100 for percent in range(41))
SHOWN = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
BANDS = (0, 20, 30, 40, 50, 60, 80, 101)
SCORE, MEASURES, IDEAL = "score", "picture measures", "ideal"


@dataclass(frozen=True, slots=True)
class Look:
    """One picture of a face, and what was measured on it.

    Attributes:
        person, photo: whose, and made from which photo.
        form: "as it is", or how it was made poorer.
        embedding: (D,) float32, unit length.
        length, agreement: of the raw outputs for the two views: their mean length, their cosine.
        score: quality, 0–100.
        detection: the detector's score, 0–1.
        eye_distance, sharpness, brightness, contrast: measures of the picture, see `Measures`.
    """

    person: str
    photo: str
    form: str
    embedding: NDArray[np.float32]
    length: float
    agreement: float
    score: int
    detection: float
    eye_distance: float
    sharpness: float
    brightness: float
    contrast: float


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """All pictures, as n rows.

    Attributes:
        persons: (n,) int64, whose; 0-based.
        photos: (n,) int64, made from which photo; 0-based.
        forms: (n,) "as it is", or how it was made poorer.
        embeddings: (n, D) float32, unit length.
        scores: (n,) int64, 0–100.
        likeness: (n,) cosine to the mean of other photos of the same person; NaN where there is none.
        threshold: THRESHOLD as a cosine of this model.
        columns: (n,) each, by name: what a prediction may be made of.
    """

    persons: NDArray[np.int64]
    photos: NDArray[np.int64]
    forms: NDArray[np.str_]
    embeddings: NDArray[np.float32]
    scores: NDArray[np.int64]
    likeness: Floats
    threshold: float
    columns: Mapping[str, Floats]

    @property
    def natural(self) -> Flags:
        """(n,) the photo as it is."""
        flags: Flags = self.forms == AS_IT_IS
        return flags

    @property
    def known(self) -> Flags:
        """(n,) there is another photo of the person."""
        return ~np.isnan(self.likeness)


def main() -> None:
    """Parse the arguments, look, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--model", default=models.DEFAULT_EMBEDDER.name, help="of the catalogue")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--picture", type=Path, help="draw error versus reject here: .png or .svg")
    parser.add_argument("--limit", type=int, metavar="N", help="persons to take")
    args = parser.parse_args()
    model = models.embedder(args.model)
    found, lost = collect(args.dir, args.limit, model)
    looks = as_rows(found, model)
    halves = halve(looks)
    report: dict[str, Any] = {
        "forms": by_form(looks, lost),
        "prediction": predictions(looks, halves, model.clarity),
        "error_versus_reject": error_versus_reject(looks, halves),
        "false_accepts": false_accepts(looks),
        "strangers": strangers_by_score(looks),
        "templates": templates(looks),
    }
    show(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))
    if args.picture:
        draw(report["error_versus_reject"], args.picture)


def collect(folder: Path, limit: int | None, model: EmbedderModel) -> tuple[list[Look], dict[str, int]]:
    """Look at DIR/PERSON/*.jpg, and once more at a poorer form; also returns how many faces were lost, by form."""
    people: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.glob("*/*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"}):
        people.setdefault(path.parent.name, []).append(path)
    names = list(people)
    if limit is not None:
        names = names[:: max(1, len(names) // limit)][:limit]
    files = [(path, len(people[name]) > 1) for name in names for path in people[name]]
    if len({path.parent for path, several in files if several}) < 10:
        sys.exit("At least ten persons with several photos are needed")
    pipeline, network = Pipeline(model), open_network(Runtime(), model)
    found: list[Look] = []
    lost = dict.fromkeys((AS_IT_IS, *POORER), 0)
    for number, (path, several) in enumerate(track(files, description="Looking", console=Console(stderr=True))):
        image = decode(path.read_bytes(), Limits())
        face = most_prominent(pipeline.analyse(image), image)
        if face is None:
            lost[AS_IT_IS] += 1
            continue
        found.append(look_at(path, AS_IT_IS, image, face, network, model))
        if not several:
            continue
        form = POORER[number % len(POORER)]
        poorer, where = make_poorer(image, face.landmarks, form, np.random.default_rng([SEED, number]))
        again = nearest(pipeline.analyse(poorer), where)
        if again is None:
            lost[form] += 1
        else:
            found.append(look_at(path, form, poorer, again, network, model))
    return found, lost


def most_prominent(faces: Sequence[Face], image: Image) -> Face | None:
    """The face that a picture is of; None where there is none."""
    height, width = image.shape[:2]
    return max(faces, key=lambda face: prominence(face, width, height), default=None)


def nearest(faces: Sequence[Face], landmarks: NDArray[np.float32]) -> Face | None:
    """The face at these landmarks; None where there is none: what is left of a picture may show somebody else."""
    middle, reach = landmarks.mean(axis=0), float(np.linalg.norm(landmarks[1] - landmarks[0]))
    best = min(faces, key=lambda face: float(np.linalg.norm(face.landmarks.mean(axis=0) - middle)), default=None)
    if best is None or np.linalg.norm(best.landmarks.mean(axis=0) - middle) > reach:
        return None
    return best


def make_poorer(
    image: Image, landmarks: NDArray[np.float32], form: str, rng: np.random.Generator
) -> tuple[Image, NDArray[np.float32]]:
    """Spoil a picture of a face; returns it, and where the landmarks are in it."""
    eyes = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    x, y = (float(value) for value in landmarks.mean(axis=0))
    height, width = image.shape[:2]
    scale, left, top = 1.0, 0, 0
    changed: NDArray[Any] = image
    if form == "small":
        scale = min(1.0, float(rng.uniform(7.5, 21)) / eyes)
        changed = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    elif form == "blurred":
        changed = cv2.GaussianBlur(image, (0, 0), eyes * float(rng.uniform(0.035, 0.14)))
    elif form == "dark":
        changed = image * rng.uniform(0.05, 0.4) + rng.normal(0, 4, image.shape)
    elif form == "bright":
        changed = image * rng.uniform(1.6, 4) + 30
    elif form == "hazy":
        changed = image * rng.uniform(0.06, 0.3) + 140
    elif form == "moving":
        length, angle = eyes * float(rng.uniform(0.1, 0.4)), float(rng.uniform(0, math.pi))
        changed = smeared(image, length, angle) + rng.normal(0, 2, image.shape)
    elif form == "cut":
        side, beyond = rng.integers(4), eyes * float(rng.uniform(-0.3, 1.2))
        left = round(max(0, x - beyond)) if side == 0 else 0
        top = round(max(0, y - beyond)) if side == 1 else 0
        right = round(min(width, x + beyond)) if side == 2 else width
        bottom = round(min(height, y + beyond)) if side == 3 else height
        changed = image[top:bottom, left:right]
    else:
        x, y, half = x + eyes * rng.uniform(-0.9, 0.9), y + eyes * rng.uniform(-1, 1), eyes * rng.uniform(0.5, 1.2)
        changed = image.copy()
        rows, columns = slice(max(0, int(y - half)), int(y + half)), slice(max(0, int(x - half)), int(x + half))
        changed[rows, columns] = rng.integers(0, 255, 3)
    whole = np.ascontiguousarray(np.clip(changed, 0, 255).astype(np.uint8))
    return whole, ((landmarks - np.array([left, top])) * scale).astype(np.float32)


def smeared(image: Image, length: float, angle: float) -> Image:
    """A picture in which every point has moved so many pixels, at this angle in radians."""
    side = 2 * math.ceil(length / 2) + 1
    # Drawn sixteen times as large, so that the smear has its length and its direction to a fraction of a pixel.
    large = np.zeros((16 * side, 16 * side), dtype=np.float32)
    middle, half = np.full(2, 8 * side), 8 * length * np.array([math.cos(angle), math.sin(angle)])
    start, end = ((round(x), round(y)) for x, y in (middle - half, middle + half))
    cv2.line(large, start, end, 1.0, 16)
    kernel = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.filter2D(image, -1, kernel / kernel.sum()).astype(np.uint8, copy=False)


def look_at(path: Path, form: str, image: Image, face: Face, network: Runs, model: EmbedderModel) -> Look:
    """Measure one face, with the raw outputs of the network for its two views."""
    height, width = image.shape[:2]
    measures = measure(
        on_template(image, face.landmarks), np.zeros((468, 3), dtype=np.float32), width, height
    )  # the pose is not asked for
    views = align(image, face.landmarks, model.framing)
    if model.framing is ARCFACE:
        undo_movement(views, measures.sharpness)
    (raw,) = network(views)
    first, second = unit(raw)
    return Look(
        person=path.parent.name,
        photo=f"{path.parent.name}/{path.name}",
        form=form,
        embedding=face.embedding,
        length=float(np.linalg.norm(raw, axis=1).mean()),
        agreement=float(first @ second),
        score=face.quality.score,
        detection=face.detection_score,
        eye_distance=float(np.linalg.norm(face.landmarks[1] - face.landmarks[0])),
        sharpness=measures.sharpness,
        brightness=measures.brightness,
        contrast=measures.contrast,
    )


def as_rows(found: Sequence[Look], model: EmbedderModel) -> Looks:
    """Looks as columns, with their likeness."""
    _, persons = np.unique([look.person for look in found], return_inverse=True)
    _, photos = np.unique([look.photo for look in found], return_inverse=True)
    forms = np.array([look.form for look in found])
    embeddings = np.stack([look.embedding for look in found])
    brightness = np.array([look.brightness for look in found]) / 255
    likeness = np.full(len(found), np.nan)
    for person in np.unique(persons):
        mine = np.flatnonzero(persons == person)
        natural = mine[forms[mine] == AS_IT_IS]
        for row in mine:
            others = natural[photos[natural] != photos[row]][:OTHERS]
            if len(others):
                likeness[row] = float(embeddings[row] @ unit(embeddings[others].mean(axis=0)))
    threshold = THRESHOLD
    if model is not models.DEFAULT_EMBEDDER:
        likely = calibration.load(model.space).threshold(
            persons=1, photos=1, fpir=models.STRANGERS_WHO_REACH["likely"]
        )
        middle = float(np.nanmedian(likeness[forms == AS_IT_IS]))
        slope = (MIDDLE - models.DEFAULT_SAMENESS.likely) / (middle - likely)
        likeness = models.DEFAULT_SAMENESS.likely + slope * (likeness - likely)
        threshold = likely + (THRESHOLD - models.DEFAULT_SAMENESS.likely) / slope
    return Looks(
        persons=persons.astype(np.int64),
        photos=photos.astype(np.int64),
        forms=forms,
        embeddings=embeddings,
        scores=np.array([look.score for look in found], dtype=np.int64),
        likeness=likeness,
        threshold=threshold,
        columns={
            "length": np.array([look.length for look in found]),
            "agreement": np.array([look.agreement for look in found]),
            "detection": np.array([look.detection for look in found]),
            "eye distance": np.log(np.array([look.eye_distance for look in found]).clip(1, 60)),
            "sharpness": np.log(np.array([look.sharpness for look in found]) + 0.02),
            "contrast": np.log(np.array([look.contrast for look in found]) + 1),
            "brightness": brightness,
            "brightness²": brightness**2,
        },
    )


_OF_THE_PICTURE = ("eye distance", "sharpness", "contrast", "brightness", "brightness²")
PREDICTORS: Mapping[str, tuple[str, ...]] = {
    "length and agreement": ("length", "agreement"),
    "length": ("length",),
    "agreement": ("agreement",),
    "sharpness": ("sharpness",),
    MEASURES: _OF_THE_PICTURE,
    "length, agreement, detection": ("length", "agreement", "detection"),
    "all of these": ("length", "agreement", "detection", *_OF_THE_PICTURE),
}
"""What a prediction is made of: by name, the columns."""


def halve(looks: Looks) -> tuple[Flags, Flags]:
    """Each half of the persons, as rows."""
    people = np.random.default_rng(SEED).permutation(np.unique(looks.persons))
    first: Flags = np.isin(looks.persons, people[: len(people) // 2])
    return first, ~first


def fit(looks: Looks, columns: Sequence[str], rows: Flags) -> tuple[Floats, Floats]:
    """Least squares on some rows: the weights (the constant first), and what they predict for all rows."""
    table = np.stack([np.ones(len(looks.persons)), *(looks.columns[name] for name in columns)], axis=1)
    used = rows & looks.known
    fitted = np.linalg.lstsq(table[used], looks.likeness[used], rcond=None)[0].astype(np.float64)
    return fitted, table @ fitted


def predictions(looks: Looks, halves: tuple[Flags, Flags], clarity: Clarity | None) -> list[dict[str, Any]]:
    """Each predictor, fitted on one half and tested on the other, both ways; the constants in use come first."""
    in_use = np.zeros(3) if clarity is None else np.array([clarity.base, clarity.per_length, clarity.per_agreement])
    predicted = in_use[0] + in_use[1] * looks.columns["length"] + in_use[2] * looks.columns["agreement"]
    report = [{"made_of": "in use", "tests": [judge(looks, in_use, predicted, half) for half in reversed(halves)]}]
    for name, columns in PREDICTORS.items():
        tests = [judge(looks, *fit(looks, columns, halves[i]), halves[1 - i]) for i in (0, 1)]
        report.append({"made_of": name, "tests": tests})
    return report


def judge(looks: Looks, fitted: Floats, predicted: Floats, rows: Flags) -> dict[str, Any]:
    """How well a prediction fits some rows: rank correlation for all and for natural pictures, root mean square."""
    rows = rows & looks.known
    natural = rows & looks.natural
    return {
        "weights": [round(float(weight), 5) for weight in fitted],
        "correlation": round(rank_correlation(predicted[rows], looks.likeness[rows]), 3),
        "correlation_natural": round(rank_correlation(predicted[natural], looks.likeness[natural]), 3),
        "residual": round(float(np.sqrt(np.mean((predicted[rows] - looks.likeness[rows]) ** 2))), 4),
    }


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's; ties in their order."""
    first, second = (np.argsort(np.argsort(values, kind="stable")) - (len(values) - 1) / 2 for values in (one, other))
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def error_versus_reject(looks: Looks, halves: tuple[Flags, Flags]) -> dict[str, Any]:
    """Part missed of the pictures that remain when some are set aside, for natural and all pictures, by order."""
    # Picture measures are given their best chance: weights fitted to likeness, on the half that is not judged.
    by_measures = np.zeros(len(looks.persons))
    for i in (0, 1):
        by_measures[halves[1 - i]] = fit(looks, _OF_THE_PICTURE, halves[i])[1][halves[1 - i]]
    orders = {
        SCORE: looks.scores.astype(np.float64),
        MEASURES: by_measures,
        "sharpness": looks.columns["sharpness"],
        IDEAL: looks.likeness,
    }
    report: dict[str, Any] = {"threshold": THRESHOLD, "rejected": REJECTED}
    for title, rows in {"natural": looks.known & looks.natural, "all": looks.known}.items():
        missed = looks.likeness[rows] < THRESHOLD
        report[title] = {"pictures": len(missed), "missed": int(missed.sum())}
        for name, order in orders.items():
            poorest_first = missed[np.argsort(order[rows], kind="stable")]
            remaining = [poorest_first[int(part * len(missed)) :] for part in REJECTED]
            report[title][name] = [round(float(rest.mean()), 5) for rest in remaining]
    return report


def false_accepts(looks: Looks) -> dict[str, Any]:
    """Comparisons of different persons, and those of them that reach the threshold, by the score bands of the two;
    and, for each band, the part of its pictures that are missed."""
    order = np.argsort(looks.scores, kind="stable")
    scores, persons, embeddings = looks.scores[order], looks.persons[order], looks.embeddings[order]
    bands = np.searchsorted(BANDS, scores, side="right") - 1
    here = np.unique(bands)
    starts = np.searchsorted(bands, here)
    size = len(BANDS) - 1
    compared, reached = np.zeros((size, size), dtype=np.int64), np.zeros((size, size), dtype=np.int64)
    for start in range(0, len(scores), 512):
        rows = slice(start, start + 512)
        strangers = persons[rows, None] != persons
        alike = strangers & (embeddings[rows] @ embeddings.T >= looks.threshold)
        for counts, flags in ((compared, strangers), (reached, alike)):
            per_band = np.add.reduceat(flags, starts, axis=1, dtype=np.int64)
            for column, band in enumerate(here):
                np.add.at(counts[:, band], bands[rows], per_band[:, column])
    compared[np.diag_indices(size)] //= 2  # within a band each pair was met twice
    reached[np.diag_indices(size)] //= 2
    known = looks.known[order]
    missed = np.bincount(bands[known], looks.likeness[order][known] < THRESHOLD, minlength=size)
    return {
        "threshold": THRESHOLD,
        "bands": [f"{low}–{high - 1}" for low, high in pairwise(BANDS)],
        "pictures": np.bincount(bands, minlength=size).tolist(),
        "missed": np.round(missed / np.maximum(np.bincount(bands[known], minlength=size), 1), 4).tolist(),
        "compared": compared.tolist(),
        "reached": reached.tolist(),
        "rate": np.round(reached / np.maximum(compared, 1), 7).tolist(),
    }


def strangers_by_score(looks: Looks) -> list[dict[str, Any]]:
    """How much more alike than usual pictures of different persons are, in Fisher's z, by the score of one of them.
    The other is a good photo as it is, one a person; so is the first where that is usual."""
    good = np.flatnonzero(looks.natural & (looks.scores >= BANDS[4]))
    others = good[np.unique(looks.persons[good], return_index=True)[1]]

    def reached(rows: NDArray[np.int64]) -> Floats:
        alike = looks.embeddings[rows] @ looks.embeddings[others].T
        strangers = alike[looks.persons[rows, None] != looks.persons[others]]
        z: Floats = np.arctanh(np.quantile(strangers, [1 - part for part in ALIKE]))
        return z

    usual, report = reached(good), []
    for low, high in pairwise(BANDS):
        rows = np.flatnonzero((looks.scores >= low) & (looks.scores < high))
        if len(rows) >= FEWEST:
            more = np.round(reached(rows) - usual, 4).tolist()
            report.append({"band": f"{low}–{high - 1}", "pictures": len(rows), "more_alike": more})
    return report


def templates(
    looks: Looks, *, enrolled: int = 3, gallery: int = 300, trials: int = 10, fpirs: tuple[float, ...] = (0.01, 0.003)
) -> list[dict[str, Any]]:
    """Detection and identification rate with templates that weigh their photos alike, and by the score.

    Some of the photos enrolled are poorer forms, as far as they are usable; probes and strangers are photos as they
    are. Both ways of weighing meet the same photos. Empty where there is nobody to enrol, or no stranger.
    """
    count = np.bincount(looks.persons[looks.natural])
    several, strangers = np.flatnonzero(count > enrolled), np.flatnonzero(count == 1)
    report = []
    for part in (0.0, 0.3, 0.6) if len(several) and len(strangers) else ():
        trial = [
            _identify(
                looks, several, strangers, enrolled, gallery, part, fpirs, np.random.default_rng([SEED, number])
            )
            for number in range(trials)
        ]
        mean, gain = np.mean(trial, axis=0), np.array(trial)[:, 1] - np.array(trial)[:, 0]
        report.append(
            {
                "poor_part": part,
                "persons": min(gallery, len(several)),
                "uniform": {str(fpir): round(float(rate), 5) for fpir, rate in zip(fpirs, mean[0], strict=True)},
                "by_score": {str(fpir): round(float(rate), 5) for fpir, rate in zip(fpirs, mean[1], strict=True)},
                "gain_spread": {
                    str(fpir): round(float(spread), 5) for fpir, spread in zip(fpirs, gain.std(axis=0), strict=True)
                },
            }
        )
    return report


def _identify(
    looks: Looks,
    people: NDArray[np.int64],
    others: NDArray[np.int64],
    enrolled: int,
    gallery: int,
    part: float,
    fpirs: Sequence[float],
    rng: np.random.Generator,
) -> list[list[float]]:
    """One trial: for weights alike and by score, the rate at each FPIR."""
    natural = looks.natural
    strangers = looks.embeddings[natural & np.isin(looks.persons, others)]
    chosen, probes, truth = [], [], []
    for number, person in enumerate(rng.permutation(people)[:gallery]):
        mine = np.flatnonzero(looks.persons == person)
        own = rng.permutation(mine[natural[mine]])
        rows = own[:enrolled].copy()
        for place, row in enumerate(own[:enrolled]):
            poorer = mine[(looks.photos[mine] == looks.photos[row]) & ~natural[mine] & (looks.scores[mine] >= USABLE)]
            if rng.random() < part and len(poorer):
                rows[place] = poorer[0]
        chosen.append(rows)
        probes += own[enrolled : enrolled + 10].tolist()
        truth += [number] * len(own[enrolled : enrolled + 10])
    rates = []
    for weighed in (False, True):
        vectors = np.stack(
            [
                np.average(
                    looks.embeddings[rows],
                    axis=0,
                    weights=template_weights(looks.scores[rows].tolist(), views_of(looks.embeddings[rows]))
                    if weighed
                    else None,
                )
                for rows in chosen
            ]
        )
        gallery_vectors = unit(vectors.astype(np.float32))
        top_stranger = (strangers @ gallery_vectors.T).max(axis=1)
        similarities = looks.embeddings[probes] @ gallery_vectors.T
        right, top = similarities.argmax(axis=1) == np.array(truth), similarities.max(axis=1)
        rates.append([float((right & (top >= np.quantile(top_stranger, 1 - fpir))).mean()) for fpir in fpirs])
    return rates


def by_form(looks: Looks, lost: Mapping[str, int]) -> list[dict[str, Any]]:
    """What each form does to a picture."""
    report = []
    for form in (AS_IT_IS, *POORER):
        rows = looks.known & (looks.forms == form)
        if rows.any():
            scores = looks.scores[rows]
            report.append(
                {
                    "form": form,
                    "pictures": int(rows.sum()),
                    "no_face": lost[form],
                    "missed": round(float((looks.likeness[rows] < THRESHOLD).mean()), 4),
                    "likeness": round(float(np.median(looks.likeness[rows])), 3),
                    "score": [int(value) for value in np.percentile(scores, (10, 50, 90))],
                    "below_20": round(float((scores < 20).mean()), 4),
                    "below_50": round(float((scores < 50).mean()), 4),
                }
            )
    return report


def show(report: Mapping[str, Any]) -> None:
    """Print the tables."""
    console = Console()
    console.print("Pictures, by form (score: 10 %, half, 90 % have less)")
    table = Table("form", "pictures", "lost", "missed", "likeness", "score", "< 20", "< 50")
    for row in report["forms"]:
        table.add_row(
            row["form"],
            f"{row['pictures']:,}",
            str(row["no_face"]),
            f"{100 * row['missed']:.1f} %",
            f"{row['likeness']:.2f}",
            " ".join(str(score) for score in row["score"]),
            f"{100 * row['below_20']:.1f} %",
            f"{100 * row['below_50']:.1f} %",
        )
    console.print(table)
    console.print("Likeness predicted: rank correlation and root mean square error, for each half of the persons")
    table = Table("from", "all", "natural", "error")
    for row in report["prediction"]:
        keys = ("correlation", "correlation_natural", "residual")
        table.add_row(row["made_of"], *(" / ".join(f"{half[key]:.3f}" for half in row["tests"]) for key in keys))
    console.print(table)
    for row in report["prediction"][:2]:
        for half in row["tests"]:
            base, per_length, per_agreement = half["weights"]
            console.print(f"{row['made_of']}: {base:.3f} {per_length:+.5f} × length {per_agreement:+.3f} × agreement")
    curves = report["error_versus_reject"]
    console.print(f"Missed at {curves['threshold']}, % of those that remain, when the poorest are set aside")
    table = Table("set aside", *(f"{part:.0%}" for part in SHOWN))
    for title in ("natural", "all"):
        for name in (SCORE, MEASURES, "sharpness", IDEAL):
            missed = dict(zip(curves["rejected"], curves[title][name], strict=True))
            table.add_row(f"{title}: {name}", *(f"{100 * missed[part]:.2f}" for part in SHOWN))
    console.print(table)
    matrix = report["false_accepts"]
    console.print(f"Pictures of different persons at {matrix['threshold']} or above, per 100,000, by their scores")
    table = Table("", *matrix["bands"])
    for row, band in enumerate(matrix["bands"]):
        table.add_row(band, *(f"{1e5 * rate:,.0f}" for rate in matrix["rate"][row][: row + 1]))
    table.add_section()
    table.add_row("missed %", *(f"{100 * part:.1f}" for part in matrix["missed"]))
    console.print(table)
    console.print("Pictures of different persons, one a good photo: how much more alike than usual, in Fisher's z")
    table = Table("score of the other", "pictures", *(f"one in {1 / part:,.0f}" for part in ALIKE))
    for row in report["strangers"]:
        table.add_row(row["band"], f"{row['pictures']:,}", *(f"{more:+.3f}" for more in row["more_alike"]))
    console.print(table)
    console.print(
        "Named right, %, where 1 % and 0.3 % of strangers are named: photos weighed alike, by score, gain ± spread"
    )
    table = Table("poor photos", "1 %", "0.3 %")
    for row in report["templates"]:
        cells = []
        for fpir, alike in row["uniform"].items():
            by_score, spread = row["by_score"][fpir], row["gain_spread"][fpir]
            gain = f"{100 * (by_score - alike):+.2f} ± {100 * spread:.2f}"
            cells.append(f"{100 * alike:.2f} → {100 * by_score:.2f} ({gain})")
        table.add_row(f"{row['poor_part']:.0%}", *cells)
    console.print(table)


def draw(curves: Mapping[str, Any], path: Path) -> None:
    """Error versus reject, natural and all pictures side by side."""
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_curves(left, curves, "natural", "Photos as they are")
    _draw_curves(right, curves, "all", "With a poorer copy of each photo")
    left.set_ylabel("not recognised, of the pictures that remain (%)")
    figure.savefig(path, dpi=150)


def _draw_curves(axes: Axes, curves: Mapping[str, Any], which: str, title: str) -> None:
    styles: Mapping[str, tuple[str, str, str]] = {
        "sharpness": ("sharpness\nalone", "#a8998a", "-"),
        MEASURES: ("size, light,\nsharpness,\ncontrast", "#c0703a", "-"),
        SCORE: ("the score", "#2f6f8f", "-"),
        IDEAL: ("perfect order", "#777777", ":"),
    }
    aside = [100 * part for part in curves["rejected"]]
    for name, (label, colour, line) in styles.items():
        missed = [100 * rate for rate in curves[which][name]]
        axes.plot(aside, missed, color=colour, linestyle=line, linewidth=2, clip_on=False, solid_capstyle="round")
        axes.annotate(
            label,
            (aside[-1], missed[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
            linespacing=1.1,
        )
    figures = curves[which]
    axes.set_title(
        f"{title}\n{figures['pictures']:,} pictures, {figures['missed']:,} not recognised", fontsize=10.5, loc="left"
    )
    axes.set_xlabel("pictures set aside, poorest first (%)")
    axes.set_xlim(0, aside[-1])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
