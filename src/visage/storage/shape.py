"""What a bank's file is beside its rows: the tables and indexes that the migrations make, and no program.

A trigger, a view or a virtual table is a program that runs within Visage's own transactions, and the digest of the
rows would take what it does for Visage's. None is ours today; those of an older schema are compared with what its
migrations make.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.pool import StaticPool

from visage.errors import BankError
from visage.storage.vault import Vault, new_key

_MIGRATIONS = Path(__file__).parent / "migrations"
_ALEMBIC = threading.Lock()
"""Alembic keeps what it is at in the module."""


def scripts() -> ScriptDirectory:
    """The migrations."""
    return ScriptDirectory.from_config(_config())


@cache
def revisions() -> frozenset[str]:
    """Of the schema, that this version knows. Reading them once is slow enough."""
    return frozenset({step.revision for step in scripts().walk_revisions()})


def revision_of(connection: sa.Connection) -> str | None:
    """The revision of a bank's schema."""
    revision: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def migrate(engine: sa.Engine, vault: Vault, revision: str = "head") -> None:
    """Bring the schema up to a revision, in one transaction."""
    config = _config()
    with _ALEMBIC, engine.begin() as connection:
        config.attributes["connection"] = connection
        config.attributes["vault"] = vault
        command.upgrade(config, revision)


def refuse_programs(connection: sa.Connection) -> None:
    """See to it that nothing but Visage writes when Visage does.

    Raises:
        BankError: the file holds a program that no migration makes; the schema is of an unknown revision.
    """
    revision = revision_of(connection)
    if revision not in revisions():
        raise BankError("This bank was made by a newer version of Visage; install that version or later")
    strange = _found(connection) - _made_by(revision)
    for kind, name, _, is_program in sorted(strange):
        if is_program:
            raise BankError(
                f"Somebody put a program into the file of the bank, the {kind} {name!r}, which would run whenever "
                "something is written. The file was left untouched; restore a backup"
            )


def differences(connection: sa.Connection) -> list[str]:
    """Where tables and indexes are not as the migrations make them, in words."""
    found, made = _found(connection), _made_by(revision_of(connection) or "head")
    there, wanted = {each[:2] for each in found}, {each[:2] for each in made}
    faults = [f"The {kind} {name} is missing in the bank. Restore a backup" for kind, name in sorted(wanted - there)]
    faults += [f"The {kind} {name!r} in the bank is none of Visage's" for kind, name in sorted(there - wanted)]
    other = {each[:2] for each in found - made} & wanted
    return faults + [f"The {kind} {name} of the bank is not as Visage makes it" for kind, name in sorted(other)]


def _found(connection: sa.Connection) -> set[tuple[str, str, str, bool]]:
    """Of each table, index and program: the kind, the name, how it is made, and whether it is a program."""
    query = "SELECT type, name, sql, type NOT IN ('table', 'index') OR rootpage = 0 FROM sqlite_schema"
    return {
        (str(kind), str(name), _plain(sql), bool(is_program))
        for kind, name, sql, is_program in connection.exec_driver_sql(query)
        if is_program or not str(name).startswith("sqlite_")  # what SQLite makes for itself
    }


@cache
def _made_by(revision: str) -> frozenset[tuple[str, str, str, bool]]:
    """What the migrations up to this one make."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    try:
        migrate(engine, Vault(new_key()), revision)
        with engine.begin() as connection:
            return frozenset(_found(connection))
    finally:
        engine.dispose()


def _plain(sql: Any) -> str:
    """A statement, however an SQLite of another version writes it."""
    return "".join(str(sql).split()).translate(str.maketrans("", "", "\"'`[]")).lower()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
