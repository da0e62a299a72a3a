"""Nearest neighbours in memory: exact for a home, by sketches for a town.

A small bank is searched by one matrix product. From `APPROXIMATE_FROM` vectors on, a search has two steps:

1. Each vector has a sketch, one bit a dimension: the signs of its coordinates after a fixed random rotation. Two
   vectors at an angle θ differ in a bit with probability θ/π, so the number of bits in which two sketches differ
   (Hamming distance) tells the angle roughly, from a thirty-second of the memory.
2. The cosines of the few vectors with the nearest sketches are computed with full precision.

So every cosine that is returned is exact; what may happen is that a neighbour is passed over, and
`docs/decisions/0010-search.md` says how rarely. The rotation spreads what the coordinates of a real network share.
Nothing is trained or built: a change costs the same at any size, and the next search sees it.

Sources: Charikar 2002, "Similarity estimation techniques from rounding algorithms" (sign of random projections).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from heapq import nlargest

import numpy as np
from numpy.typing import NDArray

from visage.types import Embedding

APPROXIMATE_FROM = 50_000
"""Vectors from which sketches are searched first; below, a matrix product takes 2 ms at most."""

_BLOCK_ROWS = 65_536
"""A bank grows by blocks, so that no addition has to move what is there. Memory is taken as rows are written."""

_COMPARED_MIN = 2_000
_COMPARED_PART = 1 / 125
"""So many vectors, and at least this part of all, are compared with full precision."""

_SAMPLE = 1 << 14
"""So many distances tell which distance the nearest of them have."""

_THREADS = os.cpu_count() or 1
"""NumPy lets go of the interpreter's lock while it works."""

_FEW = 8
"""So many largest values are sooner found one after the other than by parting the rest."""

_CHUNK_ROWS = 8_192
"""So many sketches are made at once: what it takes stays small."""

_WORD_BITS = 64

