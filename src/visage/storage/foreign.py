"""The rows of a database that somebody else may have made, copied into one of our own making: what a backup of
version 1 holds.

A database brings more than rows: triggers, views and computed columns are programs that run when it is used. None of
them comes along: the tables are made here, by our own migrations, and only values are copied.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from visage.durable import sync
from visage.errors import BankError, InvalidBackup
from visage.sqlite import is_of_the_machine
from visage.storage.filling import NO_CIRCLES
from visage.storage.folder import FILE_NAME
from visage.storage.moving_out import TABLES
from visage.storage.sqlite import is_known_revision, make_empty
from visage.storage.sqlite_database import in_words
from visage.storage.vault import Vault

log = logging.getLogger("visage")

_DAMAGED = "The bank in this backup is damaged. Take an older backup"
_OWN_TABLES = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


def copy_rows(raw: Path, folder: Path, vault: Vault) -> None:
    """Make the bank's file in a folder from the rows of another, whatever else that one holds.

    Args:
        raw: the other database; it is only read.
        folder: where the file is made, of the schema that the other one has.
        vault: the key of the rows.

    Raises:
        InvalidBackup: it is damaged, of a newer version, or no bank.
        BankError, OSError: the folder cannot be written.
    """
    try:
        with closing(sqlite3.connect("file::memory:", uri=True)) as reader:
            _attach(reader, raw)
            if any(text != "ok" for (text,) in reader.execute("PRAGMA raw.integrity_check")):
                raise InvalidBackup(_DAMAGED)
            _refuse_programs(reader, "alembic_version", ["version_num"])
            revision = reader.execute("SELECT version_num FROM raw.alembic_version").fetchone()
        if revision is None or not isinstance(revision[0], str) or not revision[0].isdecimal():
            raise InvalidBackup(_DAMAGED)
        if not is_known_revision(revision[0]):
            raise InvalidBackup("This bank was made by a newer version of Visage; install that version or later")
        make_empty(folder, vault, revision[0])
        path = folder / FILE_NAME
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as writer:
            writer.execute("PRAGMA journal_mode=OFF")
            writer.execute("PRAGMA synchronous=OFF")
            _attach(writer, raw)
            writer.execute("BEGIN")
            for (table,) in writer.execute(_OWN_TABLES).fetchall():
                if table != "alembic_version" and table not in TABLES:  # keys and settings stay those that are here
                    columns = [column for _, column, *_ in writer.execute(f"PRAGMA main.table_info({table})")]
                    _refuse_programs(writer, table, columns)
                    names = ", ".join(f'"{column}"' for column in columns)
                    # NOT INDEXED: an index of the other one may say what its table does not.
                    writer.execute(
                        f"INSERT INTO main.{table} ({names}) SELECT {names} FROM raw.{table} NOT INDEXED"  # noqa: S608 - our names
                    )
            writer.execute(NO_CIRCLES.text)
            writer.execute("COMMIT")
            if writer.execute("PRAGMA main.foreign_key_check").fetchone() is not None:
                raise InvalidBackup(_DAMAGED)
        sync(path)
    except (sqlite3.Error, sa.exc.SQLAlchemyError) as exc:
        if is_of_the_machine(exc):
            raise BankError(in_words(exc)) from exc
        raise InvalidBackup(_DAMAGED) from exc


def _attach(connection: sqlite3.Connection, raw: Path) -> None:
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute("ATTACH DATABASE ? AS raw", [f"{raw.absolute().as_uri()}?mode=ro&immutable=1"])


def _refuse_programs(connection: sqlite3.Connection, table: str, columns: list[str]) -> None:
    """A table that computes what is read from it is none of ours.

    Raises:
        InvalidBackup: it is a view or a virtual table, computes a column, or lacks one.
    """
    # A view and a virtual table have no page of their own.
    pages = connection.execute(
        "SELECT rootpage FROM raw.sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')", [table]
    ).fetchall()
    if len(pages) != 1 or not pages[0][0]:
        raise InvalidBackup(_DAMAGED)
    plain = {
        name for _, name, _, _, _, _, hidden in connection.execute(f"PRAGMA raw.table_xinfo({table})") if not hidden
    }
    if not plain.issuperset(columns):
        raise InvalidBackup(_DAMAGED)
