"""What the bank answers about looks: who is near a probe, what everyone looks like, and some of them to compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visage.types import Person, Photo


@dataclass(frozen=True, slots=True)
class Hit:
    """A person near a probe.

    Attributes:
        person: who.
        similarity: cosine to the person's template.
        quality: of the person's best photo, 0–100.
        rejected: cosine to the nearest face that was rejected as this person; None where there is none.
    """

    person: Person
    similarity: float
    quality: int
    rejected: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """All that the bank knows of looks, by this model.

    Attributes:
        persons: n persons with at least one embedding.
        templates: (n, D) float32, unit length.
        photos: their m photos.
        owners: (m,) int64, the row of the person of each photo.
        views: (m,) int64, which view of its person each photo shows, numbered from 0 for each person.
        embeddings: (m, D) float32, unit length.
        weights: (m,) float32, how much each counts in its person's template.
        unseen: persons without any embedding: all their photos are another model's.
    """

    persons: tuple[Person, ...]
    templates: NDArray[np.float32]
    photos: tuple[Photo, ...]
    owners: NDArray[np.int64]
    views: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    weights: NDArray[np.float32]
    unseen: tuple[Person, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some persons, to compare with each other.

    Attributes:
        persons: n of them.
        templates: (n, D) float32, unit length.
        looks: (n, D) float32, unit length: each person's best photo alone.
    """

    persons: tuple[Person, ...]
    templates: NDArray[np.float32]
    looks: NDArray[np.float32]
