"""Nearest neighbours: exact, or by sketches that pass over almost nothing; what changes is seen at once."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visage.bank import index as index_module
from visage.bank.index import APPROXIMATE_FROM, Index

DIMENSION = 192
Vectors = NDArray[np.float32]


def unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / lengths


def random_units(count: int, *, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32))


def near(vectors: Vectors, cosine: float, *, seed: int = 1) -> Vectors:
    """Of each vector another at this cosine."""
    noise = random_units(len(vectors), seed=seed, dimension=vectors.shape[1])
    noise = unit(noise - (noise * vectors).sum(axis=1, keepdims=True) * vectors)
    return np.float32(cosine) * vectors + np.float32(np.sqrt(1 - cosine**2)) * noise


def filled(vectors: Vectors, *, approximate_from: int = APPROXIMATE_FROM) -> Index:
    """Keys are the rows."""
    index = Index(vectors.shape[1], approximate_from=approximate_from)
    index.put_all([str(row) for row in range(len(vectors))], vectors)
    return index


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank of hundreds has several blocks."""
    monkeypatch.setattr(index_module, "_BLOCK_ROWS", 64)


@pytest.mark.parametrize("count", [1, 2, 3, 64, 65, 200])
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_a_search_finds_what_a_matrix_product_finds(small_blocks: None, count: int, limit: int) -> None:
    vectors, probes = random_units(count), random_units(5, seed=7)
    similarities = probes @ vectors.T
    expected = np.argsort(-similarities, axis=1)[:, :limit]
    for index in (filled(vectors), filled(vectors, approximate_from=1)):  # so few are all compared in full
        found = index.search(probes, limit)
        assert [[int(key) for key, _ in row] for row in found] == expected.tolist()
        np.testing.assert_allclose(
            [[similarity for _, similarity in row] for row in found],
            np.take_along_axis(similarities, expected, axis=1),
            atol=1e-6,
        )


@pytest.mark.parametrize("cosine", [0.6, 0.7, 0.9])
def test_sketches_find_the_true_neighbour_of_a_hundred_thousand(large: tuple[Vectors, Index], cosine: float) -> None:
    vectors, index = large
    rows = np.random.default_rng(3).choice(len(vectors), 300, replace=False)
    probes = near(vectors[rows], cosine)
    found = index.search(probes, 3)
    right = sum(hits[0][0] == str(row) for hits, row in zip(found, rows, strict=True))
    assert right >= 0.995 * len(rows)
    for hits, probe in zip(found, probes, strict=True):  # whatever was found, its cosine is exact
        for key, similarity in hits:
            assert similarity == pytest.approx(float(vectors[int(key)] @ probe), abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(dimension=st.integers(64, 600))
@example(dimension=64)
@example(dimension=512)
@example(dimension=2048)
def test_sketches_find_the_true_neighbour_in_any_dimension(dimension: int) -> None:
    """A hundredth of all are compared, as in a large bank. One lies on the other side, where no bit is the same."""
    vectors = random_units(2000, dimension=dimension)
    rows = np.arange(0, len(vectors), 20)
    probes = near(vectors[rows], 0.7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "_COMPARED_MIN", 1)
        index = filled(vectors, approximate_from=1)
        index.put("opposite", -probes[0])
        found = index.search(probes, 1)
    assert sum(hits[0][0] == str(row) for hits, row in zip(found, rows, strict=True)) >= 0.97 * len(rows)


def test_many_in_one_narrow_crowd_are_told_apart() -> None:
    """All vectors lie within 20° of one direction: their sketches are much alike."""
    vectors = near(np.repeat(random_units(1), 20_000, axis=0), 0.94)
    index = filled(vectors, approximate_from=1)
    rows = np.arange(0, 20_000, 200)
    found = index.search(near(vectors[rows], 0.999, seed=9), 1)
    assert sum(hits[0][0] == str(row) for hits, row in zip(found, rows, strict=True)) >= 0.99 * len(rows)


def test_equal_vectors_are_all_found() -> None:
    index = filled(np.repeat(random_units(1), 3000, axis=0), approximate_from=1)
    (found,) = index.search(random_units(1), 3000)
    assert len(found) == 3000


@pytest.mark.parametrize("approximate_from", [1, 10**9])
@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "remove"]), st.integers(0, 150), st.integers(0, 99)), max_size=400
    )
)
def test_after_any_changes_a_search_sees_what_is_there(
    approximate_from: int, steps: list[tuple[str, int, int]]
) -> None:
    looks = random_units(100, dimension=70)  # a dimension that fills no whole word
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "_BLOCK_ROWS", 16)
        index = Index(70, approximate_from=approximate_from)
        expected: dict[str, int] = {}
        for what, key, look in steps:
            if what == "put":
                index.put(str(key), looks[look])
                expected[str(key)] = look
            else:
                index.remove(str(key))
                expected.pop(str(key), None)
        assert len(index) == len(expected)
        for look in {*list(expected.values())[:5], 0}:
            (found,) = index.search(looks[look][None], 1000)
            assert {key for key, _ in found} == expected.keys()
            assert {key for key, similarity in found if similarity > 0.999} == {
                key for key, own in expected.items() if own == look
            }


