"""The memory bank: who is remembered, by which photos, and who a face is nearest to.

Records and vectors are held in memory, pictures stay in the store. A write goes to the store first, then to memory;
when a method returns, both are done. A person is found by a template, the mean of the unit embeddings of that
person's photos; `docs/decisions/0003-templates.md` says why.
"""

from __future__ import annotations

import base64
import binascii
import threading
import unicodedata
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visage.bank.index import Index
from visage.bank.store import Store, StoredPhoto
from visage.errors import BankError, InvalidValue, LastPhoto, PersonNotFound, PhotoNotFound
from visage.types import Embedding, NewPhoto, Person, Photo

_REEMBED_BATCH = 32


class _Unset(Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET
"""Leave this as it is."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A person near a probe; `similarity` is the cosine to that person's template."""

    person: Person
    similarity: float


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the persons, newest first; `total` counts all that the query fits."""

    persons: tuple[Person, ...]
    total: int
    next_cursor: str | None


class MemoryBank:
    """Safe to use from several threads.

    Args:
        store: where the bank is kept; closed with the bank.
        model: name of the model whose embeddings are searched.
        dimension: of its embeddings.

    Raises:
        BankError: the store cannot be read, or holds a vector of another size under this model's name.
    """

    def __init__(self, store: Store, *, model: str, dimension: int) -> None:
        self.model = model
        self._store = store
        self._dimension = dimension
        self._turn = threading.RLock()
        self._persons: dict[str, Person] = {}
        self._photos: dict[str, dict[str, Photo]] = {}
        self._embeddings: dict[str, Embedding] = {}
        self._index = Index(dimension)
        try:
            self._load()
        except BaseException:
            store.close()
            raise

    @property
    def person_count(self) -> int:
        """Persons remembered."""
        return len(self._persons)

    @property
    def embedding_count(self) -> int:
        """Embeddings of this model."""
        return len(self._embeddings)

    @property
    def foreign_photos(self) -> int:
        """Photos that only another model has embedded; they are not searched until `reembed`."""
        with self._turn:
            return sum(map(len, self._photos.values())) - len(self._embeddings)

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[Hit]]:
        """The persons nearest to each probe.

        Args:
            probes: (n, D) float32, unit length.
            limit: at most so many persons for each.

        Returns: n lists, best first.
        """
        with self._turn:
            return [
                [Hit(self._persons[person_id], similarity) for person_id, similarity in row]
                for row in self._index.search(probes, limit)
            ]

    def persons(self, *, query: str | None = None, limit: int = 50, cursor: str | None = None) -> Page:
        """A page of the persons, newest first.

        Args:
            query: part of a name or relationship, in any case and script; None or empty for all.
            limit: at most so many.
            cursor: `next_cursor` of the page before.

        Raises:
            InvalidValue: the cursor is none of ours.
        """
        key = name_key(query or "")
        with self._turn:
            found = [p for p in self._persons.values() if not key or key in _search_text(p)]
        found.sort(key=_newest_first)
        after = _read_cursor(cursor) if cursor else None
        rest = [person for person in found if after is None or _newest_first(person) > after]
        page = tuple(rest[:limit])
        return Page(page, len(found), _make_cursor(page[-1]) if len(rest) > limit else None)

    def person(self, person_id: str) -> Person:
        """One person.

        Raises:
            PersonNotFound: no such person.
        """
        try:
            return self._persons[person_id.lower()]
        except KeyError:
            raise PersonNotFound from None

    def photos(self, person_id: str) -> tuple[Photo, ...]:
        """A person's photos, oldest first.

        Raises:
            PersonNotFound: no such person.
        """
        with self._turn:
            return tuple(self._photos[self.person(person_id).person_id].values())

    def template(self, person_id: str) -> Embedding:
        """What a person looks like: (D,) float32, unit length; zeros where this model has embedded no photo.

        Raises:
            PersonNotFound: no such person.
        """
        with self._turn:
            return self._template(self.person(person_id).person_id)

    def named(self, name: str) -> tuple[Person, ...]:
        """All persons of this name, compared as `name_key` does."""
        key = name_key(name)
        with self._turn:
            return tuple(person for person in self._persons.values() if name_key(person.name) == key)

    def picture(self, person_id: str, photo_id: str) -> bytes:
        """The picture of a photo, a JPEG.

        Raises:
            PersonNotFound, PhotoNotFound: no such person, or no such photo of that person.
        """
        photo = self._photo(person_id, photo_id)
        picture = self._store.picture(photo.photo_id)
        if picture is None:  # forgotten in the meantime
            raise PhotoNotFound
        return picture

    def enrol(
        self,
        *,
        name: str,
        relationship: str | None,
        metadata: Mapping[str, Any],
        photos: Sequence[NewPhoto],
    ) -> Person:
        """Remember a new person.

        Raises:
            BankError: the store cannot be written; nothing has changed.
        """
        now = datetime.now(UTC)
        person = Person(
            person_id=str(uuid.uuid4()),
            name=name,
            relationship=relationship,
            metadata=dict(metadata),
            created_at=now,
            updated_at=now,
        )
        with self._turn:
            stored = self._to_store(person.person_id, photos, now)
            self._store.add_person(person, stored)
            self._persons[person.person_id] = person
            self._photos[person.person_id] = {}
            self._remember(stored)
            return self._refresh(person)

    def add_photos(self, person_id: str, photos: Sequence[NewPhoto]) -> tuple[Photo, ...]:
        """Remember more photos of a person.

        Raises:
            PersonNotFound: no such person.
            BankError: the store cannot be written; nothing has changed.
        """
        now = datetime.now(UTC)
        with self._turn:
            person = replace(self.person(person_id), updated_at=now)
            stored = self._to_store(person.person_id, photos, now)
            self._store.add_photos(person, stored)
            self._remember(stored)
            self._refresh(person)
        return tuple(item.photo for item in stored)

    def update(
        self,
        person_id: str,
        *,
        name: str | _Unset = UNSET,
        relationship: str | _Unset | None = UNSET,
        metadata: Mapping[str, Any] | _Unset = UNSET,
    ) -> Person:
        """Change what is known of a person.

        Raises:
            PersonNotFound: no such person.
            BankError: the store cannot be written; nothing has changed.
        """
        with self._turn:
            person = self.person(person_id)
            changed = replace(
                person,
                name=person.name if name is UNSET else name,
                relationship=person.relationship if relationship is UNSET else relationship,
                metadata=person.metadata if metadata is UNSET else dict(metadata),
                updated_at=datetime.now(UTC),
            )
            self._store.update_person(changed)
            self._persons[changed.person_id] = changed
        return changed

    def forget(self, person_id: str) -> None:
        """Forget a person with every photo.

        Raises:
            PersonNotFound: no such person.
            BankError: the store cannot be written; nothing has changed.
        """
        with self._turn:
            person = self.person(person_id)
            self._store.delete_person(person.person_id)
            del self._persons[person.person_id]
            self._index.remove(person.person_id)
            for photo_id in self._photos.pop(person.person_id):
                self._embeddings.pop(photo_id, None)

    def forget_photo(self, person_id: str, photo_id: str) -> None:
        """Forget one photo of a person.

        Raises:
            PersonNotFound, PhotoNotFound: no such person, or no such photo of that person.
            LastPhoto: it is the only one.
            BankError: the store cannot be written; nothing has changed.
        """
        with self._turn:
            photo = self._photo(person_id, photo_id)
            photos = self._photos[photo.person_id]
            if len(photos) == 1:
                raise LastPhoto
            person = replace(self._persons[photo.person_id], updated_at=datetime.now(UTC))
            self._store.delete_photo(person, photo.photo_id)
            del photos[photo.photo_id]
            self._embeddings.pop(photo.photo_id, None)
            self._refresh(person)

    def reembed(
        self,
        embed: Callable[[Sequence[bytes]], NDArray[np.float32]],
        *,
        on_progress: Callable[[int, int], None],
    ) -> int:
        """Embed every photo that this model has not embedded yet. What was done stays done when it is cut short.

        Args:
            embed: n pictures (JPEG) → (n, D) float32, unit length.
            on_progress: is told how many of how many are done.

        Returns: how many were embedded.
        """
        total, done = self.foreign_photos, 0
        on_progress(done, total)
        while batch := self._store.without_embedding(self.model, _REEMBED_BATCH):
            vectors = embed([picture for _, picture in batch])
            fresh = {photo_id: vector for (photo_id, _), vector in zip(batch, vectors, strict=True)}
            with self._turn:
                self._store.add_embeddings(self.model, fresh)
                self._embeddings |= fresh
                owners = {person_id for person_id, photos in self._photos.items() if photos.keys() & fresh.keys()}
                for person_id in owners:
                    self._refresh(self._persons[person_id])
            done += len(batch)
            on_progress(done, total)
        return done

    def check(self) -> list[str]:
        """What is damaged or does not agree, in words; empty where nothing is."""
        faults = self._store.check()
        with self._turn:
            kept = {photo.photo_id: vector for photo, vector in self._store.photos(self.model)}
            held = {photo_id for photos in self._photos.values() for photo_id in photos}
            if kept.keys() != held:
                faults.append("Memory and store do not hold the same photos")
            if {photo_id for photo_id, vector in kept.items() if vector is not None} != self._embeddings.keys():
                faults.append("Memory and store do not hold the same embeddings")
            faults += [f"Person {pid} has no photo" for pid, photos in self._photos.items() if not photos]
        return faults

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _load(self) -> None:
        for person in self._store.persons():
            self._persons[person.person_id] = person
            self._photos[person.person_id] = {}
        for photo, vector in self._store.photos(self.model):
            self._photos[photo.person_id][photo.photo_id] = photo
            if vector is None:
                continue
            if vector.shape != (self._dimension,) or not np.isfinite(vector).all():
                raise BankError(f"The bank is damaged: a photo of person {photo.person_id} has a broken embedding")
            self._embeddings[photo.photo_id] = vector
        for person in list(self._persons.values()):
            self._refresh(person)

    def _to_store(self, person_id: str, photos: Sequence[NewPhoto], now: datetime) -> list[StoredPhoto]:
        return [
            StoredPhoto(Photo(str(uuid.uuid4()), person_id, new.quality, now), new.picture, self.model, new.embedding)
            for new in photos
        ]

    def _remember(self, stored: Sequence[StoredPhoto]) -> None:
        for item in stored:
            self._photos[item.photo.person_id][item.photo.photo_id] = item.photo
            self._embeddings[item.photo.photo_id] = item.embedding

    def _refresh(self, person: Person) -> Person:
        """Bring count and template of a person in line with the photos."""
        ids = [photo_id for photo_id in self._photos[person.person_id] if photo_id in self._embeddings]
        person = replace(person, embedding_count=len(ids))
        self._persons[person.person_id] = person
        if ids:
            self._index.put(person.person_id, self._template(person.person_id))
        else:
            self._index.remove(person.person_id)
        return person

    def _template(self, person_id: str) -> Embedding:
        vectors = [self._embeddings[i] for i in self._photos[person_id] if i in self._embeddings]
        total = np.zeros(self._dimension, dtype=np.float32)
        for vector in vectors:
            total += vector
        template: Embedding = total / np.float32(max(float(np.linalg.norm(total)), 1e-12))
        return template

    def _photo(self, person_id: str, photo_id: str) -> Photo:
        with self._turn:
            try:
                return self._photos[self.person(person_id).person_id][photo_id.lower()]
            except KeyError:
                raise PhotoNotFound from None


def name_key(name: str) -> str:
    """How names are compared: compatibility forms, case and surrounding or repeated white space do not matter."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _search_text(person: Person) -> str:
    return f"{name_key(person.name)}\n{name_key(person.relationship or '')}"


def _newest_first(person: Person) -> tuple[float, str]:
    return (-person.created_at.timestamp(), person.person_id)


def _make_cursor(person: Person) -> str:
    created, person_id = _newest_first(person)
    return base64.urlsafe_b64encode(f"{created!r} {person_id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[float, str]:
    try:
        created, person_id = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().split(" ")
        return (float(created), person_id)
    except (ValueError, binascii.Error) as exc:
        raise InvalidValue.of("cursor", "is not one that this server gave") from exc
