"""Known, uncertain or unknown: what may be said about each face of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visage.recognition.calibration import Calibration, fisher_z, raised
from visage.types import Candidate, Person, Status
from visage.vision.models import DEFAULT_SAMENESS, Sameness

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
(`docs/decisions/0030-the-bank-one-has.md`)."""

_PER_QUALITY = 0.0003
"""A poorer picture is less like everybody, strangers included. For each point of quality by which the face, or the
person's best photo, is poorer than the calibration's pictures the threshold lies so much lower, in Fisher's z: then
strangers reach it as rarely (`docs/decisions/0033-the-quality-of-both-pictures.md`)."""

_OVERTURNED = 0.04
"""A face that is seen upside down has to be so much more alike, in Fisher's z; 0.03 as a cosine, where names start. A
look that had to be turned over is a worse one, and more often like a stranger
(`docs/decisions/0027-doubt-about-the-look.md`)."""

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
        sameness: what the cosines of the model mean.
    """

    def __init__(
        self,
        calibration: Calibration,
        *,
        target_fpir: float,
        similarity_threshold: float | None = None,
        sameness: Sameness = DEFAULT_SAMENESS,
    ) -> None:
        self.sameness = sameness
        self.calibration = calibration
        self._target_fpir = target_fpir
        self._fixed_threshold = similarity_threshold

    def with_target_fpir(self, target_fpir: float) -> Decider:
        """The same rule with another tolerance."""
        return Decider(
            self.calibration,
            target_fpir=target_fpir,
            similarity_threshold=self._fixed_threshold,
            sameness=self.sameness,
        )

    def decide(
        self,
        faces: Sequence[Sequence[Likeness]],
        *,
        qualities: Sequence[int],
        persons: int,
        overturned: Sequence[bool] | None = None,
        embeddings: NDArray[np.float32] | None = None,
    ) -> list[Verdict]:
        """Decide on all faces of one frame.

        Args:
            faces: for each face the persons it is most like, best first.
            qualities: of each face, 0–100.
            persons: in the bank.
            overturned: which of the faces are seen upside down; none where None.
            embeddings: (n, D) float32, unit length, of the faces; without them nobody is in two places.

        Returns: a verdict for each face. A person is named twice only where the two are one face: someone beside a
            picture or a mirror.
        """
        verdicts = [
            self._decide_face(likenesses, quality, persons, _OVERTURNED if is_overturned else 0.0)
            for likenesses, quality, is_overturned in zip(
                faces, qualities, overturned or [False] * len(faces), strict=True
            )
        ]
        first: dict[str, int] = {}
        best_first = sorted(range(len(verdicts)), key=lambda i: _rank(verdicts[i].match), reverse=True)
        for index in best_first:
            match = verdicts[index].match
            if match is None:
                continue
            other = first.setdefault(match.person.person_id, index)
            if other == index:
                continue
            alike = -1.0 if embeddings is None else float(embeddings[index] @ embeddings[other])
            # Someone beside a picture or a mirror is like both (`docs/decisions/0029-in-two-places.md`).
            if (alike + match.similarity) / 2 < self.sameness.face:
                verdicts[index] = Verdict(Status.UNCERTAIN, None, verdicts[index].candidates)
        return verdicts

    def contradicts(self, similarity: float, rejected: float, *, photos: int) -> bool:
        """Does an older rejection contradict the word that a face is this person?

        It does where it is the same face, and where it alone would keep the face from being named. A look that is
        like nobody contradicts nothing: everything would be in its way.

        Args:
            similarity: cosine of the face to the person's template, once taught.
            rejected: cosine of the face to the rejected one.
            photos: in that template.
        """
        could_be_named = similarity >= self.threshold(persons=1, photos=photos)
        return rejected >= self.sameness.look or (
            could_be_named and self._is_in_the_way(similarity, rejected, photos)
        )

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

    def _decide_face(self, likenesses: Sequence[Likeness], quality: int, persons: int, asked_more: float) -> Verdict:
        possible = [item for item in likenesses if not _is_the_rejected(item)]
        rejected = [item for item in likenesses if _is_the_rejected(item)]
        ranked = self._rank_all(possible, quality, persons, asked_more)
        left = 1 - sum(candidate.confidence for candidate, _ in ranked)
        others = [
            replace(candidate, confidence=left * candidate.confidence)
            for candidate, _ in self._rank_all(rejected, quality, persons, asked_more)
        ]
        if not ranked:
            return Verdict(Status.UNKNOWN, None, tuple(others))
        candidates = tuple(candidate for candidate, _ in ranked)
        best, likeness = ranked[0]
        photos, shift = best.person.views, likeness.shift
        seen = self._rise_with_picture(quality, likeness, asked_more)
        reached = best.similarity >= raised(self.threshold(persons=persons, photos=photos, shift=shift), seen)
        seen_well = quality >= MIN_QUALITY and max(quality, likeness.quality) >= MIN_BETTER_QUALITY
        stands_out = self._fixed_threshold is not None or _stands_out(candidates)
        # Whoever was rejected is shown, never named: the first candidate is who it may be.
        rest = sorted([*candidates[1:], *others], key=_rank, reverse=True)
        in_the_way = likeness.rejected is not None and self._is_in_the_way(
            likeness.similarity, likeness.rejected, photos
        )
        if reached and seen_well and stands_out and not in_the_way:
            return Verdict(Status.KNOWN, best, (best, *rest))
        doubt = self.threshold(
            persons=persons, photos=photos, fpir=min(0.5, _DOUBT_FACTOR * self._target_fpir), shift=shift
        )
        near = best.similarity >= raised(doubt, seen) and best.confidence >= _DOUBT_CONFIDENCE
        if reached or near:
            return Verdict(Status.UNCERTAIN, None, (best, *rest))
        return Verdict(Status.UNKNOWN, None, tuple(sorted([best, *rest], key=_rank, reverse=True)))

    def _rise_with_picture(self, quality: int, likeness: Likeness, asked_more: float) -> float:
        """How far what can be seen of a face and of a person moves the threshold, in Fisher's z."""
        if self._fixed_threshold is not None:
            return 0.0
        usual = self.calibration.usual_quality
        if usual is None:
            return asked_more
        return asked_more + _PER_QUALITY * (max(quality, MIN_QUALITY) + likeness.quality - 2 * usual)

    def _rank_all(
        self, likenesses: Sequence[Likeness], quality: int, persons: int, asked_more: float
    ) -> list[tuple[Candidate, Likeness]]:
        """Each with its probability, the likeliest first."""
        confidences = self.calibration.confidences(
            [item.similarity for item in likenesses],
            [item.person.views for item in likenesses],
            persons=persons,
            rejected=[item.rejected for item in likenesses],
            rises=[
                self._rise(persons, item.person.views, item.shift)
                + self._rise_with_picture(quality, item, asked_more)
                for item in likenesses
            ],
        )
        ranked = [
            (Candidate(item.person, item.similarity, confidence), item)
            for item, confidence in zip(likenesses, confidences, strict=True)
        ]
        return sorted(ranked, key=lambda pair: _rank(pair[0]), reverse=True)

    def _is_in_the_way(self, similarity: float, rejected: float, photos: int) -> bool:
        """Is the face not clearly likelier this person than the one who was rejected as this person?"""
        ratio = self.calibration.likelihood_ratio
        return rejected >= similarity or ratio(similarity, photos) < MIN_LEAD * ratio(rejected, 1)


def _is_the_rejected(likeness: Likeness) -> bool:
    """Is the face at least as like one that was rejected as this person as like the person?"""
    return likeness.rejected is not None and likeness.rejected >= likeness.similarity


def _stands_out(candidates: Sequence[Candidate]) -> bool:
    """Is the first likely enough, also against the second?"""
    best = candidates[0].confidence
    next_best = candidates[1].confidence if len(candidates) > 1 else 0.0
    return best >= MIN_CONFIDENCE and best >= MIN_LEAD * next_best


def _rank(candidate: Candidate | None) -> tuple[float, float]:
    return (candidate.confidence, candidate.similarity) if candidate else (-1.0, -1.0)
