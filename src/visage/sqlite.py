"""How a SQLite file of Visage is opened, and what its errors mean.

SQLite runs with a rollback journal (TRUNCATE), not a write-ahead log: Debian 12's SQLite has a known reset race
there, and what is read into memory at start gains nothing from it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from visage import durable
from visage.errors import BankError

_READ_ONLY = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
_MACHINE = _READ_ONLY | {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
}
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA})


def connect(path: Path, application_id: int, *, fresh: bool = False, foreign_keys: bool = True) -> sa.Engine:
    """An engine for one file.

    Args:
        path: of the file; one that is missing is not made.
        application_id: marks what the file is.
        fresh: it is empty, and gets the mark.
        foreign_keys: whether they are enforced.

    Raises (at its first use):
        BankError: the file has another mark.
    """

    def open_it() -> sqlite3.Connection:
        # As a URI, so that a file that is missing is not made; quoted, since a path may hold #, ? and %.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        try:
            if fresh:
                connection.execute(f"PRAGMA application_id={application_id}")
            elif connection.execute("PRAGMA application_id").fetchone()[0] != application_id:
                raise BankError(f"{path.name} is damaged, or no file of Visage. It was left untouched")
            for pragma in (
                "trusted_schema=OFF",
                "journal_mode=TRUNCATE",
                "synchronous=FULL",
                "secure_delete=ON",
                "temp_store=MEMORY",
                "fullfsync=ON",  # macOS: to the disk, as `durable.py` does
                f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        # A text that a broken disk made unreadable is another text: it opens nothing, and spoils no other row.
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        return connection

    # isolation_level=None makes the driver begin nothing by itself; transactions then cover schema changes too.
    engine = sa.create_engine("sqlite://", creator=open_it, poolclass=StaticPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def is_of_the_machine(exc: BaseException | None) -> bool:
    """Is the disk, the memory or another process to blame, and not what is in the file?"""
    return isinstance(exc, OSError | MemoryError) or (exc is not None and code_of(exc) in _MACHINE)


def journal_of(path: Path) -> Path:
    """Where SQLite notes how to take back what a killed process had begun."""
    return path.with_name(f"{path.name}-journal")


def make_draft(path: Path) -> None:
    """An empty file for a database that is not complete yet, which only its owner may read. What a start that was cut
    short has left there is removed, and never written through: it may be a link.

    Raises:
        OSError: it cannot be made.
    """
    for left in (path, journal_of(path)):
        left.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def put_in_place(draft: Path, path: Path) -> None:
    """Give a database that is complete its name, beside the draft; durable when this returns.

    Raises:
        OSError: it cannot be.
    """
    durable.sync(draft)
    draft.replace(path)
    journal_of(draft).unlink(missing_ok=True)
    durable.sync(path.parent)


def code_of(exc: BaseException) -> int | None:
    """SQLite's primary result code of an error; None where it has none."""
    code: int | None = getattr(getattr(exc, "orig", exc), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def in_words(exc: BaseException, what: str, remedy: str = "") -> str:
    """What a carer can do something about, by the error's code: its text may hold what somebody typed.

    Args:
        exc: of SQLite, or of SQLAlchemy about one.
        what: is concerned.
        remedy: where it is damaged.
    """
    code = code_of(exc)
    # A table or column that is missing has no code of its own; there the text is SQLite's, with a name that is ours.
    said = str(getattr(exc, "orig", exc))
    is_missing = code == sqlite3.SQLITE_ERROR and said.startswith(("no such table", "no such column"))
    if code == sqlite3.SQLITE_FULL:
        return "The disk is full; nothing was changed"
    if code in _READ_ONLY:
        return f"{what} cannot be written; check the rights of the data directory"
    if is_missing or code in _DAMAGED:
        return f"{what} is damaged. It was left untouched{remedy}"
    return f"{what} cannot be read or written; nothing was changed"
