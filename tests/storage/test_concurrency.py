"""A search and a write do not wait for each other."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from visage.bank.bank import MemoryBank
from visage.storage.sqlite import open_store
from visage.types import Embedding, NewPhoto, Quality

DIMENSION = 16


def look(seed: int) -> Embedding:
    """A unit vector of its own for each seed."""
    vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def photo(seed: int) -> NewPhoto:
    return NewPhoto(look(seed), b"\xff\xd8\xff picture", Quality(80, ()))


def enrol(bank: MemoryBank, name: str, seed: int) -> str:
    return bank.enrol(name=name, relationship=None, metadata={}, photos=[photo(seed)]).person_id


def test_a_search_does_not_wait_for_a_long_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    bank = MemoryBank(store, model="test-model", dimension=DIMENSION)
    enrol(bank, "Ada", 1)
    writing, go_on, write = threading.Event(), threading.Event(), store.add_person

    def slow_write(*args: object) -> None:
        writing.set()
        assert go_on.wait(30)
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "add_person", slow_write)
    writer = threading.Thread(target=enrol, args=(bank, "Bea", 2))
    writer.start()
    try:
        assert writing.wait(30)
        found: list[str] = []
        searcher = threading.Thread(
            target=lambda: found.extend(h.person.name for h in bank.search(look(1)[None], 3)[0])
        )
        searcher.start()
        searcher.join(10)
        assert found == ["Ada"]
    finally:
        go_on.set()
        writer.join(30)
    assert bank.search(look(2)[None], 1)[0][0].person.name == "Bea"
    bank.close()


def test_searching_while_people_come_go_and_are_renamed(tmp_path: Path) -> None:
    """Nobody is found under another's look, and who was rejected is never found without it."""
    bank = MemoryBank(open_store(tmp_path), model="test-model", dimension=DIMENSION)
    enrol(bank, "Ada", 1)
    stop, faults = threading.Event(), list[str]()

    def look_around() -> None:
        while not stop.is_set():
            try:
                for hit in bank.search(look(1)[None], 10)[0]:
                    if hit.person.name.startswith("Ada") != (hit.similarity > 0.999):
                        faults.append(f"{hit.person.name} {hit.similarity}")
                for hit in bank.search(look(2)[None], 10)[0]:
                    if hit.person.name == "rejected" and hit.rejected is None:
                        faults.append("found without the rejected look")
            except Exception as error:
                faults.append(repr(error))

    searchers = [threading.Thread(target=look_around) for _ in range(2)]
    for searcher in searchers:
        searcher.start()
    try:
        for turn in range(40):
            person_id = enrol(bank, "Bea", 2)
            bank.reject(person_id, look(3))
            bank.update(person_id, name="rejected")
            bank.update(bank.named(f"Ada{turn or ''}")[0].person_id, name=f"Ada{turn + 1}")
            bank.forget(person_id)
            assert [hit.person.name for hit in bank.search(look(2)[None], 10)[0]] == [f"Ada{turn + 1}"]
    finally:
        stop.set()
        for searcher in searchers:
            searcher.join(30)
    bank.close()
    assert not faults
