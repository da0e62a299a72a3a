"""A bank from the records of a backup, which anybody may have made: each is looked at before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from visage.bank.records import CounterExample, from_micros, person_from_json, to_micros
from visage.errors import InvalidBackup
from visage.storage import rows
from visage.storage.loading import UNREADABLE
from visage.storage.records import DAMAGED_TEXT, Head, Record
from visage.storage.schema import (
    counter_examples_table,
    embeddings_table,
    erasures_table,
    merges_table,
    persons_table,
    photos_table,
    undos_table,
    vault_table,
)
from visage.storage.vault import DataKey, Vault
from visage.types import Issue, Photo, Quality, Undo

NO_CIRCLES = sa.text("""
    DELETE FROM merges WHERE source_id IN (
        WITH RECURSIVE chain(first, last) AS (
            SELECT source_id, target_id FROM merges
            UNION SELECT first, target_id FROM chain JOIN merges ON source_id = last
        ) SELECT first FROM chain WHERE first = last
    )
""")
"""Whoever was merged into himself, or into one who was merged into him, was not."""


def fill(connection: sa.Connection, vault: Vault, records: Iterable[Record]) -> tuple[str, ...]:
    """Write the records of a backup into an empty bank, each person under a new key.

    Returns: what was damaged when the backup was made, in words.

    Raises:
        InvalidBackup: they are none, or not all of them.
    """
    writer = _Writer(connection, vault)
    try:
        for head, rest in records:
            if writer.is_whole:  # something comes after the end
                raise InvalidBackup(DAMAGED_TEXT)
            writer.put(head, rest)
    except (sa.exc.IntegrityError, *UNREADABLE, RecursionError) as exc:
        raise InvalidBackup(DAMAGED_TEXT) from exc
    if not writer.is_whole:
        raise InvalidBackup(DAMAGED_TEXT)
    return tuple(writer.faults)


class _Writer:
    """Writes one record after the other. It knows the key of the person whose records come."""

    def __init__(self, connection: sa.Connection, vault: Vault) -> None:
        self.faults: list[str] = []
        self.is_whole = False
        self._connection = connection
        self._vault = vault
        self._owner = ""
        self._key: DataKey | None = None

    def put(self, head: Head, rest: bytes) -> None:
        """Write a record; KeyError and ValueError where it is none."""
        put = {
            "bank": self._bank,
            "person": self._person,
            "gone": self._gone,
            "photo": self._photo,
            "embedding": self._embedding,
            "counter_example": self._counter_example,
            "undo": self._undo,
            "merge": self._merge,
            "erasure": self._erasure,
            "damaged": lambda head, rest: self.faults.append(head["text"]),
            "end": self._end,
        }
        put[head["record"]](head, rest)

    def _bank(self, head: Head, rest: bytes) -> None:
        row = {"key_since": to_micros(from_micros(head["key_since"]))}
        self._connection.execute(vault_table.update(), row)

    def _person(self, head: Head, rest: bytes) -> None:
        person = person_from_json(head)
        self._owner = person.person_id
        self._key, wrapped = self._vault.new_key(person.person_id)
        row = rows.person_row(person, self._key) | {"key": wrapped}
        self._replace(persons_table.c.person_id, person.person_id, row)

    def _gone(self, head: Head, rest: bytes) -> None:
        self._owner, self._key = "", None
        self._connection.execute(persons_table.delete().where(persons_table.c.person_id == head["person_id"]))

    def _photo(self, head: Head, rest: bytes) -> None:
        quality = Quality(head["score"], tuple(Issue(issue) for issue in head["issues"]))
        photo = Photo(head["photo_id"], head["person_id"], quality, from_micros(head["created_at"]))
        row = rows.photo_row(photo, rest, self._key_of(head)) | {"origin_id": head["origin_id"]}
        self._replace(photos_table.c.photo_id, photo.photo_id, row)

    def _embedding(self, head: Head, rest: bytes) -> None:
        vector = np.frombuffer(rest, dtype="<f4")
        row = rows.embedding_row(head["person_id"], head["photo_id"], head["model"], vector, self._key_of(head))
        self._connection.execute(embeddings_table.insert(), row)

    def _counter_example(self, head: Head, rest: bytes) -> None:
        vector, moment = np.frombuffer(rest, dtype="<f4"), from_micros(head["created_at"])
        counter = CounterExample(head["counter_id"], head["person_id"], head["model"], vector, moment)
        row = rows.counter_row(counter, self._key_of(head)) | {"origin_id": head["origin_id"]}
        self._replace(counter_examples_table.c.counter_id, counter.counter_id, row)

    def _undo(self, head: Head, rest: bytes) -> None:
        moment = from_micros(head["created_at"])
        undo = Undo(head["undo_id"], head["person_id"], head["kind"], head["content"], moment)
        self._replace(undos_table.c.undo_id, undo.undo_id, rows.undo_row(undo, self._key_of(head)))

    def _merge(self, head: Head, rest: bytes) -> None:
        row = {"source_id": head["source_id"], "target_id": head["target_id"]}
        self._replace(merges_table.c.source_id, head["source_id"], row)

    def _erasure(self, head: Head, rest: bytes) -> None:
        row = {"erased_id": head["erased_id"], "erased_at": to_micros(from_micros(head["erased_at"]))}
        self._replace(erasures_table.c.erased_id, head["erased_id"], row)

    def _end(self, head: Head, rest: bytes) -> None:
        self._connection.execute(NO_CIRCLES)
        self.is_whole = True

    def _key_of(self, head: Head) -> DataKey:
        """Records come person by person; one whose person did not come before is none."""
        if self._key is None or head["person_id"] != self._owner:
            raise ValueError(head["person_id"])
        return self._key

    def _replace(self, column: sa.Column[str], value: str, row: Mapping[str, Any]) -> None:
        self._connection.execute(column.table.delete().where(column == value))
        self._connection.execute(column.table.insert(), dict(row))
