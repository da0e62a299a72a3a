"""What goes into a store and comes out of it, beside the values of `visage.types`; and records as JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from visage.types import Consent, Embedding, NewPhoto, Person, Photo, Undo

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


def stored_photos(person_id: str, photos: Sequence[NewPhoto], model: str, now: datetime) -> list[StoredPhoto]:
    """New photos of a person, embedded by this model, as records.

    Each is a microsecond after the one before: photos that came together keep their order in the store too.
    """
    return [
        StoredPhoto(
            Photo(str(uuid.uuid4()), person_id, new.quality, now + timedelta(microseconds=place)),
            new.picture,
            model,
            new.embedding,
        )
        for place, new in enumerate(photos)
    ]


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
