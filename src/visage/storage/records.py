"""The records of a backup: what it says of each person, one after the other, whatever database they come from.

A record is

    length of the head (4 bytes) ‖ length of the rest (4 bytes) ‖ head (JSON) ‖ rest

with the picture or the vector, where there is one, as the rest. A `person` begins that person anew: what an earlier
record said of the same person, or of a photo with the same id, is void. So a backup can be written while the bank
changes: whoever was changed is said again. `docs/storage.md` describes each record for a second implementation.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np
import sqlalchemy as sa

from visage.bank.store import CounterExample, from_micros, person_from_json, person_to_json, to_micros
from visage.errors import InvalidBackup
from visage.storage import rows
from visage.storage.loading import DAMAGED, UNREADABLE
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

Head: TypeAlias = Mapping[str, Any]
Record: TypeAlias = tuple[Head, bytes]
Transactions: TypeAlias = Callable[[], AbstractContextManager[sa.Connection]]

_LENGTHS = struct.Struct(">II")
_MAX_HEAD_BYTES = 2**26
_MAX_REST_BYTES = 2**27
_PHOTOS_AT_ONCE = 16
_DAMAGED = "The bank in this backup is damaged. Take an older backup"

_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "bank": {"key_since": int},
    "person": {
        "person_id": str,
        "name": str,
        "relationship": str | None,
        "metadata": str,
        "consent": dict | None,
        "created_at": int,
        "updated_at": int,
        "last_seen_at": int | None,
    },
    "gone": {"person_id": str},
    "photo": {
        "photo_id": str,
        "person_id": str,
        "score": int,
        "issues": list,
        "created_at": int,
        "origin_id": str | None,
    },
    "embedding": {"photo_id": str, "person_id": str, "model": str},
    "counter_example": {
        "counter_id": str,
        "person_id": str,
        "model": str,
        "created_at": int,
        "origin_id": str | None,
    },
    "undo": {"undo_id": str, "person_id": str, "kind": str, "content": dict, "created_at": int},
    "merge": {"source_id": str, "target_id": str},
    "erasure": {"erased_id": str, "erased_at": int},
    "damaged": {"text": str},
    "end": {},
}
"""What a head must hold, by its `record`."""

NO_CIRCLES = sa.text("""
    DELETE FROM merges WHERE source_id IN (
        WITH RECURSIVE chain(first, last) AS (
            SELECT source_id, target_id FROM merges
            UNION SELECT first, target_id FROM chain JOIN merges ON source_id = last
        ) SELECT first FROM chain WHERE first = last
    )