Words = NDArray[np.uint64]
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

    def __len__(self) -> int:
        return sum(len(block.keys) for block in tuple(self._blocks))

    def put(self, key: str, vector: Embedding) -> None:
        """Add a vector, or replace the one of that key. (D,) float32, unit length."""
        self.put_all([key], vector[None])

    def put_all(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add or replace many. (n, D) float32, unit length; the keys are different from each other."""
        with self._turn:
            fresh = []
            for row, key in enumerate(keys):
                if (block := self._holder(key)) is None:
                    fresh.append(row)
                else:
                    block.replace(block.rows[key], vectors[row])
            done = 0
            while done < len(fresh):
                if not self._blocks or len(self._blocks[-1].keys) == _BLOCK_ROWS:
                    self._blocks.append(_Block(self._dimension))
                now = fresh[done : done + min(_CHUNK_ROWS, _BLOCK_ROWS - len(self._blocks[-1].keys))]
                self._blocks[-1].append([keys[row] for row in now], vectors[now])
                done += len(now)

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error. The last row takes the free place."""
        with self._turn:
            block = self._holder(key)
            if block is None:
                return
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
            count = len(self)
            compared = max(_COMPARED_MIN, count * _COMPARED_PART)
            if count < self._approximate_from or limit > compared:
                found = self._compare_all(probes, limit)
                return [_best([rows[n] for rows in found], limit) for n in range(len(probes))]
            return [self._search_sketches(probe, compared / count, limit) for probe in probes]

    def _compare_all(self, probes: NDArray[np.float32], limit: int) -> list[list[Found]]:
        """(n, D) float32 → for each block, for each probe, (key, cosine), best first."""
        if (
            len(self._blocks) > 1 and len(probes) == 1
        ):  # products one after the other wait for their threads each time
            lines = list(_pool().map(lambda block: np.vecdot(block.used, probes[0])[None], self._blocks))
        elif len(probes) == 1:  # faster than a product of two matrices
            lines = [(block.used @ probes[0])[None] for block in self._blocks]
        else:
            lines = [probes @ block.used.T for block in self._blocks]
        return [block.nearest(line, limit) for block, line in zip(self._blocks, lines, strict=True)]

    def _search_sketches(self, probe: Embedding, part: float, limit: int) -> Found:
        """(D,) float32 → (key, cosine), best first, of this part of all, those with the nearest sketches."""
        sketch = _sketches(probe[None])[:, 0]
        step = max(1, len(self) // _SAMPLE)
        sample = np.concatenate([block.distances(sketch, step=step) for block in self._blocks])
        radius = int(np.searchsorted(np.cumsum(np.bincount(sample)), part * len(sample)))
        shares = [self._blocks[n::_THREADS] for n in range(_THREADS)]
        work = [_pool().submit(_nearest_within, share, radius, probe, sketch, limit) for share in shares]
        return _best([found for share in work for found in share.result()], limit)

    def _holder(self, key: str) -> _Block | None:
        return next((block for block in self._blocks if key in block.rows), None)


class _Block:
    """Up to `_BLOCK_ROWS` vectors in order of arrival.

    Attributes:
        vectors: (rows, D) float32; zeros where one was forgotten.
        sketches: (words, rows) uint64; zeros where one was forgotten.
        keys: of the rows in use.
        rows: by key.
    """

    def __init__(self, dimension: int) -> None:
        self.vectors = np.empty((_BLOCK_ROWS, dimension), dtype=np.float32)
        self.sketches = np.empty((-(-dimension // _WORD_BITS), _BLOCK_ROWS), dtype=np.uint64)
        self.keys: list[str] = []
        self.rows: dict[str, int] = {}

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

    def nearest(self, similarities: NDArray[np.float32], limit: int) -> list[Found]:
        """(n, rows in use) float32 → for each probe the (key, cosine) of the nearest, best first."""
        return [[(self.keys[row], float(line[row])) for row in _largest(line, limit)] for line in similarities]

    def distances(self, sketch: Words, *, step: int = 1) -> NDArray[np.uint8]:
        """(words,) uint64 → (rows in use / step,) uint8: the number of bits in which each sketch differs."""
        own = self.sketches[:, : len(self.keys) : step]
        total = np.zeros(own.shape[1], dtype=np.uint8)
        differing = np.empty(own.shape[1], dtype=np.uint64)
        bits = np.empty_like(total)
        for words, word in zip(own, sketch, strict=True):
            np.bitwise_xor(words, word, out=differing)
            np.bitwise_count(differing, out=bits)
            np.add(total, bits, out=total)
        return total


def _nearest_within(
    blocks: Sequence[_Block], radius: int, probe: Embedding, sketch: Words, limit: int
) -> list[Found]:
    """For each block the (key, cosine) of the nearest, of those whose sketches differ in at most so many bits."""
    found = []
    for block in blocks:
        rows = np.flatnonzero(block.distances(sketch) <= radius)
        similarities = np.vecdot(block.vectors[rows], probe)  # unlike @ it starts no threads of its own
        found.append([(block.keys[rows[n]], float(similarities[n])) for n in _largest(similarities, limit)])
    return found


@cache
def _rotation(dimension: int) -> NDArray[np.float32]:
    """(D, D) float32, orthogonal, the same on every machine that matters: sketches are never stored."""
    normal = np.random.default_rng(0).standard_normal((dimension, dimension))
    return np.linalg.qr(normal)[0].astype(np.float32)


def _sketches(vectors: NDArray[np.float32]) -> Words:
    """(n, D) float32 → (words, n) uint64; the last word is filled up with zeros."""
    rotation = _rotation(vectors.shape[1])
    # For one vector @ would wait for threads longer than it works.
    rotated = np.vecdot(rotation, vectors) if len(vectors) == 1 else vectors @ rotation.T
    signs = np.atleast_2d(rotated) > 0
    spare = -signs.shape[1] % _WORD_BITS
    packed = np.packbits(np.pad(signs, ((0, 0), (0, spare))) if spare else signs, axis=1)
    return np.ascontiguousarray(packed.view(np.uint64).T)


def _largest(values: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """The places of the largest values, largest first."""
    if limit >= len(values):
        places = np.arange(len(values))
    elif limit > _FEW:
        places = np.argpartition(values, len(values) - limit)[len(values) - limit :]
    else:
        places, rest = np.empty(limit, dtype=np.intp), values.copy()
        for n in range(limit):
            places[n] = rest.argmax()
            rest[places[n]] = -np.inf
        return places
    return places[np.argsort(-values[places], kind="stable")]


def _best(found: Sequence[Found], limit: int) -> Found:
    if len(found) == 1:
        return found[0]
    return nlargest(limit, (pair for rows in found for pair in rows), key=lambda pair: pair[1])


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="search")
