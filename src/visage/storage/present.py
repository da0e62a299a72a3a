"""What a restore must know of the bank that it replaces. No key is needed for that."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from visage.bank.records import Erasure, from_micros
from visage.errors import BankError
from visage.storage.folder import FILE_NAME
from visage.storage.keyring import key_record
from visage.storage.keys import KeyRecord
from visage.storage.loading import UNREADABLE
from visage.storage.moving_out import move_out
from visage.storage.schema import erasures_table, persons_table, photos_table
from visage.storage.sqlite_database import connect

log = logging.getLogger("visage")


@dataclass(frozen=True, slots=True)
class Present:
    """What is carried over from the bank that is there now.

    Attributes:
        record: what it knows of its key, if it does.
        erasures: who and what was forgotten.
        known: ids of the persons and photos that are there.
    """

    record: KeyRecord | None
    erasures: list[Erasure]
    known: frozenset[str]


def read_present(data_dir: Path) -> Present | None:
    """None where there is no bank, or one that cannot be read. API keys that an older one still holds move out of it.

    Raises:
        OSError: they cannot be written.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        return None
    engine = connect(path)
    try:
        with engine.begin() as connection:
            move_out(connection, data_dir)
            erasures = []
            if sa.inspect(connection).has_table(erasures_table.name):
                rows = connection.execute(sa.select(erasures_table))
                erasures = [Erasure(row.erased_id, from_micros(row.erased_at)) for row in rows]
            try:
                record = key_record(connection)
            except (BankError, sa.exc.SQLAlchemyError, *UNREADABLE):
                record = None
            known = frozenset(
                each
                for column in (persons_table.c.person_id, photos_table.c.photo_id)
                for each in connection.scalars(sa.select(column))
            )
            return Present(record, erasures, known)
    except (BankError, sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, TypeError):
        log.warning("The bank that was here cannot be read; who was forgotten since the backup is not known")
        return None
    finally:
        engine.dispose()
