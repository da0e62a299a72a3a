"""The memory bank: who is remembered, by which photos, and who a face is nearest to.

Here is one lock, one store and the verbs; what they do is beside it, each subject in its file. Records and vectors
are held in memory (`roster.py`), pictures stay in the store. A write goes to the store first, then to memory; when a
method returns, both are done, and where it raises, neither has changed.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from visage.bank import corrections, keeping, listing, reembedding
from visage.bank.corrections import UNDO_PERIOD, Contradicts
from visage.bank.index import Index
from visage.bank.listing import Page, name_key
from visage.bank.looks import Hit, Looks, Sample
from visage.bank.records import CounterExample
from visage.bank.roster import Roster
from visage.bank.store import Search, Store
from visage.bank.views import SAME_VIEW
from visage.clock import wall_clock
from visage.errors import BankError, PhotoNotFound
from visage.types import Consent, Embedding, NewPhoto, Person, Photo, Undo

__all__ = ["UNDO_PERIOD", "UNSET", "Hit", "Looks", "MemoryBank", "Page", "Sample", "name_key"]


class _Unset(Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET
"""Leave this as it is."""


class MemoryBank:
    """Safe to use from several threads. All methods that write raise BankError where the store cannot be written, and
    nothing has changed then; all that name a person raise PersonNotFound where there is no such person, and
    DamagedPerson where what is stored of that person cannot be read.

    Args:
        store: where the bank is kept; closed with the bank.
        model: name of the model whose embeddings are searched.
        dimension: of its embeddings.
        same_view: cosine of its embeddings from which two photos of a person are one view.
        search: finds the nearest template, and is empty; one in memory where None.
        clock: gives the time by which what is new is dated.

    Raises:
        BankError: the store cannot be read, or holds a vector of another size under this model's name.
    """

    def __init__(
        self,
        store: Store,
        *,
        model: str,
        dimension: int,
        same_view: float = SAME_VIEW,
        search: Search | None = None,
        clock: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._store = store
        self._clock = clock
        self._turn = threading.RLock()
        index = Index(dimension) if search is None else search
        self._roster = Roster(index, model=model, dimension=dimension, same_view=same_view)
        try:
            self._roster.fill(store.load(model))
        except BaseException:
            store.close()
            raise

    @property
    def model(self) -> str:
        """Name of the model whose embeddings are searched."""
        return self._roster.model

    @property
    def person_count(self) -> int:
        """Persons remembered."""
        return len(self._roster.persons)

    @property
    def embedding_count(self) -> int:
        """Embeddings of this model."""
        return len(self._roster.embeddings)

    @property
    def foreign_photos(self) -> int:
        """Photos that only another model has embedded; they are not searched until `reembed`."""
        return reembedding.foreign_photos(self._roster)

    @property
    def revision(self) -> int:
        """Another number after every change of what the persons look like."""
        return self._roster.index.revision

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[Hit]]:
        """The persons nearest to each probe. Waits for no write, and no write waits for it.

        Args:
            probes: (n, D) float32, unit length.
            limit: at most so many persons for each, and beside them any of whom a look was rejected.

        Returns: n lists, best first.
        """
        return self._roster.search(probes, limit)

    def sample(self, most: int) -> Sample:
        """Some of the persons who have a look by this model, all where there are no more than `most`. Waits for no
        write, as `search`."""
        return self._roster.sample(most)

    def looks(self) -> Looks:
        """What everyone looks like, at this moment."""
        with self._turn:
            return self._roster.looks()

    def persons(
        self,
        *,
        query: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        order: listing.Order = "newest",
    ) -> Page:
        """A page of the persons, in order; see `listing.page`."""
        with self._turn:
            everyone = [(person, self._roster.texts[key]) for key, person in self._roster.persons.items()]
        return listing.page(everyone, query=query, limit=limit, cursor=cursor, order=order)

    def named(self, name: str) -> tuple[Person, ...]:
        """All persons of this name, compared as `name_key` does."""
        with self._turn:
            everyone = tuple(self._roster.persons.values())
        key = name_key(name)
        return tuple(person for person in everyone if name_key(person.name) == key)

    def person(self, person_id: str) -> Person:
        """One person. Waits for no write."""
        return self._roster.person(person_id)

    def has(self, person_id: str) -> bool:
        """Is this person remembered?"""
        return person_id in self._roster.persons

    def photos(self, person_id: str) -> tuple[Photo, ...]:
        """A person's photos, oldest first."""
        with self._turn:
            return tuple(self._roster.photos[self.person(person_id).person_id].values())

    def template(self, person_id: str, *, without: str | None = None) -> Embedding:
        """What a person looks like: (D,) float32, unit length; zeros where this model has embedded no photo.

        Args:
            person_id: who.
            without: leave out this photo.
        """
        with self._turn:
            return self._roster.template(self.person(person_id).person_id, without)

    def embedded(self, person_id: str) -> tuple[tuple[Photo, Embedding], ...]:
        """A person's photos that this model has embedded, oldest first."""
        with self._turn:
            embeddings = self._roster.embeddings
            photos = self.photos(person_id)
            return tuple((one, embeddings[one.photo_id]) for one in photos if one.photo_id in embeddings)

    def picture(self, person_id: str, photo_id: str) -> bytes:
        """The picture of a photo, a JPEG.

        Raises:
            PhotoNotFound: no such photo of that person.
        """
        with self._turn:
            photo = self._roster.photo(person_id, photo_id)
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
        consent: Consent | None = None,
    ) -> Person:
        """Remember a new person."""
        with self._turn:
            now = self._clock()
            person = Person(str(uuid.uuid4()), name, relationship, dict(metadata), now, now, consent=consent)
            return keeping.enrol(self._store, self._roster, person, photos)

    def add_photos(self, person_id: str, photos: Sequence[NewPhoto]) -> tuple[Photo, ...]:
        """Remember more photos of a person."""
        with self._turn:
            return keeping.add_photos(self._store, self._roster, person_id, photos, self._clock())

    def change(self, person_id: str, function: Callable[[Person], Person]) -> Person:
        """Change what is known of a person by what is known now, and nobody else writes in between; see
        `keeping.change`."""
        with self._turn:
            return keeping.change(self._store, self._roster, person_id, function, self._clock())

    def update(
        self,
        person_id: str,
        *,
        name: str | _Unset = UNSET,
        relationship: str | _Unset | None = UNSET,
        metadata: Mapping[str, Any] | _Unset = UNSET,
        consent: Consent | _Unset | None = UNSET,
    ) -> Person:
        """Change what is known of a person, whatever it was; where that matters, use `change`."""
        fields = {"name": name, "relationship": relationship, "metadata": metadata, "consent": consent}
        given: dict[str, Any] = {field: value for field, value in fields.items() if value is not UNSET}
        return self.change(person_id, lambda person: replace(person, **given))

    def forget(self, person_id: str) -> bool:
        """Forget a person with every photo; see `keeping.forget`."""
        with self._turn:
            return keeping.forget(self._store, self._roster, person_id)

    def forget_photo(self, person_id: str, photo_id: str) -> bool:
        """Forget one photo of a person; see `keeping.forget_photo`."""
        with self._turn:
            return keeping.forget_photo(self._store, self._roster, person_id, photo_id, self._clock())

    def note_seen(self, seen: Mapping[str, datetime]) -> None:
        """Keep when persons were last seen; see `keeping.note_seen`."""
        with self._turn:
            keeping.note_seen(self._store, self._roster, seen)

    def forget_seen(self) -> None:
        """Forget when everyone was last seen."""
        with self._turn:
            keeping.forget_seen(self._store, self._roster)

    def reject(self, person_id: str, embedding: Embedding) -> Undo:
        """Keep a look that is not this person's; see `corrections.reject`."""
        with self._turn:
            return corrections.reject(self._store, self._roster, person_id, embedding, self._clock())

    def counter_examples(self, person_id: str) -> tuple[CounterExample, ...]:
        """The looks that were rejected as this person, by this model, and still hold."""
        with self._turn:
            return self._roster.valid_counters(self.person(person_id).person_id)

    def teach(
        self,
        person_id: str,
        photos: Sequence[NewPhoto],
        *,
        looks: Sequence[Embedding],
        contradicts: Contradicts,
        held: Sequence[str] = (),
        always: bool = False,
    ) -> tuple[tuple[Photo, ...], Undo | None]:
        """Remember more photos of a person, and let the newest word count; see `corrections.teach`."""
        with self._turn:
            return corrections.teach(
                self._store,
                self._roster,
                person_id,
                photos,
                self._clock(),
                looks=looks,
                contradicts=contradicts,
                held=held,
                always=always,
            )

    def merge(self, target_id: str, source_id: str, *, kept: Callable[[CounterExample], bool]) -> Undo:
        """Make two persons one; see `corrections.merge`."""
        with self._turn:
            return corrections.merge(self._store, self._roster, target_id, source_id, self._clock(), kept=kept)

    def undos(self, person_id: str) -> tuple[Undo, ...]:
        """The corrections of a person that can be taken back, oldest first."""
        with self._turn:
            return tuple(self._roster.undos_of(self.person(person_id).person_id))

    def correction(self, undo_id: str) -> Undo:
        """A correction that can be taken back; see `corrections.correction`."""
        with self._turn:
            return corrections.correction(self._roster, undo_id)

    def undo(self, undo_id: str) -> Undo:
        """Take a correction back; see `corrections.undo`."""
        with self._turn:
            return corrections.undo(self._store, self._roster, undo_id, self._clock())

    def settle(self, now: datetime) -> int:
        """What was corrected too long before this time, which must be one to believe, is final; see
        `corrections.settle`. Nothing else makes it so."""
        with self._turn:
            return corrections.settle(self._store, self._roster, now)

    def reembed(
        self, embed: Callable[[Sequence[bytes]], NDArray[np.float32]], *, on_progress: Callable[[int, int], None]
    ) -> int:
        """Embed every photo that this model has not embedded yet; see `reembedding.reembed`."""
        return reembedding.reembed(self._store, self._roster, self._turn, embed, on_progress)

    def reembed_person(self, person_id: str, embed: Callable[[Sequence[bytes]], NDArray[np.float32]]) -> Person:
        """As `reembed`, of one person; see `reembedding.reembed_person`."""
        return reembedding.reembed_person(self._store, self._roster, self._turn, person_id, embed)

    def backup(self, target: IO[bytes], on_progress: Callable[[int, int], None]) -> None:
        """Write a backup file; see `Store.backup`."""
        self._store.backup(target, on_progress)

    def check(self) -> list[str]:
        """What is damaged or does not agree, in words; empty where nothing is."""
        with self._turn:
            try:
                faults, contents = self._store.check(), self._store.load(self.model)
            except BankError as error:
                return [error.message]
            kept = {photo.photo_id: vector for photo, vector in contents.photos}
            held = {photo_id for photos in self._roster.photos.values() for photo_id in photos}
            if kept.keys() != held:
                faults.append("Memory and store do not hold the same photos")
            embedded = {photo_id for photo_id, vector in kept.items() if vector is not None}
            if embedded != self._roster.embeddings.keys():
                faults.append("Memory and store do not hold the same embeddings")
        return faults

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def release(self) -> IO[bytes] | None:
        """Close the store but keep others out; see `Store.release`."""
        return self._store.release()
