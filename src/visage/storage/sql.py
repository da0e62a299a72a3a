"""The store on SQL: every statement that touches the tables of `schema.py`. `sqlite.py` opens one.

Values are sealed and opened here and in `rows.py`; whoever calls sees plain records. The data key of a person is
unwrapped for as long as a transaction needs it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import sqlalchemy as sa

from visage.bank.store import (
    Contents,
    CounterExample,
    Erasure,
    StoredPhoto,
    from_micros,
    person_from_json,
    to_micros,
)
from visage.errors import BankError, DamagedPerson, NotReady
from visage.storage import rows
from visage.storage.backup import write_backup
from visage.storage.keys import KeyRecord
from visage.storage.schema import (
    counter_examples_table,
    embeddings_table,
    erasures_table,
    key_slots_table,
    merges_table,
    persons_table,
    photos_table,
    undos_table,
    vault_table,
)
from visage.storage.vault import NONCE_BYTES, VERSION, DataKey, Place, Slot, Vault
from visage.types import Embedding, Person, Photo, Undo

log = logging.getLogger("visage")

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""What a readable column that was altered can raise where it is used."""

_DAMAGED = (DamagedPerson, *UNREADABLE)

_ERASED_BY = (
    persons_table.c.person_id,  # first: what goes with a person is not counted again
    photos_table.c.photo_id,
    photos_table.c.origin_id,
    counter_examples_table.c.counter_id,
    counter_examples_table.c.origin_id,
    undos_table.c.undo_id,
    undos_table.c.source_id,
    merges_table.c.source_id,
)
"""The columns by which what was forgotten is found again in an older file, also where a merge has moved it."""


class Scrubber(Protocol):
    """What sees to it that a deleted value is in no file of the store any more."""

    @property
    def database(self) -> Path:
        """The file that holds the store."""

    def owe(self, connection: sa.Connection) -> None:
        """Note, in this transaction, that something was deleted; what is owed is made up for at the next opening."""

    def scrub(self, engine: sa.Engine, traces: Sequence[bytes] | None, *, moved: bool = False) -> bool:
        """Rewrite the files if one of the traces is found in them, or if None. True: none is there.

        Args:
            engine: of the database.
            traces: of what was deleted.
            moved: it lives on with somebody else, and rightly so in banks that were set aside before.
        """


