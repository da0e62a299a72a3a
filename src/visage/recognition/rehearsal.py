"""What Visage would have answered: the decisions of the product, rehearsed on labelled faces.

Some persons are enrolled, other photos of them and photos of strangers are shown. `evaluation.py` measures
embeddings, this the answers made of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from visage.bank.views import template_weights, views_of
from visage.errors import InstallationError
from visage.recognition.dataset import LabelledFaces
from visage.recognition.decision import Decider, Likeness
from visage.recognition.enrolment import USABLE
from visage.recognition.recognizer import CANDIDATES
from visage.types import Person, Status
from visage.vision.embed import unit

_PROBES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one probe.

    Attributes:
        truth: who it is; None for a stranger.
        status: what was said.
        nearest: the likeliest candidate; None where there was none.
        similarity, confidence: of that candidate.
        file: the photo.
    """

    truth: str | None
    status: Status
    nearest: str | None
    similarity: float
    confidence: float
    file: str

    @property
    def named(self) -> str | None:
        """The name that was said."""
        return self.nearest if self.status is Status.KNOWN else None


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
        own = [answer for answer in self.answers if answer.truth is not None]
        strangers = [answer for answer in self.answers if answer.truth is None]
        counts = {
            "right": (sum(a.named == a.truth for a in own), own),
            "wrong_name": (sum(a.named not in (None, a.truth) for a in own), own),
            "uncertain": (sum(a.status is Status.UNCERTAIN for a in own), own),
            "missed": (sum(a.status is Status.UNKNOWN for a in own), own),
            "false_name": (sum(a.named is not None for a in strangers), strangers),
            "false_doubt": (sum(a.status is Status.UNCERTAIN for a in strangers), strangers),
        }
        return {name: count / max(1, len(group)) for name, (count, group) in counts.items()}

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
    rng = np.random.default_rng(seed)
    answers: list[Answer] = []
    for _ in range(trials):
        chosen = rng.permutation(enough)[:size]
        answers += _trial(faces, decider, chosen, enrolled, strangers, rng)
    return Rehearsal(size, enrolled, decider.threshold(persons=size, photos=enrolled), tuple(answers))


def _trial(
    faces: LabelledFaces,
    decider: Decider,
    chosen: NDArray[np.int64],
    enrolled: int,
    strangers: int,
    rng: np.random.Generator,
) -> list[Answer]:
    now = datetime.now(UTC)
    persons, templates, best_quality, probes = [], [], [], []
    for label in chosen:
        photos = rng.permutation(np.flatnonzero(faces.labels == label))
        used = [i for i in photos[:enrolled] if faces.qualities[i] >= USABLE]
        if not used:
            continue
        name = faces.persons[label]
        views = views_of(faces.embeddings[used])
        persons.append(Person(name, name, None, {}, now, now, len(used), int(views.max()) + 1))
        weights = template_weights(faces.qualities[used].tolist(), views)
        templates.append((weights[:, None] * faces.embeddings[used]).sum(axis=0))
        best_quality.append(int(faces.qualities[used].max()))
        probes += [(i, name) for i in photos[enrolled : enrolled + _PROBES]]
    outside = rng.permutation(np.setdiff1d(np.unique(faces.labels), chosen))[:strangers]
    shown: list[tuple[int, str | None]] = [*probes]
    shown += [(int(rng.choice(np.flatnonzero(faces.labels == label))), None) for label in outside]
    similarities = faces.embeddings[[i for i, _ in shown]] @ unit(np.stack(templates)).T
    answers = []
    for (index, truth), row in zip(shown, similarities, strict=True):
        nearest = np.argsort(-row)[:CANDIDATES]
        likenesses = [Likeness(persons[i], float(row[i]), best_quality[i]) for i in nearest]
        (verdict,) = decider.decide([likenesses], qualities=[int(faces.qualities[index])], persons=len(persons))
        best = verdict.candidates[0]
        answers.append(
            Answer(truth, verdict.status, best.person.name, best.similarity, best.confidence, faces.files[index])
        )
    return answers
