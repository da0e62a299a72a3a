"""Records as rows and back: which columns are sealed, and for which place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import sqlalchemy as sa

from visage.bank.records import CounterExample, from_micros, person_from_json, person_to_json, to_micros
from visage.storage.vault import DataKey, Place
from visage.types import Embedding, Issue, Person, Photo, Quality, Undo

Row: TypeAlias = sa.Row[*tuple[Any, ...]]

_CONTENT = ("name", "relationship", "metadata", "consent")


def person_place(person_id: str) -> Place:
    """Of a person's record."""
    return Place(person_id, person_id, "persons.content")


def quality_place(person_id: str, photo_id: str) -> Place:
    """Of a photo's quality."""
    return Place(person_id, photo_id, "photos.quality")


def picture_place(person_id: str, photo_id: str) -> Place:
    """Of a photo's picture."""
    return Place(person_id, photo_id, "photos.picture")


def vector_place(person_id: str, photo_id: str, model: str) -> Place:
    """Of a photo's embedding."""
    return Place(person_id, photo_id, "embeddings.vector", model)


def counter_place(person_id: str, counter_id: str, model: str) -> Place:
    """Of a counter-example's embedding."""
    return Place(person_id, counter_id, "counter_examples.vector", model)


def undo_place(person_id: str, undo_id: str, kind: str) -> Place:
    """Of what an undo must know."""
    return Place(person_id, undo_id, f"undos.content.{kind}")


def person_row(person: Person, key: DataKey) -> dict[str, Any]:
    """A person's row, but for the wrapped key."""
    fields = person_to_json(person)
    content = _json({name: fields.pop(name) for name in _CONTENT})
    return fields | {"content": key.seal(content, person_place(person.person_id))}


def person_of(row: Row, key: DataKey) -> Person:
    """The inverse of `person_row`."""
    content = json.loads(key.open(row.content, person_place(row.person_id)))
    return person_from_json(
        content | {name: getattr(row, name) for name in ("person_id", "created_at", "updated_at", "last_seen_at")}
    )


def photo_row(photo: Photo, picture: bytes, key: DataKey) -> dict[str, Any]:
    """A photo's row, but for the embedding."""
    quality = _json({"score": photo.quality.score, "issues": [issue.value for issue in photo.quality.issues]})
    return {
        "photo_id": photo.photo_id,
        "person_id": photo.person_id,
        "quality": key.seal(quality, quality_place(photo.person_id, photo.photo_id)),
        "picture": key.seal(picture, picture_place(photo.person_id, photo.photo_id)),
        "created_at": to_micros(photo.created_at),
    }


def photo_of(row: Row, key: DataKey) -> Photo:
    """The inverse of `photo_row`, but for the picture."""
    quality = json.loads(key.open(row.quality, quality_place(row.person_id, row.photo_id)))
    return Photo(
        photo_id=row.photo_id,
        person_id=row.person_id,
        quality=Quality(quality["score"], tuple(Issue(issue) for issue in quality["issues"])),
        created_at=from_micros(row.created_at),
    )


def embedding_row(person_id: str, photo_id: str, model: str, vector: Embedding, key: DataKey) -> dict[str, Any]:
    """The row of a photo's embedding."""
    sealed = key.seal(_floats(vector), vector_place(person_id, photo_id, model))
    return {"photo_id": photo_id, "model": model, "vector": sealed}


def vector_of(sealed: bytes, place: Place, key: DataKey) -> Embedding:
    """(D,) float32, from a sealed column."""
    return np.frombuffer(key.open(sealed, place), dtype="<f4")


def counter_row(counter: CounterExample, key: DataKey) -> dict[str, Any]:
    """A counter-example's row."""
    place = counter_place(counter.person_id, counter.counter_id, counter.model)
    return {
        "counter_id": counter.counter_id,
        "person_id": counter.person_id,
        "model": counter.model,
        "vector": key.seal(_floats(counter.embedding), place),
        "created_at": to_micros(counter.created_at),
    }


def counter_of(row: Row, key: DataKey) -> CounterExample:
    """The inverse of `counter_row`."""
    return CounterExample(
        counter_id=row.counter_id,
        person_id=row.person_id,
        model=row.model,
        embedding=vector_of(row.vector, counter_place(row.person_id, row.counter_id, row.model), key),
        created_at=from_micros(row.created_at),
    )


def undo_row(undo: Undo, key: DataKey) -> dict[str, Any]:
    """An undo's row."""
    return {
        "undo_id": undo.undo_id,
        "person_id": undo.person_id,
        "kind": undo.kind,
        "content": key.seal(_json(undo.content), undo_place(undo.person_id, undo.undo_id, undo.kind)),
        "created_at": to_micros(undo.created_at),
        "source_id": undo.source_id,
    }


def undo_of(row: Row, key: DataKey) -> Undo:
    """The inverse of `undo_row`."""
    content = json.loads(key.open(row.content, undo_place(row.person_id, row.undo_id, row.kind)))
    return Undo(row.undo_id, row.person_id, row.kind, content, from_micros(row.created_at))


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(fields)).encode()


def _floats(vector: Embedding) -> bytes:
    return vector.astype("<f4").tobytes()
