"""Known, uncertain or unknown: what may be said about each face of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visage.recognition.calibration import Calibration, fisher_z, raised
from visage.types import Candidate, Person, Status

MIN_CONFIDENCE = 0.35
"""A name is only said with at least this confidence: likelier right than wrong where, as at home, two of three faces
before the camera are known. More would cost more names than it saves
(`docs/decisions/0004-threshold-from-a-rate.md`)."""

MIN_LEAD = 3.0
"""… and where that person is so many times likelier than the next, and than whoever was once taken for that person
and rejected. Look-alikes stay uncertain."""

MIN_QUALITY = 20
"""A poorer picture of a face (0–100) names nobody …"""

MIN_BETTER_QUALITY = 50
"""… nor does any where neither it nor one of the person's photos is at least this good: to the network, blur looks
like blur. Two poor pictures of strangers are taken for one person a hundred times as often as two good ones
(`docs/decisions/0005-quality.md`)."""

_MARGIN = 0.7
"""The threshold aims at this part of the target: it is an estimate from other people's photos, and the target is a
promise."""

_OWN_MARGIN = 0.8
"""… and at this part of it where the bank's own people tell how alike strangers are: less is left to guess
(`docs/decisions/0044-the-bank-one-has.md`)."""

_DOUBT_FACTOR = 10
_DOUBT_CONFIDENCE = 0.1
"""A face that a ten times higher false-name rate would name, with at least this confidence, is worth a "might be"."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike a face is to one person, before it is weighed against the others.

    Attributes:
        person: who.
        similarity: cosine to the person's template.
        quality: of the person's best photo, 0–100.
        rejected: cosine to the nearest face of which someone said "that is not this person"; None where nobody did.
        shift: how much more alike strangers are to this person than in a mixed crowd, in Fisher's z; see `Crowd`.
    """

    person: Person
    similarity: float
    quality: int = 100
    rejected: float | None = None
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one face. `match` is set where, and only where, the status is known."""

    status: Status
    match: Candidate | None
    candidates: tuple[Candidate, ...]


