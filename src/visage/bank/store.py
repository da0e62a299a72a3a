"""Where a bank is kept: the contract of a store, and the records that go in and out.

A store keeps rows and answers by id. It never searches or sorts by what a person typed, since those values are
ciphertext on disk; names are searched in memory (`bank.py`). Every method that writes is one transaction, durable
when it returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import IO, Any, Protocol

from visage.types import Consent, Embedding, Person, Photo, Undo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True, eq=False)
class CounterExample:
    """A face that was taken for a person and rejected by someone who knew better: its embedding, never its picture.

    Attributes:
        counter_id, person_id: whose name this face must not be given again.
        model: name of the model that made the embedding.
        embedding: (D,) float32.
        created_at: when it was rejected.
    """

    counter_id: str
    person_id: str
    model: str
    embedding: Embedding
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a person or a photo was forgotten: the id, which says nothing by itself, and when."""

    erased_id: str
    erased_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """All that a bank keeps in memory.

    Attributes:
        persons: with `embedding_count` and `views` left at 0.
        photos: oldest first, each with its embedding by the model asked for, or None where there is none.
        counter_examples: rejected looks, oldest first.
        undos: the corrections that can be taken back, oldest first.
        damaged: ids of the persons of whom something does not decrypt; nothing of theirs is in the other fields.
        faults: everything that is damaged, in words.
    """

    persons: tuple[Person, ...]
    photos: tuple[tuple[Photo, Embedding | None], ...]
    counter_examples: tuple[CounterExample, ...]
    undos: tuple[Undo, ...]
    damaged: frozenset[str]
    faults: tuple[str, ...]


class Store(Protocol):
    """The contract of every store. All methods raise BankError where the store cannot be read or written, and
    DamagedPerson where what they need of one person is damaged."""

    def load(self, model: str) -> Contents:
        """Everything but the pictures."""

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """Keep a new person with photos."""

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """Keep more photos of a person, and the person's new `updated_at`."""

    def update_person(self, person: Person) -> None:
        """Replace what is kept of a person; the photos stay."""

    def delete_person(self, person_id: str) -> bool:
        """Remove a person, damaged or not, with the key and all that it opened, and remember that it was done, by the
        id of each thing.

        Returns: no trace of it is left in any file of the store. Where False, the store tries again when it is
            opened.
        """

    def delete_photo(self, person: Person, photo_id: str) -> bool:
        """Remove a photo with its embeddings, and keep the person's new `updated_at`; returns as `delete_person`."""

    def erasures(self) -> list[Erasure]:
        """What was forgotten, oldest first."""

    def apply_erasures(self, erasures: Sequence[Erasure]) -> int:
        """Forget again what a backup had brought back, and remember that it is forgotten. Who was merged into someone
        who is forgotten, and is not forgotten, is a person again.

        Returns: how many persons and photos were still there.
        """

    def picture(self, photo_id: str) -> bytes | None:
        """The JPEG of a photo; None where there is no such photo."""

    def without_embedding(self, model: str, limit: int, skipped: Collection[str]) -> list[tuple[str, bytes]]:
        """Up to `limit` photos (id, picture) that this model has not embedded, of all but the persons skipped."""

    def add_embeddings(self, model: str, embeddings: Mapping[str, Embedding]) -> None:
        """Keep the embeddings that a model made, by photo id."""

    def reject(self, counter: CounterExample, undo: Undo) -> None:
        """Keep a rejected look, and how to take that back."""

    def unreject(self, counter_id: str, undo_id: str) -> None:
        """Remove a rejected look and its undo."""

    def teach(self, person: Person, photos: Sequence[StoredPhoto], undo: Undo) -> None:
        """As `add_photos`, with how to take that back; there may be no photo."""

    def unteach(self, person: Person, photo_ids: Sequence[str], undo_id: str) -> bool:
        """Remove an undo and the photos that it names, as `delete_photo` does."""

    def note_seen(self, times: Mapping[str, datetime | None]) -> None:
        """Keep when persons were last seen, by id."""

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        """Give the target all that belongs to the source, and remove the source.

        Args:
            target: with its new `updated_at`.
            source: who goes.
            undo: of this; the target's.
        """

    def split(
        self,
        target: Person,
        source: Person,
        photo_ids: Sequence[str],
        counter_ids: Sequence[str],
        undo_ids: Sequence[str],
        undo_id: str,
    ) -> None:
        """Undo a merge.

        Args:
            target: with its new `updated_at`.
            source: who comes back.
            photo_ids, counter_ids, undo_ids: what goes back to the source; all of it is the target's.
            undo_id: is used up.
        """

    def settle(self, undo_ids: Sequence[str], counter_ids: Sequence[str]) -> None:
        """Remove undos, and rejected looks that only they could have brought back."""

    def transaction(self) -> AbstractContextManager[Any]:
        """One transaction, for the tables that lie beside the bank's: `access.py`, `audit.py`.

        Raises:
            BankError: the database cannot be read or written; nothing was changed.
        """

    def backup(self, target: IO[bytes], on_progress: Callable[[int, int], None]) -> None:
        """Write a backup file; nobody waits meanwhile. It holds what the store holds when this returns.

        Args:
            target: empty.
            on_progress: is told how much of how much is done.

        Raises:
            OSError: the target cannot be written.
        """

    def check(self) -> list[str]:
        """What is damaged, in words; empty where nothing is."""

    def close(self) -> None:
        """Release the store."""

    def release(self) -> IO[bytes] | None:
        """Close the store, and hand on what keeps other processes out of it: whoever closes that lets them in."""


def person_to_json(person: Person) -> dict[str, Any]:
    """A person as a row, which JSON can carry too: metadata as text, times in microseconds."""
    return {
        "person_id": person.person_id,
        "name": person.name,
        "relationship": person.relationship,
        "metadata": json.dumps(dict(person.metadata), ensure_ascii=False),
        "consent": None if person.consent is None else consent_to_json(person.consent),
        "created_at": to_micros(person.created_at),
        "updated_at": to_micros(person.updated_at),
        "last_seen_at": None if person.last_seen_at is None else to_micros(person.last_seen_at),
    }


def person_from_json(row: Mapping[str, Any]) -> Person:
    """The inverse of `person_to_json`."""
    return Person(
        person_id=row["person_id"],
        name=row["name"],
        relationship=row["relationship"],
        metadata=json.loads(row["metadata"]),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
        consent=consent_from_json(consent) if (consent := row.get("consent")) is not None else None,
        last_seen_at=from_micros(seen) if (seen := row.get("last_seen_at")) is not None else None,
    )


def consent_to_json(consent: Consent) -> dict[str, Any]:
    """A consent record as JSON: days as YYYY-MM-DD."""
    return {
        "given_by": consent.given_by,
        "capacity": consent.capacity,
        "given_on": consent.given_on.isoformat(),
        "valid_until": consent.valid_until.isoformat() if consent.valid_until else None,
        "text_version": consent.text_version,
    }


def consent_from_json(fields: Mapping[str, Any]) -> Consent:
    """The inverse of `consent_to_json`."""
    until = fields["valid_until"]
    return Consent(
        given_by=fields["given_by"],
        capacity=fields["capacity"],
        given_on=date.fromisoformat(fields["given_on"]),
        valid_until=date.fromisoformat(until) if until else None,
        text_version=fields["text_version"],
    )


def to_micros(time: datetime) -> int:
    """Whole microseconds since 1970 UTC: exact, sortable, the same in every database."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The inverse of `to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)
