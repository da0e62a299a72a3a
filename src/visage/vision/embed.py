"""An aligned face as a point on the unit sphere: MobileFaceNet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visage.vision.runtime import Network

MODEL_NAME = "mobilefacenet-192"
"""Names the network together with the way a face is brought to it; a change of either is another model, and
embeddings of two models are never compared."""

DIMENSION = 192


class Embedder:
    """The embedding network.

    Args:
        network: (N, 112, 112, 3) → (N, 192), any length.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def embed(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed a batch of aligned faces, each the mean of its views.

        Args:
            faces: (n, v, 112, 112, 3) uint8, RGB, from `align`.

        Returns: (n, 192) float32, unit length.
        """
        n, views = faces.shape[:2]
        (raw,) = self._network(faces.reshape(n * views, *faces.shape[2:]))
        return unit(unit(raw).reshape(n, views, -1).sum(axis=1))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; (…, D) float32 in and out."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(length, np.float32(1e-12))
    return scaled
