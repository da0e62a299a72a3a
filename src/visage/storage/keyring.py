"""The rows by which a bank knows its key: the check, and the slots."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from visage.errors import BankError
from visage.storage.keys import KeyRecord
from visage.storage.schema import key_slots_table, persons_table, vault_table
from visage.storage.vault import Slot


def key_record(connection: sa.Connection) -> KeyRecord:
    """What a bank knows of its key.

    Raises:
        BankError: nothing.
    """
    row = connection.execute(sa.select(vault_table.c.bank_id, vault_table.c.key_check)).one_or_none()
    wrapped = connection.execute(sa.select(persons_table.c.person_id, persons_table.c.key))
    if row is None:
        raise BankError("The bank's record of its key is missing. It was left untouched; restore a backup")
    return KeyRecord(
        bank_id=row.bank_id,
        key_check=row.key_check,
        slots=read_slots(connection),
        wrapped=[(person_id, key) for person_id, key in wrapped],
    )


def read_slots(connection: sa.Connection) -> list[Slot]:
    """The slots of a bank."""
    return [
        Slot(row.kind, json.loads(row.parameters), row.wrapped)
        for row in connection.execute(sa.select(key_slots_table).order_by(key_slots_table.c.kind))
    ]


def insert_slots(connection: sa.Connection, slots: Sequence[Slot]) -> None:
    """Keep slots, none of whose kinds is there."""
    for slot in slots:
        row = {"kind": slot.kind, "parameters": json.dumps(slot.parameters), "wrapped": slot.wrapped}
        connection.execute(key_slots_table.insert(), row)
