"""An aligned face as a point on the unit sphere: MobileFaceNet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visage.vision.runtime import Network

MODEL_NAME = "mobilefacenet-192"
"""Names the network together with the way a face is brought to it; a change of either is another model, and
embeddings of two models are never compared."""

DIMENSION = 192

# What the network itself tells of a face: the length of its output before scaling grows with how much of a face it
# finds, and the two views of a clear face agree. Least squares on `benchmarks/quality.py`; the unit is cosine.
_BASE, _PER_LENGTH, _PER_AGREEMENT = -1.205, 0.00994, 1.351


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A batch of faces as the network sees them.

    Attributes:
        vectors: (n, 192) float32, unit length.
        clarity: (n,) float32, the cosine to be expected between this picture and good ones of the same person;
            about 0.2 for noise, 0.9 for a sharp portrait.
    """

    vectors: NDArray[np.float32]
    clarity: NDArray[np.float32]


class Embedder:
    """The embedding network.

    Args:
        network: (N, 112, 112, 3) → (N, 192), any length.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def embed(self, faces: NDArray[np.uint8]) -> Embedded:
        """Embed a batch of aligned faces, each the mean of its two views.

        Args:
            faces: (n, 2, 112, 112, 3) uint8, RGB, from `align`.
        """
        n, views = faces.shape[:2]
        (raw,) = self._network(faces.reshape(n * views, *faces.shape[2:]))
        raw = raw.reshape(n, views, -1)
        units = unit(raw)
        length = np.sqrt(np.vecdot(raw, raw))
        agreement = np.vecdot(units[:, 0], units[:, 1])
        clarity = _BASE + _PER_LENGTH * length.sum(axis=1) / views + _PER_AGREEMENT * agreement
        return Embedded(unit(units.sum(axis=1)), clarity)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; (…, D) float32 in and out."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(length, np.float32(1e-12))
    return scaled
