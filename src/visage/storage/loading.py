"""Everything that is kept in memory, read in one transaction; who cannot be read is kept apart."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from visage.bank.records import Contents, CounterExample
from visage.errors import DamagedPerson
from visage.storage import rows
from visage.storage.schema import (
    counter_examples_table,
    embeddings_table,
    persons_table,
    photos_table,
    undos_table,
)
from visage.storage.vault import DataKey, Vault
from visage.types import Embedding, Person, Photo, Undo

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""What a readable column that was altered can raise where it is used."""

DAMAGED = (DamagedPerson, *UNREADABLE)
"""What a value that was altered, sealed or readable, can raise."""


class Loading:
    """Reads everything in one transaction, and keeps apart the persons of whom something cannot be read."""

    def __init__(self, connection: sa.Connection, vault: Vault) -> None:
        self._connection = connection
        self._damaged: set[str] = set()
        self._faults: list[str] = []
        self._keys: dict[str, DataKey] = {}
        self._persons: list[Person] = []
        for row in connection.execute(sa.select(persons_table)):
            try:
                self._keys[row.person_id] = key = vault.key(row.person_id, row.key)
                self._persons.append(rows.person_of(row, key))
            except DAMAGED:
                self._spoil(row.person_id, "record")

    def contents(self, model: str | None) -> Contents:
        """All but the pictures.

        Args:
            model: whose embeddings are wanted; None to read those of every model.
        """
        vectors = self._vectors(model)
        photos: list[tuple[Photo, Embedding | None]] = []
        columns = photos_table.c
        query = sa.select(columns.photo_id, columns.person_id, columns.quality, columns.created_at)
        for row in self._connection.execute(query.order_by(columns.created_at, columns.photo_id)):
            try:
                photo = rows.photo_of(row, self._keys[row.person_id])
            except DAMAGED:
                self._spoil(row.person_id, f"photo {row.photo_id}")
            else:
                photos.append((photo, vectors.get(photo.photo_id)))
        counters: list[CounterExample] = []
        table = counter_examples_table
        for row in self._connection.execute(sa.select(table).order_by(table.c.created_at, table.c.counter_id)):
            try:
                counters.append(rows.counter_of(row, self._keys[row.person_id]))
            except DAMAGED:
                self._spoil(row.person_id, f"rejected face {row.counter_id}")
        undos: list[Undo] = []
        for row in self._connection.execute(sa.select(undos_table).order_by(undos_table.c.created_at)):
            try:
                undos.append(rows.undo_of(row, self._keys[row.person_id]))
            except DAMAGED:  # who it belongs to is as well known as before
                self._faults.append(f"Undo {row.undo_id} of person {row.person_id} is damaged")
        return Contents(
            persons=tuple(person for person in self._persons if person.person_id not in self._damaged),
            photos=tuple(item for item in photos if item[0].person_id not in self._damaged),
            counter_examples=tuple(counter for counter in counters if counter.person_id not in self._damaged),
            undos=tuple(undo for undo in undos if undo.person_id not in self._damaged),
            damaged=frozenset(self._damaged),
            faults=tuple(self._faults),
        )

    def picture_faults(self) -> list[str]:
        """Which pictures do not decrypt, in words."""
        faults = []
        columns = photos_table.c
        for row in self._connection.execute(sa.select(columns.photo_id, columns.person_id, columns.picture)):
            try:
                self._keys[row.person_id].open(row.picture, rows.picture_place(row.person_id, row.photo_id))
            except DAMAGED:
                faults.append(f"The picture of photo {row.photo_id} of person {row.person_id} is damaged")
        return faults

    def _vectors(self, model: str | None) -> dict[str, Embedding]:
        vectors: dict[str, Embedding] = {}
        columns = embeddings_table.c
        query = sa.select(columns.photo_id, columns.model, columns.vector, photos_table.c.person_id).join(
            photos_table
        )
        if model is not None:
            query = query.where(columns.model == model)
        for row in self._connection.execute(query):
            place = rows.vector_place(str(row.person_id), str(row.photo_id), str(row.model))
            try:
                vectors[row.photo_id] = rows.vector_of(row.vector, place, self._keys[row.person_id])
            except DAMAGED:
                self._spoil(row.person_id, f"embedding of photo {row.photo_id}")
        return vectors

    def _spoil(self, person_id: Any, what: str) -> None:
        self._damaged.add(str(person_id))
        self._faults.append(f"Person {person_id}: the {what} is damaged")
