"""What a failing disk, or somebody with a hex editor, does to a bank: an error, and never another's name."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.bank.test_bank import DIMENSION, MODEL, photo
from visage.bank.bank import MemoryBank
from visage.errors import BankError, DamagedPerson, PersonNotFound, PhotoNotFound, VisageError
from visage.storage.folder import FILE_NAME
from visage.storage.sqlite import open_store
from visage.types import Embedding

ROOT = Path(__file__).parents[2]
NOT_THERE = (PersonNotFound, PhotoNotFound, BankError)
FLIPS = int(os.environ.get("FLIPS", "150"))


def axis(number: int) -> Embedding:
    """A look that is like no other."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[number] = 1
    return vector


def opened(folder: Path) -> MemoryBank:
    """The bank of a folder."""
    return MemoryBank(open_store(folder), model=MODEL, dimension=DIMENSION)


@pytest.fixture
def people(tmp_path: Path) -> dict[str, str]:
    """Four persons with two photos each, in a bank that is closed: id → name."""
    with closing(opened(tmp_path)) as bank:
        found = {}
        for seed, name in enumerate(("Ann", "Bob", "Cid", "Dan")):
            pictures = [replace(photo(seed), embedding=axis(2 * seed + place)) for place in range(2)]
            person = bank.enrol(name=name, relationship=None, metadata={"n": seed}, photos=pictures)
            found[person.person_id] = name
            bank.reject(person.person_id, axis(8 + seed))
        return found


