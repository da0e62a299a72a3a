"""Where a bank is kept: the contract of a store, and the store on SQL.

A store keeps rows and answers by id. It never searches or sorts by what a person typed, so that those values may be
ciphertext to it; names are searched in memory (`bank.py`). Every method that writes is one transaction, durable
when it returns.

SQLite runs with a rollback journal (TRUNCATE), not a write-ahead log: Debian 12's SQLite has a known reset race
there, and a bank that is read into memory at start gains nothing from it.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.pool import StaticPool

from visage.errors import BankError
from visage.types import Embedding, Issue, Person, Photo, Quality

FILE_NAME = "visage.db"
_APPLICATION_ID = 0x56495347  # "VISG": marks the file as ours
_MIGRATIONS = Path(__file__).parent / "migrations"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

metadata = sa.MetaData()

# Times are whole microseconds since 1970 UTC: exact, sortable, the same in every database.
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


@dataclass(frozen=True, slots=True, eq=False)
class StoredPhoto:
    """A photo with what is too large to keep in memory for all.

    Attributes:
        photo: the record.
        picture: JPEG of the portrait.
        model: name of the model that made the embedding.
        embedding: (D,) float32.
    """

    photo: Photo
    picture: bytes
    model: str
    embedding: Embedding


class Store(Protocol):
    """The contract of every store. All methods raise BankError where the store cannot be read or written."""

    def persons(self) -> Iterator[Person]:
        """All persons, with `embedding_count` left at 0."""

    def photos(self, model: str) -> Iterator[tuple[Photo, Embedding | None]]:
        """All photos, oldest first, each with its embedding by this model, or None where there is none."""

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """Keep a new person with photos."""

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """Keep more photos of a person, and the person's new `updated_at`."""

    def update_person(self, person: Person) -> None:
        """Replace what is kept of a person; the photos stay."""

    def delete_person(self, person_id: str) -> None:
        """Remove a person with all photos and embeddings."""

    def delete_photo(self, person: Person, photo_id: str) -> None:
        """Remove a photo with its embeddings, and keep the person's new `updated_at`."""

    def picture(self, photo_id: str) -> bytes | None:
        """The JPEG of a photo; None where there is no such photo."""

    def without_embedding(self, model: str, limit: int) -> list[tuple[str, bytes]]:
        """Up to `limit` photos (id, picture) that this model has not embedded."""

    def add_embeddings(self, model: str, embeddings: Mapping[str, Embedding]) -> None:
        """Keep the embeddings that a model made, by photo id."""

    def check(self) -> list[str]:
        """What is damaged, in words; empty where nothing is."""

    def close(self) -> None:
        """Release the store."""


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
                yield Person(
                    person_id=row.person_id,
                    name=row.name,
                    relationship=row.relationship,
                    metadata=json.loads(row.metadata),
                    created_at=_from_micros(row.created_at),
                    updated_at=_from_micros(row.updated_at),
                )

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
                    created_at=_from_micros(row.created_at),
                )
                yield photo, None if row.vector is None else np.frombuffer(row.vector, dtype="<f4")

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            connection.execute(persons_table.insert(), _person_row(person))
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
                persons_table.update().where(persons_table.c.person_id == person.person_id), _person_row(person)
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

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """One at a time; committed and synced at the end, undone where anything is raised."""
        with self._turn:
            try:
                with self._engine.begin() as connection:
                    yield connection
            except (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, KeyError) as exc:
                raise BankError(_in_words(exc)) from exc


def open_store(data_dir: Path) -> SqlStore:
    """Open the bank in a directory; make both where there are none.

    A new bank appears under its name only when it is complete. A file that is there but cannot be read is never
    replaced by a fresh one.

    Raises:
        BankError: another process uses it; it is damaged, of a newer version or no bank; the directory cannot be
            written.
    """
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_file = _lock(data_dir / "visage.lock")
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    try:
        if not path.exists():
            _create(path)
        engine = _connect(path)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    except BaseException:
        lock_file.close()
        raise
    return SqlStore(engine, lock_file)


def _lock(path: Path) -> IO[bytes]:
    """Keep other processes out for as long as the file stays open; a killed process lets go by itself."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise BankError(
            "Another Visage is using this bank. Stop it, or talk to it: every command takes --url"
        ) from exc
    return file


def _create(path: Path) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)  # left by a first start that was cut short
    try:
        draft.touch(mode=0o600)
        engine = _connect(draft, fresh=True)
        try:
            _migrate(engine)
        finally:
            engine.dispose()
        draft.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc


def _connect(path: Path, *, fresh: bool = False) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, check_same_thread=False, isolation_level=None)
        try:
            if fresh:
                connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            elif connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
                raise BankError(f"{path.name} is damaged, or no Visage bank. It was left untouched")
            for pragma in ("journal_mode=TRUNCATE", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    # isolation_level=None makes the driver begin nothing by itself; transactions then cover schema changes too.
    engine = sa.create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _migrate(engine: sa.Engine) -> None:
    """Bring the schema up to date, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as exc:
        raise BankError("This bank was made by a newer version of Visage; install that version or later") from exc
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as exc:
        raise BankError(_in_words(exc)) from exc


def _in_words(exc: Exception) -> str:
    """What a carer can do something about; the log has the rest."""
    text = str(exc).lower()
    if "full" in text:
        return "The disk is full; nothing was changed"
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return "The bank cannot be written; check the rights of the data directory"
    if "malformed" in text or "not a database" in text:
        return "The bank is damaged. It was left untouched; restore a backup"
    return "The bank cannot be read or written; nothing was changed"


def _person_row(person: Person) -> dict[str, Any]:
    return {
        "person_id": person.person_id,
        "name": person.name,
        "relationship": person.relationship,
        "metadata": json.dumps(dict(person.metadata), ensure_ascii=False),
        "created_at": _to_micros(person.created_at),
        "updated_at": _to_micros(person.updated_at),
    }


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
            "created_at": _to_micros(stored.photo.created_at),
        }
        for stored in photos
    ]
    connection.execute(photos_table.insert(), rows)
    connection.execute(
        embeddings_table.insert(),
        [_embedding_row(stored.photo.photo_id, stored.model, stored.embedding) for stored in photos],
    )


def _touch(connection: sa.Connection, person: Person) -> None:
    connection.execute(
        persons_table.update().where(persons_table.c.person_id == person.person_id),
        {"updated_at": _to_micros(person.updated_at)},
    )


def _to_micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
