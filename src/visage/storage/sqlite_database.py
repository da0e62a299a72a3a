"""SQLite at work: how the bank's file is opened and asked, and how what was deleted leaves it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from visage import sqlite
from visage.errors import BankError, NotReady
from visage.storage import digest, traces
from visage.storage.erasing import erase
from visage.storage.folder import FILE_NAME, OLD_NAME, is_staged, set_aside, still_locked
from visage.storage.keys import erase_file
from visage.storage.schema import erasures_table, vault_table
from visage.storage.shape import differences, refuse_programs

log = logging.getLogger("visage")

_APPLICATION_ID = 0x56495347  # "VISG": marks the file as ours


class SqliteDatabase:
    """The bank's file, open, for one process.

    SQLite overwrites what it deletes (secure_delete), but may have left a copy where it once moved rows from page to
    page. Those copies are searched for and overwritten (`traces.py`).

    Args:
        data_dir: of the bank.
        lock_file: held open, and so locked, while the database is.
    """

    def __init__(self, data_dir: Path, lock_file: IO[bytes]) -> None:
        self._data_dir = data_dir
        self._engine = connect(data_dir / FILE_NAME)
        self._lock_file: IO[bytes] | None = lock_file
        self._turn = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """As `Database`."""
        with self._turn:
            if self._lock_file is None:  # a request that began before the bank was replaced
                raise NotReady
            try:
                with self._engine.begin() as connection:
                    # Asked within the transaction: whoever finds no lock after this finds what is written here.
                    if not still_locked(self._data_dir, self._lock_file):
                        raise BankError(
                            "The lock file of the bank was removed while it was in use: another Visage may be using "
                            "it. Nothing was changed; see to it that none does, and start this one again"
                        )
                    yield connection
            except (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, KeyError) as exc:
                raise BankError(in_words(exc)) from exc

    def faults(self, connection: sa.Connection) -> list[str]:
        """As `Database`."""
        faults = [text for (text,) in connection.execute(sa.text("PRAGMA integrity_check")) if text != "ok"]
        faults += differences(connection)
        return faults + [
            f"A row of {table} points to a row of {parent} that is not there"
            for table, _, parent, _ in connection.execute(sa.text("PRAGMA foreign_key_check"))
        ]

    def owe(self, connection: sa.Connection) -> None:
        """As `Database`: the mark is in the header of the file."""
        connection.exec_driver_sql("PRAGMA user_version=1")

    def scrub(self, left: Sequence[bytes] | None, *, moved: bool = False) -> bool:
        """As `Database`. A file that is being restored has not heard of it yet, and will."""
        with self._turn:
            others = [self._erase_old(), self._forget_in_set_aside(), moved or not is_staged(self._data_dir)]
            if left is None:
                outside_transaction(self._engine, "VACUUM")
            else:
                self._overwrite(left)
            if all(others):
                outside_transaction(self._engine, "PRAGMA user_version=0")
        return all(others)

    def make_up(self) -> None:
        """Rewrite the file if that is owed."""
        with self.transaction() as connection:
            owed = connection.exec_driver_sql("PRAGMA user_version").scalar()
        if owed:
            self.scrub(None)

    def release(self) -> IO[bytes] | None:
        """As `Database`."""
        with self._turn:
            self._engine.dispose()
            lock_file, self._lock_file = self._lock_file, None
            return lock_file

    def _overwrite(self, left: Sequence[bytes]) -> None:
        with self.transaction() as connection:
            query = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
            roots = list(connection.exec_driver_sql(query).scalars())
        path = self._data_dir / FILE_NAME
        if places := traces.find(path, roots, left):
            self._engine.dispose()  # a page that it holds in memory would bring them back
            traces.overwrite(path, places)

    def _erase_old(self) -> bool:
        try:
            erase_file(self._data_dir / OLD_NAME)
        except BankError as error:
            log.warning("%s; it may hold what is forgotten. Remove it yourself", error.message)
            return False
        return True

    def _forget_in_set_aside(self) -> bool:
        """Banks that a restore set aside forget too; no key is needed for that. True: all of them have."""
        banks = set_aside(self._data_dir)
        if not banks:
            return True
        with self.transaction() as connection:
            erased = list(connection.scalars(sa.select(erasures_table.c.erased_id)))
        forgotten = [_forget_in(path, erased) for path in banks]  # all of them, also after one that cannot
        return all(forgotten)


def _forget_in(path: Path, erased: Sequence[str]) -> bool:
    """Let a bank that was set aside forget. One that cannot be read is not erased for that: it is named."""
    other = connect(path)
    try:
        with other.begin() as connection:
            refuse_programs(connection)
            _, removed = erase(connection, erased)
            if removed:
                connection.exec_driver_sql("PRAGMA user_version=1")
                if "digest" in {column["name"] for column in sa.inspect(connection).get_columns(vault_table.name)}:
                    connection.execute(vault_table.update(), {"digest": digest.UNKNOWN})
            owed = connection.exec_driver_sql("PRAGMA user_version").scalar()
        if owed:
            outside_transaction(other, "VACUUM")
            outside_transaction(other, "PRAGMA user_version=0")
    except (BankError, sa.exc.SQLAlchemyError, sqlite3.Error, OSError):
        log.warning(
            "%s, a bank that was set aside, cannot be read or written; it may hold what is forgotten. If you do not "
            "need it any more, remove it yourself",
            path.name,
        )
        return False
    finally:
        other.dispose()
    return True


def connect(path: Path, *, fresh: bool = False, foreign_keys: bool = True) -> sa.Engine:
    """An engine for the file of a bank; raises as `visage.sqlite.connect`."""
    return sqlite.connect(path, _APPLICATION_ID, fresh=fresh, foreign_keys=foreign_keys)


def outside_transaction(engine: sa.Engine, statement: str) -> None:
    """Run what SQLite runs outside of transactions only."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


def in_words(exc: Exception) -> str:
    """What a carer can do something about; the log has the rest."""
    return sqlite.in_words(exc, "The bank", "; restore a backup")