""")
"""Whoever was merged into himself, or into one who was merged into him, was not."""


def pack(head: Head, rest: bytes = b"") -> bytes:
    """A record as bytes."""
    text = json.dumps(dict(head), ensure_ascii=False).encode()
    return _LENGTHS.pack(len(text), len(rest)) + text + rest


def unpack(pieces: Iterable[bytes]) -> Iterator[Record]:
    """The records in a stream that comes in pieces; holds one record and one piece.

    Raises:
        InvalidBackup: it is no such stream, or ends within a record.
    """
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        start = 0
        while len(waiting) - start >= _LENGTHS.size:
            of_head, of_rest = _LENGTHS.unpack_from(waiting, start)
            if of_head > _MAX_HEAD_BYTES or of_rest > _MAX_REST_BYTES:
                raise InvalidBackup(_DAMAGED)
            text = start + _LENGTHS.size
            end = text + of_head + of_rest
            if len(waiting) < end:
                break
            yield _parse(waiting[text : text + of_head]), bytes(waiting[text + of_head : end])
            start = end
        del waiting[:start]
    if waiting:
        raise InvalidBackup(_DAMAGED)


def of_person(transactions: Transactions, vault: Vault, person_id: str) -> Iterator[Record]:
    """All that is kept of a person, or that there is none. What does not open is left out, and said.

    Args:
        transactions: begins one; photos are read some at a time, so that none is long.
        vault: the master key.
        person_id: whose.
    """
    with transactions() as connection:
        row = connection.execute(sa.select(persons_table).where(persons_table.c.person_id == person_id)).one_or_none()
        if row is None:
            yield {"record": "gone", "person_id": person_id}, b""
            return
        try:
            key = vault.key(person_id, row.key)
            person = rows.person_of(row, key)
        except DAMAGED:
            yield {"record": "gone", "person_id": person_id}, b""
            yield _damaged(f"Person {person_id}: the record is damaged")
            return
        records: list[Record] = [({"record": "person"} | person_to_json(person), b"")]
        records += _corrections(connection, key, person_id)
        of_person = photos_table.c.person_id == person_id
        order = (photos_table.c.created_at, photos_table.c.photo_id)
        photo_ids = connection.scalars(sa.select(photos_table.c.photo_id).where(of_person).order_by(*order)).all()
        records += _photos(connection, key, person_id, photo_ids[:_PHOTOS_AT_ONCE])
    yield from records
    for start in range(_PHOTOS_AT_ONCE, len(photo_ids), _PHOTOS_AT_ONCE):
        with transactions() as connection:
            records = _photos(connection, key, person_id, photo_ids[start : start + _PHOTOS_AT_ONCE])
        yield from records


def of_bank(connection: sa.Connection) -> Iterator[Head]:
    """What belongs to no person who is there; the last of the records."""
    for row in connection.execute(sa.select(merges_table).order_by(merges_table.c.source_id)):
        yield {"record": "merge", "source_id": row.source_id, "target_id": row.target_id}
    for row in connection.execute(sa.select(erasures_table).order_by(erasures_table.c.erased_id)):
        yield {"record": "erasure", "erased_id": row.erased_id, "erased_at": row.erased_at}
    yield {"record": "end"}


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
                raise InvalidBackup(_DAMAGED)
            writer.put(head, rest)
    except (sa.exc.IntegrityError, *UNREADABLE, RecursionError) as exc:
        raise InvalidBackup(_DAMAGED) from exc
    if not writer.is_whole:
        raise InvalidBackup(_DAMAGED)
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


def _corrections(connection: sa.Connection, key: DataKey, person_id: str) -> list[Record]:
    """The rejected looks and undos of a person."""
    found: list[Record] = []
    counters, undos = counter_examples_table, undos_table
    query = sa.select(counters).where(counters.c.person_id == person_id)
    for row in connection.execute(query.order_by(counters.c.created_at, counters.c.counter_id)):
        try:
            counter = rows.counter_of(row, key)
        except DAMAGED:
            found.append(_damaged(f"Person {person_id}: the rejected face {row.counter_id} is damaged"))
            continue
        head = {
            "record": "counter_example",
            "counter_id": counter.counter_id,
            "person_id": person_id,
            "model": counter.model,
            "created_at": row.created_at,
            "origin_id": row.origin_id,
        }
        found.append((head, counter.embedding.tobytes()))
    of_person = undos.c.person_id == person_id
    for row in connection.execute(sa.select(undos).where(of_person).order_by(undos.c.created_at, undos.c.undo_id)):
        try:
            undo = rows.undo_of(row, key)
        except DAMAGED:
            found.append(_damaged(f"Undo {row.undo_id} of person {person_id} is damaged"))
            continue
        head = {
            "record": "undo",
            "undo_id": undo.undo_id,
            "person_id": person_id,
            "kind": undo.kind,
            "content": dict(undo.content),
            "created_at": row.created_at,
        }
        found.append((head, b""))
    return found


def _photos(connection: sa.Connection, key: DataKey, person_id: str, photo_ids: Sequence[str]) -> list[Record]:
    """Some photos of a person, each with its embeddings."""
    found: list[Record] = []
    photos, embeddings = photos_table, embeddings_table
    vectors: dict[str, list[Any]] = {}
    of_photos = sa.select(embeddings).where(embeddings.c.photo_id.in_(photo_ids)).order_by(embeddings.c.model)
    for each in connection.execute(of_photos):
        vectors.setdefault(each.photo_id, []).append(each)
    query = sa.select(photos).where(photos.c.person_id == person_id, photos.c.photo_id.in_(photo_ids))
    for row in connection.execute(query.order_by(photos.c.created_at, photos.c.photo_id)).all():
        try:
            photo = rows.photo_of(row, key)
            picture = key.open(row.picture, rows.picture_place(person_id, row.photo_id))
        except DAMAGED:
            found.append(_damaged(f"Person {person_id}: the photo {row.photo_id} is damaged"))
            continue
        head = {
            "record": "photo",
            "photo_id": photo.photo_id,
            "person_id": person_id,
            "score": photo.quality.score,
            "issues": [issue.value for issue in photo.quality.issues],
            "created_at": row.created_at,
            "origin_id": row.origin_id,
        }
        found.append((head, picture))
        for each in vectors.get(row.photo_id, []):
            place = rows.vector_place(person_id, row.photo_id, each.model)
            try:
                vector = rows.vector_of(each.vector, place, key)
            except DAMAGED:
                found.append(_damaged(f"Person {person_id}: the embedding of photo {row.photo_id} is damaged"))
                continue
            of_vector = {
                "record": "embedding",
                "photo_id": row.photo_id,
                "person_id": person_id,
                "model": each.model,
            }
            found.append((of_vector, vector.tobytes()))
    return found


def _damaged(text: str) -> Record:
    return {"record": "damaged", "text": text}, b""


def _parse(text: bytes | bytearray) -> Head:
    try:
        head = json.loads(text)
        fields = _FIELDS[head["record"]]
        if not all(isinstance(head[name], kind) for name, kind in fields.items()):
            raise TypeError(head["record"])
    except (*UNREADABLE, RecursionError) as exc:
        raise InvalidBackup(_DAMAGED) from exc
    return dict(head)