class SqlStore:
    """A store on any database of SQLAlchemy, used by one process.

    Args:
        engine: its connections begin transactions themselves.
        vault: the master key.
        scrubber: of the database's files.
        lock_file: held open, and so locked, while the store is.
    """

    def __init__(
        self, engine: sa.Engine, vault: Vault, scrubber: Scrubber, lock_file: IO[bytes] | None = None
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._scrubber = scrubber
        self._lock_file = lock_file
        self._turn = threading.RLock()
        self._closed = False

    def load(self, model: str) -> Contents:
        """As `Store`."""
        with self._transaction() as connection:
            return _Loading(connection, self._vault).contents(model)

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _insert_photos(connection, photos, self._insert_person(connection, person))

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _touch(connection, person)
            _insert_photos(connection, photos, self._key(connection, person.person_id))

    def update_person(self, person: Person) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            self._update(connection, person)

    def delete_person(self, person_id: str) -> bool:
        """As `Store`."""
        with self._transaction() as connection:
            absorbed = _absorbed(connection, person_id)
            belongings = _belongings(connection, person_id)
            traces = _traces(connection, person_id)
            self._scrubber.owe(connection)
            if not connection.execute(persons_table.delete().where(persons_table.c.person_id == person_id)).rowcount:
                raise DamagedPerson.of(person_id, "id")
            _delete(connection, merges_table.c.source_id, absorbed)
            now = datetime.now(UTC)
            _note_erased(connection, [Erasure(each, now) for each in (person_id, *absorbed, *belongings)])
        return self._scrub(traces)

    def delete_photo(self, person: Person, photo_id: str) -> bool:
        """As `Store`."""
        with self._transaction() as connection:
            traces = _traces(connection, person.person_id, [photo_id])
            self._scrubber.owe(connection)
            _touch(connection, person)
            _delete(connection, photos_table.c.photo_id, [photo_id])
            _note_erased(connection, [Erasure(photo_id, datetime.now(UTC))])
        return self._scrub(traces)

    def erasures(self) -> list[Erasure]:
        """As `Store`."""
        columns = erasures_table.c
        query = sa.select(erasures_table).order_by(columns.erased_at, columns.erased_id)
        with self._transaction() as connection:
            return [Erasure(row.erased_id, from_micros(row.erased_at)) for row in connection.execute(query)]

    def apply_erasures(self, erasures: Sequence[Erasure]) -> int:
        """As `Store`."""
        erased = {erasure.erased_id for erasure in erasures}
        with self._transaction() as connection:
            self._scrubber.owe(connection)
            self._part(connection, erased)
            count = erase(connection, erased)
            _note_erased(connection, erasures)
        self._scrub(None)
        return count

    def without_photos(self) -> int:
        """How many persons have none."""
        owners = sa.select(photos_table.c.person_id)
        query = sa.select(sa.func.count()).select_from(persons_table).where(persons_table.c.person_id.not_in(owners))
        with self._transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def picture(self, photo_id: str) -> bytes | None:
        """As `Store`."""
        columns = photos_table.c
        query = sa.select(columns.person_id, columns.picture).where(columns.photo_id == photo_id)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            return self._key(connection, row.person_id).open(row.picture, rows.picture_place(row.person_id, photo_id))

    def without_embedding(self, model: str, limit: int, skipped: Collection[str]) -> list[tuple[str, bytes]]:
        """As `Store`."""
        columns = photos_table.c
        done = sa.select(embeddings_table.c.photo_id).where(embeddings_table.c.model == model)
        query = (
            sa.select(columns.photo_id, columns.person_id, columns.picture)
            .where(columns.photo_id.not_in(done), columns.person_id.not_in(list(skipped)))
            .order_by(columns.photo_id)
            .limit(limit)
        )
        with self._transaction() as connection:
            return [
                (
                    row.photo_id,
                    self._key(connection, row.person_id).open(
                        row.picture, rows.picture_place(row.person_id, row.photo_id)
                    ),
                )
                for row in connection.execute(query).all()
            ]

    def add_embeddings(self, model: str, embeddings: Mapping[str, Embedding]) -> None:
        """As `Store`."""
        columns = photos_table.c
        query = sa.select(columns.photo_id, columns.person_id).where(columns.photo_id.in_(list(embeddings)))
        with self._transaction() as connection:
            owners = [(row.photo_id, row.person_id) for row in connection.execute(query)]
            made = [
                rows.embedding_row(person_id, photo_id, model, embeddings[photo_id], self._key(connection, person_id))
                for photo_id, person_id in owners
            ]
            if made:
                connection.execute(embeddings_table.insert(), made)

    def reject(self, counter: CounterExample, undo: Undo) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            key = self._key(connection, counter.person_id)
            connection.execute(counter_examples_table.insert(), rows.counter_row(counter, key))
            connection.execute(undos_table.insert(), rows.undo_row(undo, key))

    def unreject(self, counter_id: str, undo_id: str) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            _delete(connection, counter_examples_table.c.counter_id, [counter_id])
            _delete(connection, undos_table.c.undo_id, [undo_id])

    def teach(self, person: Person, photos: Sequence[StoredPhoto], undo: Undo) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            key = self._key(connection, person.person_id)
            _touch(connection, person)
            _insert_photos(connection, photos, key)
            connection.execute(undos_table.insert(), rows.undo_row(undo, key))

    def unteach(self, person: Person, photo_ids: Sequence[str], undo_id: str) -> bool:
        """As `Store`."""
        with self._transaction() as connection:
            traces = _traces(connection, person.person_id, photo_ids)
            if photo_ids:
                self._scrubber.owe(connection)
                _delete(connection, photos_table.c.photo_id, photo_ids)
                now = datetime.now(UTC)
                _note_erased(connection, [Erasure(photo_id, now) for photo_id in photo_ids])
            _touch(connection, person)
            _delete(connection, undos_table.c.undo_id, [undo_id])
        return self._scrub(traces) if photo_ids else True

    def note_seen(self, times: Mapping[str, datetime | None]) -> None:
        """As `Store`."""
        with self._transaction() as connection:
            for person_id, seen in times.items():
                connection.execute(
                    persons_table.update().where(persons_table.c.person_id == person_id),
                    {"last_seen_at": None if seen is None else to_micros(seen)},
                )

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        """As `Store`."""
        giver, taker = source.person_id, target.person_id
        with self._transaction() as connection:
            traces = _traces(connection, giver)
            self._scrubber.owe(connection)
            self._update(connection, target)
            keys = (self._key(connection, giver), self._key(connection, taker))
            _give_photos(connection, photos_table.c.person_id == giver, taker, keys)
            _give_corrections(
                connection,
                counter_examples_table.c.person_id == giver,
                undos_table.c.person_id == giver,
                taker,
                keys,
            )
            connection.execute(undos_table.insert(), rows.undo_row(undo, keys[1]))
            _delete(connection, persons_table.c.person_id, [giver])
            connection.execute(merges_table.insert(), {"source_id": giver, "target_id": taker})
        self._scrub(traces, moved=True)

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
            traces = _traces(connection, target.person_id, photo_ids)
            self._scrubber.owe(connection)
            self._update(connection, target)
            self._give_back(connection, target.person_id, source, (photo_ids, counter_ids, undo_ids), undo_id)
        self._scrub(traces, moved=True)

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
            loading = _Loading(connection, self._vault)
            faults += loading.contents(None).faults
            faults += loading.picture_faults()
        return faults

    def backup(self, target: IO[bytes], on_progress: Callable[[int, int], None]) -> None:
        """As `Store`: the file is copied as it is, while no transaction can begin."""
        with self._turn:
            with self._transaction() as connection:
                vault = connection.execute(sa.select(vault_table)).one()
                slots = read_slots(connection)
                persons, photos = (
                    connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                    for table in (persons_table, photos_table)
                )
            with self._scrubber.database.open("rb") as database:
                write_backup(
                    target,
                    database,
                    self._vault,
                    KeyRecord(vault.bank_id, vault.key_check, slots, ()),
                    persons=persons,
                    photos=photos,
                    on_progress=on_progress,
                )

    def close(self) -> None:
        """As `Store`."""
        if (lock_file := self.release()) is not None:
            lock_file.close()

    def release(self) -> IO[bytes] | None:
        """As `Store`."""
        with self._turn:
            self._closed = True
            self._engine.dispose()
            lock_file, self._lock_file = self._lock_file, None
            return lock_file

    def slots(self) -> list[Slot]:
        """The secrets that open this bank beside its key, as far as the bank knows of them."""
        with self._transaction() as connection:
            return read_slots(connection)

    def put_slots(self, slots: Sequence[Slot]) -> None:
        """Let these secrets open the bank, and no others. Each must hold the present master key."""
        with self._transaction() as connection:
            connection.execute(key_slots_table.delete())
            insert_slots(connection, slots)

    def vault(self) -> tuple[Vault, str, datetime]:
        """The master key at work, the bank's id, and since when this key is its key."""
        with self._transaction() as connection:
            row = connection.execute(sa.select(vault_table)).one()
        return self._vault, row.bank_id, from_micros(row.key_since)

    def rewrap(self, vault: Vault, slots: Sequence[Slot], *, damaged_too: bool = False) -> None:
        """Make another master key this bank's key, with these slots and no others. Every person's data key is a new
        one too, so that who had the old master key can read nothing of what the file holds from now on.

        Args:
            vault: the master key.
            slots: the secrets that give it.
            damaged_too: a key that cannot be read is replaced by one that opens nothing, instead of refusing.

        Raises:
            DamagedPerson: a person's key cannot be read; nothing was changed.
        """
        columns = persons_table.c
        with self._transaction() as connection:
            self._scrubber.owe(connection)
            for person_id, wrapped in connection.execute(sa.select(columns.person_id, columns.key)).all():
                try:
                    old = self._vault.key(person_id, wrapped)
                except DamagedPerson:
                    if not damaged_too:
                        raise
                    # Some other key may open it: whoever has that must not be taken for the owner of this bank.
                    spoilt = persons_table.update().where(columns.person_id == person_id)
                    connection.execute(spoilt, {"key": b""})
                    continue
                key, wrapped_key = vault.new_key(person_id)
                connection.execute(persons_table.update().where(columns.person_id == person_id), {"key": wrapped_key})
                _renew(connection, person_id, (old, key))
            connection.execute(key_slots_table.delete())
            insert_slots(connection, slots)
            bank_id = connection.execute(sa.select(vault_table.c.bank_id)).scalar_one()
            connection.execute(
                vault_table.update(),
                {"key_check": vault.key_check(bank_id), "key_since": to_micros(datetime.now(UTC))},
            )
        self._vault = vault
        self._scrub(None)

    def _key(self, connection: sa.Connection, person_id: str) -> DataKey:
        query = sa.select(persons_table.c.key).where(persons_table.c.person_id == person_id)
        return self._vault.key(person_id, connection.execute(query).scalar_one())

    def _update(self, connection: sa.Connection, person: Person) -> None:
        row = rows.person_row(person, self._key(connection, person.person_id))
        connection.execute(persons_table.update().where(persons_table.c.person_id == person.person_id), row)

    def _insert_person(self, connection: sa.Connection, person: Person) -> DataKey:
        key, wrapped = self._vault.new_key(person.person_id)
        connection.execute(persons_table.insert(), rows.person_row(person, key) | {"key": wrapped})
        return key

    def _part(self, connection: sa.Connection, erased: Collection[str]) -> None:
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
                undo = rows.undo_of(row, self._key(connection, owner))
            except _DAMAGED:
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
                self._give_back(connection, owner, source, (held[0], held[1], held[2]), undo.undo_id)

    def _give_back(
        self,
        connection: sa.Connection,
        giver: str,
        source: Person,
        ids: tuple[Sequence[str], Sequence[str], Sequence[str]],
        undo_id: str,
    ) -> None:
        """Make one person two again: the source gets photos, rejected looks and undos back; the undo is used up."""
        photo_ids, counter_ids, undo_ids = ids
        keys = (self._key(connection, giver), self._insert_person(connection, source))
        _give_photos(connection, photos_table.c.photo_id.in_(photo_ids), source.person_id, keys)
        _give_corrections(
            connection,
            counter_examples_table.c.counter_id.in_(counter_ids),
            undos_table.c.undo_id.in_(undo_ids),
            source.person_id,
            keys,
        )
        _delete(connection, undos_table.c.undo_id, [undo_id])
        _delete(connection, merges_table.c.source_id, [source.person_id])

    def _scrub(self, traces: Sequence[bytes] | None, *, moved: bool = False) -> bool:
        """What was deleted is deleted; that a trace of it is left is no reason to say otherwise, but to say so."""
        with self._turn:
            try:
                clean = self._scrubber.scrub(self._engine, traces, moved=moved)
            except Exception as exc:
                log.warning("%s", exc.message if isinstance(exc, BankError) else type(exc).__name__)
                clean = False
        if not clean:
            log.warning("What was forgotten could not be removed from the disk yet; the next start tries again")
        return clean

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """One transaction, for what belongs to this kind of store only."""
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """One at a time; committed and synced at the end, undone where anything is raised."""
        with self._turn:
            if self._closed:  # a request that began before the bank was replaced
                raise NotReady
            try:
                with self._engine.begin() as connection:
                    yield connection
            except (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, KeyError) as exc:
                raise BankError(in_words(exc)) from exc


class _Loading:
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
            except _DAMAGED:
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
            except _DAMAGED:
                self._spoil(row.person_id, f"photo {row.photo_id}")
            else:
                photos.append((photo, vectors.get(photo.photo_id)))
        counters: list[CounterExample] = []
        table = counter_examples_table
        for row in self._connection.execute(sa.select(table).order_by(table.c.created_at, table.c.counter_id)):
            try:
                counters.append(rows.counter_of(row, self._keys[row.person_id]))
            except _DAMAGED:
                self._spoil(row.person_id, f"rejected face {row.counter_id}")
        undos: list[Undo] = []
        for row in self._connection.execute(sa.select(undos_table).order_by(undos_table.c.created_at)):
            try:
                undos.append(rows.undo_of(row, self._keys[row.person_id]))
            except _DAMAGED:  # who it belongs to is as well known as before
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
            except _DAMAGED:
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
            except _DAMAGED:
                self._spoil(row.person_id, f"embedding of photo {row.photo_id}")
        return vectors

    def _spoil(self, person_id: Any, what: str) -> None:
        self._damaged.add(str(person_id))
        self._faults.append(f"Person {person_id}: the {what} is damaged")


def in_words(exc: Exception) -> str:
    """What a carer can do something about; the log has the rest."""
    text = str(exc).lower()
    if "full" in text:
        return "The disk is full; nothing was changed"
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return "The bank cannot be written; check the rights of the data directory"
    if "malformed" in text or "not a database" in text or "no such table" in text or "no such column" in text:
        return "The bank is damaged. It was left untouched; restore a backup"
    return "The bank cannot be read or written; nothing was changed"


def key_record(connection: sa.Connection) -> KeyRecord:
    """What a bank knows of its key.

    Raises:
        BankError: nothing.
    """
    row = connection.execute(sa.select(vault_table)).one_or_none()
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


def _insert_photos(connection: sa.Connection, photos: Sequence[StoredPhoto], key: DataKey) -> None:
    if not photos:
        return
    connection.execute(photos_table.insert(), [rows.photo_row(stored, key) for stored in photos])
    connection.execute(
        embeddings_table.insert(),
        [
            rows.embedding_row(stored.photo.person_id, stored.photo.photo_id, stored.model, stored.embedding, key)
            for stored in photos
        ],
    )


def _give_photos(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], taker: str, keys: tuple[DataKey, DataKey]
) -> None:
    """Make photos another person's: every value is sealed anew, from the first key to the second."""

    def anew(sealed: bytes, place: Callable[[str], Place], giver: str) -> bytes:
        return keys[1].seal(keys[0].open(sealed, place(giver)), place(taker))

    columns, of_embeddings = photos_table.c, embeddings_table.c
    for photo in connection.execute(sa.select(photos_table).where(wanted)).all():
        photo_id, giver = photo.photo_id, photo.person_id
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


