"""What Visage would have answered: the decisions of the product, rehearsed on labelled faces.

Some persons are enrolled, other photos of them and photos of strangers are shown. `evaluation.py` measures
embeddings, this the answers made of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import Sample
from visage.bank.views import template_weights, views_of
from visage.errors import InstallationError
from visage.recognition.crowd import MAX_SAMPLE, measure
from visage.recognition.dataset import LabelledFaces
from visage.recognition.decision import Decider, Likeness
from visage.recognition.enrolment import USABLE
from visage.recognition.gallery import CANDIDATES
from visage.types import Person, Status
from visage.vision.embed import unit

_PROBES = 3
_RESAMPLINGS = 1000
_OF_OWN = ("right", "wrong_name", "uncertain", "missed")
_OF_STRANGERS = ("false_name", "false_doubt")

MIN_GROUP = 10
"""A smaller group is not measured: its few strangers would be the same in every trial."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one probe.

    Attributes:
        truth: who it is; None for a stranger.
        status: what was said.
        nearest: the likeliest candidate; None where there was none.
        similarity, confidence: of that candidate.
        file: the photo.
        shown: whose photo it is, a stranger's too.
    """

    truth: str | None
    status: Status
    nearest: str | None
    similarity: float
    confidence: float
    file: str
    shown: str = ""

    @property
    def named(self) -> str | None:
        """The name that was said."""
        return self.nearest if self.status is Status.KNOWN else None

    @property
    def outcome(self) -> str:
        """What became of it: as in `Rehearsal.rates`, or "ignored" for a stranger who was taken for one."""
        if self.truth is None:
            return {Status.KNOWN: "false_name", Status.UNCERTAIN: "false_doubt"}.get(self.status, "ignored")
        if self.named is not None:
            return "right" if self.named == self.truth else "wrong_name"
        return "uncertain" if self.status is Status.UNCERTAIN else "missed"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All answers of some trials.

    Attributes:
        persons: enrolled in each trial.
        enrolled: photos of each.
        threshold: the cosine from which a face was named.
        answers: of all trials.
    """

    persons: int
    enrolled: int
    threshold: float
    answers: tuple[Answer, ...]

    def rates(self) -> dict[str, float]:
        """Parts of the probes, 0–1: of those enrolled `right`, `wrong_name`, `uncertain`, `missed`; of strangers
        `false_name` and `false_doubt` (a "might be" for a stranger)."""
        counts = Counter(answer.outcome for answer in self.answers)
        own = sum(answer.truth is not None for answer in self.answers)
        shown = dict.fromkeys(_OF_OWN, own) | {name: len(self.answers) - own for name in _OF_STRANGERS}
        return {name: counts[name] / max(1, total) for name, total in shown.items()}

    def interval(self, outcome: str, seed: int = 7) -> tuple[float, float]:
        """Where a rate would lie for 95 of 100 other choices of such people, lowest and highest.

        People are drawn, not photos: what is said of somebody's photos is no independent evidence. Source: the
        bootstrap over clusters, Davison & Hinkley 1997, section 3.8.
        """
        by_person: dict[str, list[bool]] = {}
        for answer in self.answers:
            if (answer.truth is None) == (outcome in _OF_STRANGERS):
                by_person.setdefault(answer.shown, []).append(answer.outcome == outcome)
        if not by_person:
            return 0.0, 1.0
        counts = np.array([(sum(each), len(each)) for each in by_person.values()])
        drawn = np.random.default_rng(seed).integers(len(counts), size=(_RESAMPLINGS, len(counts)))
        hits, shown = counts[drawn].sum(axis=1).T
        low, high = np.percentile(hits / shown, (2.5, 97.5))
        return float(low), float(high)

    def calibration_error(self, bins: int = 10) -> float:
        """Expected calibration error: how far the confidence of the likeliest candidate is from how often it is
        right, in the mean over equal bins weighted by their size. Source: Naeini et al. 2015."""
        confidence, right = self._claims()
        which = np.minimum((confidence * bins).astype(int), bins - 1)
        gaps = [
            abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean()
            for b in range(bins)
            if (which == b).any()
        ]
        return float(sum(gaps))

    def brier_score(self) -> float:
        """Mean squared distance of that confidence from the truth (0 or 1)."""
        confidence, right = self._claims()
        return float(((confidence - right) ** 2).mean())

    def confusions(self) -> list[tuple[str, str, int]]:
        """(who it was, or "a stranger"; who was named; how often), the most frequent first."""
        pairs = Counter(
            (answer.truth or "a stranger", answer.named)
            for answer in self.answers
            if answer.named is not None and answer.named != answer.truth
        )
        return [(truth, named, count) for (truth, named), count in pairs.most_common()]

    def at_threshold(self, threshold: float) -> tuple[float, float]:
        """With the plain rule "named from this cosine on": parts of the enrolled named right, of strangers named."""
        own = [a.nearest == a.truth and a.similarity >= threshold for a in self.answers if a.truth is not None]
        strangers = [a.similarity >= threshold for a in self.answers if a.truth is None]
        return sum(own) / max(1, len(own)), sum(strangers) / max(1, len(strangers))

    def _claims(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return (
            np.array([answer.confidence for answer in self.answers]),
            np.array([float(answer.truth is not None and answer.nearest == answer.truth) for answer in self.answers]),
        )


def rehearse(
    faces: LabelledFaces,
    decider: Decider,
    *,
    enrolled: int = 3,
    gallery: int = 100,
    strangers: int = 300,
    trials: int = 10,
    seed: int = 7,
) -> Rehearsal:
    """Enrol, ask, note the answers; again with others.

    Args:
        faces: labelled photos.
        decider: the product's rule.
        enrolled: photos a person.
        gallery: persons enrolled in a trial; at most two thirds of those with enough photos, so that strangers stay.
        strangers: shown in a trial, one photo each.
        trials: how often, each with other persons and photos.
        seed: of the draws.

    Raises:
        InstallationError: fewer than three persons have enough photos.
    """
    count = np.bincount(faces.labels)
    enough = np.flatnonzero(count > enrolled)
    if len(enough) < 3:
        raise InstallationError(f"At least three persons with more than {enrolled} photos are needed")
    others = len(count) - len(enough)
    size = min(gallery, len(enough) if others >= strangers else len(enough) * 2 // 3)
    return _trials(faces, decider, np.unique(faces.labels), enough, size, enrolled, strangers, trials, seed)


def rehearse_groups(
    faces: LabelledFaces,
    decider: Decider,
    groups: Mapping[str, Collection[str]],
    *,
    enrolled: int = 1,
    gallery: int = 50,
    strangers: int = 300,
    trials: int = 40,
    seed: int = 7,
) -> dict[str, Rehearsal]:
    """Rehearse banks whose people are all of one group, with strangers of the same group.

    Args:
        faces: labelled photos.
        decider: the product's rule.
        groups: name of a group → names of its persons.
        enrolled, strangers, trials, seed: as for `rehearse`.
        gallery: persons enrolled in a trial; at most two thirds of a group, so that strangers stay.

    Returns: by name of the group, without those of which fewer than `MIN_GROUP` have photos.
    """
    count = np.bincount(faces.labels)
    found = {}
    for name, persons in groups.items():
        members = np.flatnonzero(np.isin(np.array(faces.persons), list(persons)))
        # Who has no photo left to be recognised by still is somebody whom a stranger is like.
        able = members[count[members] >= enrolled]
        size = min(gallery, len(able), len(members) * 2 // 3)
        if len(members) >= MIN_GROUP and size >= 2:
            found[name] = _trials(faces, decider, members, able, size, enrolled, strangers, trials, seed)
    return found


def _trials(
    faces: LabelledFaces,
    decider: Decider,
    members: NDArray[np.int64],
    able: NDArray[np.int64],
    size: int,
    enrolled: int,
    strangers: int,
    trials: int,
    seed: int,
) -> Rehearsal:
    """Enrol `size` of those who are able to be, show them and strangers among the members; several times."""
    rng = np.random.default_rng(seed)
    answers: list[Answer] = []
    for _ in range(trials):
        chosen = rng.permutation(able)[:size]
        outside = rng.permutation(np.setdiff1d(members, chosen))[:strangers]
        answers += _trial(faces, decider, chosen, outside, enrolled, rng)
    return Rehearsal(size, enrolled, decider.threshold(persons=size, photos=enrolled), tuple(answers))


def _trial(
    faces: LabelledFaces,
    decider: Decider,
    chosen: NDArray[np.int64],
    outside: NDArray[np.int64],
    enrolled: int,
    rng: np.random.Generator,
) -> list[Answer]:
    now = datetime.now(UTC)
    persons, templates, looks, best_quality, probes = [], [], [], [], []
    for label in chosen:
        photos = rng.permutation(np.flatnonzero(faces.labels == label))
        used = [i for i in photos[:enrolled] if faces.qualities[i] >= USABLE]
        if not used:
            continue
        name = faces.persons[label]
        views = views_of(faces.embeddings[used], decider.sameness.view)
        persons.append(Person(name, name, None, {}, now, now, len(used), int(views.max()) + 1))
        weights = template_weights(faces.qualities[used].tolist(), views)
        templates.append((weights[:, None] * faces.embeddings[used]).sum(axis=0))
        best = max(used, key=lambda i: int(faces.qualities[i]))
        looks.append(faces.embeddings[best])
        best_quality.append(int(faces.qualities[best]))
        probes += [(i, name) for i in photos[enrolled : enrolled + _PROBES]]
    if not persons:
        return []
    stacked = unit(np.stack(templates))
    some = slice(MAX_SAMPLE)
    crowd = measure(Sample(tuple(persons[some]), stacked[some], np.stack(looks[some])), decider.calibration)
    shown: list[tuple[int, str | None]] = [*probes]
    shown += [(int(rng.choice(np.flatnonzero(faces.labels == label))), None) for label in outside]
    similarities = faces.embeddings[[i for i, _ in shown]] @ stacked.T
    answers = []
    for (index, truth), row in zip(shown, similarities, strict=True):
        nearest = np.argsort(-row)[:CANDIDATES]
        likenesses = [
            Likeness(persons[i], float(row[i]), best_quality[i], shift=crowd.shift_of(persons[i].person_id))
            for i in nearest
        ]
        (verdict,) = decider.decide([likenesses], qualities=[int(faces.qualities[index])], persons=len(persons))
        best_candidate = verdict.candidates[0]
        answers.append(
            Answer(
                truth,
                verdict.status,
                best_candidate.person.name,
                best_candidate.similarity,
                best_candidate.confidence,
                faces.files[index],
                faces.persons[faces.labels[index]],
            )
        )
    return answers
