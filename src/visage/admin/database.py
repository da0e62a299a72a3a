"""Where keys, sessions, the audit log and preferences are kept: a database of their own, `admin.db`, beside the bank.

So a bank can be restored, set aside or replaced, and who may use the server stays as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import sqlalchemy as sa

from visage.admin import sqlite
from visage.admin.schema import VERSION, metadata, version_table
from visage.errors import BankError

Transactions = Callable[[], AbstractContextManager[sa.Connection]]
"""Begins a transaction on the database."""


class Database:
    """The database, for several threads; one transaction at a time.

    Args:
        engine: its connections begin transactions themselves.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._turn = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One transaction, durable at the end, undone where anything is raised.

        Raises:
            BankError: the database cannot be read or written; nothing was changed.
        """
        with self._turn:
            try:
                with self._engine.begin() as connection:
                    yield connection
            except (sa.exc.SQLAlchemyError, ValueError, KeyError) as exc:
                raise BankError(sqlite.in_words(exc)) from exc

    def close(self) -> None:
        """Release it."""
        self._engine.dispose()


def open_database(data_dir: Path) -> Database:
    """Open the database of an installation; make it where there is none. An older bank has to be opened before: its
    keys move here then.

    Raises:
        BankError: it is damaged, of a newer version, or cannot be written.
    """
    database = Database(sqlite.open_engine(data_dir, _make_tables))
    try:
        with database.transaction() as connection:
            _make_tables(connection)
    except BaseException:
        database.close()
        raise
    return database


def _make_tables(connection: sa.Connection) -> None:
    """The tables that are not there yet.

    Raises:
        BankError: they are of a newer version.
    """
    version = None
    if sa.inspect(connection).has_table(version_table.name):
        version = connection.scalar(sa.select(version_table.c.version))
    if version is None:
        metadata.create_all(connection)
        connection.execute(version_table.insert(), {"version": VERSION})
    elif version > VERSION:
        raise BankError("The keys were kept by a newer version of Visage; install that version or later")