def _give_corrections(
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


def _traces(connection: sa.Connection, person_id: str, photo_ids: Sequence[str] | None = None) -> list[bytes]:
    """By what the values of a person, or of some photos, would be found in a file."""
    photos, embeddings = photos_table.c, embeddings_table.c
    wanted = photos.person_id == person_id
    if photo_ids is not None:
        wanted &= photos.photo_id.in_(photo_ids)
    queries = [
        sa.select(photos.quality, photos.picture).where(wanted),
        sa.select(embeddings.vector).join(photos_table).where(wanted),
    ]
    if photo_ids is None:
        for table, names in (
            (persons_table, ("key", "content")),
            (counter_examples_table, ("vector",)),
            (undos_table, ("content",)),
        ):
            columns = [table.c[name] for name in names]
            queries.append(sa.select(*columns).where(table.c.person_id == person_id))
    values = [value for query in queries for row in connection.execute(query) for value in row]
    # The nonce is random, and at the beginning: where it is not found, the value is not. Damaged values may be zeros.
    whole = [value for value in values if isinstance(value, bytes) and value[:1] == bytes([VERSION])]
    return [value[1 : 1 + NONCE_BYTES] for value in whole if len(value) > NONCE_BYTES]


def _absorbed(connection: sa.Connection, person_id: str) -> list[str]:
    """Everyone who was merged into a person, directly or by way of others."""
    found: list[str] = []
    waiting = [person_id]
    while waiting:
        query = sa.select(merges_table.c.source_id).where(merges_table.c.target_id == waiting.pop())
        sources = [
            source_id
            for (source_id,) in connection.execute(query)
            if source_id != person_id and source_id not in found
        ]
        found += sources
        waiting += sources
    return found


def erase(connection: sa.Connection, erased: Collection[str]) -> int:
    """Remove what was forgotten from an older bank; no key is needed for that.

    A bank of an older schema does not tell what a merge has moved: there, whoever holds somebody who was forgotten
    goes as well.

    Returns: how many persons and photos were still there.
    """
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    there = {
        table: {column["name"] for column in inspector.get_columns(table.name)} if table.name in tables else set()
        for table in {column.table for column in _ERASED_BY}
    }
    gone = set(erased)
    if "origin_id" not in there[photos_table] and there[merges_table]:
        targets = {row.source_id: row.target_id for row in connection.execute(sa.select(merges_table))}
        for person_id in erased:
            holder = targets.get(person_id)
            while holder is not None and holder not in gone:
                gone.add(holder)
                holder = targets.get(holder)
    # One text instead of a list: how many values a statement takes is limited.
    ids = sa.select(sa.func.json_each(json.dumps(sorted(gone))).table_valued("value").c.value)
    if there[merges_table]:
        _close_chains(connection, gone)
    count = 0
    for column in _ERASED_BY:
        if column.name in there[column.table]:
            removed = connection.execute(column.table.delete().where(column.in_(ids))).rowcount
            count += removed if column.table in (persons_table, photos_table) else 0
    return count


def _close_chains(connection: sa.Connection, gone: Collection[str]) -> None:
    """Who was merged into someone who goes, and with him into a third, was merged into that third."""
    merges = merges_table.c
    targets = {row.source_id: row.target_id for row in connection.execute(sa.select(merges_table))}
    for source_id, target_id in targets.items():
        seen, last = {source_id}, target_id
        while last in gone and last in targets and last not in seen:
            seen.add(last)
            last = targets[last]
        if last != target_id:
            connection.execute(merges_table.update().where(merges.source_id == source_id), {"target_id": last})


def _belongings(connection: sa.Connection, person_id: str) -> list[str]:
    """The ids of all that goes with a person."""
    return [
        each
        for column in (photos_table.c.photo_id, counter_examples_table.c.counter_id, undos_table.c.undo_id)
        for each in connection.scalars(sa.select(column).where(column.table.c.person_id == person_id))
    ]


def _note_erased(connection: sa.Connection, erasures: Sequence[Erasure]) -> None:
    if erasures:
        connection.execute(
            erasures_table.delete().where(erasures_table.c.erased_id == sa.bindparam("gone")),
            [{"gone": erasure.erased_id} for erasure in erasures],
        )
        connection.execute(
            erasures_table.insert(),
            [{"erased_id": each.erased_id, "erased_at": to_micros(each.erased_at)} for each in erasures],
        )


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
    for photo in connection.execute(sa.select(photos).where(of_person)).all():
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


def _delete(connection: sa.Connection, column: sa.Column[str], ids: Sequence[str]) -> None:
    connection.execute(column.table.delete().where(column.in_(ids)))


def _touch(connection: sa.Connection, person: Person) -> None:
    connection.execute(
        persons_table.update().where(persons_table.c.person_id == person.person_id),
        {
            "updated_at": to_micros(person.updated_at),
            "last_seen_at": None if person.last_seen_at is None else to_micros(person.last_seen_at),
        },
    )
