"""The bank's file: made, locked, brought up to date and opened.

SQLite runs with a rollback journal (TRUNCATE), not a write-ahead log: Debian 12's SQLite has a known reset race
there, and a bank that is read into memory at start gains nothing from it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.pool import StaticPool

from visage.bank.sql import SqlStore, in_words
from visage.errors import BankError

FILE_NAME = "visage.db"
_APPLICATION_ID = 0x56495347  # "VISG": marks the file as ours
_MIGRATIONS = Path(__file__).parent / "migrations"


def open_store(data_dir: Path) -> SqlStore:
    """Open the bank in a directory; make both where there are none.

    A new bank appears under its name only when it is complete. A file that is there but cannot be read is never
    replaced by a fresh one.

    Raises:
        BankError: another process uses it; it is damaged, of a newer version or no bank; the directory cannot be
            written.
    """
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_file = _lock(data_dir / "visage.lock")
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    try:
        if not path.exists():
            _create(path)
        engine = _connect(path)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    except BaseException:
        lock_file.close()
        raise
    return SqlStore(engine, lock_file)


def _lock(path: Path) -> IO[bytes]:
    """Keep other processes out for as long as the file stays open; a killed process lets go by itself."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise BankError("Another Visage is using this bank. Stop it first, or talk to it with --url") from exc
    return file


def _create(path: Path) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)  # left by a first start that was cut short
    try:
        draft.touch(mode=0o600)
        engine = _connect(draft, fresh=True)
        try:
            _migrate(engine)
        finally:
            engine.dispose()
        draft.rename(path)
        Path(f"{draft}-journal").unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc


def _connect(path: Path, *, fresh: bool = False) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, check_same_thread=False, isolation_level=None)
        try:
            if fresh:
                connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            elif connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
                raise BankError(f"{path.name} is damaged, or no Visage bank. It was left untouched")
            for pragma in ("journal_mode=TRUNCATE", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    # isolation_level=None makes the driver begin nothing by itself; transactions then cover schema changes too.
    engine = sa.create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _migrate(engine: sa.Engine) -> None:
    """Bring the schema up to date, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as exc:
        raise BankError("This bank was made by a newer version of Visage; install that version or later") from exc
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as exc:
        raise BankError(in_words(exc)) from exc
