"""Nearest neighbours in memory: exact, one matrix product a search."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from visage.types import Embedding

_FIRST_CAPACITY = 64


class Index:
    """Unit vectors by key. Safe to use from several threads; a change is visible to the next search.

    Args:
        dimension: of the vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._vectors = np.empty((_FIRST_CAPACITY, dimension), dtype=np.float32)
        self._keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, key: str, vector: Embedding) -> None:
        """Add a vector, or replace the one of that key. (D,) float32, unit length."""
        with self._turn:
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = len(self._keys)
                self._keys.append(key)
                if row == len(self._vectors):
                    self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
            self._vectors[row] = vector

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error. The last row takes the free place."""
        with self._turn:
            row = self._rows.pop(key, None)
            if row is None:
                return
            last = len(self._keys) - 1
            moved = self._keys.pop()
            if row != last:
                self._vectors[row] = self._vectors[last]
                self._keys[row] = moved
                self._rows[moved] = row
            self._vectors[last] = 0  # what is forgotten does not linger in memory

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[tuple[str, float]]]:
        """The nearest keys of each probe.

        Args:
            probes: (n, D) float32, unit length.
            limit: at most so many for each.

        Returns: n lists of (key, cosine), best first.
        """
        with self._turn:
            count = len(self._keys)
            similarities = probes @ self._vectors[:count].T
            nearest = min(limit, count)
            if nearest == 0:
                return [[] for _ in probes]
            if nearest < count:
                rows = np.argpartition(similarities, count - nearest, axis=1)[:, count - nearest :]
            else:
                rows = np.broadcast_to(np.arange(count), similarities.shape)
            found = []
            for probe_rows, probe_similarities in zip(rows, similarities, strict=True):
                ordered = probe_rows[np.argsort(-probe_similarities[probe_rows], kind="stable")]
                found.append([(self._keys[row], float(probe_similarities[row])) for row in ordered])
            return found
