"""Keys, sessions, the audit log and settings leave a bank of before revision 0007 for `admin.db` beside it.

The copy is on the disk, whole, under its name, before the bank drops its tables. Whenever that is cut short, the bank
still has them, and the copy is made anew: its `user_version` is 1 until somebody has opened it. One that was opened
is never overwritten by an older bank that was put back; but a key that was revoked there is revoked here.

What is written here is the format of then, and does not follow that of now.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from visage import sqlite

log = logging.getLogger("visage")

TABLES = {
    "access_keys": ("key_id", "key_hash", "label", "role", "created_at", "revoked_at"),
    "access_sessions": ("session_hash", "key_id", "expires_at"),
    "audit": ("number", "at", "actor", "operation", "subject", "outcome", "previous", "hash"),
    "preferences": ("name", "value"),
}
_MADE_BY = (
    "CREATE TABLE access_keys (key_id TEXT NOT NULL PRIMARY KEY, key_hash TEXT NOT NULL UNIQUE, label TEXT NOT NULL, "
    "role TEXT NOT NULL, created_at BIGINT NOT NULL, revoked_at BIGINT)",
    "CREATE TABLE access_sessions (session_hash TEXT NOT NULL PRIMARY KEY, "
    "key_id TEXT NOT NULL REFERENCES access_keys (key_id) ON DELETE CASCADE, expires_at BIGINT NOT NULL)",
    "CREATE INDEX ix_access_sessions_key_id ON access_sessions (key_id)",
    "CREATE TABLE audit (number BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, "
    "operation TEXT NOT NULL, subject TEXT, outcome TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL)",
    "CREATE TABLE preferences (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    *(
        f"CREATE TRIGGER audit_no_{action.lower()} BEFORE {action} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for action in ("UPDATE", "DELETE")
    ),
)
_NAME = "admin.db"
_DRAFT_NAME = "admin.new"
_APPLICATION_ID = 0x56495341

Rows = dict[str, list[tuple[object, ...]]]


def move_out(bank: sa.Connection, folder: Path) -> None:
    """Copy what a bank has of the tables to `admin.db` in a folder; durable when this returns. A bank that holds
    nothing of the kind changes nothing.

    Raises:
        OSError: it cannot be written.
    """
    there = set(sa.inspect(bank).get_table_names())
    rows: Rows = {
        table: [tuple(row) for row in bank.exec_driver_sql(f"SELECT {', '.join(columns)} FROM {table}")]  # noqa: S608 - our names
        for table, columns in TABLES.items()
        if table in there
    }
    if not any(rows.values()):
        return
    try:
        _keep(rows, folder)
    except sqlite3.Error as exc:  # not to be taken for a fault of the bank
        raise OSError(errno.EIO, sqlite.in_words(exc, _NAME)) from exc


def _keep(rows: Rows, folder: Path) -> None:
    path = folder / _NAME
    if path.exists() and _was_used(path):
        _revoke(path, rows)
        return
    draft = folder / _DRAFT_NAME
    sqlite.make_draft(draft)
    _write(draft, rows)
    sqlite.put_in_place(draft, path)


def _write(path: Path, rows: Rows) -> None:
    with closing(_open(path)) as file:
        file.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        file.execute("BEGIN")
        for statement in _MADE_BY:
            file.execute(statement)
        for table, found in rows.items():
            places = ", ".join("?" * len(TABLES[table]))
            file.executemany(f"INSERT INTO {table} VALUES ({places})", found)  # noqa: S608 - our names
        file.execute("PRAGMA user_version=1")
        file.execute("COMMIT")


def _was_used(path: Path) -> bool:
    with closing(_open(path)) as file:
        return bool(file.execute("PRAGMA user_version").fetchone()[0] == 0)


def _revoke(path: Path, rows: Rows) -> None:
    """Of an older bank that was put back: what it says that others must not do any more."""
    log.warning(
        "An older bank was put in place. API keys, settings and the audit log stay those that were in use; keys that "
        "were revoked in either are revoked, and browsers have to sign in again"
    )
    revoked = [(row[5], row[0]) for row in rows.get("access_keys", ()) if row[5] is not None]
    with closing(_open(path)) as file:
        file.execute("BEGIN IMMEDIATE")
        file.executemany("UPDATE access_keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL", revoked)
        file.execute("DELETE FROM access_sessions")
        file.execute("COMMIT")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    for pragma in ("trusted_schema=OFF", "journal_mode=TRUNCATE", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
