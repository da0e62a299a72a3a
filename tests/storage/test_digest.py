"""What is put back or taken out by SQL is noticed; what Visage does is not taken for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.bank.test_bank import look, photo
from tests.storage.test_backup import fill, opened
from visage.bank.bank import MemoryBank
from visage.clock import wall_clock
from visage.storage import digest, rekeying
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KeySource
from visage.storage.schema import vault_table
from visage.storage.sqlite import open_store
from visage.storage.vault import new_key

TABLES = ("persons", "photos", "embeddings", "counter_examples", "undos", "merges", "erasures", "vault")
Snapshot = dict[str, tuple[list[str], list[tuple[object, ...]]]]
Act = Callable[[MemoryBank, dict[str, str]], object]


def snapshot(folder: Path) -> Snapshot:
    with closing(sqlite3.connect(folder / FILE_NAME)) as file:
        found = {}
        for table in TABLES:
            rows = file.execute(f"SELECT * FROM {table}")
            found[table] = ([column[0] for column in rows.description], rows.fetchall())
        return found


def put_back(folder: Path, old: Snapshot, *tables: str) -> None:
    """Rows that are not there any more come back, others get their old values; nothing is removed."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as file, file:
        for table in tables:
            columns, rows = old[table]
            marks = ",".join("?" * len(columns))
            file.executemany(f"INSERT OR REPLACE INTO {table} ({','.join(columns)}) VALUES ({marks})", rows)


@pytest.mark.parametrize(
    "act,tables",
    [
        (lambda bank, ids: bank.update(ids["Ann"], name="Anna"), ["persons"]),
        (lambda bank, ids: bank.forget(ids["Ann"]), ["persons"]),
        (lambda bank, ids: bank.forget(ids["Ann"]), ["persons", "photos", "embeddings"]),
        (lambda bank, ids: bank.forget_photo(ids["Bob"], bank.photos(ids["Bob"])[0].photo_id), ["photos"]),
        (lambda bank, ids: bank.undo(bank.undos(ids["Bob"])[0].undo_id), ["counter_examples"]),
        (lambda bank, ids: bank.undo(bank.undos(ids["Bob"])[0].undo_id), ["undos"]),
        (lambda bank, ids: bank.merge(ids["Ann"], ids["Bob"], kept=lambda _: True), ["persons"]),
    ],
)
def test_what_is_put_back_is_noticed(tmp_path: Path, act: Act, tables: list[str]) -> None:
    ids = fill(tmp_path, "Ann", "Bob")
    with closing(opened(tmp_path)) as bank:
        bank.add_photos(ids["Bob"], [photo(5)])
        bank.reject(ids["Bob"], look(9))
        old = snapshot(tmp_path)
        act(bank, ids)
        assert bank.check() == []
    put_back(tmp_path, old, *tables)
    with closing(opened(tmp_path)) as bank:
        assert any("put back" in fault for fault in bank.check())
        bank.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)])
    with closing(opened(tmp_path)) as bank:  # what is written later does not make it right
        assert any("put back" in fault for fault in bank.check())


@pytest.mark.parametrize("table", ["photos", "counter_examples", "undos", "merges", "erasures"])
def test_what_is_taken_out_is_noticed(tmp_path: Path, table: str) -> None:
    ids = fill(tmp_path, "Ann", "Bob", "Cid")
    with closing(opened(tmp_path)) as bank:
        bank.reject(ids["Ann"], look(9))
        bank.merge(ids["Ann"], ids["Bob"], kept=lambda _: True)
        bank.forget(ids["Cid"])
        assert bank.check() == []
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        file.execute("PRAGMA foreign_keys=ON")
        key = file.execute(f"SELECT * FROM {table} LIMIT 1").description[0][0]
        assert file.execute(f"DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})").rowcount == 1
    with closing(opened(tmp_path)) as bank:
        assert any("put back, removed" in fault for fault in bank.check())


@pytest.mark.parametrize("value", ["X''", "zeroblob(61)", "'text'"])
def test_a_digest_that_is_taken_away_is_noticed(tmp_path: Path, value: str) -> None:
    fill(tmp_path, "Ann")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        file.execute(f"UPDATE vault SET digest = {value}")
    for _ in range(2):
        with closing(opened(tmp_path)) as bank:
            assert len(bank.check()) == 1
            bank.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)])


def test_a_change_of_key_takes_the_bank_as_it_is(tmp_path: Path) -> None:
    """By who has looked at it."""
    ids = fill(tmp_path, "Ann", "Bob")
    with closing(opened(tmp_path)) as bank:
        old = snapshot(tmp_path)
        bank.update(ids["Ann"], name="Anna")
    put_back(tmp_path, old, "persons")
    with closing(open_store(tmp_path)) as store:
        assert store.check()
        rekeying.rotate(store, KeySource(), tmp_path, new_key())
        assert store.check() == []


@pytest.mark.parametrize("was", ["right", "wrong", "unknown"])
def test_an_update_takes_for_right_only_what_was(tmp_path: Path, was: str) -> None:
    """A bank of before the times were in the digest."""
    fill(tmp_path, "Ann")
    with closing(open_store(tmp_path)) as store:
        vault, bank_id, _ = store.vault()
        with store.transaction() as connection:
            sums = digest.of_rows(connection, vault, None, old=True)
            sealed = vault.seal_digest(bank_id, sums.total + (was == "wrong"))
            connection.execute(vault_table.update(), {"digest": b"" if was == "unknown" else sealed})
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0008'")
    for _ in range(2):
        with closing(opened(tmp_path)) as bank:
            assert (bank.check() == []) == (was == "right")
            assert any("without its key" in fault for fault in bank.check()) == (was == "unknown")
            bank.note_seen({person.person_id: wall_clock() for person in bank.persons().persons})
            assert (bank.check() == []) == (was == "right")


def test_every_verb_moves_the_digest_on(tmp_path: Path) -> None:
    """`test_together.py` tries them in any order; here are those that it does not know."""
    ids = fill(tmp_path, "Ann", "Bob")
    with closing(opened(tmp_path)) as bank:
        undo = bank.reject(ids["Ann"], look(9))
        bank.undo(undo.undo_id)
        assert bank.check() == []
        bank.update(ids["Bob"], metadata={"n": 2})
        assert bank.check() == []
    with closing(open_store(tmp_path)) as store:
        with store.transaction() as connection:
            (photo_id,) = connection.exec_driver_sql("SELECT photo_id FROM photos LIMIT 1").fetchone()  # type: ignore[misc]
        store.add_embeddings("another model", {photo_id: look(3)})
        assert store.check() == []
