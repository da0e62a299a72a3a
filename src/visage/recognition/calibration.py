"""From similarity to probability, and from a tolerated false-name rate to a threshold.

Similarities of different people have a tail that is heavier than a normal curve's, and the best of N strangers
lies further out in it the larger N is. Both are measured once for a model, on labelled photos, and shipped as a
small table beside it (`calibrations/MODEL.json`):

- `far`: the false accept rate of one comparison, the chance that a stranger reaches this similarity to one
  remembered person. The body is counted; the tail follows a generalised Pareto distribution.
- `log_ratio`: the natural logarithm of how much likelier this similarity is for the same person than for a
  stranger.

Both depend on how many photos a person's template averages, so there is a table for each of some counts.

Sources: Pickands 1975 (peaks over threshold); Hosking & Wallis 1987, Technometrics 29(3) (probability-weighted
moments); ISO/IEC 19795-1 for FPIR.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visage.bank.views import SAME_VIEW
from visage.errors import InstallationError, NoCalibration
from visage.vision import models

Doubles = NDArray[np.float64]

PRIOR_KNOWN = 0.5
"""Before looking: the chance that a face in front of the camera belongs to someone in the bank. Without knowledge
of who visits whom, neither answer is favoured."""

MAX_CONFIDENCE = 0.999
"""No calibration here saw enough faces to promise more."""

_GRID = np.round(np.arange(-0.2, 1.0001, 0.02), 2)
"""Where the tables are made. A model whose similarities all lie higher (dlib's from 0.6 on) gets as many points,
closer together."""
_ROUNDS = 6
"""How often templates and probes are drawn anew for a fit."""
_TAIL = 2e-4
"""The part of the impostor similarities, from the top, to which the Pareto tail is fitted …"""
_COUNTED = 5e-6
"""… and the part down to which they are counted nevertheless: the tail gives the slope beyond."""
_MIN_COUNTED = 50
"""A handful at the far end may all be of the same two faces: no fewer than so many count."""
_MIN_PERSONS = 50
"""With fewer persons the few pairs in the tail are all of the same faces."""
_ALMOST_ONE = 1 - 1e-9
_FOLDER = Path(__file__).parent / "calibrations"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What a similarity means for templates of one number of photos, on a grid of similarities.

    Attributes:
        similarity: (g,) ascending cosines.
        log_far: (g,) natural logarithm of the false accept rate of one comparison, descending.
        log_ratio: (g,) natural logarithm of the likelihood ratio same : different, ascending.
    """

    similarity: Doubles
    log_far: Doubles
    log_ratio: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What the similarities of one model mean.

    Attributes:
        model: its name.
        tables: by the number of photos in a template, ascending.
        usual_quality: 0–100, of the pictures that the tables are made from, in the mean; None where that is not
            known.
    """

    model: str
    tables: Mapping[int, Table]
    usual_quality: float | None = None

    def threshold(self, *, persons: int, photos: int, fpir: float) -> float:
        """The cosine from which naming a face keeps the false-name rate within its target.

        A stranger is compared with every person; with independent chances, one of N comparisons goes wrong with
        1 − (1 − FAR)^N, which must equal the target.

        Args:
            persons: remembered, ≥ 1.
            photos: in the candidate's template, ≥ 1.
            fpir: tolerated part of strangers who are given a name, 0–1.
        """
        return self.similarity_at(-math.expm1(math.log1p(-fpir) / max(persons, 1)), photos)

    def similarity_at(self, far: float, photos: int) -> float:
        """The cosine that a stranger reaches with this chance, 0–1, to a template of so many photos."""
        return _similarity_at(self._table(photos), far)

    def far(self, similarity: float, photos: int) -> float:
        """The chance, 0–1, that a stranger reaches this cosine to a template of so many photos."""
        table = self._table(photos)
        return math.exp(np.interp(similarity, table.similarity, table.log_far))

    def confidences(
        self,
        similarities: Sequence[float],
        photos: Sequence[int],
        *,
        persons: int,
        rejected: Sequence[float | None] | None = None,
        rises: Sequence[float] | None = None,
    ) -> list[float]:
        """The probability of each candidate, given all of them and the size of the bank.

        Bayes over the hypotheses "is person i" (each of the N persons equally likely beforehand) and "is nobody
        in the bank": P(i) = L_i / (Σ L_j + L_i' + N·(1 − π)/π), L the likelihood ratio and π the prior of being
        known. Two look-alikes share the probability between them, and so do a person and whoever was once taken for
        that person and rejected (L_i'): that stranger is in nobody else's way.

        Args:
            similarities: cosine of each candidate, best first; those left out must be far below.
            photos: in each candidate's template.
            persons: remembered, ≥ 1.
            rejected: for each candidate the cosine to the nearest face that was rejected as that person, or None.
            rises: for each candidate how much more alike strangers are to that person; see `likelihood_ratio`.

        Returns: 0–1 each, together at most 1.
        """
        ratios = [
            self.likelihood_ratio(*each)
            for each in zip(similarities, photos, rises or [0.0] * len(similarities), strict=True)
        ]
        rivals = [0.0 if r is None else self.likelihood_ratio(r, 1) for r in rejected or [None] * len(ratios)]
        nobody = max(persons, 1) * (1 - PRIOR_KNOWN) / PRIOR_KNOWN
        others = sum(ratios) + nobody
        return [min(MAX_CONFIDENCE, own / (others + rival)) for own, rival in zip(ratios, rivals, strict=True)]

    def likelihood_ratio(self, similarity: float, photos: int, rise: float = 0.0) -> float:
        """How much likelier this cosine to a template of so many photos is for its person than for a stranger.

        Args:
            similarity: cosine.
            photos: in the template, ≥ 1.
            rise: how much more alike strangers are to this person here than usually, in Fisher's z. What a stranger
                then reaches as easily as this similarity is one by so much lower; the person's own photos stay where
                they are.
        """
        table = self._table(photos)
        log_ratio = _log_ratio_risen(table, rise) if rise else table.log_ratio
        return math.exp(np.interp(similarity, table.similarity, log_ratio))

    def _table(self, photos: int) -> Table:
        return self.tables[max((count for count in self.tables if count <= photos), default=min(self.tables))]


def raised(similarity: float, rise: float) -> float:
    """A cosine moved by so much in Fisher's z: artanh, added, tanh.

    From the middle of the similarities of different people to their far tail, a crowd that is more alike than another
    lies higher by the same amount on this scale, and by less and less in cosine
    (`docs/decisions/0030-the-bank-one-has.md`). Source: Fisher 1915.
    """
    return math.tanh(fisher_z(similarity) + rise)


def fisher_z(similarity: float) -> float:
    """A cosine on the scale of `raised`; −1 and 1, which are infinitely far, are taken to be nearly there."""
    return math.atanh(min(max(similarity, -_ALMOST_ONE), _ALMOST_ONE))


@lru_cache(maxsize=1024)
def _similarity_at(table: Table, far: float) -> float:
    # np.interp wants ascending x: both are turned round.
    return float(np.interp(math.log(far), table.log_far[::-1], table.similarity[::-1]))


@lru_cache(maxsize=2048)
def _log_ratio_risen(table: Table, rise: float) -> Doubles:
    """(g,) the table's `log_ratio` where strangers are so much more alike; ascending."""
    lower = np.tanh(np.arctanh(np.clip(table.similarity, -_ALMOST_ONE, _ALMOST_ONE)) - rise)
    more_often = np.interp(lower, table.similarity, table.log_far) - table.log_far
    risen: Doubles = np.maximum.accumulate(table.log_ratio - more_often)
    return risen


def path_of(model: str, data_dir: Path | None = None) -> Path:
    """Where the calibration of a model is shipped; with a data directory, where that has one of its own."""
    return (data_dir / "calibration" if data_dir else _FOLDER) / f"{model}.json"


def load(model: str, data_dir: Path | None = None) -> Calibration:
    """Read the calibration of a model: the data directory's own where there is one, else the one that is shipped.

    Raises:
        NoCalibration: there is none.
        InstallationError: it cannot be read.
    """
    own = path_of(model, data_dir)
    path = own if own.exists() else path_of(model)
    try:
        content = json.loads(path.read_text())
        tables = {
            int(photos): Table(*(np.array(table[key], dtype=float) for key in ("similarity", "log_far", "log_ratio")))
            for photos, table in content["tables"].items()
        }
        grids = {
            len(column) for table in tables.values() for column in (table.similarity, table.log_far, table.log_ratio)
        }
        if content["model"] != model or len(grids) != 1:
            raise ValueError(model)
        usual_quality = float(content["usual_quality"]) if "usual_quality" in content else None
    except FileNotFoundError as exc:
        raise NoCalibration(
            f"There is no calibration for the model {model}, so it may name nobody. Make one from photos of at least "
            f"{_MIN_PERSONS} persons: `visage models evaluate NAME DIR --save`"
        ) from exc
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InstallationError(f"The calibration {path.name} cannot be read; make it again, or delete it") from exc
    return Calibration(model, tables, usual_quality)


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON that a person can read and compare.

    Raises:
        InstallationError: the file cannot be written.
    """
    tables = {
        str(photos): {
            "similarity": [float(v) for v in table.similarity],
            "log_far": [round(float(v), 3) for v in table.log_far],
            "log_ratio": [round(float(v), 3) for v in table.log_ratio],
        }
        for photos, table in calibration.tables.items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        quality = {} if calibration.usual_quality is None else {"usual_quality": round(calibration.usual_quality, 1)}
        content = {"model": calibration.model} | quality | {"tables": tables}
        path.write_text(json.dumps(content, indent=1) + "\n")
    except OSError as exc:
        raise InstallationError(f"{path} cannot be written: {exc.strerror}") from exc


def fit(
    model: str,
    embeddings: NDArray[np.float32],
    persons: NDArray[np.int64],
    qualities: NDArray[np.int64] | None = None,
    *,
    photos: Sequence[int] = (1, 2, 3, 5),
    seed: int = 0,
) -> Calibration:
    """Calibrate a model on labelled photos.

    Args:
        model: its name.
        embeddings: (n, D) float32, unit length.
        persons: (n,) whose each is, 0-based; hundreds of persons, many with several photos.
        qualities: (n,) 0–100; every person counts alike.
        photos: sizes of template to make tables for.
        seed: of the random choice of templates and probes.

    Raises:
        InstallationError: there are not enough persons to see a tail.
    """
    counts = np.bincount(persons)
    fitting = [count for count in photos if (counts > count).sum() >= _MIN_PERSONS]
    if not fitting:
        raise InstallationError(f"A calibration needs at least {_MIN_PERSONS} persons with two photos or more")
    rng = np.random.default_rng(seed)
    tables = {count: _fit_table(embeddings, persons, count, rng) for count in fitting}
    usual = (
        None
        if qualities is None
        else float((np.bincount(persons, qualities) / np.maximum(counts, 1))[counts > 0].mean())
    )
    return Calibration(model, tables, usual)


def _fit_table(
    embeddings: NDArray[np.float32], persons: NDArray[np.int64], photos: int, rng: np.random.Generator
) -> Table:
    genuine, impostor = _similarities(embeddings, persons, photos, rng)
    grid = _grid(impostor)
    log_far = _log_survival(impostor, grid)
    # Densities on the same grid, as differences of the survival functions. One genuine pair in a hundred is
    # taken to be anything at all (a wrong label, a profile, a hand before the face).
    different = -np.diff(np.exp(log_far))
    same = np.histogram(genuine, np.concatenate([grid, [1.02]]))[0][:-1] / len(genuine)
    same = 0.99 * _smooth(same) + 0.01 / len(same)
    centres = (grid[1:] + grid[:-1]) / 2
    log_ratio = _ascending(np.log(same / np.maximum(different, 1e-300)), weights=same + different)
    return Table(grid, log_far, np.interp(grid, centres, log_ratio))


def _grid(impostor: Doubles) -> Doubles:
    low = math.floor(50 * float(np.quantile(impostor, 1e-3))) / 50
    return _GRID if low <= _GRID[0] else np.round(np.linspace(low, 1, len(_GRID)), 5)


def _similarities(
    embeddings: NDArray[np.float32], persons: NDArray[np.int64], photos: int, rng: np.random.Generator
) -> tuple[Doubles, Doubles]:
    """Cosines of probes with templates of `photos` photos: of the same person, and of different persons.

    Every person counts alike: one template in a round, at most ten genuine probes, one impostor probe.
    """
    genuine: list[NDArray[np.float32]] = []
    impostor: list[NDArray[np.float32]] = []
    groups = [np.flatnonzero(persons == person) for person in range(persons.max() + 1)]
    for _ in range(_ROUNDS):
        shuffled = [rng.permutation(group) for group in groups]
        owners = np.array([i for i, group in enumerate(shuffled) if len(group) >= photos])
        templates = np.stack([embeddings[shuffled[i][:photos]].mean(axis=0) for i in owners])
        templates /= np.linalg.norm(templates, axis=1, keepdims=True)
        for template, owner in zip(templates, owners, strict=True):
            genuine.append(embeddings[shuffled[owner][photos : photos + 10]] @ template)
        strangers = np.array([group[-1] for group in shuffled])
        scores = templates @ embeddings[strangers].T
        impostor.append(scores[owners[:, None] != np.arange(len(groups))[None]])
    return np.concatenate(genuine).astype(np.float64), np.concatenate(impostor).astype(np.float64)


def _log_survival(sample: Doubles, grid: Doubles) -> Doubles:
    """The natural logarithm of P(X ≥ x) at each grid point: counted in the body, generalised Pareto in the tail.

    The shape is kept at or above 0 (an exponential tail): a finite end point would promise that beyond some
    similarity no two people can ever be confused, which no sample can show.
    """
    ordered = np.sort(sample)
    start = float(ordered[-max(_MIN_COUNTED, int(_TAIL * len(ordered)))])
    excess = ordered[ordered > start] - start
    n = len(excess)
    # Hosking & Wallis: a0 = E[X], a1 = E[X · (1 − F(X))].
    a0 = excess.mean()
    a1 = float((excess * (n - 1 - np.arange(n)) / (n - 1)).mean())
    shape = max(0.0, 2 - a0 / (a0 - 2 * a1))
    # Of what exceeds a point further out the shape is the same and the scale grows with it (threshold stability).
    counted = float(ordered[-max(_MIN_COUNTED, int(_COUNTED * len(ordered)))])
    scale = float(a0 * (1 - shape)) + shape * (counted - start)
    log_body = np.log(np.maximum(len(ordered) - np.searchsorted(ordered, grid), 1) / len(ordered))
    beyond = np.maximum(grid - counted, 0)
    decay = beyond / scale if shape < 1e-6 else np.log1p(shape * beyond / scale) / shape
    at_counted = np.log((len(ordered) - np.searchsorted(ordered, counted)) / len(ordered))
    return np.where(grid > counted, at_counted - decay, log_body)


def _smooth(density: Doubles) -> Doubles:
    """A running mean over five cells that keeps the sum."""
    padded = np.pad(density, 2, mode="symmetric")
    smooth = np.convolve(padded, np.ones(5) / 5, mode="valid")
    scaled: Doubles = smooth / smooth.sum()
    return scaled


def _ascending(values: Doubles, weights: Doubles) -> Doubles:
    """The closest ascending sequence in the weighted least-squares sense (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append((float(value), float(weight), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (v1, w1, n1), (v2, w2, n2) = blocks.pop(-2), blocks.pop()
            blocks.append(((v1 * w1 + v2 * w2) / (w1 + w2), w1 + w2, n1 + n2))
    return np.concatenate([np.full(count, value) for value, _, count in blocks])


def sameness_of(chosen: models.EmbedderModel, measured: Calibration) -> models.Sameness:
    """What the cosines of a model mean: those that as many strangers reach as with the default, and a view as near,
    by the distance at which strangers usually are."""
    if chosen.sameness is not None:
        return chosen.sameness
    rates = {
        name: measured.threshold(persons=1, photos=1, fpir=far) for name, far in models.STRANGERS_WHO_REACH.items()
    }
    return models.Sameness(view=1 - (1 - SAME_VIEW) * (1 - measured.similarity_at(0.5, 1)), **rates)