class Decider:
    """The rule that turns similarities into names.

    Args:
        calibration: of the model that made the embeddings.
        target_fpir: tolerated part of strangers who are given a name, 0–1.
        similarity_threshold: name from this cosine on, and nothing else; None uses the calibration.
    """

    def __init__(
        self, calibration: Calibration, *, target_fpir: float, similarity_threshold: float | None = None
    ) -> None:
        self.calibration = calibration
        self._target_fpir = target_fpir
        self._fixed_threshold = similarity_threshold

    def with_target_fpir(self, target_fpir: float) -> Decider:
        """The same rule with another tolerance."""
        return Decider(self.calibration, target_fpir=target_fpir, similarity_threshold=self._fixed_threshold)

    def decide(self, faces: Sequence[Sequence[Likeness]], *, qualities: Sequence[int], persons: int) -> list[Verdict]:
        """Decide on all faces of one frame.

        Args:
            faces: for each face the persons it is most like, best first.
            qualities: of each face, 0–100.
            persons: in the bank.

        Returns: a verdict for each face; no person is named twice.
        """
        verdicts = [
            self._decide_face(likenesses, quality, persons)
            for likenesses, quality in zip(faces, qualities, strict=True)
        ]
        named: set[str] = set()
        best_first = sorted(range(len(verdicts)), key=lambda i: _rank(verdicts[i].match), reverse=True)
        for index in best_first:
            match = verdicts[index].match
            if match is None:
                continue
            if match.person.person_id in named:  # nobody is in two places
                verdicts[index] = Verdict(Status.UNCERTAIN, None, verdicts[index].candidates)
            named.add(match.person.person_id)
        return verdicts

    def threshold(self, *, persons: int, photos: int, fpir: float | None = None, shift: float = 0.0) -> float:
        """The cosine from which a template of so many photos may be named.

        Args:
            persons: in the bank.
            photos: in the template.
            fpir: tolerated part of strangers who reach it; the decider's own otherwise.
            shift: how much more alike strangers are to this person than in a mixed crowd; see `Crowd`.
        """
        if self._fixed_threshold is not None:
            return self._fixed_threshold
        usual = self.calibration.threshold(persons=persons, photos=photos, fpir=fpir or _MARGIN * self._target_fpir)
        rise = self._rise(persons, photos, shift)
        return max(usual, raised(usual, rise)) if rise else usual

    def _rise(self, persons: int, photos: int, shift: float) -> float:
        """How far a crowd that is so much more alike than a mixed one moves the threshold up, in Fisher's z; never
        down: that the people of a bank differ more than most says nothing of who comes to it."""
        if self._fixed_threshold is not None or shift <= 0:
            return 0.0
        usual, own = (
            self.calibration.threshold(persons=persons, photos=photos, fpir=margin * self._target_fpir)
            for margin in (_MARGIN, _OWN_MARGIN)
        )
        return max(0.0, shift - (fisher_z(usual) - fisher_z(own)))

    def confidence(self, similarity: float, *, photos: int) -> float:
        """One against one: the probability of being the same person, 0–1."""
        return self.calibration.confidences([similarity], [photos], persons=1)[0]

    def _decide_face(self, likenesses: Sequence[Likeness], quality: int, persons: int) -> Verdict:
        possible = [item for item in likenesses if item.rejected is None or item.rejected < item.similarity]
        if not possible:
            return Verdict(Status.UNKNOWN, None, ())
        confidences = self.calibration.confidences(
            [item.similarity for item in possible],
            [item.person.embedding_count for item in possible],
            persons=persons,
            rejected=[item.rejected for item in possible],
            rises=[self._rise(persons, item.person.embedding_count, item.shift) for item in possible],
        )
        ranked = sorted(
            (
                (Candidate(item.person, item.similarity, confidence), item)
                for item, confidence in zip(possible, confidences, strict=True)
            ),
            key=lambda pair: _rank(pair[0]),
            reverse=True,
        )
        candidates = tuple(candidate for candidate, _ in ranked)
        best, likeness = ranked[0]
        photos, shift = best.person.embedding_count, likeness.shift
        reached = best.similarity >= self.threshold(persons=persons, photos=photos, shift=shift)
        seen_well = quality >= MIN_QUALITY and max(quality, likeness.quality) >= MIN_BETTER_QUALITY
        stands_out = self._fixed_threshold is not None or _stands_out(candidates)
        if reached and seen_well and stands_out and self._is_not_the_rejected(likeness):
            return Verdict(Status.KNOWN, best, candidates)
        doubt = self.threshold(
            persons=persons, photos=photos, fpir=min(0.5, _DOUBT_FACTOR * self._target_fpir), shift=shift
        )
        near = best.similarity >= doubt and best.confidence >= _DOUBT_CONFIDENCE
        return Verdict(Status.UNCERTAIN if reached or near else Status.UNKNOWN, None, candidates)

    def _is_not_the_rejected(self, likeness: Likeness) -> bool:
        """Is the face clearly likelier this person than the one who was rejected as this person?"""
        if likeness.rejected is None:
            return True
        ratio = self.calibration.likelihood_ratio
        own = ratio(likeness.similarity, likeness.person.embedding_count)
        return own >= MIN_LEAD * ratio(likeness.rejected, 1)


def _stands_out(candidates: Sequence[Candidate]) -> bool:
    """Is the first likely enough, also against the second?"""
    best = candidates[0].confidence
    next_best = candidates[1].confidence if len(candidates) > 1 else 0.0
    return best >= MIN_CONFIDENCE and best >= MIN_LEAD * next_best


def _rank(candidate: Candidate | None) -> tuple[float, float]:
    return (candidate.confidence, candidate.similarity) if candidate else (-1.0, -1.0)
