"""Values that become another person's, or get another key: each is opened and sealed anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import sqlalchemy as sa

from visage.errors import DamagedPerson
from visage.storage import rows
from visage.storage.schema import (
    counter_examples_table,
    embeddings_table,
    persons_table,
    photos_table,
    undos_table,
)
from visage.storage.vault import DataKey, Place, Vault


def give_photos(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], taker: str, keys: tuple[DataKey, DataKey]
) -> None:
    """Make photos another person's: every value is sealed anew, from the first key to the second."""

    def anew(sealed: bytes, place: Callable[[str], Place], giver: str) -> bytes:
        return keys[1].seal(keys[0].open(sealed, place(giver)), place(taker))

    columns, of_embeddings = photos_table.c, embeddings_table.c
    for photo_id in connection.scalars(sa.select(columns.photo_id).where(wanted)).all():
        photo = connection.execute(sa.select(photos_table).where(columns.photo_id == photo_id)).one()
        giver = photo.person_id
        row = {
            "person_id": taker,
            "origin_id": photo.origin_id or giver,
            "quality": anew(photo.quality, partial(rows.quality_place, photo_id=photo_id), giver),
            "picture": anew(photo.picture, partial(rows.picture_place, photo_id=photo_id), giver),
        }
        connection.execute(photos_table.update().where(columns.photo_id == photo_id), row)
        own = sa.select(embeddings_table).where(of_embeddings.photo_id == photo_id)
        for embedding in connection.execute(own).all():
            place = partial(rows.vector_place, photo_id=photo_id, model=embedding.model)
            connection.execute(
                embeddings_table.update().where(
                    of_embeddings.photo_id == photo_id, of_embeddings.model == embedding.model
                ),
                {"vector": anew(embedding.vector, place, giver)},
            )


def give_corrections(
    connection: sa.Connection,
    counters_wanted: sa.ColumnElement[bool],
    undos_wanted: sa.ColumnElement[bool],
    taker: str,
    keys: tuple[DataKey, DataKey],
) -> None:
    """Make rejected looks and undos another person's: sealed anew."""
    counters, undos = counter_examples_table, undos_table
    for row in connection.execute(sa.select(counters).where(counters_wanted)).all():
        counter = replace(rows.counter_of(row, keys[0]), person_id=taker)
        connection.execute(
            counters.update().where(counters.c.counter_id == row.counter_id),
            rows.counter_row(counter, keys[1]) | {"origin_id": row.origin_id or row.person_id},
        )
    for row in connection.execute(sa.select(undos).where(undos_wanted)).all():
        undo = replace(rows.undo_of(row, keys[0]), person_id=taker)
        connection.execute(undos.update().where(undos.c.undo_id == row.undo_id), rows.undo_row(undo, keys[1]))


def change_keys(connection: sa.Connection, old: Vault, new: Vault, *, damaged_too: bool) -> None:
    """Give every person a new data key, wrapped by another master key, and seal everything anew.

    Args:
        connection: within a transaction.
        old, new: the master keys.
        damaged_too: a key that cannot be read is replaced by one that opens nothing, instead of refusing.

    Raises:
        DamagedPerson: a person's key cannot be read.
    """
    columns = persons_table.c
    for person_id, wrapped in connection.execute(sa.select(columns.person_id, columns.key)).all():
        update = persons_table.update().where(columns.person_id == person_id)
        try:
            old_key = old.key(person_id, wrapped)
        except DamagedPerson:
            if not damaged_too:
                raise
            # Some other key may open it: whoever has that must not be taken for the owner of this bank.
            connection.execute(update, {"key": b""})
            continue
        key, wrapped_key = new.new_key(person_id)
        connection.execute(update, {"key": wrapped_key})
        _renew(connection, person_id, (old_key, key))


def _renew(connection: sa.Connection, person_id: str, keys: tuple[DataKey, DataKey]) -> None:
    """Seal every value of a person anew, from the first key to the second. What is damaged stays as it is."""

    def anew(sealed: bytes, place: Place) -> bytes:
        try:
            return keys[1].seal(keys[0].open(sealed, place), place)
        except DamagedPerson:
            return sealed

    persons, photos, embeddings = persons_table, photos_table, embeddings_table
    counters, undos = counter_examples_table, undos_table
    for person in connection.execute(sa.select(persons).where(persons.c.person_id == person_id)).all():
        content = anew(person.content, rows.person_place(person_id))
        connection.execute(persons.update().where(persons.c.person_id == person_id), {"content": content})
    of_person = photos.c.person_id == person_id
    for vector in connection.execute(sa.select(embeddings).join(photos).where(of_person)).all():
        connection.execute(
            embeddings.update().where(embeddings.c.photo_id == vector.photo_id, embeddings.c.model == vector.model),
            {"vector": anew(vector.vector, rows.vector_place(person_id, vector.photo_id, vector.model))},
        )
    for photo_id in connection.scalars(sa.select(photos.c.photo_id).where(of_person)).all():
        photo = connection.execute(sa.select(photos).where(photos.c.photo_id == photo_id)).one()
        row = {
            "quality": anew(photo.quality, rows.quality_place(person_id, photo.photo_id)),
            "picture": anew(photo.picture, rows.picture_place(person_id, photo.photo_id)),
        }
        connection.execute(photos.update().where(photos.c.photo_id == photo.photo_id), row)
    for counter in connection.execute(sa.select(counters).where(counters.c.person_id == person_id)).all():
        sealed = anew(counter.vector, rows.counter_place(person_id, counter.counter_id, counter.model))
        connection.execute(counters.update().where(counters.c.counter_id == counter.counter_id), {"vector": sealed})
    for undo in connection.execute(sa.select(undos).where(undos.c.person_id == person_id)).all():
        sealed = anew(undo.content, rows.undo_place(person_id, undo.undo_id, undo.kind))
        connection.execute(undos.update().where(undos.c.undo_id == undo.undo_id), {"content": sealed})
