"""What SQLite does to a bank: what it leaves behind, what its errors mean, and that one process alone writes."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.bank.test_bank import photo
from tests.storage.test_backup import fill, names, opened
from visage.errors import BankError
from visage.storage import traces
from visage.storage.folder import FILE_NAME, LOCK_NAME
from visage.storage.sqlite_database import connect, in_words


def test_what_sqlite_leaves_behind_is_found_and_overwritten_and_nothing_else_is_touched(tmp_path: Path) -> None:
    """Random rows that come, grow, shrink and go, so that the tree is balanced again and again. What the search finds
    is what a search of the whole file finds."""
    chance = random.Random(3)
    path = tmp_path / "file.db"
    rows: dict[int, bytes] = {}
    left = deleted = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA synchronous=OFF")
        file.execute("PRAGMA secure_delete=ON")
        file.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB)")
        roots = [row[0] for row in file.execute("SELECT rootpage FROM sqlite_schema")]
    for _ in range(60):
        gone: list[bytes] = []
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute("PRAGMA synchronous=OFF")
            file.execute("PRAGMA secure_delete=ON")
            file.execute("BEGIN")
            for _ in range(50):
                key = chance.randrange(400)
                if key in rows and chance.random() < 0.4:
                    gone.append(rows.pop(key)[:12])
                    file.execute("DELETE FROM t WHERE id = ?", [key])
                else:
                    if key in rows:
                        gone.append(rows[key][:12])
                    rows[key] = chance.randbytes(chance.choice([40, 300, 900, 6000]))
                    file.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", [key, rows[key]])
            file.execute("COMMIT")
        content = path.read_bytes()
        there = {trace for trace in gone if trace in content}
        places = traces.find(path, roots, gone)
        assert {content[start:end] for start, end in places} == there
        traces.overwrite(path, places)
        content = path.read_bytes()
        assert not any(trace in content for trace in gone)
        left, deleted = left + len(there), deleted + len(gone)
        with closing(sqlite3.connect(path)) as file:
            assert dict(file.execute("SELECT id, value FROM t").fetchall()) == rows
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert 0 < left < deleted, "nothing was left behind: this test shows nothing"


def test_a_tree_that_is_damaged_is_searched_whole(tmp_path: Path) -> None:
    fill(tmp_path, "Ann")
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    trace = bytes(range(100, 112))
    content[5 * 4096 : 5 * 4096 + 12] = trace
    (tmp_path / FILE_NAME).write_bytes(content)
    for roots in ([10**6], [1], [6]):
        assert traces.find(tmp_path / FILE_NAME, roots, [trace]) == [(5 * 4096, 5 * 4096 + 12)]


def failure(connection: sqlite3.Connection, *statements: str) -> Exception:
    with pytest.raises(sqlite3.Error) as error:
        for statement in statements:
            connection.execute(statement)
    return error.value


def test_an_error_is_told_by_its_code_and_not_by_words_in_it(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("CREATE TABLE t (label TEXT)")
        for word in ("full access", "readonly", "malformed", "no such table", "unable to open"):
            trigger = f"CREATE TRIGGER a BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, 'the key {word}'); END"
            error = failure(file, trigger, "INSERT INTO t VALUES (1)")
            assert in_words(error) == "The bank cannot be read or written; nothing was changed"
            file.execute("DROP TRIGGER a")
        assert "is damaged" in in_words(failure(file, "SELECT * FROM other"))
        assert "is damaged" in in_words(failure(file, "SELECT other FROM t"))
        file.execute("PRAGMA max_page_count=3")
        assert "disk is full" in in_words(failure(file, "INSERT INTO t VALUES (zeroblob(100000))"))
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
        assert "cannot be written" in in_words(failure(file, "INSERT INTO t VALUES (1)"))
    path.write_bytes(b"no database" * 1000)
    with closing(sqlite3.connect(path)) as file:
        assert "is damaged" in in_words(failure(file, "SELECT * FROM t"))


def test_two_processes_do_not_write_after_the_lock_file_was_removed_by_hand(tmp_path: Path) -> None:
    """The first notices, and writes nothing any more."""
    fill(tmp_path, "Ann")
    first = opened(tmp_path)
    (tmp_path / LOCK_NAME).unlink()
    second = opened(tmp_path)
    second.enrol(name="Bob", relationship=None, metadata={}, photos=[photo(2)])
    with pytest.raises(BankError, match="lock file of the bank was removed"):
        first.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)])
    with pytest.raises(BankError):
        first.forget(first.named("Ann")[0].person_id)
    second.enrol(name="Dan", relationship=None, metadata={}, photos=[photo(4)])
    first.close()
    second.close()
    assert names(tmp_path) == ["Ann", "Bob", "Dan"]


def test_what_is_written_reaches_the_disk_on_macos_too(tmp_path: Path) -> None:
    fill(tmp_path, "Ann")
    engine = connect(tmp_path / FILE_NAME)
    with engine.begin() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("fullfsync", "synchronous")
        }
    engine.dispose()
    assert settings == {"fullfsync": 1, "synchronous": 2}
