"""The memory bank on a real SQLite file: what is remembered stays, what is forgotten is gone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from visage.bank.bank import MemoryBank, name_key
from visage.errors import BankError, InvalidValue, LastPhoto, PhotoNotFound
from visage.storage.folder import FILE_NAME
from visage.storage.sqlite import open_store
from visage.types import Embedding, Issue, NewPhoto, Person, Quality

MODEL, DIMENSION = "test-model", 16


def look(seed: int) -> Embedding:
    """A unit vector of its own for each seed."""
    vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def photo(seed: int) -> NewPhoto:
    """A photo of that look."""
    return NewPhoto(look(seed), b"\xff\xd8\xff picture %d" % seed, Quality(80, (Issue.BLURRED,)))


@pytest.fixture
def open_bank(tmp_path: Path) -> Iterator[Callable[..., MemoryBank]]:
    """Opens the bank of this test; what is left open is closed at the end."""
    opened: list[MemoryBank] = []

    def open_it(model: str = MODEL, dimension: int = DIMENSION) -> MemoryBank:
        for bank in opened:
            bank.close()
        opened.append(MemoryBank(open_store(tmp_path), model=model, dimension=dimension))
        return opened[-1]

    yield open_it
    for bank in opened:
        bank.close()


@pytest.fixture
def bank(open_bank: Callable[..., MemoryBank]) -> MemoryBank:
    """An empty bank."""
    return open_bank()


def test_a_person_survives_reopening(open_bank: Callable[..., MemoryBank]) -> None:
    bank = open_bank()
    metadata = {"note": "Ünïcode ✓", "nested": {"list": [1, None, True]}}
    enrolled = bank.enrol(name="Zoë", relationship="niece", metadata=metadata, photos=[photo(1), photo(2)])
    again = open_bank()
    assert again.person(enrolled.person_id) == enrolled
    assert enrolled.embedding_count == 2
    assert again.photos(enrolled.person_id) == bank.photos(enrolled.person_id)
    ((hit,),) = again.search(look(1)[None], 5)
    assert hit.person == enrolled
    first = again.photos(enrolled.person_id)[0]
    assert again.picture(enrolled.person_id, first.photo_id).startswith(b"\xff\xd8\xff picture")
    assert again.check() == []


def test_the_nearest_person_comes_first(bank: MemoryBank) -> None:
    people = [bank.enrol(name=str(i), relationship=None, metadata={}, photos=[photo(i)]) for i in range(10)]
    (hits,) = bank.search(look(7)[None], 3)
    assert [len(hits), hits[0].person, round(hits[0].similarity, 5)] == [3, people[7], 1]
    assert hits[0].similarity >= hits[1].similarity >= hits[2].similarity


def test_a_template_is_the_mean_of_the_photos(bank: MemoryBank) -> None:
    person = bank.enrol(name="A", relationship=None, metadata={}, photos=[photo(1)])
    bank.add_photos(person.person_id, [photo(2)])
    expected = look(1) + look(2)
    assert np.allclose(bank.template(person.person_id), expected / np.linalg.norm(expected), atol=1e-6)


def test_photos_can_be_forgotten_but_not_the_last(bank: MemoryBank) -> None:
    person = bank.enrol(name="A", relationship=None, metadata={}, photos=[photo(1), photo(2)])
    first, second = bank.photos(person.person_id)
    bank.forget_photo(person.person_id, first.photo_id)
    assert bank.person(person.person_id).embedding_count == 1
    with pytest.raises(PhotoNotFound):
        bank.picture(person.person_id, first.photo_id)
    with pytest.raises(LastPhoto):
        bank.forget_photo(person.person_id, second.photo_id)
    other = bank.enrol(name="B", relationship=None, metadata={}, photos=[photo(3)])
    with pytest.raises(PhotoNotFound):
        bank.picture(other.person_id, second.photo_id)


@pytest.mark.parametrize("query", ["JOSÉ", "jose\u0301", "osé g", "VATER"])
def test_persons_are_found_by_part_of_name_or_relationship(bank: MemoryBank, query: str) -> None:
    bank.enrol(name="José García", relationship="Vater", metadata={}, photos=[photo(1)])
    bank.enrol(name="Someone", relationship=None, metadata={}, photos=[photo(2)])
    assert [p.name for p in bank.persons(query=query).persons] == ["José García"]


def test_pages_show_everyone_once_newest_first(bank: MemoryBank) -> None:
    names = [bank.enrol(name=str(i), relationship=None, metadata={}, photos=[photo(i)]).name for i in range(7)]
    seen, cursor = [], None
    while True:
        page = bank.persons(limit=3, cursor=cursor)
        assert page.total == 7
        seen += [person.name for person in page.persons]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == names[::-1]


@pytest.mark.parametrize("cursor", ["x", "====", "bm90IG91cnM=", "\u00e9", "MSAyIDM="])
def test_a_foreign_cursor_is_refused(bank: MemoryBank, cursor: str) -> None:
    with pytest.raises(InvalidValue):
        bank.persons(cursor=cursor)


def test_renaming_keeps_what_is_not_named(bank: MemoryBank) -> None:
    person = bank.enrol(name="Old", relationship="aunt", metadata={"a": 1}, photos=[photo(1)])
    changed = bank.update(person.person_id, name="New")
    assert (changed.name, changed.relationship, changed.metadata) == ("New", "aunt", {"a": 1})
    assert bank.update(person.person_id, relationship=None).relationship is None
    assert bank.search(look(1)[None], 1)[0][0].person.name == "New"


@pytest.mark.parametrize(
    "one,other", [("Ann  Lee ", "ANN LEE"), ("ＡＮＮ", "ann"), ("Straße", "STRASSE"), ("ﬁn", "FIN")]
)
def test_names_are_compared_without_case_form_and_spaces(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


def test_another_models_photos_are_not_searched_until_embedded_again(open_bank: Callable[..., MemoryBank]) -> None:
    open_bank("old-model", 8).enrol(
        name="A",
        relationship=None,
        metadata={},
        photos=[NewPhoto(look(1)[:8], b"%d" % i, Quality(1)) for i in range(40)],
    )
    bank = open_bank()
    assert (bank.foreign_photos, bank.embedding_count) == (40, 0)
    assert bank.search(look(1)[None], 1) == [[]]
    steps: list[tuple[int, int]] = []

    def embed(pictures: object) -> NDArray[np.float32]:
        assert isinstance(pictures, list)
        return np.stack([look(int(picture)) for picture in pictures])

    assert bank.reembed(embed, on_progress=lambda done, total: steps.append((done, total))) == 40
    assert (steps[0], steps[-1]) == ((0, 40), (40, 40))
    assert (bank.foreign_photos, bank.person_count) == (0, 1)
    assert bank.search(look(3)[None], 1)[0][0].person.embedding_count == 40
    assert open_bank().embedding_count == 40


def test_reembedding_goes_on_where_it_was_cut_short(open_bank: Callable[..., MemoryBank]) -> None:
    many = [NewPhoto(look(1)[:8], b"%d" % i, Quality(1)) for i in range(40)]
    open_bank("old-model", 8).enrol(name="A", relationship=None, metadata={}, photos=many)
    calls = 0

    def embed(pictures: object) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        assert isinstance(pictures, list)
        return np.stack([look(int(picture)) for picture in pictures])

    with pytest.raises(KeyboardInterrupt):
        open_bank().reembed(embed, on_progress=lambda *_: None)
    assert open_bank().foreign_photos == 8


@pytest.mark.parametrize("forgotten", [1, 2], ids=["one of a batch", "all of a batch"])
def test_a_photo_forgotten_while_it_is_embedded_leaves_no_vector(
    open_bank: Callable[..., MemoryBank], forgotten: int
) -> None:
    old = open_bank("old-model", 8)
    ids = [
        old.enrol(
            name=str(seed),
            relationship=None,
            metadata={},
            photos=[NewPhoto(look(seed)[:8], b"%d" % seed, Quality(9))],
        ).person_id
        for seed in (1, 2)
    ]
    bank = open_bank()

    def embed(pictures: Sequence[bytes]) -> NDArray[np.float32]:
        for person_id in ids[:forgotten]:
            bank.forget(person_id)
        return np.stack([look(int(picture)) for picture in pictures])

    bank.reembed(embed, on_progress=lambda *_: None)
    assert (bank.person_count, bank.embedding_count, bank.check()) == (2 - forgotten, 2 - forgotten, [])


def test_changes_that_read_what_is_there_all_count(bank: MemoryBank) -> None:
    """Each of several threads adds a key of its own, as often as it can."""
    person = bank.enrol(name="A", relationship=None, metadata={}, photos=[photo(1)])
    together = threading.Barrier(6)

    def add(key: str) -> None:
        together.wait(30)
        for turn in range(3):

            def more(person: Person, turn: int = turn) -> Person:
                return replace(person, metadata={**person.metadata, f"{key}{turn}": turn})

            bank.change(person.person_id, more)

    threads = [threading.Thread(target=add, args=(key,)) for key in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert bank.person(person.person_id).metadata.keys() == {f"{key}{turn}" for key in "abcdef" for turn in range(3)}


def test_a_change_that_is_refused_or_none_writes_nothing(open_bank: Callable[..., MemoryBank]) -> None:
    bank = open_bank()
    person = bank.enrol(name="A", relationship=None, metadata={}, photos=[photo(1)])

    def refuse(person: Person) -> Person:
        raise InvalidValue.of("metadata", "is too long")

    with pytest.raises(InvalidValue):
        bank.change(person.person_id, refuse)
    assert bank.change(person.person_id, lambda person: person) == person
    assert bank.person(person.person_id) == open_bank().person(person.person_id) == person


def test_only_what_may_be_changed_is(bank: MemoryBank) -> None:
    person = bank.enrol(name="A", relationship=None, metadata={}, photos=[photo(1)])
    changed = bank.change(person.person_id, lambda it: replace(it, person_id="other", embedding_count=9, name="B"))
    assert replace(changed, updated_at=person.updated_at) == replace(person, name="B")
    assert bank.persons().persons == (changed,)


KILLED = """
import sys
from pathlib import Path
from tests.bank.test_bank import *
bank = MemoryBank(open_store(Path(sys.argv[1])), model=MODEL, dimension=DIMENSION)
for seed in range(10_000):
    print(bank.enrol(name=f"P{seed}", relationship=None, metadata={}, photos=[photo(seed)]).person_id, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(open_bank: Callable[..., MemoryBank], tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for count in (1, 5, 20):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, cwd=root)
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().decode().strip() for _ in range(count)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += process.stdout.read().decode().split()
        process.stdout.close()
        process.wait()
        bank = open_bank()
        assert all(bank.person(person_id).embedding_count == 1 for person_id in acknowledged)
        assert bank.check() == []
        bank.close()


def test_a_second_process_is_refused(bank: MemoryBank, tmp_path: Path) -> None:
    with pytest.raises(BankError, match="Another Visage"):
        open_store(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, b"SQLite format 3\0" + bytes(100)])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(BankError):
        open_store(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE_NAME)
    other.execute("CREATE TABLE persons (x)")
    other.close()
    with pytest.raises(BankError, match="no file of Visage"):
        open_store(tmp_path)


