"""The store on SQL: every statement that both databases share. `sqlite.py` opens one.

Values are sealed and opened here and in `rows.py`; whoever calls sees plain records. The data key of a person is
unwrapped for as long as a transaction needs it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import IO, Protocol

import sqlalchemy as sa

from visage.bank.records import Contents, CounterExample, Erasure, StoredPhoto, from_micros, to_micros
from visage.errors import BankError, DamagedPerson
from visage.storage import digest, rows
from visage.storage.dumping import said, write_backup
from visage.storage.erasing import absorbed, belongings, delete, erase, note_erased, traces
from visage.storage.filling import fill
from visage.storage.keyring import insert_slots, read_slots
from visage.storage.loading import Loading
from visage.storage.parting import give_back, insert_person, key_of, part
from visage.storage.records import Record
from visage.storage.resealing import change_keys, give_corrections, give_photos
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
from visage.storage.vault import DataKey, Slot, Vault
from visage.types import Embedding, Person, Undo

log = logging.getLogger("visage")


class Database(Protocol):
    """What differs from one database to another."""

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """One at a time; committed and synced at the end, undone where anything is raised.

        Raises:
            BankError: it cannot be read or written; the words say what to do.
            NotReady: it was closed.
        """

    def faults(self, connection: sa.Connection) -> list[str]:
        """What the database itself finds damaged, in words."""

    def owe(self, connection: sa.Connection) -> None:
        """Note, in this transaction, that something was deleted; what is owed is made up for at the next opening."""

    def scrub(self, traces: Sequence[bytes] | None, *, moved: bool = False) -> bool:
        """See to it that a deleted value is in no file of the store any more. True: none is there.

        Args:
            traces: of what was deleted; None to rewrite everything.
            moved: it lives on with somebody else, and rightly so in banks that were set aside before.
        """

    def release(self) -> IO[bytes] | None:
        """Close it, and hand on what keeps other processes out of it, if something does."""


class SqlStore:
    """A store on any database of SQLAlchemy.

    Args:
        database: what is particular to it.
        vault: the master key.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._watches: list[set[str]] = []

    def load(self, model: str) -> Contents:
        """As `Store`."""
        with self._transaction() as connection:
            return Loading(connection, self._vault).contents(model)

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """As `Store`."""
        with self._changing(person.person_id) as connection:
            _insert_photos(connection, photos, insert_person(connection, self._vault, person))

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """As `Store`."""
        with self._changing(person.person_id) as connection:
            _touch(connection, person)
            _insert_photos(connection, photos, self._key(connection, person.person_id))

    def update_person(self, person: Person) -> None:
        """As `Store`."""
        with self._changing(person.person_id) as connection:
            self._update(connection, person)

    def delete_person(self, person_id: str) -> bool:
        """As `Store`."""
        with self._transaction() as connection:
            others = absorbed(connection, person_id)
            erased = [person_id, *others, *belongings(connection, person_id)]
            left = traces(connection, person_id)
            with self._following(connection, erased, forgotten=person_id):
                self._database.owe(connection)
                if not delete(connection, persons_table.c.person_id, [person_id]):
                    raise DamagedPerson.of(person_id, "id")
                delete(connection, merges_table.c.source_id, others)
                now = datetime.now(UTC)
                note_erased(connection, [Erasure(each, now) for each in erased])
        return self._scrub(left)

    def delete_photo(self, person: Person, photo_id: str) -> bool:
        """As `Store`."""
        with self._changing(person.person_id, photo_id) as connection:
            left = traces(connection, person.person_id, [photo_id])
            self._database.owe(connection)
            _touch(connection, person)
            delete(connection, photos_table.c.photo_id, [photo_id])
            note_erased(connection, [Erasure(photo_id, datetime.now(UTC))])
        return self._scrub(left)

    def erasures(self) -> list[Erasure]:
        """As `Store`."""
        columns = erasures_table.c
        query = sa.select(erasures_table).order_by(columns.erased_at, columns.erased_id)
        with self._transaction() as connection:
            return [Erasure(row.erased_id, from_micros(row.erased_at)) for row in connection.execute(query)]

    def apply_erasures(self, erasures: Sequence[Erasure]) -> int:
        """As `Store`."""
        erased = {erasure.erased_id for erasure in erasures}
        with self._transaction() as connection, self._following(connection, None):
            self._database.owe(connection)
            part(connection, self._vault, erased)
            count, _ = erase(connection, erased)
            note_erased(connection, erasures)
        self._scrub(None)
        return count

    def drop_erasures(self, ids: Collection[str]) -> None:
        """Let nobody have forgotten these."""
        with self._changing(*ids) as connection:
            for each in ids:
                delete(connection, erasures_table.c.erased_id, [each])

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
            if not made:  # all of them were forgotten meanwhile
                return
            with self._following(connection, [person_id for _, person_id in owners]):
                connection.execute(embeddings_table.insert(), made)

    def reject(
        self, counter: CounterExample, undo: Undo, counter_ids: Sequence[str] = (), undo_ids: Sequence[str] = ()
    ) -> None:
        """As `Store`."""
        with self._changing(counter.person_id) as connection:
            key = self._key(connection, counter.person_id)
            delete(connection, counter_examples_table.c.counter_id, counter_ids)
            delete(connection, undos_table.c.undo_id, undo_ids)
            connection.execute(counter_examples_table.insert(), rows.counter_row(counter, key))
            connection.execute(undos_table.insert(), rows.undo_row(undo, key))

    def unreject(self, counter_id: str, undo_id: str) -> None:
        """As `Store`."""
        self.settle([undo_id], [counter_id])

    def teach(self, person: Person, photos: Sequence[StoredPhoto], undo: Undo) -> None:
        """As `Store`."""
        with self._changing(person.person_id) as connection:
            key = self._key(connection, person.person_id)
            _touch(connection, person)
            _insert_photos(connection, photos, key)
            connection.execute(undos_table.insert(), rows.undo_row(undo, key))

    def unteach(self, person: Person, photo_ids: Sequence[str], undo_id: str) -> bool:
        """As `Store`."""
        with self._changing(person.person_id, *photo_ids) as connection:
            left = traces(connection, person.person_id, photo_ids)
            if photo_ids:
                self._database.owe(connection)
                delete(connection, photos_table.c.photo_id, photo_ids)
                now = datetime.now(UTC)
                note_erased(connection, [Erasure(photo_id, now) for photo_id in photo_ids])
            _touch(connection, person)
            delete(connection, undos_table.c.undo_id, [undo_id])
        return self._scrub(left) if photo_ids else True

    def note_seen(self, times: Mapping[str, datetime | None]) -> None:
        """As `Store`."""
        with self._changing(*times) as connection:
            for person_id, seen in times.items():
                connection.execute(
                    persons_table.update().where(persons_table.c.person_id == person_id),
                    {"last_seen_at": None if seen is None else to_micros(seen)},
                )

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        """As `Store`."""
        giver, taker = source.person_id, target.person_id
        with self._changing(giver, taker) as connection:
            left = traces(connection, giver)
            self._database.owe(connection)
            self._update(connection, target)
            keys = (self._key(connection, giver), self._key(connection, taker))
            give_photos(connection, photos_table.c.person_id == giver, taker, keys)
            give_corrections(
                connection,
                counter_examples_table.c.person_id == giver,
                undos_table.c.person_id == giver,
                taker,
                keys,
            )
            connection.execute(undos_table.insert(), rows.undo_row(undo, keys[1]))
            delete(connection, persons_table.c.person_id, [giver])
            connection.execute(merges_table.insert(), {"source_id": giver, "target_id": taker})
        self._scrub(left, moved=True)

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
        with self._changing(target.person_id, source.person_id) as connection:
            left = traces(connection, target.person_id, photo_ids)
            self._database.owe(connection)
            self._update(connection, target)
            give_back(connection, self._vault, target.person_id, source, (photo_ids, counter_ids, undo_ids), undo_id)
        self._scrub(left, moved=True)

    def settle(self, undo_ids: Sequence[str], counter_ids: Sequence[str]) -> None:
        """As `Store`."""
        gone = ((undos_table.c.undo_id, undo_ids), (counter_examples_table.c.counter_id, counter_ids))
        with self._transaction() as connection:
            owners = {
                owner
                for column, ids in gone
                for owner in connection.scalars(sa.select(column.table.c.person_id).where(column.in_(ids)))
            }
            with self._following(connection, owners):
                for column, ids in gone:
                    delete(connection, column, ids)

    def check(self) -> list[str]:
        """As `Store`."""
        with self._transaction() as connection:
            faults = self._database.faults(connection)
            loading = Loading(connection, self._vault)
            faults += loading.contents(None).faults
            faults += loading.picture_faults()
            return faults + digest.faults(connection, self._vault)

    def backup(self, target: IO[bytes], on_progress: Callable[[int, int], None]) -> None:
        """As `Store`."""
        with self._watching() as changed:
            write_backup(target, self._transaction, lambda: self._vault, changed, on_progress)

    def fill(self, found: Iterable[Record]) -> tuple[str, ...]:
        """Take in the records of a backup, each person under a key of its own, in one transaction; the bank is empty.

        Returns: what was damaged when the backup was made, in words.

        Raises:
            InvalidBackup: the records are none.
        """
        with self._transaction() as connection, self._following(connection, None):
            return fill(connection, self._vault, found)

    def said(self) -> Iterator[Record]:
        """What a backup of this bank would say, while nobody changes it."""
        return said(self._transaction, self._vault)

    def close(self) -> None:
        """As `Store`."""
        if (lock_file := self.release()) is not None:
            lock_file.close()

    def release(self) -> IO[bytes] | None:
        """As `Store`."""
        return self._database.release()

    def slots(self) -> list[Slot]:
        """The secrets that open this bank beside its key, as far as the bank knows of them."""
        with self._transaction() as connection:
            return read_slots(connection)

    def put_slots(self, slots: Sequence[Slot]) -> None:
        """Let these secrets open the bank, and no others. Each must hold the present master key."""
        _, bank_id, _ = self.vault()
        with self._changing(bank_id) as connection:
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
        with self._transaction() as connection:
            self._database.owe(connection)
            self._note_changed(connection.scalars(sa.select(persons_table.c.person_id)))
            change_keys(connection, self._vault, vault, damaged_too=damaged_too)
            connection.execute(key_slots_table.delete())
            insert_slots(connection, slots)
            bank_id = connection.execute(sa.select(vault_table.c.bank_id)).scalar_one()
            connection.execute(
                vault_table.update(),
                {"key_check": vault.key_check(bank_id), "key_since": to_micros(datetime.now(UTC))},
            )
            digest.renew(connection, vault)
        self._vault = vault
        self._scrub(None)

    def _key(self, connection: sa.Connection, person_id: str) -> DataKey:
        return key_of(connection, self._vault, person_id)

    def _update(self, connection: sa.Connection, person: Person) -> None:
        row = rows.person_row(person, self._key(connection, person.person_id))
        connection.execute(persons_table.update().where(persons_table.c.person_id == person.person_id), row)

    def _scrub(self, left: Sequence[bytes] | None, *, moved: bool = False) -> bool:
        """What was deleted is deleted; that a trace of it is left is no reason to say otherwise, but to say so."""
        try:
            clean = self._database.scrub(left, moved=moved)
        except Exception as exc:
            log.warning("%s", exc.message if isinstance(exc, BankError) else type(exc).__name__)
            clean = False
        if not clean:
            log.warning("What was forgotten could not be removed from the disk yet; the next start tries again")
        return clean

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """One transaction, for what belongs to this kind of store only."""
        return self._transaction()

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return self._database.transaction()

    @contextmanager
    def _changing(self, *ids: str) -> Iterator[sa.Connection]:
        """A transaction that changes what belongs to these ids, as `_following`."""
        with self._transaction() as connection, self._following(connection, ids):
            yield connection

    @contextmanager
    def _following(
        self, connection: sa.Connection, ids: Collection[str] | None, forgotten: str | None = None
    ) -> Iterator[None]:
        """Let the digest, and a backup that is being written, follow a change of what belongs to these ids: of
        persons, and of what is erased. None: of anything."""
        self._note_changed(ids or ())
        before = digest.of_rows(connection, self._vault, ids)
        yield
        digest.move_on(connection, self._vault, before, digest.of_rows(connection, self._vault, ids), forgotten)

    def _note_changed(self, person_ids: Iterable[str]) -> None:
        ids = list(person_ids)
        for watch in self._watches:
            watch.update(ids)

    @contextmanager
    def _watching(self) -> Iterator[set[str]]:
        """Who is changed from now on."""
        changed: set[str] = set()
        self._watches.append(changed)
        try:
            yield changed
        finally:
            self._watches = [watch for watch in self._watches if watch is not changed]


def _insert_photos(connection: sa.Connection, photos: Sequence[StoredPhoto], key: DataKey) -> None:
    if not photos:
        return
    photo_rows = [rows.photo_row(stored.photo, stored.picture, key) for stored in photos]
    connection.execute(photos_table.insert(), photo_rows)
    connection.execute(
        embeddings_table.insert(),
        [
            rows.embedding_row(stored.photo.person_id, stored.photo.photo_id, stored.model, stored.embedding, key)
            for stored in photos
        ],
    )


def _touch(connection: sa.Connection, person: Person) -> None:
    connection.execute(
        persons_table.update().where(persons_table.c.person_id == person.person_id),
        {
            "updated_at": to_micros(person.updated_at),
            "last_seen_at": None if person.last_seen_at is None else to_micros(person.last_seen_at),
        },
    )
