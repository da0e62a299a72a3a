"""The memory bank: who is remembered, by which photos, and who a face is nearest to.

Records and vectors are held in memory, pictures stay in the store. A write goes to the store first, then to memory;
when a method returns, both are done. A person is found by a template, the mean of the unit embeddings of that
person's photos, each weighted by its quality, and near copies of each other together as one;
`docs/decisions/0003-templates.md` and `0042-views.md` say why.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import threading
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import IO, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from visage.bank.index import Index
from visage.bank.store import CounterExample, Store, StoredPhoto, person_from_json, person_to_json
from visage.bank.views import SAME_VIEW, template_weights, views_of
from visage.errors import (
    BankError,
    CannotUndo,
    DamagedPerson,
    InvalidValue,
    LastPhoto,
    PersonNotFound,
    PhotoNotFound,
    UndoNotFound,
)
from visage.types import Consent, Embedding, NewPhoto, Person, Photo, Undo

log = logging.getLogger("visage")

UNDO_PERIOD = timedelta(days=30)
"""How long a correction can be taken back."""

_SEEN_STEP = timedelta(hours=1)
"""Recognising someone must not write to the disk at every frame."""

_REEMBED_BATCH = 32


class _Unset(Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET
"""Leave this as it is."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A person near a probe.

    Attributes:
        person: who.
        similarity: cosine to the person's template.
        quality: of the person's best photo, 0–100.
        rejected: cosine to the nearest face that was rejected as this person; None where there is none.
    """

    person: Person
    similarity: float
    quality: int
    rejected: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """All that the bank knows of looks, by this model.

    Attributes:
        persons: n persons with at least one embedding.
        templates: (n, D) float32, unit length.
        photos: their m photos.
        owners: (m,) int64, the row of the person of each photo.
        views: (m,) int64, which view of its person each photo shows, numbered from 0 for each person.
        embeddings: (m, D) float32, unit length.
        weights: (m,) float32, how much each counts in its person's template.
        unseen: persons without any embedding: all their photos are another model's.
    """

    persons: tuple[Person, ...]
    templates: NDArray[np.float32]
    photos: tuple[Photo, ...]
    owners: NDArray[np.int64]
    views: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    weights: NDArray[np.float32]
    unseen: tuple[Person, ...] = ()


class Contradicts(Protocol):
    """Is a rejection contradicted by the word that a face is this person?"""

    def __call__(self, similarity: float, rejected: float, *, photos: int) -> bool:
        """Args:
        similarity: cosine of the face to the person's template.
        rejected: cosine of the face to the rejected one.
        photos: in that template.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some persons, to compare with each other.

    Attributes:
        persons: n of them.
        templates: (n, D) float32, unit length.
        looks: (n, D) float32, unit length: each person's best photo alone.
    """

    persons: tuple[Person, ...]
    templates: NDArray[np.float32]
    looks: NDArray[np.float32]


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
        same_view: cosine of its embeddings from which two photos of a person are one view.

    Raises:
        BankError: the store cannot be read, or holds a vector of another size under this model's name.
    """

    def __init__(self, store: Store, *, model: str, dimension: int, same_view: float = SAME_VIEW) -> None:
        self._same_view = same_view
        self.model = model
        self._store = store
        self._dimension = dimension
        self._turn = threading.RLock()
        self._persons: dict[str, Person] = {}
        self._photos: dict[str, dict[str, Photo]] = {}
        self._embeddings: dict[str, Embedding] = {}
        self._counters: dict[str, dict[str, CounterExample]] = {}
        self._undos: dict[str, Undo] = {}
        self._damaged: set[str] = set()
        # Derived of a person, and made anew by `_refresh`: view and weight of each photo that is embedded; and what a
        # search asks for, quality and embedding of the best photo, rejected looks (k, D).
        self._views: dict[str, dict[str, tuple[int, float]]] = {}
        self._best_quality: dict[str, int] = {}
        self._best_look: dict[str, Embedding] = {}
        self._rejected: dict[str, NDArray[np.float32]] = {}
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
        return sum(map(len, tuple(self._photos.values()))) - len(self._embeddings)

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[Hit]]:
        """The persons nearest to each probe. Waits for no write, and no write waits for it.

        Args:
            probes: (n, D) float32, unit length.
            limit: at most so many persons for each, and beside them any of whom a look was rejected.

        Returns: n lists, best first.
        """
        limit += len(self._rejected)  # who was rejected must not push out the one whom the face belongs to
        return [
            [hit for person_id, similarity in row if (hit := self._hit(probe, person_id, similarity))]
            for probe, row in zip(probes, self._index.search(probes, limit), strict=True)
        ]

    @property
    def revision(self) -> int:
        """Another number after every change of what the persons look like."""
        return self._index.revision

    def sample(self, most: int) -> Sample:
        """Some of the persons who have a look by this model, all where there are no more than `most`. Waits for no
        write, as `search`."""
        keys, templates = self._index.sample(most)
        found = [(row, self._persons.get(key), self._best_look.get(key)) for row, key in enumerate(keys)]
        held = [(row, person, look) for row, person, look in found if person is not None and look is not None]
        return Sample(
            persons=tuple(person for _, person, _ in held),
            templates=templates[[row for row, _, _ in held]],
            looks=np.stack([look for _, _, look in held]) if held else templates[:0],
        )

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
            DamagedPerson: there is, but what is stored cannot be read.
        """
        try:
            return self._persons[person_id.lower()]
        except KeyError:
            if person_id.lower() in self._damaged:
                raise DamagedPerson.of(person_id.lower(), "record") from None
            raise PersonNotFound from None

    def has(self, person_id: str) -> bool:
        """Is this person remembered?"""
        return person_id in self._persons

    def photos(self, person_id: str) -> tuple[Photo, ...]:
        """A person's photos, oldest first.

        Raises:
            PersonNotFound: no such person.
        """
        with self._turn:
            return tuple(self._photos[self.person(person_id).person_id].values())

    def template(self, person_id: str, *, without: str | None = None) -> Embedding:
        """What a person looks like: (D,) float32, unit length; zeros where this model has embedded no photo.

        Args:
            person_id: who.
            without: leave out this photo.

        Raises:
            PersonNotFound: no such person.
        """
        with self._turn:
            return self._template(self.person(person_id).person_id, without)

    def embedded(self, person_id: str) -> tuple[tuple[Photo, Embedding], ...]:
        """A person's photos that this model has embedded, oldest first.

        Raises:
            PersonNotFound: no such person.
        """
        with self._turn:
            photos = self._photos[self.person(person_id).person_id]
            return tuple((photo, self._embeddings[key]) for key, photo in photos.items() if key in self._embeddings)

    def looks(self) -> Looks:
        """What everyone looks like, at this moment."""
        with self._turn:
            persons = [person for person in self._persons.values() if person.embedding_count]
            photos = [
                (row, self._photos[person.person_id][key], view, weight)
                for row, person in enumerate(persons)
                for key, (view, weight) in self._views[person.person_id].items()
            ]
            empty = np.empty((0, self._dimension), dtype=np.float32)
            return Looks(
                persons=tuple(persons),
                templates=np.stack([self._template(p.person_id) for p in persons]) if persons else empty,
                photos=tuple(photo for _, photo, _, _ in photos),
                owners=np.array([row for row, _, _, _ in photos], dtype=np.int64),
                views=np.array([view for _, _, view, _ in photos], dtype=np.int64),
                embeddings=np.stack([self._embeddings[p.photo_id] for _, p, _, _ in photos]) if photos else empty,
                weights=np.array([weight for _, _, _, weight in photos], dtype=np.float32),
                unseen=tuple(person for person in self._persons.values() if not person.embedding_count),
            )

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
        consent: Consent | None = None,
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
            consent=consent,
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
        """Remember more photos of a person, and let the newest word count: rejected looks that it contradicts are set
        aside. What an older word set aside or kept already, this one stands for too: it stays when the older one is
        taken back.

        Args:
            person_id: who it is.
            photos: to be kept; may be none.
            looks: (D,) float32 each, unit length: what was said to be this person, kept or not; with `always` the
                first is the face that was pointed at, the others are more of it.
            contradicts: is a rejected look contradicted by what was said?
            held: photos of this person that show what was said, and need not be kept again.
            always: make an undo, also where there is nothing to take back.

        Returns: the photos; and the undo that forgets those of them which contradicted, or all with `always`, and
            brings the rejected looks back. It is that of the first time where a word is only repeated. None where
            there is nothing to take back.

        Raises:
            PersonNotFound: no such person.
            BankError: the store cannot be written; nothing has changed.
        """
        now = datetime.now(UTC)
        with self._turn:
            person = replace(self.person(person_id), updated_at=now)
            stored = self._to_store(person.person_id, photos, now)
            template, count = self._with(person.person_id, stored)

            def lifts(counter: CounterExample, look: Embedding) -> bool:
                return contradicts(float(template @ look), float(counter.embedding @ look), photos=count)

            holding = {counter.counter_id for counter in self._valid_counters(person.person_id)}
            counters = [c for c in self._counters.get(person.person_id, {}).values() if c.model == self.model]
            aside = [c.counter_id for c in counters if any(lifts(c, look) for look in looks)]
            lifted = [key for key in aside if key in holding]
            word = _word(looks[:1] if always else looks, always)
            older = [undo for undo in self.undos(person.person_id) if undo.kind == "is-me"]
            if not photos and not lifted:
                for undo in reversed(older):
                    if undo.content.get("word") == word:
                        return (), undo
            shared = [key for key in held if any(key in undo.content["photos"] for undo in older)]
            if not aside and not shared and not always:
                return self.add_photos(person_id, photos) if photos else (), None
            undone = [
                item.photo.photo_id
                for item in stored
                if always or any(lifts(counter, item.embedding) for counter in counters)
            ]
            content = {"photos": undone + shared, "set_aside": aside, "lifted": lifted, "word": word}
            undo = Undo(str(uuid.uuid4()), person.person_id, "is-me", content, now)
            self._store.teach(person, stored, undo)
            self._remember(stored)
            self._undos[undo.undo_id] = undo
            self._refresh(person)
        return tuple(item.photo for item in stored), undo

    def update(
        self,
        person_id: str,
        *,
        name: str | _Unset = UNSET,
        relationship: str | _Unset | None = UNSET,
        metadata: Mapping[str, Any] | _Unset = UNSET,
        consent: Consent | _Unset | None = UNSET,
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
                consent=person.consent if consent is UNSET else consent,
                updated_at=datetime.now(UTC),
            )
            self._store.update_person(changed)
            self._persons[changed.person_id] = changed
        return changed

    def forget(self, person_id: str) -> bool:
        """Forget a person with every photo; one who is damaged can be forgotten too.

        Returns: no trace is left in the store's files; where False, the next start tries again to remove it.

        Raises:
            PersonNotFound: no such person.
            BankError: the store cannot be written; nothing has changed.
        """
        with self._turn:
            if person_id.lower() in self._damaged:
                complete = self._store.delete_person(person_id.lower())
                self._damaged.discard(person_id.lower())
                return complete
            person = self.person(person_id)
            complete = self._store.delete_person(person.person_id)
            for photo_id in self._drop(person.person_id):
                self._embeddings.pop(photo_id, None)
            self._undos = {key: undo for key, undo in self._undos.items() if undo.person_id != person.person_id}
            return complete

    def forget_photo(self, person_id: str, photo_id: str) -> bool:
        """Forget one photo of a person; returns as `forget`.

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
            complete = self._store.delete_photo(person, photo.photo_id)
            del photos[photo.photo_id]
            self._embeddings.pop(photo.photo_id, None)
            self._refresh(person)
            return complete

    def reject(self, person_id: str, embedding: Embedding) -> Undo:
        """Keep a look that is not this person's, so that it is not given this name again.

        Args:
            person_id: who it is not.
            embedding: (D,) float32, unit length.

        Raises:
            PersonNotFound: no such person.
            BankError: the store cannot be written; nothing has changed.
        """
        now = datetime.now(UTC)
        with self._turn:
            person_id = self.person(person_id).person_id
            counter = CounterExample(str(uuid.uuid4()), person_id, self.model, embedding, now)
            undo = Undo(str(uuid.uuid4()), person_id, "not-me", {"counter_id": counter.counter_id}, now)
            self._store.reject(counter, undo)
            self._counters.setdefault(person_id, {})[counter.counter_id] = counter
            self._undos[undo.undo_id] = undo
            self._refresh(self._persons[person_id])
        return undo

    def counter_examples(self, person_id: str) -> tuple[CounterExample, ...]:
        """The looks that were rejected as this person, by this model, and still hold."""
        with self._turn:
            return self._valid_counters(self.person(person_id).person_id)

    def merge(self, target_id: str, source_id: str, *, kept: Callable[[CounterExample], bool]) -> Undo:
        """Make two persons one: all that belongs to the source goes to the target, and the source is gone.

        Args:
            target_id: who stays, with name, relationship and metadata.
            source_id: who goes.
            kept: does this rejected look, of either and by this model, still hold for the two together? Those that
                do not are set aside until the merge is undone.

        Raises:
            PersonNotFound: no such person.
            InvalidValue: they are the same.
            BankError: the store cannot be written; nothing has changed.
        """
        now = datetime.now(UTC)
        with self._turn:
            target, source = replace(self.person(target_id), updated_at=now), self.person(source_id)
            seen = [moment for moment in (target.last_seen_at, source.last_seen_at) if moment is not None]
            target = replace(target, last_seen_at=max(seen, default=None))
            if target.person_id == source.person_id:
                raise InvalidValue.of("from", "must be another person")
            # Also those that are set aside already: what did that may be taken back before the merge is.
            counters = [
                counter
                for person in (target, source)
                for counter in self._counters.get(person.person_id, {}).values()
                if counter.model == self.model
            ]
            content = {
                "person": person_to_json(source),
                "photos": list(self._photos[source.person_id]),
                "counter_examples": list(self._counters.get(source.person_id, {})),
                "undos": [undo.undo_id for undo in self._undos.values() if undo.person_id == source.person_id],
                "set_aside": [counter.counter_id for counter in counters if not kept(counter)],
            }
            undo = Undo(str(uuid.uuid4()), target.person_id, "merge", content, now)
            self._store.merge(target, source, undo)
            self._move(source, target, self._photos[source.person_id], content["counter_examples"], content["undos"])
            self._undos[undo.undo_id] = undo
            self._drop(source.person_id)
            self._refresh(target)
        return undo

    def note_seen(self, seen: Mapping[str, datetime]) -> None:
        """Keep when persons were last seen, but for what would change by less than an hour.

        Raises:
            BankError: the store cannot be written; nothing has changed.
        """
        with self._turn:
            later = {
                person_id: moment
                for person_id, moment in seen.items()
                if (person := self._persons.get(person_id)) is not None
                and (person.last_seen_at is None or moment - person.last_seen_at >= _SEEN_STEP)
            }
            self._keep_seen(later)

    def forget_seen(self) -> None:
        """Forget when everyone was last seen.

        Raises:
            BankError: the store cannot be written; nothing has changed.
        """
        with self._turn:
            self._keep_seen({key: None for key, person in self._persons.items() if person.last_seen_at is not None})

    def _keep_seen(self, times: Mapping[str, datetime | None]) -> None:
        if times:
            self._store.note_seen(times)
            for person_id, moment in times.items():
                self._persons[person_id] = replace(self._persons[person_id], last_seen_at=moment)

    def undos(self, person_id: str) -> tuple[Undo, ...]:
        """The corrections of a person that can be taken back, oldest first."""
        with self._turn:
            person_id = self.person(person_id).person_id
            return tuple(undo for undo in self._undos.values() if undo.person_id == person_id and not _expired(undo))

    def correction(self, undo_id: str) -> Undo:
        """A correction that can be taken back.

        Raises:
            UndoNotFound: no such correction, or it was made too long ago.
        """
        with self._turn:
            undo = self._undos.get(undo_id.lower())
            if undo is None or _expired(undo):
                raise UndoNotFound
            return undo

    def undo(self, undo_id: str) -> Undo:
        """Take a correction back; returns what was undone.

        Raises:
            UndoNotFound: no such correction, or it was made too long ago.
            CannotUndo: too much has changed since.
            BankError: the store cannot be written; nothing has changed.
        """
        with self._turn:
            undo = self.correction(undo_id)
            if undo.kind == "merge":
                self._split(undo)
                changed = [undo.person_id, undo.content["person"]["person_id"]]
            elif undo.kind == "is-me":
                self._unteach(undo)
                changed = [undo.person_id]
            else:
                changed = [undo.person_id]
                counter_id = undo.content["counter_id"]
                self._store.unreject(counter_id, undo.undo_id)
                self._counters.get(undo.person_id, {}).pop(counter_id, None)
            del self._undos[undo.undo_id]
            for person_id in changed:
                self._refresh(self._persons[person_id])
        return undo

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
        skipped = set(self._damaged)
        on_progress(done, total)
        while batch := self._without_embedding(skipped):
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

    def reembed_person(self, person_id: str, embed: Callable[[Sequence[bytes]], NDArray[np.float32]]) -> Person:
        """As `reembed`, of one person; pictures that cannot be read are left. Costs nothing where none waits.

        Raises:
            PersonNotFound: no such person.
        """
        with self._turn:
            person = self.person(person_id)
            waiting = [key for key in self._photos[person.person_id] if key not in self._embeddings]
        pictures = {}
        for key in waiting:
            with suppress(BankError, PhotoNotFound):
                pictures[key] = self.picture(person.person_id, key)
        if not pictures:
            return person
        vectors = embed(list(pictures.values()))
        with self._turn:
            person = self.person(person_id)
            missing = (
                self._photos[person.person_id].keys() - self._embeddings.keys()
            )  # another may have been as quick
            fresh = {key: vector for key, vector in zip(pictures, vectors, strict=True) if key in missing}
            if not fresh:
                return person
            self._store.add_embeddings(self.model, fresh)
            self._embeddings |= fresh
            return self._refresh(person)

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
            held = {photo_id for photos in self._photos.values() for photo_id in photos}
            if kept.keys() != held:
                faults.append("Memory and store do not hold the same photos")
            if {photo_id for photo_id, vector in kept.items() if vector is not None} != self._embeddings.keys():
                faults.append("Memory and store do not hold the same embeddings")
        return faults

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def release(self) -> IO[bytes] | None:
        """Close the store but keep others out; see `Store.release`."""
        return self._store.release()

    def _load(self) -> None:
        contents = self._store.load(self.model)
        self._damaged = set(contents.damaged)
        for fault in contents.faults:
            log.error("%s. Restore a backup, or delete this person and register again", fault)
        for person in contents.persons:
            self._persons[person.person_id] = person
            self._photos[person.person_id] = {}
        for photo, vector in contents.photos:
            self._photos[photo.person_id][photo.photo_id] = photo
            if vector is not None:
                self._embeddings[photo.photo_id] = self._sound(vector, photo.person_id)
        for counter in contents.counter_examples:
            if counter.model == self.model:
                self._sound(counter.embedding, counter.person_id)
            self._counters.setdefault(counter.person_id, {})[counter.counter_id] = counter
        self._undos = {undo.undo_id: undo for undo in contents.undos}
        self._settle()
        known = [person for person in map(self._derive, list(self._persons.values())) if person.embedding_count]
        if known:
            templates = np.stack([self._template(person.person_id) for person in known])
            self._index.put_all([person.person_id for person in known], templates)

    def _without_embedding(self, skipped: set[str]) -> list[tuple[str, bytes]]:
        """The next photos to embed; whoever has a damaged picture joins those who are skipped."""
        while True:
            try:
                return self._store.without_embedding(self.model, _REEMBED_BATCH, skipped)
            except DamagedPerson as damaged:
                log.error("%s", damaged.message)
                skipped.add(damaged.person_id)

    def _sound(self, vector: Embedding, person_id: str) -> Embedding:
        """The vector itself.

        Raises:
            BankError: it is none that this model could have made.
        """
        if vector.shape != (self._dimension,) or not np.isfinite(vector).all():
            raise BankError(f"The bank is damaged: person {person_id} has a broken embedding")
        return vector

    def _settle(self) -> None:
        """What can be undone no more is final: its undo goes, and so do looks that a merge has set aside."""
        settled = [undo for undo in self._undos.values() if _expired(undo)]
        if not settled:
            return
        aside = {
            counter_id
            for undo in settled
            for counter_id in undo.content.get("set_aside", ())
            if counter_id in self._counters.get(undo.person_id, {})
        }
        self._store.settle([undo.undo_id for undo in settled], sorted(aside))
        for undo in settled:
            del self._undos[undo.undo_id]
        for counters in self._counters.values():
            for counter_id in aside & counters.keys():
                del counters[counter_id]

    def _split(self, undo: Undo) -> None:
        """Take a merge back."""
        source = person_from_json(undo.content["person"])
        target = replace(self._persons[undo.person_id], updated_at=datetime.now(UTC))
        # Of what the source brought, that which is still the target's: the rest went since, or never came here.
        photos = [key for key in undo.content["photos"] if key in self._photos[target.person_id]]
        if not photos or len(photos) == len(self._photos[target.person_id]):
            raise CannotUndo
        held = self._counters.get(target.person_id, {})
        counters = [key for key in undo.content["counter_examples"] if key in held]
        undos = [
            key
            for key in undo.content["undos"]
            if key in self._undos and self._undos[key].person_id == target.person_id
        ]
        self._store.split(target, source, photos, counters, undos, undo.undo_id)
        self._photos[source.person_id] = {}
        self._move(target, source, photos, counters, undos)
        self._persons[target.person_id], self._persons[source.person_id] = target, source

    def _unteach(self, undo: Undo) -> None:
        """Forget what was taught, but for what another word stands for too; the looks that it set aside, and no other
        word did, hold again once the undo is gone."""
        now = datetime.now(UTC)
        person = replace(self._persons[undo.person_id], updated_at=now)
        photos = self._photos[person.person_id]
        others = {
            key
            for other in self._undos.values()
            if other.kind == "is-me" and other.undo_id != undo.undo_id and other.person_id == undo.person_id
            for key in other.content["photos"]
        }
        # A photo that an older word brought may be older than can be taken back: it has become final with that word.
        taught = [
            key
            for key in undo.content["photos"]
            if key in photos and key not in others and photos[key].created_at >= now - UNDO_PERIOD
        ]
        if taught and len(taught) == len(photos):
            raise CannotUndo("That is the only photo of this person by now; delete the person instead")
        self._store.unteach(person, taught, undo.undo_id)
        for key in taught:
            del photos[key]
            self._embeddings.pop(key, None)
        self._persons[person.person_id] = person

    def _move(
        self,
        giver: Person,
        taker: Person,
        photo_ids: Iterable[str],
        counter_ids: Iterable[str],
        undo_ids: Iterable[str],
    ) -> None:
        """Give, in memory, what belongs to one person to another."""
        old, new = giver.person_id, taker.person_id
        moved = {key: replace(self._photos[old].pop(key), person_id=new) for key in list(photo_ids)}
        self._photos[new] = _oldest_first(self._photos[new] | moved)
        for key in counter_ids:
            self._counters.setdefault(new, {})[key] = replace(self._counters[old].pop(key), person_id=new)
        for key in undo_ids:
            self._undos[key] = replace(self._undos[key], person_id=new)

    def _valid_counters(self, person_id: str) -> tuple[CounterExample, ...]:
        """The rejected looks of a person that count: by this model, and not set aside by a merge or a newer word
        about that person."""
        counters = self._counters.get(person_id)
        if not counters:
            return ()
        aside = {
            counter_id
            for undo in self._undos.values()
            if undo.person_id == person_id
            for counter_id in undo.content.get("set_aside", ())
        }
        return tuple(c for c in counters.values() if c.model == self.model and c.counter_id not in aside)

    def _hit(self, probe: Embedding, person_id: str, similarity: float) -> Hit | None:
        """None where the person was forgotten a moment ago.

        No lock is held. Rejected looks are read before the person, since `_drop` takes the person first: nobody is
        found without them.
        """
        rejected = self._rejected.get(person_id)
        person = self._persons.get(person_id)
        if person is None:
            return None
        return Hit(
            person,
            similarity,
            self._best_quality.get(person_id, 0),
            None if rejected is None else float((rejected @ probe).max()),
        )

    def _drop(self, person_id: str) -> dict[str, Photo]:
        """Remove a person from memory, but for the embeddings of the photos, which are returned."""
        del self._persons[person_id]
        self._index.remove(person_id)
        for kept in (self._counters, self._rejected, self._best_quality, self._best_look, self._views):
            kept.pop(person_id, None)
        return self._photos.pop(person_id)

    def _to_store(self, person_id: str, photos: Sequence[NewPhoto], now: datetime) -> list[StoredPhoto]:
        """Each a microsecond after the one before: photos that came together keep their order in the store too."""
        return [
            StoredPhoto(
                Photo(str(uuid.uuid4()), person_id, new.quality, now + timedelta(microseconds=place)),
                new.picture,
                self.model,
                new.embedding,
            )
            for place, new in enumerate(photos)
        ]

    def _remember(self, stored: Sequence[StoredPhoto]) -> None:
        for item in stored:
            self._photos[item.photo.person_id][item.photo.photo_id] = item.photo
            self._embeddings[item.photo.photo_id] = item.embedding

    def _refresh(self, person: Person) -> Person:
        """Bring all that is derived of a person in line with photos and rejected looks."""
        person = self._derive(person)
        if person.embedding_count:
            self._index.put(person.person_id, self._template(person.person_id))
        else:
            self._index.remove(person.person_id)
        return person

    def _derive(self, person: Person) -> Person:
        """All of that but the index."""
        person_id = person.person_id
        keys = [key for key in self._photos[person_id] if key in self._embeddings]
        scores = [self._photos[person_id][key].quality.score for key in keys]
        views = views_of(np.array([self._embeddings[key] for key in keys], dtype=np.float32), self._same_view)
        weights = template_weights(scores, views)
        self._views[person_id] = dict(zip(keys, zip(views.tolist(), weights.tolist(), strict=True), strict=True))
        person = replace(person, embedding_count=len(keys), views=int(views.max(initial=-1)) + 1)
        self._persons[person_id] = person
        self._best_quality[person_id] = max(scores, default=0)
        if keys:
            self._best_look[person_id] = self._embeddings[keys[int(np.argmax(scores))]]
        else:
            self._best_look.pop(person_id, None)
        counters = self._valid_counters(person_id)
        if counters:
            self._rejected[person_id] = np.stack([counter.embedding for counter in counters])
        else:
            self._rejected.pop(person_id, None)
        return person

    def _template(self, person_id: str, without: str | None = None) -> Embedding:
        total = np.zeros(self._dimension, dtype=np.float32)
        for photo_id, (_, weight) in self._views[person_id].items():
            if photo_id != without:
                total += np.float32(weight) * self._embeddings[photo_id]
        template: Embedding = total / np.float32(max(float(np.linalg.norm(total)), 1e-12))
        return template

    def _with(self, person_id: str, more: Sequence[StoredPhoto]) -> tuple[Embedding, int]:
        """The template of a person with photos that are to come, (D,) float32, and of how many views it is."""
        held = self._views[person_id]
        scores = [self._photos[person_id][key].quality.score for key in held]
        scores += [item.photo.quality.score for item in more]
        embeddings = [*(self._embeddings[key] for key in held), *(item.embedding for item in more)]
        if not embeddings:
            return np.zeros(self._dimension, dtype=np.float32), 0
        views = views_of(np.stack(embeddings), self._same_view)
        total = template_weights(scores, views) @ np.stack(embeddings)
        return total / np.float32(max(float(np.linalg.norm(total)), 1e-12)), int(views.max()) + 1

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


def _word(looks: Sequence[Embedding], always: bool) -> str:
    """Tells whether the same was said of the same looks."""
    said = hashlib.sha256(bytes([always]))
    for look in looks:
        said.update(look.tobytes())
    return said.hexdigest()


def _oldest_first(photos: Mapping[str, Photo]) -> dict[str, Photo]:
    return dict(sorted(photos.items(), key=lambda item: (item[1].created_at, item[0])))


def _expired(undo: Undo) -> bool:
    return undo.created_at < datetime.now(UTC) - UNDO_PERIOD


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
