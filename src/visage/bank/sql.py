"""The store on SQL: its tables, and every statement that touches them. `sqlite.py` opens one."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any

import numpy as np
import sqlalchemy as sa

from visage.bank.store import (
    CounterExample,
    StoredPhoto,
    from_micros,
    person_from_json,
    person_to_json,
    to_micros,
)
from visage.errors import BankError
from visage.types import Embedding, Issue, Person, Photo, Quality, Undo

metadata = sa.MetaData()

persons_table = sa.Table(
    "persons",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("relationship", sa.Text),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)
photos_table = sa.Table(
    "photos",
    metadata,
    sa.Column("photo_id", sa.Text, primary_key=True),
    sa.Column(
        "person_id",
        sa.Text,
        sa.ForeignKey("persons.person_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("quality", sa.Text, nullable=False),
    sa.Column("picture", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
embeddings_table = sa.Table(
    "embeddings",
    metadata,
    sa.Column("photo_id", sa.Text, sa.ForeignKey("photos.photo_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),  # float32, little-endian
)
counter_examples_table = sa.Table(
    "counter_examples",
    metadata,
    sa.Column("counter_id", sa.Text, primary_key=True),
    sa.Column(
        "person_id", sa.Text, sa.ForeignKey("persons.person_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),  # float32, little-endian
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
undos_table = sa.Table(
    "undos",
    metadata,
    sa.Column("undo_id", sa.Text, primary_key=True),
    sa.Column(
        "person_id", sa.Text, sa.ForeignKey("persons.person_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON
    sa.Column("created_at", sa.BigInteger, nullable=False),
)


class SqlStore:
    """A store on any database of SQLAlchemy, used by one process.

    Args:
        engine: its connections begin transactions themselves.
        lock_file: held open, and so locked, while the store is.
    """

    def __init__(self, engine: sa.Engine, lock_file: IO[bytes] | None = None) -> None:
        self._engine = engine
        self._lock_file = lock_file
        self._turn = threading.RLock()

    def persons(self) -> Iterator[Person]:
        """As `Store`."""
        with self._transaction() as connection:
            for row in connection.execute(sa.select(persons_table)):
                yield person_from_json(row._asdict())

    def photos(self, model: str) -> Iterator[tuple[Photo, Embedding | None]]:
        """As `Store`."""
        columns = photos_table.c
        query = (
            sa.select(
                columns.photo_id, columns.person_id, columns.quality, columns.created_at, embeddings_table.c.vector
            )
            .select_from(photos_table)
            .outerjoin(
                embeddings_table,
                (embeddings_table.c.photo_id == columns.photo_id) & (embeddings_table.c.model == model),
            )
            .order_by(columns.created_at, columns.photo_id)
        )
        with self._transaction() as connection:
            for row in connection.execute(query):
                quality = json.loads(row.quality)
                photo = Photo(
                    photo_id=row.photo_id,
                    person_id=row.person_id,
                    quality=Quality(quality["score"], tuple(Issue(issue) for issue in quality["issues"])),
                    created_at=from_micros(row.created_at),
                )
                yield photo, None if row.vector is None else np.frombuffer(row.vector, dtype="<f4")

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            connection.execute(persons_table.insert(), person_to_json(person))
            _insert_photos(connection, photos)

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _touch(connection, person)
            _insert_photos(connection, photos)

    def update_person(self, person: Person) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            connection.execute(
                persons_table.update().where(persons_table.c.person_id == person.person_id), person_to_json(person)
            )

    def delete_person(self, person_id: str) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            connection.execute(persons_table.delete().where(persons_table.c.person_id == person_id))

    def delete_photo(self, person: Person, photo_id: str) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _touch(connection, person)
            connection.execute(photos_table.delete().where(photos_table.c.photo_id == photo_id))

    def picture(self, photo_id: str) -> bytes | None:
        """As `Store`."""
        query = sa.select(photos_table.c.picture).where(photos_table.c.photo_id == photo_id)
        with self._transaction() as connection:
            picture: bytes | None = connection.scalar(query)
        return picture

    def without_embedding(self, model: str, limit: int) -> list[tuple[str, bytes]]:
        """As `Store`."""
        done = sa.select(embeddings_table.c.photo_id).where(embeddings_table.c.model == model)
        query = (
            sa.select(photos_table.c.photo_id, photos_table.c.picture)
            .where(photos_table.c.photo_id.not_in(done))
            .order_by(photos_table.c.photo_id)
            .limit(limit)
        )
        with self._transaction() as connection:
            return [(row.photo_id, row.picture) for row in connection.execute(query)]

    def add_embeddings(self, model: str, embeddings: Mapping[str, Embedding]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            connection.execute(
                embeddings_table.insert(),
                [_embedding_row(photo_id, model, vector) for photo_id, vector in embeddings.items()],
            )

    def counter_examples(self) -> Iterator[CounterExample]:
        """As `Store`."""
        table = counter_examples_table
        with self._transaction() as connection:
            for row in connection.execute(sa.select(table).order_by(table.c.created_at, table.c.counter_id)):
                yield CounterExample(
                    counter_id=row.counter_id,
                    person_id=row.person_id,
                    model=row.model,
                    embedding=np.frombuffer(row.vector, dtype="<f4"),
                    created_at=from_micros(row.created_at),
                )

    def undos(self) -> Iterator[Undo]:
        """As `Store`."""
        with self._transaction() as connection:
            for row in connection.execute(sa.select(undos_table).order_by(undos_table.c.created_at)):
                yield Undo(row.undo_id, row.person_id, row.kind, json.loads(row.content), from_micros(row.created_at))

    def reject(self, counter: CounterExample, undo: Undo) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            connection.execute(counter_examples_table.insert(), _counter_row(counter))
            connection.execute(undos_table.insert(), _undo_row(undo))

    def unreject(self, counter_id: str, undo_id: str) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _delete(connection, counter_examples_table.c.counter_id, [counter_id])
            _delete(connection, undos_table.c.undo_id, [undo_id])

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _touch(connection, target)
            for table in (photos_table, counter_examples_table, undos_table):
                _give(connection, table.c.person_id, [source.person_id], target.person_id)
            connection.execute(undos_table.insert(), _undo_row(undo))
            _delete(connection, persons_table.c.person_id, [source.person_id])

    def split(
        self,
        target: Person,
        source: Person,
        photo_ids: Sequence[str],
        counter_ids: Sequence[str],
        undo_ids: Sequence[str],
        undo_id: str,
    ) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _touch(connection, target)
            connection.execute(persons_table.insert(), person_to_json(source))
            _give(connection, photos_table.c.photo_id, photo_ids, source.person_id)
            _give(connection, counter_examples_table.c.counter_id, counter_ids, source.person_id)
            _give(connection, undos_table.c.undo_id, undo_ids, source.person_id)
            _delete(connection, undos_table.c.undo_id, [undo_id])

    def settle(self, undo_ids: Sequence[str], counter_ids: Sequence[str]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _delete(connection, undos_table.c.undo_id, undo_ids)
            _delete(connection, counter_examples_table.c.counter_id, counter_ids)

    def check(self) -> list[str]:
        """As `Store`."""
        with self._transaction() as connection:
            faults = [text for (text,) in connection.execute(sa.text("PRAGMA integrity_check")) if text != "ok"]
            faults += [
                f"A row of {table} points to a row of {parent} that is not there"
                for table, _, parent, _ in connection.execute(sa.text("PRAGMA foreign_key_check"))
            ]
        return faults

    def close(self) -> None:
        """As `Store`."""
        with self._turn:
            self._engine.dispose()
            if self._lock_file is not None:
                self._lock_file.close()

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """As `Store`."""
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """One at a time; committed and synced at the end, undone where anything is raised."""
        with self._turn:
            try:
                with self._engine.begin() as connection:
                    yield connection
            except (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, KeyError) as exc:
                raise BankError(in_words(exc)) from exc


def in_words(exc: Exception) -> str:
    """What a carer can do something about; the log has the rest."""
    text = str(exc).lower()
    if "full" in text:
        return "The disk is full; nothing was changed"
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return "The bank cannot be written; check the rights of the data directory"
    if "malformed" in text or "not a database" in text:
        return "The bank is damaged. It was left untouched; restore a backup"
    return "The bank cannot be read or written; nothing was changed"


def _embedding_row(photo_id: str, model: str, vector: Embedding) -> dict[str, Any]:
    return {"photo_id": photo_id, "model": model, "vector": vector.astype("<f4").tobytes()}


def _insert_photos(connection: sa.Connection, photos: Sequence[StoredPhoto]) -> None:
    if not photos:
        return
    rows = [
        {
            "photo_id": stored.photo.photo_id,
            "person_id": stored.photo.person_id,
            "quality": json.dumps(
                {"score": stored.photo.quality.score, "issues": [i.value for i in stored.photo.quality.issues]}
            ),
            "picture": stored.picture,
            "created_at": to_micros(stored.photo.created_at),
        }
        for stored in photos
    ]
    connection.execute(photos_table.insert(), rows)
    connection.execute(
        embeddings_table.insert(),
        [_embedding_row(stored.photo.photo_id, stored.model, stored.embedding) for stored in photos],
    )


def _counter_row(counter: CounterExample) -> dict[str, Any]:
    return {
        "counter_id": counter.counter_id,
        "person_id": counter.person_id,
        "model": counter.model,
        "vector": counter.embedding.astype("<f4").tobytes(),
        "created_at": to_micros(counter.created_at),
    }


def _undo_row(undo: Undo) -> dict[str, Any]:
    return {
        "undo_id": undo.undo_id,
        "person_id": undo.person_id,
        "kind": undo.kind,
        "content": json.dumps(dict(undo.content), ensure_ascii=False),
        "created_at": to_micros(undo.created_at),
    }


def _give(connection: sa.Connection, column: sa.Column[str], ids: Sequence[str], person_id: str) -> None:
    """Make the rows of these ids a person's."""
    connection.execute(column.table.update().where(column.in_(ids)), {"person_id": person_id})


def _delete(connection: sa.Connection, column: sa.Column[str], ids: Sequence[str]) -> None:
    connection.execute(column.table.delete().where(column.in_(ids)))


def _touch(connection: sa.Connection, person: Person) -> None:
    connection.execute(
        persons_table.update().where(persons_table.c.person_id == person.person_id),
        {"updated_at": to_micros(person.updated_at)},
    )
