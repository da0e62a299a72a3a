"""What a carer should look at in the bank: who has too few photos, who is hard to tell apart, what does not fit.

Photos are counted by the views they show: near copies of each other say one thing several times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import Looks
from visage.recognition.crowd import Crowd
from visage.recognition.gallery import Gallery
from visage.types import Person, Photo
from visage.vision.embed import unit

ENOUGH_VIEWS = 3
"""From so many photos on that show different views, another adds little (`docs/decisions/0003-templates.md`)."""

MAX_PAIRS = 100
"""Of the pairs that look alike, so many are named, the most alike first."""

_BLOCK = 1024
"""Templates compared at a time: 1,024 × 10,000 similarities are 40 MB."""

MORE_ALIKE = 1.75
"""From so many times as many look-alike pairs as usual on, a carer is told; less is chance in a bank of twenty."""

_MANY_PAIRS = 3
"""One or two pairs are twins, or somebody who is here twice: that is told by name, not as a crowd."""

Threshold = Callable[[int], float]
"""Views in a template → the cosine from which a face is taken for that person."""


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Two persons whom the model can hardly tell apart; the cosine of their templates."""

    first: Person
    second: Person
    similarity: float


@dataclass(frozen=True, slots=True)
class Misfit:
    """A photo that does not look like its person's others.

    Attributes:
        person: whose photo it is said to be.
        photo: which.
        similarity: cosine to the person's other photos together, but for near copies of this one.
        looks_like: another person whom it looks like, where there is one.
    """

    person: Person
    photo: Photo
    similarity: float
    looks_like: Person | None


@dataclass(frozen=True, slots=True)
class Closeness:
    """How alike the people in the bank are, and what follows.

    Attributes:
        times_as_many: how many times as many pairs look alike as in a mixed crowd.
        more_alike: that is more than chance, and names start further up for it.
        threshold: the cosine from which somebody with photos of `ENOUGH_VIEWS` views is named.
        usual_threshold: the same in a mixed crowd.
    """

    times_as_many: float
    more_alike: bool
    threshold: float
    usual_threshold: float


@dataclass(frozen=True, slots=True)
class Report:
    """Attributes:
    persons: in the bank.
    thin: those with photos of fewer than `ENOUGH_VIEWS` views.
    look_alikes: the most alike first.
    misfits: the least fitting first.
    """

    persons: int
    thin: tuple[Person, ...]
    look_alikes: tuple[LookAlikes, ...]
    misfits: tuple[Misfit, ...]


def report_of(gallery: Gallery) -> Report:
    """What a carer should look at in the bank."""
    named = partial(gallery.decider.threshold, persons=gallery.bank.person_count, shift=gallery.crowd().shift)
    return make_report(
        gallery.bank.looks(), same_person=gallery.same_person, named=lambda photos: named(photos=photos)
    )


def closeness_in(gallery: Gallery) -> Closeness:
    """How alike the people in the bank are, and what follows."""
    threshold = partial(gallery.decider.threshold, persons=gallery.bank.person_count, photos=ENOUGH_VIEWS)
    crowd = gallery.crowd()
    return closeness_of(crowd, threshold=threshold(shift=crowd.shift), usual=threshold())


def closeness_of(crowd: Crowd, *, threshold: float, usual: float) -> Closeness:
    """What a carer should know of how alike the people are; the thresholds are those of `Closeness`."""
    more_alike = crowd.alike >= _MANY_PAIRS and crowd.times_as_many >= MORE_ALIKE and threshold > usual
    return Closeness(crowd.times_as_many, more_alike, threshold, usual)


def make_report(looks: Looks, *, same_person: Threshold, named: Threshold) -> Report:
    """Look over a bank.

    Args:
        looks: what is in it.
        same_person: one against one; a photo below it does not fit.
        named: in this bank; two persons above it may be called by each other's name.
    """
    return Report(
        persons=len(looks.persons) + len(looks.unseen),
        thin=tuple(p for p in (*looks.persons, *looks.unseen) if p.views < ENOUGH_VIEWS),
        look_alikes=tuple(_look_alikes(looks, named)),
        misfits=tuple(_misfits(looks, same_person, named)),
    )


def _thresholds(looks: Looks, threshold: Threshold) -> NDArray[np.float32]:
    """(n,) the threshold of each person."""
    of_count = {count: threshold(count) for count in {person.views for person in looks.persons}}
    return np.array([of_count[person.views] for person in looks.persons], dtype=np.float32)


def _look_alikes(looks: Looks, named: Threshold) -> list[LookAlikes]:
    thresholds = _thresholds(looks, named)
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(looks.persons), _BLOCK):
        similarities = looks.templates[start : start + _BLOCK] @ looks.templates[start:].T
        # Either may be called by the other's name: the lower of their thresholds counts.
        lower = np.minimum(thresholds[start : start + _BLOCK, None], thresholds[None, start:])
        rows, columns = np.nonzero(np.triu(similarities >= lower, k=1))
        found += [
            (float(similarities[r, c]), start + int(r), start + int(c)) for r, c in zip(rows, columns, strict=True)
        ]
    found.sort(reverse=True)
    return [LookAlikes(looks.persons[i], looks.persons[j], value) for value, i, j in found[:MAX_PAIRS]]


def _misfits(looks: Looks, same_person: Threshold, named: Threshold) -> list[Misfit]:
    if not len(looks.photos):
        return []
    weighted = looks.weights[:, None] * looks.embeddings
    totals = np.zeros_like(looks.templates)
    np.add.at(totals, looks.owners, weighted)
    # A copy of a photo does not vouch for it.
    counts = [person.views for person in looks.persons]
    view = np.cumsum([0, *counts])[looks.owners] + looks.views
    copies = np.zeros((sum(counts), looks.templates.shape[1]), dtype=np.float32)
    np.add.at(copies, view, weighted)
    others = unit(totals[looks.owners] - copies[view])
    similarities = (others * looks.embeddings).sum(axis=1)
    limit_of = {count: same_person(count - 1) for count in set(counts) if count > 1}
    limits = np.array([limit_of.get(counts[owner], -1.0) for owner in looks.owners])
    rows = np.flatnonzero(similarities < limits)
    rows = rows[np.argsort(similarities[rows], kind="stable")]
    thresholds = _thresholds(looks, named)
    found = []
    for row in rows:
        to_all = looks.templates @ looks.embeddings[row]
        to_all[looks.owners[row]] = -1
        nearest = int(to_all.argmax())
        looks_like = looks.persons[nearest] if to_all[nearest] >= thresholds[nearest] else None
        person = looks.persons[looks.owners[row]]
        found.append(Misfit(person, looks.photos[row], float(similarities[row]), looks_like))
    return found
