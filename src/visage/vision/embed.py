"""An aligned face as a point on the unit sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visage.vision.models import DEFAULT_EMBEDDER, EmbedderModel

MODEL_NAME, DIMENSION = DEFAULT_EMBEDDER.space, DEFAULT_EMBEDDER.dimension
"""Of the default model."""

_TAKEN_FOR_GOOD = 0.7
"""Clarity of each face, where it is not known how a network tells it: a score of 70."""


class Runs(Protocol):
    """What runs a network: n pictures (n, S, S, 3) uint8, RGB, in; its outputs, each (n, …) float32, out."""

    def __call__(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A batch of faces as the network sees them.

    Attributes:
        vectors: (n, D) float32, unit length.
        clarity: (n,) float32, the cosine to be expected between this picture and good ones of the same person;
            about 0.2 for noise, 0.9 for a sharp portrait.
    """

    vectors: NDArray[np.float32]
    clarity: NDArray[np.float32]


class Embedder:
    """The embedding network.

    Args:
        network: (N, S, S, 3) → (N, D), any length.
        model: what its numbers mean.
    """

    def __init__(self, network: Runs, model: EmbedderModel) -> None:
        self._network = network
        self._clarity = model.clarity

    def embed(self, faces: NDArray[np.uint8]) -> Embedded:
        """Embed a batch of aligned faces, each the mean of its two views.

        Args:
            faces: (n, 2, S, S, 3) uint8, RGB, from `align`.
        """
        n, views = faces.shape[:2]
        (raw,) = self._network(faces.reshape(n * views, *faces.shape[2:]))
        raw = raw.reshape(n, views, -1)
        units = unit(raw)
        vectors = unit(units.sum(axis=1))
        if self._clarity is None:
            return Embedded(vectors, np.full(n, _TAKEN_FOR_GOOD, dtype=np.float32))
        length = np.sqrt(np.vecdot(raw, raw))
        agreement = np.vecdot(units[:, 0], units[:, 1])
        weights = self._clarity
        clarity = weights.base + weights.per_length * length.sum(axis=1) / views + weights.per_agreement * agreement
        return Embedded(vectors, clarity)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; (…, D) float32 in and out."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(length, np.float32(1e-12))
    return scaled
