"""Two persons out of one, where a merge is taken back."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from visage.bank.records import person_from_json
from visage.storage import rows
from visage.storage.erasing import delete
from visage.storage.loading import DAMAGED
from visage.storage.resealing import give_corrections, give_photos
from visage.storage.schema import (
    counter_examples_table,
    merges_table,
    persons_table,
    photos_table,
    undos_table,
)
from visage.storage.vault import DataKey, Vault
from visage.types import Person


def key_of(connection: sa.Connection, vault: Vault, person_id: str) -> DataKey:
    """The data key of a person."""
    query = sa.select(persons_table.c.key).where(persons_table.c.person_id == person_id)
    return vault.key(person_id, connection.execute(query).scalar_one())


def insert_person(connection: sa.Connection, vault: Vault, person: Person) -> DataKey:
    """Keep a new person; returns the key."""
    key, wrapped = vault.new_key(person.person_id)
    connection.execute(persons_table.insert(), rows.person_row(person, key) | {"key": wrapped})
    return key


def part(connection: sa.Connection, vault: Vault, erased: Collection[str]) -> None:
    """Who was merged into someone who is forgotten, and is not forgotten, is a person again, as he is by now."""
    undos = undos_table.c
    query = sa.select(undos_table).where(undos.kind == "merge").order_by(undos.created_at.desc())
    for row in connection.execute(query).all():
        # A merge that is taken back may have taken this undo with it.
        owner = str(row.person_id)
        moved = connection.scalar(sa.select(undos.person_id).where(undos.undo_id == row.undo_id)) != owner
        if moved or owner not in erased or row.source_id in erased:
            continue
        try:
            undo = rows.undo_of(row, key_of(connection, vault, owner))
        except DAMAGED:
            continue
        held = [
            [
                each
                for each in connection.scalars(sa.select(column).where(owner_column == owner))
                if each in undo.content[name] and each not in erased
            ]
            for name, column, owner_column in (
                ("photos", photos_table.c.photo_id, photos_table.c.person_id),
                ("counter_examples", counter_examples_table.c.counter_id, counter_examples_table.c.person_id),
                ("undos", undos.undo_id, undos.person_id),
            )
        ]
        if held[0]:
            source = person_from_json(undo.content["person"])
            give_back(connection, vault, owner, source, (held[0], held[1], held[2]), undo.undo_id)


def give_back(
    connection: sa.Connection,
    vault: Vault,
    giver: str,
    source: Person,
    ids: tuple[Sequence[str], Sequence[str], Sequence[str]],
    undo_id: str,
) -> None:
    """Make one person two again: the source gets photos, rejected looks and undos back; the undo is used up."""
    photo_ids, counter_ids, undo_ids = ids
    keys = (key_of(connection, vault, giver), insert_person(connection, vault, source))
    give_photos(connection, photos_table.c.photo_id.in_(photo_ids), source.person_id, keys)
    give_corrections(
        connection,
        counter_examples_table.c.counter_id.in_(counter_ids),
        undos_table.c.undo_id.in_(undo_ids),
        source.person_id,
        keys,
    )
    delete(connection, undos_table.c.undo_id, [undo_id])
    delete(connection, merges_table.c.source_id, [source.person_id])
