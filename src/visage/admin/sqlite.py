"""`admin.db`: the database of an installation as a SQLite file. All that only SQLite knows is in here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from visage import sqlite as file
from visage.admin.schema import audit_table
from visage.errors import BankError

FILE_NAME = "admin.db"
_DRAFT_NAME = "admin.new"
_APPLICATION_ID = 0x56495341  # "VISA"


@sa.event.listens_for(audit_table, "after_create")
def _append_only(_: sa.Table, connection: sa.Connection, **__: object) -> None:
    """What the audit log holds cannot be changed or removed by a statement."""
    if connection.dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER audit_no_{action.lower()} BEFORE {action} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )


def open_engine(data_dir: Path, make_tables: Callable[[sa.Connection], None]) -> sa.Engine:
    """An engine for the file; a new one appears under its name only when it is complete.

    Raises:
        BankError: it is not ours, or the directory cannot be written.
    """
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _create(path, make_tables)
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    engine = file.connect(path, _APPLICATION_ID)
    try:
        with engine.begin() as connection:
            # 1: a move out of the bank has filled it, and nobody has used it since (`storage/moving_out.py`).
            if connection.exec_driver_sql("PRAGMA user_version").scalar():
                connection.exec_driver_sql("PRAGMA user_version=0")
    except sa.exc.SQLAlchemyError as exc:
        engine.dispose()
        raise BankError(in_words(exc)) from exc
    except BaseException:
        engine.dispose()
        raise
    return engine


def in_words(exc: BaseException) -> str:
    """What a carer can do something about."""
    remedy = "; the bank is not in it: move it away, and make a new key with `visage keys create --role admin`"
    return file.in_words(exc, FILE_NAME, remedy)


def _create(path: Path, make_tables: Callable[[sa.Connection], None]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(_DRAFT_NAME)
    file.make_draft(draft)
    engine = file.connect(draft, _APPLICATION_ID, fresh=True)
    try:
        with engine.begin() as connection:
            make_tables(connection)
    finally:
        engine.dispose()
    file.put_in_place(draft, path)
