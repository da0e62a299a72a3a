"""The persons that faces are compared with, and what may be said of a face by the rule that holds now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from visage.bank.bank import Hit, MemoryBank
from visage.recognition.crowd import Crowd
from visage.recognition.decision import Decider, Likeness
from visage.types import Candidate, Caution, Embedding, Face, IdentifiedFace, Person, Verification
from visage.vision.models import Sameness

CANDIDATES = 3
"""How many persons are reported for each face."""

_SAME_PERSON_FAR = 1e-3
"""One against one, a false accept in a thousand: two photos of the same name are one person from there on."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """What a face is compared with, for the length of one call.

    Attributes:
        bank: who is remembered.
        decider: similarities to names.
        sameness: what the cosines of the model mean.
        crowd: how alike the people in the bank are; asked for where it is needed.
    """

    bank: MemoryBank
    decider: Decider
    sameness: Sameness
    crowd: Callable[[], Crowd]

    def same_person(self, views: int) -> float:
        """The cosine from which a face is taken for that of a person with so many views, one against one."""
        return self.decider.threshold(persons=1, photos=views, fpir=_SAME_PERSON_FAR)


def name(gallery: Gallery, faces: Sequence[Face]) -> list[IdentifiedFace]:
    """Say who the faces of one frame are."""
    if not faces:
        return []
    crowd = gallery.crowd()
    embeddings = np.stack([face.embedding for face in faces])
    verdicts = gallery.decider.decide(
        [_likenesses(row, crowd) for row in gallery.bank.search(embeddings, CANDIDATES)],
        qualities=[face.quality.score for face in faces],
        overturned=[face.is_overturned for face in faces],
        persons=gallery.bank.person_count,
        embeddings=embeddings,
    )
    return [
        IdentifiedFace(face, verdict.status, verdict.match, verdict.candidates[:CANDIDATES])
        for face, verdict in zip(faces, verdicts, strict=True)
    ]


def verify(gallery: Gallery, probe: Embedding, template: Embedding, views: int) -> Verification:
    """One against one: is a face whom a template of so many views shows?"""
    similarity = float(probe @ template)
    return Verification(
        same=similarity >= gallery.same_person(views),
        similarity=similarity,
        confidence=gallery.decider.confidence(similarity, photos=views),
    )


def look_alikes(gallery: Gallery, looks: Sequence[Embedding], own: Person | None) -> list[Caution]:
    """A caution for each other person that one of these looks would have been called if that one were alone, the
    likeliest first: those who are in the bank already do not hide each other, nor do the looks."""
    crowd, limit = gallery.crowd(), 2 * CANDIDATES
    found: dict[str, Candidate] = {}
    for look in looks:
        wanted = limit
        while True:
            (hits,) = gallery.bank.search(look[None], wanted)
            others = _likenesses([hit for hit in hits if own is None or hit.person.person_id != own.person_id], crowd)
            verdicts = gallery.decider.decide(
                [[other] for other in others], qualities=[100] * len(others), persons=gallery.bank.person_count
            )
            if len(hits) < wanted or all(verdict.match is None for verdict in verdicts[-CANDIDATES:]):
                break
            wanted *= 4
        for verdict in verdicts:
            if (match := verdict.match) is not None:
                found[match.person.person_id] = max(
                    match, found.get(match.person.person_id, match), key=lambda each: each.similarity
                )
    return [
        Caution(
            "LOOKS_LIKE",
            f"This face looks like {match.person.name}, who is already registered",
            {
                "person_id": match.person.person_id,
                "name": match.person.name,
                "similarity": round(match.similarity, 4),
            },
        )
        for match in sorted(found.values(), key=lambda each: (each.confidence, each.similarity), reverse=True)
    ]


def _likenesses(hits: Sequence[Hit], crowd: Crowd) -> list[Likeness]:
    return [
        Likeness(hit.person, hit.similarity, hit.quality, hit.rejected, crowd.shift_of(hit.person.person_id))
        for hit in hits
    ]