@pytest.fixture
def file(tmp_path: Path, people: dict[str, str]) -> Iterator[sqlite3.Connection]:
    """The database of that bank, to tamper with."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        yield connection


SEALED = [
    ("persons", "key", "person_id"),
    ("persons", "content", "person_id"),
    ("photos", "quality", "photo_id"),
    ("embeddings", "vector", "photo_id"),
    ("counter_examples", "vector", "counter_id"),
]


@pytest.mark.parametrize("table,column,record", SEALED)
def test_one_altered_bit_hides_that_person_and_no_other(
    tmp_path: Path, people: dict[str, str], file: sqlite3.Connection, table: str, column: str, record: str
) -> None:
    row, value = file.execute(f"SELECT {record}, {column} FROM {table} LIMIT 1").fetchone()
    altered = bytearray(value)
    altered[len(altered) // 2] ^= 1
    file.execute(f"UPDATE {table} SET {column} = ? WHERE {record} = ?", (bytes(altered), row))
    with closing(opened(tmp_path)) as bank:
        (lost,) = people.keys() - {person.person_id for person in bank.persons().persons}
        with pytest.raises(DamagedPerson, match=lost) as error:
            bank.person(lost)
        assert (error.value.details or {})["person_id"] == lost
        for seed, (person_id, name) in enumerate(people.items()):
            (best, *_) = bank.search(axis(2 * seed)[None], 5)[0]
            assert (best.person.name == name) == (person_id != lost)
        assert any(lost in fault for fault in bank.check())
        assert bank.forget(lost) is True
        assert bank.check() == []
    with closing(opened(tmp_path)) as bank:
        assert bank.person_count == 3


@pytest.mark.parametrize("table,column,record", SEALED)
def test_values_exchanged_between_two_persons_are_nobodys(
    tmp_path: Path, people: dict[str, str], file: sqlite3.Connection, table: str, column: str, record: str
) -> None:
    (one, first), (other, second) = file.execute(f"SELECT {record}, {column} FROM {table} ORDER BY rowid").fetchall()[
        :: 2 if table in ("photos", "embeddings") else 1
    ][:2]
    for row, value in ((one, second), (other, first)):
        file.execute(f"UPDATE {table} SET {column} = ? WHERE {record} = ?", (value, row))
    with closing(opened(tmp_path)) as bank:
        assert bank.person_count == 2
        for seed in range(4):
            for hit in bank.search(axis(2 * seed)[None], 5)[0]:
                assert people[hit.person.person_id] == hit.person.name
                assert (hit.similarity > 0.6) == (hit.person.metadata["n"] == seed)


def test_a_photo_given_to_another_person_is_not_theirs(
    tmp_path: Path, people: dict[str, str], file: sqlite3.Connection
) -> None:
    ann, bob, *_ = people
    file.execute("UPDATE photos SET person_id = ? WHERE person_id = ?", (bob, ann))
    with closing(opened(tmp_path)) as bank:
        with pytest.raises(DamagedPerson, match=bob):
            bank.person(bob)
        assert all(hit.similarity < 0.6 for hit in bank.search(axis(0)[None], 5)[0])


def test_a_damaged_picture_is_an_error_of_that_picture(
    tmp_path: Path, people: dict[str, str], file: sqlite3.Connection
) -> None:
    ann = next(iter(people))
    file.execute("UPDATE photos SET picture = zeroblob(50) WHERE person_id = ?", (ann,))
    with closing(opened(tmp_path)) as bank:
        with pytest.raises(DamagedPerson, match=ann):
            bank.picture(ann, bank.photos(ann)[0].photo_id)
        assert bank.person_count == 4
        assert sum(ann in fault for fault in bank.check()) == 2
    with closing(MemoryBank(open_store(tmp_path), model="new", dimension=DIMENSION)) as bank:
        done = bank.reembed(lambda pictures: np.stack([axis(1)] * len(pictures)), on_progress=lambda *_: None)
        assert (done, bank.foreign_photos) == (6, 2)


def test_a_damaged_undo_costs_that_undo_only(
    tmp_path: Path, people: dict[str, str], file: sqlite3.Connection
) -> None:
    ann = next(iter(people))
    file.execute("UPDATE undos SET kind = 'merge' WHERE person_id = ?", (ann,))
    with closing(opened(tmp_path)) as bank:
        assert bank.person_count == 4
        assert bank.undos(ann) == ()
        assert any(ann in fault for fault in bank.check())


def test_flipped_bits_never_give_a_face_another_name(tmp_path: Path, people: dict[str, str]) -> None:
    """One bit, many times: refused in words, or served rightly but for who is damaged. Half of the bits are anywhere
    in the file, half where something is written."""
    path = tmp_path / FILE_NAME
    sound = path.read_bytes()
    chance = random.Random(20261124)
    outcomes = {"refused": 0, "whole": 0, "damaged": 0}
    written = [place for place, byte in enumerate(sound) if byte]
    for number in range(FLIPS):
        broken = bytearray(sound)
        place = chance.choice(written) if number % 2 else chance.randrange(len(broken))
        broken[place] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            bank = opened(tmp_path)
        except BankError:
            outcomes["refused"] += 1
            assert path.read_bytes() == broken
            continue
        with closing(bank):
            for seed in range(4):
                for hit in bank.search(axis(2 * seed)[None], 5)[0]:
                    assert people[hit.person.person_id] == hit.person.name
                    assert hit.person.metadata == {"n": list(people).index(hit.person.person_id)}
                    if hit.similarity > 0.6:
                        assert hit.person.metadata == {"n": seed}
            lost = 0
            for person_id in people:
                try:
                    for stored in bank.photos(person_id):
                        assert b" picture " in bank.picture(person_id, stored.photo_id)
                except VisageError as error:
                    lost += 1
                    # Where an id or an index was hit, it is not there under its id; else the error says whose it is.
                    assert person_id in error.message or type(error) in NOT_THERE
            faults = bank.check()
            assert faults or not lost
            outcomes["damaged" if faults else "whole"] += 1
    assert sum(outcomes.values()) == FLIPS
    assert outcomes["damaged"] + outcomes["refused"] >= FLIPS // 10, outcomes


@pytest.mark.parametrize("size", [100, 4096, 5000, 20000])
def test_a_file_cut_short_is_refused(tmp_path: Path, people: dict[str, str], size: int) -> None:
    path = tmp_path / FILE_NAME
    content = path.read_bytes()[:size]
    path.write_bytes(content)
    with pytest.raises(BankError, match="damaged"):
        opened(tmp_path)
    assert path.read_bytes() == content


AS_NOBODY = """
import os, sys
from pathlib import Path
from tests.storage.test_damage import *
os.setuid(65534)
try:
    opened(Path(sys.argv[1]))
except BankError as error:
    print(error.message)
"""


def test_a_directory_that_cannot_be_written_is_refused_in_words(tmp_path: Path, people: dict[str, str]) -> None:
    if os.getuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(BankError, match="cannot be written"):
            opened(tmp_path)
        tmp_path.chmod(0o700)
        return
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    told = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "cannot be written" in told.stdout
    with closing(opened(tmp_path)) as bank:
        assert bank.person_count == 4
