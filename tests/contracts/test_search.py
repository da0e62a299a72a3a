"""What every search must do (`visage.bank.store.Search`): find the nearest of what is there now.

How many neighbours a search may pass over is its own promise, and tested with it (`tests/bank/test_index.py`); among
a few hundred vectors none may pass over any.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.contracts.conftest import MakeSearch

Vectors = NDArray[np.float32]
NONE = np.empty((0, 16), dtype=np.float32)


def units(count: int, *, seed: int = 0, dimension: int = 16) -> Vectors:
    """(count, dimension) float32, unit length."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def keys(count: int) -> list[str]:
    """As many."""
    return [f"key {number}" for number in range(count)]


def test_an_empty_search_finds_nobody(make_search: MakeSearch) -> None:
    search = make_search(16)
    assert len(search) == 0
    assert search.search(units(2), 3) == [[], []]
    assert search.search(NONE, 3) == []
    assert search.sample(5)[0] == []
    assert search.sample(5)[1].shape == (0, 16)


@pytest.mark.parametrize("dimension", [16, 70, 192, 512])
@pytest.mark.parametrize("limit", [1, 3, 20, 1000])
@pytest.mark.parametrize("probes", [1, 5])
def test_the_nearest_come_first_with_their_cosines(
    make_search: MakeSearch, dimension: int, limit: int, probes: int
) -> None:
    vectors, asked = units(300, dimension=dimension), units(probes, seed=7, dimension=dimension)
    search = make_search(dimension)
    search.put_all(keys(300), vectors)
    assert len(search) == 300
    found = search.search(asked, limit)
    assert len(found) == probes
    for probe, row in zip(asked, found, strict=True):
        cosines = vectors @ probe
        nearest = np.argsort(-cosines)[:limit]
        assert [key for key, _ in row] == [f"key {number}" for number in nearest]
        assert [cosine for _, cosine in row] == pytest.approx(cosines[nearest].tolist(), abs=1e-5)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "put", "put all", "remove"]), st.integers(0, 12), st.integers(0, 49)),
        max_size=120,
    )
)
def test_after_any_changes_a_search_sees_what_is_there(
    make_search: MakeSearch, steps: list[tuple[str, int, int]]
) -> None:
    vectors = units(60)
    search, expected = make_search(16), dict[str, Vectors]()
    for what, key, row in steps:
        if what == "remove":
            search.remove(str(key))
            expected.pop(str(key), None)
            continue
        many = 3 if what == "put all" else 1
        names = [str(key + number) for number in range(many)]
        if what == "put":
            search.put(str(key), vectors[row])
        else:
            search.put_all(names, vectors[row : row + many])
        expected |= dict(zip(names, vectors[row : row + many], strict=True))
    assert len(search) == len(expected)
    probe = units(1, seed=9)[0]
    (found,) = search.search(probe[None], 100)
    assert dict(found) == {key: pytest.approx(float(vector @ probe), abs=1e-5) for key, vector in expected.items()}
    assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    sampled, held = search.sample(100)
    assert sorted(sampled) == sorted(expected)
    assert all((vector == expected[key]).all() for key, vector in zip(sampled, held, strict=True))


def test_to_forget_who_is_not_there_changes_nothing(make_search: MakeSearch) -> None:
    search = make_search(16)
    search.remove("nobody")
    search.put_all(keys(3), units(3))
    revision = search.revision
    search.remove("nobody")
    assert (len(search), search.revision) == (3, revision)


def test_each_change_is_another_revision(make_search: MakeSearch) -> None:
    search = make_search(16)
    seen = [search.revision]
    search.put("a", units(1)[0])
    seen.append(search.revision)
    search.put("a", units(2)[1])
    seen.append(search.revision)
    search.put_all(["b", "c"], units(2))
    seen.append(search.revision)
    search.remove("b")
    seen.append(search.revision)
    assert len(set(seen)) == len(seen)
    search.search(units(2), 3)
    search.sample(2)
    assert search.revision == seen[-1]


@pytest.mark.parametrize("count,most", [(1, 1), (7, 10), (10, 10), (11, 10), (300, 64), (300, 150), (300, 299)])
def test_a_sample_is_of_some_and_the_same_again(make_search: MakeSearch, count: int, most: int) -> None:
    search, vectors = make_search(16), units(count)
    search.put_all(keys(count), vectors)
    sampled, held = search.sample(most)
    assert len(set(sampled)) == len(sampled) == len(held)
    assert len(sampled) == count if count <= most else most / 2 <= len(sampled) <= most
    for key, vector in zip(sampled, held, strict=True):
        assert (vector == vectors[int(key.removeprefix("key "))]).all()
    again, held_again = search.sample(most)
    assert (again, held_again.tobytes()) == (sampled, held.tobytes())


def test_vectors_are_values(make_search: MakeSearch) -> None:
    """Whoever changes what was given, or what was got, changes nothing in the search."""
    search, vectors = make_search(16), units(3)
    one, many, probe = vectors[0].copy(), vectors[1:].copy(), units(1, seed=5)
    search.put("key 0", one)
    search.put_all(["key 1", "key 2"], many)
    before = search.search(probe, 3)
    one[:] = 0
    many[:] = 0
    search.sample(3)[1][:] = 0
    probe_before = probe.copy()
    assert search.search(probe, 3) == before
    assert (probe == probe_before).all()


def test_what_changes_meanwhile_is_found_or_not_but_never_wrong(make_search: MakeSearch) -> None:
    search, vectors = make_search(16), units(200)
    search.put_all(keys(100), vectors[:100])
    faults: list[str] = []
    done = threading.Event()

    def look_around() -> None:
        probes = vectors[:3]
        while not done.is_set():
            try:
                for probe, row in zip(probes, search.search(probes, 5), strict=True):
                    for key, cosine in row:
                        if abs(float(vectors[int(key.removeprefix("key "))] @ probe) - cosine) > 1e-5:
                            faults.append(f"{key} {cosine}")
                search.sample(50)
            except Exception as error:
                faults.append(repr(error))

    searching = threading.Thread(target=look_around)
    searching.start()
    for turn in range(300):
        search.put(f"key {100 + turn % 100}", vectors[100 + turn % 100])
        search.remove(f"key {50 + turn * 7 % 150}")
        search.put(f"key {50 + turn * 7 % 150}", vectors[50 + turn * 7 % 150])
    done.set()
    searching.join(30)
    assert faults == []