def test_a_bank_of_a_newer_version_is_refused(open_bank: Callable[..., MemoryBank], tmp_path: Path) -> None:
    open_bank().close()
    newer = sqlite3.connect(tmp_path / FILE_NAME)
    newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.commit()
    newer.close()
    with pytest.raises(BankError, match="newer version"):
        open_bank()


def test_a_first_start_that_was_cut_short_is_made_good(open_bank: Callable[..., MemoryBank], tmp_path: Path) -> None:
    (tmp_path / "visage.new").write_bytes(b"half a database")
    assert open_bank().person_count == 0


def test_the_files_are_the_owners_only(bank: MemoryBank, tmp_path: Path) -> None:
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_a_full_disk_changes_nothing_and_heals(open_bank: Callable[..., MemoryBank], tmp_path: Path) -> None:
    """A file system of one megabyte, really full; where mounting is not permitted, the shell says so."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        bank = MemoryBank(open_store(small), model=MODEL, dimension=DIMENSION)
        kept = bank.enrol(name="Kept", relationship=None, metadata={}, photos=[photo(1)])
        large = NewPhoto(look(2), bytes(2**20), Quality(1))
        with pytest.raises(BankError, match="full"):
            bank.enrol(name="Too large", relationship=None, metadata={}, photos=[large])
        assert bank.person_count == 1
        bank.enrol(name="Small", relationship=None, metadata={}, photos=[photo(3)])
        assert (bank.person_count, bank.check()) == (2, [])
        bank.close()
        again = MemoryBank(open_store(small), model=MODEL, dimension=DIMENSION)
        assert again.person(kept.person_id) == kept
        again.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_readers_never_see_half_of_a_write(bank: MemoryBank) -> None:
    stop = threading.Event()
    halves: list[Person] = []

    def read() -> None:
        while not stop.is_set():
            seen = [hit.person for hit in bank.search(look(1)[None], 50)[0]]
            seen += bank.persons(limit=50).persons
            halves.extend(person for person in seen if person.embedding_count < 1)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for seed in range(40):
        person = bank.enrol(name=str(seed), relationship=None, metadata={}, photos=[photo(seed)])
        bank.add_photos(person.person_id, [photo(seed + 100)])
        if seed % 3 == 0:
            bank.forget(person.person_id)
    stop.set()
    for reader in readers:
        reader.join()
    assert halves == []
    assert bank.check() == []
