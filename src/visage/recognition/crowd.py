"""How alike the people of this bank are: where they are more alike than most, a name starts further up.

The calibration knows how alike strangers are in a mixed crowd. The people of one bank are often no such crowd: a
family, a ward, a village, a school. Whoever comes there and is not in the bank is as alike to its people as they are
among themselves, and would be called by one of their names two, five or fifty times as often as was promised. The
bank itself tells: its people are different people, so any two of them are what a stranger and a person are.

What is counted are the pairs of the bank that are more alike than `ALIKE` of the pairs of a mixed crowd; `measure`
turns the count into a distance on the scale of Fisher's z, by which the threshold rises (`Decider`). A count hardly
notices somebody who was registered twice, or twins: they are one pair. A small bank has few pairs; a cautious crowd
is assumed with the weight of some more. The same way each person's own neighbourhood moves that person's share.

`docs/decisions/0030-the-bank-one-has.md` has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import Sample
from visage.recognition.calibration import Calibration, fisher_z, raised

MAX_SAMPLE = 512
"""So many persons at most are compared with each other: 3 ms, and 130,000 pairs leave nothing to chance."""

ALIKE = 0.03
"""The part of the pairs of a mixed crowd that counts as alike."""

_ASSUMED_SHIFT = 0.06
_ASSUMED_PAIRS = 40
"""Before anything is seen, a crowd is assumed that lies so much higher, with the weight of so many pairs: the names
that this costs a bank of five are fewer than the false ones that it saves where the five are alike."""

_ASSUMED_NEIGHBOURS = 100
"""A person's neighbourhood is assumed to be as dense as all of the bank, with the weight of so many others."""

_MOST = 0.95
"""A crowd where nearly every pair is alike still has a place on the calibration's scale."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the persons of a bank say about the strangers who come to it.

    Attributes:
        pairs: of persons that were compared.
        alike: of these so many are as alike as `ALIKE` of a mixed crowd.
        shift: how much higher the similarities of different people lie here than in a mixed crowd, in Fisher's z;
            below 0 where they are less alike.
        own: the same by person id, for those whose neighbourhood was looked at.
    """

    pairs: int = 0
    alike: int = 0
    shift: float = 0.0
    own: Mapping[str, float] = field(default_factory=dict)

    def shift_of(self, person_id: str) -> float:
        """What holds for this person."""
        return self.own.get(person_id, self.shift)

    @property
    def times_as_many(self) -> float:
        """How many times as many pairs are alike here as in a mixed crowd: 1 is usual, and what a bank without pairs
        is taken to be."""
        return (self.alike / ALIKE + _ASSUMED_PAIRS) / (self.pairs + _ASSUMED_PAIRS)


def measure(sample: Sample, calibration: Calibration) -> Crowd:
    """Compare some persons of a bank with each other: one photo of each with the others' templates.

    Args:
        sample: the persons.
        calibration: of the model that made the embeddings.
    """
    alike = _alike(sample, calibration)
    persons = len(sample.persons)
    pairs = persons * (persons - 1) / 2
    found = float(alike.sum()) / 2  # either one's photo with the other's template: two halves of one pair
    usual = calibration.similarity_at(ALIKE, 1)
    assumed = calibration.far(raised(usual, -_ASSUMED_SHIFT), 1)
    part = (found + _ASSUMED_PAIRS * assumed) / (pairs + _ASSUMED_PAIRS)
    parts = (alike.sum(axis=0) + _ASSUMED_NEIGHBOURS * part) / (persons - 1 + _ASSUMED_NEIGHBOURS)

    def shift(part: float) -> float:
        """Where a mixed crowd has this part above it, and where it has `ALIKE`: the distance."""
        return fisher_z(usual) - fisher_z(calibration.similarity_at(min(part, _MOST), 1))

    return Crowd(
        pairs=round(pairs),
        alike=round(found),
        shift=shift(part),
        own={person.person_id: shift(float(own)) for person, own in zip(sample.persons, parts, strict=True)},
    )


def _alike(sample: Sample, calibration: Calibration) -> NDArray[np.bool_]:
    """(n, n): is the photo of the row's person as alike to the column's person as few are in a mixed crowd?"""
    counts = [person.views for person in sample.persons]
    level = {count: calibration.similarity_at(ALIKE, count) for count in set(counts)}
    levels = np.array([level[count] for count in counts], dtype=np.float32)
    alike: NDArray[np.bool_] = sample.looks @ sample.templates.T >= levels
    np.fill_diagonal(alike, val=False)
    return alike
