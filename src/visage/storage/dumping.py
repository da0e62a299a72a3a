"""A backup from the rows of a bank, while it is used.

Person by person, some photos at a time, so that nobody waits; whoever is changed meanwhile is said again, the last of
them in the transaction that ends it. So it is one moment: that of its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any, TypeAlias

import sqlalchemy as sa

from visage.bank.records import person_to_json
from visage.storage import rows
from visage.storage.backup import BackupWriter, Progress
from visage.storage.keyring import key_record
from visage.storage.loading import DAMAGED
from visage.storage.records import Head, Record, pack
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

Transactions: TypeAlias = Callable[[], AbstractContextManager[sa.Connection]]

_PHOTOS_AT_ONCE = 16
_FEW = 16
"""Persons that are said again in the last transaction."""

_MAX_ROUNDS = 8


def write_backup(
    target: IO[bytes],
    transactions: Transactions,
    vault: Callable[[], Vault],
    changed: set[str],
    on_progress: Progress,
) -> None:
    """Write a backup.

    Args:
        target: empty.
        transactions: begins one; nobody else has one meanwhile.
        vault: gives the master key of the moment.
        changed: is told, within transactions, who is changed.
        on_progress: is told how many photos of how many are done.
    """
    with transactions() as connection:
        record = key_record(connection)
        key_since = connection.execute(sa.select(vault_table.c.key_since)).scalar_one()
        oldest_first = sa.select(persons_table.c.person_id).order_by(persons_table.c.created_at)
        ids = connection.scalars(oldest_first).all()
        photos = connection.execute(sa.select(sa.func.count()).select_from(photos_table)).scalar_one()
    out = BackupWriter(target, vault(), record, persons=len(ids), photos=photos)
    out.write(pack({"record": "bank", "key_since": key_since}))
    done = 0

    def put(person_ids: Iterable[str], transactions: Transactions) -> None:
        nonlocal done
        for person_id in person_ids:
            for head, rest in _of_person(transactions, vault(), person_id):
                out.write(pack(head, rest))
                if head["record"] == "photo" and done < photos:
                    done += 1
                    on_progress(done, photos)

    put(ids, transactions)
    for number in range(_MAX_ROUNDS):
        with transactions() as connection:
            again = sorted(changed)
            changed.clear()
            if is_last := len(again) <= _FEW or number == _MAX_ROUNDS - 1:
                put(again, lambda: nullcontext(connection))
                for head in _of_bank(connection):
                    out.write(pack(head))
        if is_last:
            break
        put(again, transactions)
    out.close()
    on_progress(photos, photos)


def said(transactions: Transactions, vault: Vault) -> Iterator[Record]:
    """All records of a bank that nobody changes meanwhile."""
    with transactions() as connection:
        ids = connection.scalars(sa.select(persons_table.c.person_id)).all()
    for person_id in ids:
        yield from _of_person(transactions, vault, person_id)
    with transactions() as connection:
        heads = list(_of_bank(connection))
    yield from ((head, b"") for head in heads)


def _of_person(transactions: Transactions, vault: Vault, person_id: str) -> Iterator[Record]:
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


def _of_bank(connection: sa.Connection) -> Iterator[Head]:
    """What belongs to no person who is there; the last of the records."""
    for row in connection.execute(sa.select(merges_table).order_by(merges_table.c.source_id)):
        yield {"record": "merge", "source_id": row.source_id, "target_id": row.target_id}
    for row in connection.execute(sa.select(erasures_table).order_by(erasures_table.c.erased_id)):
        yield {"record": "erasure", "erased_id": row.erased_id, "erased_at": row.erased_at}
    yield {"record": "end"}


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
