"""What lies on the disk: nothing that tells of a person, after forgetting not even what tells nothing; and older
banks are brought to that."""

from __future__ import annotations

import base64
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from tests.bank.test_bank import DIMENSION, MODEL, look, photo
from tests.storage.old_banks import make_old_bank
from visage.bank.bank import MemoryBank
from visage.bank.records import Erasure
from visage.errors import PersonNotFound
from visage.recognition.recognizer import Recognizer
from visage.storage import sqlite_database
from visage.storage.folder import FILE_NAME, OLD_NAME, STAGE_NAME
from visage.storage.sqlite import open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def open_bank(tmp_path: Path) -> Iterator[Callable[[], MemoryBank]]:
    """Opens the bank of this test; what is left open is closed at the end."""
    opened: list[MemoryBank] = []

    def open_it() -> MemoryBank:
        for bank in opened:
            bank.close()
        opened.append(MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION))
        return opened[-1]

    yield open_it
    for bank in opened:
        bank.close()


def files(folder: Path) -> bytes:
    """Every file of a folder, but for the models and the key."""
    wanted = [p for p in folder.rglob("*") if p.is_file() and "compiled" not in p.parts and p.name != "master.key"]
    return b"".join(path.read_bytes() for path in wanted)


def writings(text: str) -> list[bytes]:
    """A text as it might be found: several encodings, JSON escapes, base64 at each offset."""
    encoded = [text.encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")]
    escaped = text.encode("unicode_escape")
    shifted = [base64.b64encode(bytes(shift) + text.encode())[4:-4] for shift in range(3)]
    return [*encoded, escaped, *shifted, text.encode().hex().encode()]


def sealed(folder: Path, person_id: str) -> list[bytes]:
    """The ciphertexts of a person, all columns, cut into pieces that fit into a page."""
    values: list[bytes] = []
    with closing(sqlite3.connect(folder / FILE_NAME)) as file:
        for query in (
            "SELECT key, content FROM persons WHERE person_id = ?",
            "SELECT quality, picture FROM photos WHERE person_id = ?",
            "SELECT vector FROM embeddings JOIN photos USING (photo_id) WHERE person_id = ?",
            "SELECT vector FROM counter_examples WHERE person_id = ?",
            "SELECT content FROM undos WHERE person_id = ?",
        ):
            values += [value for row in file.execute(query, (person_id,)) for value in row]
    return [value[start : start + 16] for value in values for start in range(0, len(value) - 15, 64)]


def test_no_name_face_or_embedding_is_readable_in_any_file(
    recognizer: Recognizer, photos: dict[str, Path], tmp_path: Path
) -> None:
    """With the real models and a real photo: 320×320 JPEG, 192 floats."""
    image = photos["obama"].read_bytes()
    name, relationship, note = "Käthe Müller-Lüdenscheidt", "Urgroßtante", "Insulin in the fridge"
    enrolled = recognizer.enrol(images=[image], name=name, relationship=relationship, metadata={"note": note}).person
    (stored,) = recognizer.bank.photos(enrolled.person_id)
    recognizer.bank.reject(enrolled.person_id, look192(7))
    picture = recognizer.bank.picture(enrolled.person_id, stored.photo_id)
    assert picture[:3] == b"\xff\xd8\xff"
    vector = recognizer.bank.template(enrolled.person_id)
    everything = files(tmp_path / "data")
    for text in (name, relationship, note):
        assert not [found for found in writings(text) if found in everything]
    for marker in (b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb", b"JFIF", b"Exif\0\0"):
        assert marker not in everything
    assert not [start for start in range(0, len(picture) - 15, 16) if picture[start : start + 16] in everything]
    for values in (vector, look192(7)):
        for dtype in ("<f4", ">f4", "<f8", "<f2"):
            raw = values.astype(dtype).tobytes()
            assert not [start for start in range(0, len(raw) - 7, 8) if raw[start : start + 8] in everything]
    assert recognizer.bank.forget(enrolled.person_id) is True


def look192(seed: int) -> NDArray[np.float32]:
    """A unit vector of the real model's size."""
    vector = np.random.default_rng(seed).normal(size=192).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def test_forgetting_leaves_not_even_the_ciphertext(
    open_bank: Callable[[], MemoryBank], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among many others, whose coming and going moves rows from page to page. The file is not written anew for it."""
    bank = open_bank()
    statements: list[str] = []
    original = sqlite_database.outside_transaction

    def watch(engine: sa.Engine, statement: str) -> None:
        statements.append(statement)
        original(engine, statement)

    monkeypatch.setattr(sqlite_database, "outside_transaction", watch)
    rng = np.random.default_rng(0)
    people = []
    for seed in range(40):
        pictures = [replace(photo(seed), picture=rng.bytes(int(rng.integers(20, 9000)))) for _ in range(3)]
        people.append(
            bank.enrol(
                name=f"P{seed}",
                relationship=None,
                metadata={},
                photos=pictures,
            ).person_id
        )
    bank.reject(people[5], look(99))
    bank.merge(people[5], people[6], kept=lambda _: True)
    del people[6]
    for person_id in people[::3]:
        bank.update(person_id, metadata={"long": "x" * 700})
    for person_id in people[:30:2]:
        pieces = sealed(tmp_path, person_id)
        assert len(pieces) > 10
        assert bank.forget(person_id) is True
        everything = files(tmp_path)
        assert not [piece for piece in pieces if piece in everything]
        with pytest.raises(PersonNotFound):
            bank.person(person_id)
    assert set(statements) == {"PRAGMA user_version=0"}
    assert open_bank().check() == []
    assert open_bank().person_count == len(people) - 15


def test_forgetting_a_photo_leaves_not_even_its_ciphertext(
    open_bank: Callable[[], MemoryBank], tmp_path: Path
) -> None:
    bank = open_bank()
    ann = bank.enrol(name="Ann", relationship=None, metadata={}, photos=[photo(1), photo(2)])
    before = set(sealed(tmp_path, ann.person_id))
    assert bank.forget_photo(ann.person_id, bank.photos(ann.person_id)[0].photo_id) is True
    gone = before - set(sealed(tmp_path, ann.person_id))
    everything = files(tmp_path)
    assert len(gone) > 3
    assert not [piece for piece in gone if piece in everything]


def test_after_a_merge_nothing_is_left_under_the_old_key(open_bank: Callable[[], MemoryBank], tmp_path: Path) -> None:
    bank = open_bank()
    ann, bob = [
        bank.enrol(name=name, relationship=None, metadata={}, photos=[photo(seed)]).person_id
        for seed, name in enumerate(("Ann", "Bob"))
    ]
    old = sealed(tmp_path, bob)
    undo = bank.merge(ann, bob, kept=lambda _: True)
    assert not [piece for piece in old if piece in files(tmp_path)]
    moved = set(sealed(tmp_path, ann))
    bank.undo(undo.undo_id)
    moved -= set(sealed(tmp_path, ann))
    assert moved
    assert not [piece for piece in moved if piece in files(tmp_path)]


def test_a_trace_that_cannot_be_removed_is_admitted_and_removed_later(
    open_bank: Callable[[], MemoryBank], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = open_bank()
    ann = bank.enrol(name="Ann", relationship=None, metadata={}, photos=[photo(1)])
    pieces = sealed(tmp_path, ann.person_id)
    (tmp_path / STAGE_NAME).mkdir()
    (tmp_path / STAGE_NAME / FILE_NAME).write_bytes(b"a bank that is being restored")
    assert bank.forget(ann.person_id) is False
    rewritten: list[str] = []
    original = sqlite_database.outside_transaction

    def watch(engine: sa.Engine, statement: str) -> None:
        rewritten.append(statement)
        original(engine, statement)

    monkeypatch.setattr(sqlite_database, "outside_transaction", watch)
    open_bank()
    assert rewritten[0] == "VACUUM"
    assert not [piece for piece in pieces if piece in files(tmp_path)]


def test_what_was_forgotten_is_forgotten_again_in_an_older_copy(
    open_bank: Callable[[], MemoryBank], tmp_path: Path
) -> None:
    bank = open_bank()
    ann, bob, cid, dan = [
        bank.enrol(name=name, relationship=None, metadata={}, photos=[photo(seed), photo(seed + 10)]).person_id
        for seed, name in enumerate(("Ann", "Bob", "Cid", "Dan"))
    ]
    bank.close()
    backup = (tmp_path / FILE_NAME).read_bytes()
    bank = open_bank()
    bank.merge(bob, ann, kept=lambda _: True)
    bank.merge(cid, bob, kept=lambda _: True)
    theirs = {each.photo_id for each in bank.photos(cid)} | {each.undo_id for each in bank.undos(cid)}
    bank.forget(cid)  # and with him those who were found to be him
    removed = bank.photos(dan)[0].photo_id
    bank.forget_photo(dan, removed)
    erasures = bank._store.erasures()
    assert {erasure.erased_id for erasure in erasures} == {ann, bob, cid, removed, *theirs}
    assert all(abs((datetime.now(UTC) - erasure.erased_at).total_seconds()) < 60 for erasure in erasures)
    bank.close()
    (tmp_path / FILE_NAME).write_bytes(backup)
    store = open_store(tmp_path)
    assert store.apply_erasures([*erasures, Erasure("never here", datetime.now(UTC))]) == 4
    assert store.apply_erasures(erasures) == 0
    assert {erasure.erased_id for erasure in store.erasures()} == {ann, bob, cid, removed, *theirs, "never here"}
    store.close()
    bank = open_bank()
    assert [person.person_id for person in bank.persons().persons] == [dan]
    assert len(bank.photos(dan)) == 1
    assert bank.check() == []


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_an_older_bank_is_encrypted_at_the_first_start(
    open_bank: Callable[[], MemoryBank], tmp_path: Path, caplog: pytest.LogCaptureFixture, revision: str
) -> None:
    people = make_old_bank(tmp_path, revision)
    secrets = [b"Ann", b"Bob", b"aunt", b"BLURRED", photo(1).picture, look(1).tobytes()[:8], look(9).tobytes()[:8]]
    with caplog.at_level(logging.WARNING, "visage"):
        bank = open_bank()
    assert f"{OLD_NAME} is a copy of it as it was, NOT encrypted" in caplog.text
    assert (tmp_path / OLD_NAME).stat().st_mode & 0o077 == 0
    assert [bank.person(person.person_id) for person in people] == people
    assert [len(bank.counter_examples(person.person_id)) for person in people] == [int(revision > "0001"), 0]
    assert bank.picture("person-1", "photo-1") == photo(1).picture
    assert not [secret for secret in secrets if secret in (tmp_path / FILE_NAME).read_bytes()]
    with closing(sqlite3.connect(tmp_path / OLD_NAME)) as old:
        assert old.execute("SELECT name FROM persons ORDER BY name").fetchall() == [("Ann",), ("Bob",)]
    for undo in bank.undos("person-1"):
        bank.undo(undo.undo_id)
    assert bank.counter_examples("person-1") == ()
    with caplog.at_level(logging.INFO, "visage"):
        assert open_bank().check() == []
    assert "was removed" in caplog.text
    assert not (tmp_path / OLD_NAME).exists()
    assert not [secret for secret in secrets if secret in files(tmp_path)]


def test_forgetting_takes_the_unencrypted_copy_along(open_bank: Callable[[], MemoryBank], tmp_path: Path) -> None:
    make_old_bank(tmp_path)
    bank = open_bank()
    assert b"Bob" in files(tmp_path)
    assert bank.forget("person-2") is True
    assert not (tmp_path / OLD_NAME).exists()
    assert b"Bob" not in files(tmp_path)


def test_an_older_bank_that_a_kill_left_in_the_middle_of_a_write_is_encrypted_whole(tmp_path: Path) -> None:
    """A hot journal beside the old file: it is rolled back first."""
    make_old_bank(tmp_path)
    script = f"""
import os, sqlite3
db = sqlite3.connect({str(tmp_path / FILE_NAME)!r}, isolation_level=None)
db.execute("PRAGMA cache_size=1")
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE persons SET name = 'half'")
db.executemany("INSERT INTO photos VALUES (?, 'person-1', '', ?, 0)", [(str(i), bytes(5000)) for i in range(200)])
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert (tmp_path / f"{FILE_NAME}-journal").stat().st_size > 0
    with closing(MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION)) as bank:
        assert sorted(person.name for person in bank.persons().persons) == ["Ann", "Bob"]
        assert bank.check() == []


@pytest.mark.parametrize(
    "scenario,every",
    [
        ("first_start", 8),
        ("migration", 5),
        ("rotation", 5),
        ("protection", 8),
        ("deletion", 5),
        ("restoration", 12),
        ("moving_out", 15),
    ],
)
def test_a_change_that_is_killed_at_any_step_is_done_or_not_done(tmp_path: Path, scenario: str, every: int) -> None:
    """Here at every few steps; `make torture` kills at each."""
    command = [sys.executable, "-m", "tests.storage.killing", scenario, str(tmp_path / "bank"), str(every)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
