"""The audit log's chain and its anchor, in a real database."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from visage.admin import audit
from visage.admin.audit import CUT, Audit
from visage.errors import BankError, InvalidValue
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KEY_FILE_NAME
from visage.storage.sqlite import open_store


@contextmanager
def opened(data_dir: Path) -> Iterator[Audit]:
    """The log of a bank."""
    store = open_store(data_dir)
    try:
        yield Audit(store.transaction, data_dir)
    finally:
        store.close()


def write(data_dir: Path, count: int) -> None:
    """Open the log, write entries, close it."""
    with opened(data_dir) as log:
        for number in range(count):
            log.append("local", "register", f"id-{number}", "ok")


def forge(data_dir: Path, *statements: str) -> None:
    """What somebody does who may write the file."""
    with sqlite3.connect(data_dir / FILE_NAME) as database:
        for statement in ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", *statements):
            database.execute(statement)
    database.close()


def test_entries_come_back_newest_first_and_in_pages(tmp_path: Path) -> None:
    write(tmp_path, 5)
    with opened(tmp_path) as log:
        assert [entry.subject for entry in log.page(2)] == ["id-4", "id-3"]
        assert [entry.number for entry in log.page(10, before=3)] == [2, 1]
        check = log.verify()
    assert (check.entries, check.faults, check.cuts) == (5, (), ())


def test_no_statement_changes_or_removes_an_entry(tmp_path: Path) -> None:
    write(tmp_path, 1)
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with sqlite3.connect(tmp_path / FILE_NAME) as database, pytest.raises(sqlite3.IntegrityError):
            database.execute(statement)
        database.close()


@pytest.mark.parametrize(
    "statement,fault",
    [
        ("UPDATE audit SET actor = 'x' WHERE number = 3", "Entry 3 was changed"),
        ("UPDATE audit SET subject = NULL WHERE number = 3", "Entry 3 was changed"),
        ("UPDATE audit SET at = at + 1 WHERE number = 5", "Entry 5 was changed"),
        ("UPDATE audit SET hash = previous WHERE number = 3", "Entry 4 does not follow entry 3"),
        ("DELETE FROM audit WHERE number = 3", "Entries 3 to 3 are missing"),
        ("DELETE FROM audit WHERE number = 1", "Entries 1 to 1 are missing"),
        ("DELETE FROM audit WHERE number > 3", "The end of the log is missing"),
        ("DELETE FROM audit", "The end of the log is missing"),
    ],
)
def test_what_was_forged_is_noticed(tmp_path: Path, statement: str, fault: str) -> None:
    write(tmp_path, 5)
    with opened(tmp_path) as log:
        forge(tmp_path, statement)
        assert any(text.startswith(fault) for text in log.verify().faults)


def cut_rows(data_dir: Path) -> None:
    forge(data_dir, "DELETE FROM audit WHERE number > 3")


def older_database(data_dir: Path) -> None:
    shutil.copy(data_dir / "older.db", data_dir / FILE_NAME)


def no_anchor(data_dir: Path) -> None:
    (data_dir / audit.FILE_NAME).unlink()


def spoilt_anchor(data_dir: Path) -> None:
    (data_dir / audit.FILE_NAME).write_text("nonsense")


def fresh_database(data_dir: Path) -> None:
    for name in (FILE_NAME, KEY_FILE_NAME, "visage.lock"):  # all that tells the bank was there
        (data_dir / name).unlink()


@pytest.mark.parametrize("attack", [cut_rows, older_database, no_anchor, spoilt_anchor, fresh_database])
def test_a_start_notices_that_the_end_was_cut_and_writes_it_down_for_good(
    tmp_path: Path, attack: Callable[[Path], None]
) -> None:
    write(tmp_path, 3)
    shutil.copy(tmp_path / FILE_NAME, tmp_path / "older.db")
    write(tmp_path, 2)
    attack(tmp_path)
    write(tmp_path, 1)
    with opened(tmp_path) as log:
        check = log.verify()
    assert check.faults == ()
    assert [entry.operation for entry in check.cuts] == [CUT]


def test_a_crash_between_the_entry_and_the_anchor_is_no_cut(tmp_path: Path) -> None:
    write(tmp_path, 3)
    older = (tmp_path / audit.FILE_NAME).read_text()
    write(tmp_path, 1)
    (tmp_path / audit.FILE_NAME).write_text(older)
    write(tmp_path, 1)
    with opened(tmp_path) as log:
        check = log.verify()
    assert (check.entries, check.faults, check.cuts) == (5, (), ())


def test_a_head_that_was_noted_down_finds_a_log_that_was_written_anew(tmp_path: Path) -> None:
    write(tmp_path / "a", 3)
    with opened(tmp_path / "a") as log:
        head = log.verify().head
        log.append("local", "register", None, "ok")
        assert log.verify(head).faults == ()
        with pytest.raises(InvalidValue):
            log.verify("nonsense")
    write(tmp_path / "b", 4)  # another log, whole in itself
    with opened(tmp_path / "b") as forged:
        assert forged.verify().faults == ()
        assert forged.verify(head).faults == ("The head that you noted down is not in the log",)


def test_a_log_that_cannot_be_anchored_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        (tmp_path / "audit.head.new").mkdir()
        with pytest.raises(BankError):
            log.append("local", "register", None, "ok")
        (tmp_path / "audit.head.new").rmdir()
        log.append("local", "register", None, "ok")
        assert log.verify().faults == ()