def test_what_is_forgotten_leaves_no_vector_and_no_sketch(small_blocks: None) -> None:
    vectors = random_units(100)
    index = filled(vectors)
    blocks = list(index._blocks)
    for key in ("99", "3", "70"):
        index.remove(key)
    for row in range(97):
        index.remove(str(row))
    index.remove("97")
    index.remove("98")
    assert len(index) == 0
    for block, used in zip(blocks, (64, 36), strict=True):
        assert not block.vectors[:used].any()
        assert not block.sketches[:, :used].any()


def test_a_change_among_a_hundred_thousand_is_quick_and_seen_at_once(large: tuple[Vectors, Index]) -> None:
    _, index = large
    durations_s = []
    for look in random_units(50, seed=11):
        start = time.perf_counter()
        index.put("new", look)
        durations_s.append(time.perf_counter() - start)
        ((key, similarity),) = index.search(look[None], 1)[0]
        assert key == "new"
        assert similarity == pytest.approx(1, abs=1e-6)
        start = time.perf_counter()
        index.remove("new")
        durations_s.append(time.perf_counter() - start)
        assert index.search(look[None], 1)[0][0][0] != "new"
    assert np.median(durations_s) < 0.010


@pytest.mark.parametrize("approximate_from", [1, 10**9])
def test_searching_while_others_come_and_go(small_blocks: None, approximate_from: int) -> None:
    """Whoever stays is found in every search, with the right cosine; whoever is gone is in none."""
    staying, coming = random_units(500), random_units(200, seed=5)
    index = filled(staying, approximate_from=approximate_from)
    stop, faults = threading.Event(), list[str]()

    def come_and_go() -> None:
        for _ in range(3):
            for row, look in enumerate(coming):
                index.put(f"new {row}", look)
            for row in range(len(coming)):
                index.remove(f"new {row}")
        stop.set()

    def change_places() -> None:
        """Forgetting and adding again moves rows about under the searches."""
        while not stop.is_set():
            index.put("moving", coming[0])
            index.remove("moving")

    def look_around(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            row = int(rng.integers(len(staying)))
            key, similarity = index.search(staying[row][None], 2)[0][0]
            if key != str(row) or abs(similarity - 1) > 1e-5:
                faults.append(f"{row}: {key} {similarity}")

    threads = [threading.Thread(target=come_and_go), threading.Thread(target=change_places)]
    threads += [threading.Thread(target=look_around, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert stop.is_set()
    assert not faults
    assert len(index) == len(staying)


@pytest.fixture(scope="module")
def large() -> tuple[Vectors, Index]:
    """So many that sketches are searched."""
    vectors = random_units(100_000)
    return vectors, filled(vectors)


@pytest.mark.parametrize(("count", "most", "taken"), [(0, 8, 0), (1, 8, 1), (8, 8, 8), (9, 8, 5), (200, 64, 50)])
def test_a_sample_is_spread_over_all_and_bounded(small_blocks: None, count: int, most: int, taken: int) -> None:
    index = filled(random_units(count))
    keys, vectors = index.sample(most)
    assert (len(keys), vectors.shape) == (taken, (taken, DIMENSION))
    assert keys == [str(row) for row in range(0, count, -(-count // max(taken, 1)) or 1)]
    for key, vector in zip(keys, vectors, strict=True):
        (((found, cosine),),) = index.search(vector[None], 1)
        assert found == key
        assert cosine == pytest.approx(1, abs=1e-5)


def test_one_change_moves_the_sample_by_one_at_most() -> None:
    index = filled(random_units(100))
    before = set(index.sample(64)[0])
    index.remove("40")
    assert len(before - set(index.sample(64)[0])) <= 2  # who went, and the last one, who took that place
