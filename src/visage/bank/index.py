"""Nearest neighbours in memory: exact for a home, by sketches for a town.

A small bank is searched by one matrix product. From `APPROXIMATE_FROM` vectors on, a search has two steps:

1. Each vector has a sketch, one bit a dimension, but at least 192 and at most 512: the signs of its coordinates after
   fixed random rotations. Two vectors at an angle θ differ in a bit with probability θ/π, so the number of bits in
   which two sketches differ (Hamming distance) tells the angle roughly, from a thirty-second of the memory.
2. The cosines of the few vectors with the nearest sketches are computed with full precision.

So every cosine that is returned is exact; what may happen is that a neighbour is passed over, and
`docs/decisions/0007-search.md` says how rarely. The rotation spreads what the coordinates of a real network share.
Nothing is trained or built: a change costs the same at any size, and the next search sees it.

Sources: Charikar 2002, "Similarity estimation techniques from rounding algorithms" (sign of random projections); Ji
et al. 2012, "Super-bit locality-sensitive hashing" (orthogonal in batches, where there are more than dimensions).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from heapq import nlargest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visage.types import Embedding

APPROXIMATE_FROM = 50_000
"""Vectors from which sketches are searched first; below, a matrix product takes 1 ms at most."""

_BLOCK_ROWS = 65_536
"""A bank grows by blocks of at least this, each as long as all before it: few, and no addition has to move what is
there. Memory is taken as rows are written."""

_COMPARED_MIN = 2_000
_COMPARED_PART = 1 / 100
"""So many vectors, and up to this part of all, are compared with full precision. With fewer the nearest is found, but
not always the second, and then one of two look-alikes would be named as if there were no other."""

_SAMPLE = 1 << 14
"""So many distances tell which distance the nearest of them have."""

_SCANNED_ROWS = 65_536
"""So many sketches are compared at a time: what lies between the steps stays in the processor's cache."""

_FEW = 8
"""So many largest values are sooner found one after the other than by parting the rest."""

_CHUNK_ROWS = 8_192
"""So many sketches are made at once: what it takes stays small."""

_WORD_BITS = 64

_BITS_MIN, _BITS_MAX = 192, 512
"""Of a sketch. Fewer pass neighbours over (`docs/decisions/0007-search.md`); more cost time and find nobody more."""

Words = NDArray[np.uint64]
Counts = NDArray[np.unsignedinteger[Any]]
"""Of bits, in the smallest type that holds them all."""

Found = list[tuple[str, float]]


class Index:
    """Unit vectors by key. Safe to use from several threads; a change is visible to the next search.

    Args:
        dimension: of the vectors.
        approximate_from: vectors from which a search may pass over a neighbour, rarely.
    """

    def __init__(self, dimension: int, *, approximate_from: int = APPROXIMATE_FROM) -> None:
        self._dimension = dimension
        self._approximate_from = approximate_from
        self._blocks: list[_Block] = []
        self._turn = threading.Lock()
        self.revision = 0
        """Another number after every change."""
        # To work in: to ask for new memory takes nearly as long as the work.
        self._distances = np.empty(0, dtype=np.min_scalar_type(_bits(dimension)))
        self._differing = np.empty(_SCANNED_ROWS, dtype=np.uint64)

    def __len__(self) -> int:
        return sum(len(block.keys) for block in tuple(self._blocks))

    def put(self, key: str, vector: Embedding) -> None:
        """Add a vector, or replace the one of that key. (D,) float32, unit length."""
        self.put_all([key], vector[None])

    def put_all(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add or replace many. (n, D) float32, unit length; the keys are different from each other."""
        with self._turn:
            self.revision += 1
            fresh = []
            for row, key in enumerate(keys):
                if (block := self._holder(key)) is None:
                    fresh.append(row)
                else:
                    block.replace(block.rows[key], vectors[row])
            done = 0
            while done < len(fresh):
                if not self._blocks or self._blocks[-1].is_full:
                    self._blocks.append(_Block(self._dimension, max(_BLOCK_ROWS, len(self))))
                block = self._blocks[-1]
                now = fresh[done : done + min(_CHUNK_ROWS, len(block.vectors) - len(block.keys))]
                block.append([keys[row] for row in now], vectors[now])
                done += len(now)

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error. The last row takes the free place."""
        with self._turn:
            block = self._holder(key)
            if block is None:
                return
            self.revision += 1
            row = block.rows[key]
            last_key, last_vector = self._blocks[-1].pop()
            if last_key != key:
                del block.rows[key]
                block.keys[row], block.rows[last_key] = last_key, row
                block.replace(row, last_vector)
            if not self._blocks[-1].keys:
                self._blocks.pop()

    def search(self, probes: NDArray[np.float32], limit: int) -> list[Found]:
        """The nearest keys of each probe.

        Args:
            probes: (n, D) float32, unit length.
            limit: at most so many for each.

        Returns: n lists of (key, cosine), best first.
        """
        with self._turn:
            if len(self) < self._approximate_from or limit > _COMPARED_MIN:
                return self._compare_all(probes, limit)
            return [self._search_sketches(probe, limit) for probe in probes]

    def sample(self, most: int) -> tuple[list[str], NDArray[np.float32]]:
        """Some of the vectors, spread over all: all where there are no more than `most`, else at least half as many.

        Which they are depends on nothing but the rows: a change of one moves one, until the bank has doubled.

        Returns: n keys, and (n, D) float32, their vectors.
        """
        with self._turn:
            step = 1
            while len(self) > most * step:
                step *= 2
            keys: list[str] = []
            parts, start = [np.empty((0, self._dimension), dtype=np.float32)], 0
            for block in self._blocks:
                first = -start % step
                keys += block.keys[first::step]
                parts.append(block.used[first::step].copy())
                start += len(block.keys)
        return keys, np.concatenate(parts)

    def _compare_all(self, probes: NDArray[np.float32], limit: int) -> list[Found]:
        """(n, D) float32 → for each probe (key, cosine), best first."""
        if len(probes) == 1:  # faster than a product of two matrices
            return [_best([block.nearest(block.used @ probes[0], limit) for block in self._blocks], limit)]
        products = [(block, probes @ block.used.T) for block in self._blocks]
        return [
            _best([block.nearest(lines[n], limit) for block, lines in products], limit) for n in range(len(probes))
        ]

    def _search_sketches(self, probe: Embedding, limit: int) -> Found:
        """(D,) float32 → (key, cosine), best first, of those with the nearest sketches."""
        distances = self._scan(_sketches(probe[None]))
        rows = _smallest(distances, max(_COMPARED_MIN, len(self) * _COMPARED_PART))
        found, start = [], 0
        for block in self._blocks:
            first, last = np.searchsorted(rows, (start, start + len(block.keys)))
            own = rows[first:last] - start
            similarities = np.vecdot(block.vectors[own], probe)  # unlike @ it starts no threads, which go on spinning
            found.append([(block.keys[own[n]], cosine) for n, cosine in _largest(similarities, limit)])
            start += len(block.keys)
        return _best(found, limit)

    def _scan(self, sketch: Words) -> Counts:
        """(words, 1) uint64 → (len,): the number of bits in which each sketch differs."""
        if len(self._distances) < len(self):
            self._distances = np.empty(2 * len(self), dtype=self._distances.dtype)
        start = 0
        for block in self._blocks:
            for row in range(0, len(block.keys), _SCANNED_ROWS):
                sketches = block.sketches[:, row : min(row + _SCANNED_ROWS, len(block.keys))]
                end = start + sketches.shape[1]
                total, differing = self._distances[start:end], self._differing[: end - start]
                total[:] = 0
                for words, word in zip(sketches, sketch, strict=True):
                    total += np.bitwise_count(np.bitwise_xor(words, word, out=differing))
                start = end
        return self._distances[:start]

    def _holder(self, key: str) -> _Block | None:
        return next((block for block in self._blocks if key in block.rows), None)


class _Block:
    """Vectors in order of arrival.

    Attributes:
        vectors: (rows, D) float32; zeros where one was forgotten.
        sketches: (words, rows) uint64; zeros where one was forgotten.
        keys: of the rows in use.
        rows: by key.
    """

    def __init__(self, dimension: int, rows: int) -> None:
        self.vectors = np.empty((rows, dimension), dtype=np.float32)
        self.sketches = np.empty((_bits(dimension) // _WORD_BITS, rows), dtype=np.uint64)
        self.keys: list[str] = []
        self.rows: dict[str, int] = {}

    @property
    def is_full(self) -> bool:
        return len(self.keys) == len(self.vectors)

    def append(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        start, end = len(self.keys), len(self.keys) + len(keys)
        self.vectors[start:end] = vectors
        self.sketches[:, start:end] = _sketches(vectors)
        self.rows.update(zip(keys, range(start, end), strict=True))
        self.keys.extend(keys)

    def replace(self, row: int, vector: Embedding) -> None:
        self.vectors[row] = vector
        self.sketches[:, row] = _sketches(vector[None])[:, 0]

    def pop(self) -> tuple[str, Embedding]:
        """Take the last row away. What is forgotten does not linger in memory, nor does its sketch."""
        key = self.keys.pop()
        row = self.rows.pop(key)
        vector = self.vectors[row].copy()
        self.vectors[row] = 0
        self.sketches[:, row] = 0
        return key, vector

    @property
    def used(self) -> NDArray[np.float32]:
        """(rows in use, D) float32."""
        return self.vectors[: len(self.keys)]

    def nearest(self, similarities: NDArray[np.float32], limit: int) -> Found:
        """(rows in use,) float32, overwritten → the (key, cosine) of the nearest, best first."""
        return [(self.keys[row], cosine) for row, cosine in _largest(similarities, limit)]


def _smallest(distances: Counts, wanted: float) -> NDArray[np.intp]:
    """The places of the smallest distances, ascending: about so many at most, but all of the very smallest."""
    sample = distances[:: max(1, len(distances) // _SAMPLE)]
    up_to = np.cumsum(np.bincount(sample))
    radius = np.searchsorted(up_to, max(wanted * len(sample) / len(distances), up_to[sample.min()]), side="right")
    return np.flatnonzero(distances < distances.dtype.type(radius))


def _bits(dimension: int) -> int:
    """Of the sketches of such vectors: whole words."""
    return -(-min(max(dimension, _BITS_MIN), _BITS_MAX) // _WORD_BITS) * _WORD_BITS


@cache
def _directions(dimension: int) -> NDArray[np.float32]:
    """(bits, D) float32, unit length, orthogonal in batches of up to D; the same on every machine that matters:
    sketches are never stored."""
    rng, bits = np.random.default_rng(0), _bits(dimension)
    batches = [
        np.linalg.qr(rng.standard_normal((dimension, min(dimension, bits))))[0].T
        for _ in range(-(-bits // dimension))
    ]
    return np.concatenate(batches)[:bits].astype(np.float32)


def _sketches(vectors: NDArray[np.float32]) -> Words:
    """(n, D) float32 → (words, n) uint64."""
    directions = _directions(vectors.shape[1])
    # For one vector @ would wait for threads longer than it works.
    along = np.vecdot(directions, vectors) if len(vectors) == 1 else vectors @ directions.T
    packed = np.packbits(np.atleast_2d(along) > 0, axis=1)
    return np.ascontiguousarray(packed.view(np.uint64).T)


def _largest(values: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
    """The places of the largest values and these, which are overwritten; largest first."""
    limit = min(limit, len(values))
    if limit > _FEW:
        places = np.argpartition(values, len(values) - limit)[len(values) - limit :]
        return [(int(place), float(values[place])) for place in places[np.argsort(-values[places], kind="stable")]]
    found = []
    for _ in range(limit):
        place = int(values.argmax())
        found.append((place, float(values[place])))
        values[place] = -np.inf
    return found


def _best(found: Sequence[Found], limit: int) -> Found:
    if len(found) == 1:
        return found[0]
    return nlargest(limit, (pair for rows in found for pair in rows), key=lambda pair: pair[1])
