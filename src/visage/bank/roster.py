"""What of a bank is held in memory: records as the store keeps them, and what is derived of them.

A person is found by a template, the mean of the unit embeddings of that person's photos, each weighted by its
quality, and near copies of each other together as one (`docs/decisions/0003-templates.md`, `0028-views.md`). Whoever
changes the records of a person calls `refresh` for that person afterwards. Who changes anything holds the bank's
lock; `search`, `sample` and `person` need none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from visage.bank.listing import search_text
from visage.bank.looks import Hit, Looks, Sample
from visage.bank.records import Contents, CounterExample, StoredPhoto
from visage.bank.store import Search
from visage.bank.views import template_weights, views_of
from visage.errors import BankError, DamagedPerson, PersonNotFound, PhotoNotFound
from visage.types import Embedding, Person, Photo, Undo

log = logging.getLogger("visage")


class Roster:
    """Everyone who is remembered.

    Args:
        index: finds the nearest templates, by the ids of persons; empty.
        model: name of the model whose embeddings are searched.
        dimension: of its embeddings.
        same_view: cosine of its embeddings from which two photos of a person are one view.

    Attributes:
        persons: by id.
        texts: in which they are searched, by id.
        photos: by id of the person and of the photo, oldest first.
        embeddings: by id of the photo, where this model has made one.
        counters: rejected looks, of every model, by id of the person and of the look.
        undos: by id.
        damaged: ids of the persons of whom something cannot be read.
    """

    def __init__(self, index: Search, *, model: str, dimension: int, same_view: float) -> None:
        self.model = model
        self.persons: dict[str, Person] = {}
        self.texts: dict[str, str] = {}
        self.photos: dict[str, dict[str, Photo]] = {}
        self.embeddings: dict[str, Embedding] = {}
        self.counters: dict[str, dict[str, CounterExample]] = {}
        self.undos: dict[str, Undo] = {}
        self.damaged: set[str] = set()
        self.index = index
        self._dimension = dimension
        self._same_view = same_view
        # Derived, and made anew by `refresh`: view and weight of each photo that is embedded; and what a search asks
        # for, quality and embedding of the best photo, rejected looks (k, D).
        self._views: dict[str, dict[str, tuple[int, float]]] = {}
        self._best_quality: dict[str, int] = {}
        self._best_look: dict[str, Embedding] = {}
        self._rejected: dict[str, NDArray[np.float32]] = {}

    def fill(self, contents: Contents) -> None:
        """Hold what a store contains.

        Raises:
            BankError: it contains a vector of another size under this model's name.
        """
        self.damaged = set(contents.damaged)
        for fault in contents.faults:
            log.error("%s. Restore a backup, or delete this person and register again", fault)
        for person in contents.persons:
            self.add(person)
        for photo, vector in contents.photos:
            self.photos[photo.person_id][photo.photo_id] = photo
            if vector is not None:
                self.embeddings[photo.photo_id] = self._sound(vector, photo.person_id)
        for counter in contents.counter_examples:
            if counter.model == self.model:
                self._sound(counter.embedding, counter.person_id)
            self.counters.setdefault(counter.person_id, {})[counter.counter_id] = counter
        self.undos = {undo.undo_id: undo for undo in contents.undos}
        known = [person for person in map(self._derive, list(self.persons.values())) if person.embedding_count]
        if known:
            templates = np.stack([self.template(person.person_id) for person in known])
            self.index.put_all([person.person_id for person in known], templates)

    def person(self, person_id: str) -> Person:
        """One person, by an id in any case.

        Raises:
            PersonNotFound: no such person.
            DamagedPerson: there is, but what is stored cannot be read.
        """
        try:
            return self.persons[person_id.lower()]
        except KeyError:
            if person_id.lower() in self.damaged:
                raise DamagedPerson.of(person_id.lower(), "record") from None
            raise PersonNotFound from None

    def photo(self, person_id: str, photo_id: str) -> Photo:
        """One photo of a person.

        Raises:
            PersonNotFound, PhotoNotFound: no such person, or no such photo of that person.
        """
        try:
            return self.photos[self.person(person_id).person_id][photo_id.lower()]
        except KeyError:
            raise PhotoNotFound from None

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[Hit]]:
        """As `MemoryBank.search`."""
        limit += len(self._rejected)  # who was rejected must not push out the one whom the face belongs to
        return [
            [hit for person_id, similarity in row if (hit := self._hit(probe, person_id, similarity))]
            for probe, row in zip(probes, self.index.search(probes, limit), strict=True)
        ]

    def sample(self, most: int) -> Sample:
        """As `MemoryBank.sample`."""
        keys, templates = self.index.sample(most)
        found = [(row, self.persons.get(key), self._best_look.get(key)) for row, key in enumerate(keys)]
        held = [(row, person, look) for row, person, look in found if person is not None and look is not None]
        return Sample(
            persons=tuple(person for _, person, _ in held),
            templates=templates[[row for row, _, _ in held]],
            looks=np.stack([look for _, _, look in held]) if held else templates[:0],
        )

    def looks(self) -> Looks:
        """What everyone looks like, at this moment."""
        persons = [person for person in self.persons.values() if person.embedding_count]
        photos = [
            (row, self.photos[person.person_id][key], view, weight)
            for row, person in enumerate(persons)
            for key, (view, weight) in self._views[person.person_id].items()
        ]
        empty = np.empty((0, self._dimension), dtype=np.float32)
        return Looks(
            persons=tuple(persons),
            templates=np.stack([self.template(p.person_id) for p in persons]) if persons else empty,
            photos=tuple(photo for _, photo, _, _ in photos),
            owners=np.array([row for row, _, _, _ in photos], dtype=np.int64),
            views=np.array([view for _, _, view, _ in photos], dtype=np.int64),
            embeddings=np.stack([self.embeddings[p.photo_id] for _, p, _, _ in photos]) if photos else empty,
            weights=np.array([weight for _, _, _, weight in photos], dtype=np.float32),
            unseen=tuple(person for person in self.persons.values() if not person.embedding_count),
        )

    def template(self, person_id: str, without: str | None = None) -> Embedding:
        """What a person looks like, but for one photo: (D,) float32, unit length; zeros where there is none."""
        views = self._views[person_id]
        return self._mean([(weight, self.embeddings[key]) for key, (_, weight) in views.items() if key != without])

    def template_with(self, person_id: str, more: Sequence[StoredPhoto]) -> tuple[Embedding, int]:
        """The template of a person with photos that are to come, (D,) float32, and of how many views it is."""
        held = self._views[person_id]
        scores = [self.photos[person_id][key].quality.score for key in held]
        scores += [item.photo.quality.score for item in more]
        embeddings = [*(self.embeddings[key] for key in held), *(item.embedding for item in more)]
        views = self._views_of(embeddings)
        weights = template_weights(scores, views).tolist()
        return self._mean(list(zip(weights, embeddings, strict=True))), int(views.max(initial=-1)) + 1

    def next_photo_at(self, person_id: str, now: datetime) -> datetime:
        """When a new photo of a person is dated: after those that are there, though a clock was set back."""
        newest = max((photo.created_at for photo in self.photos[person_id].values()), default=now)
        return max(now, newest + timedelta(microseconds=1))

    def undos_of(self, person_id: str) -> list[Undo]:
        """What can be taken back of a person's corrections, oldest first."""
        return [undo for undo in self.undos.values() if undo.person_id == person_id]

    def own_counters(self, person_id: str) -> list[CounterExample]:
        """The rejected looks of a person by this model, oldest first, also those that are set aside."""
        return [counter for counter in self.counters.get(person_id, {}).values() if counter.model == self.model]

    def valid_counters(self, person_id: str) -> tuple[CounterExample, ...]:
        """The rejected looks of a person that count: by this model, and not set aside by a merge or a newer word
        about that person."""
        counters = self.own_counters(person_id)
        if not counters:
            return ()
        aside = {key for undo in self.undos_of(person_id) for key in undo.content.get("set_aside", ())}
        return tuple(counter for counter in counters if counter.counter_id not in aside)

    def add(self, person: Person) -> None:
        """Hold somebody new, or who is changed."""
        self.texts[person.person_id] = search_text(person)
        self.persons[person.person_id] = person
        self.photos.setdefault(person.person_id, {})

    def keep(self, stored: Sequence[StoredPhoto]) -> None:
        """Hold more photos."""
        for item in stored:
            self.photos[item.photo.person_id][item.photo.photo_id] = item.photo
            self.embeddings[item.photo.photo_id] = item.embedding

    def drop_photos(self, person_id: str, photo_ids: Iterable[str]) -> None:
        """Hold some photos of a person no longer."""
        for photo_id in photo_ids:
            del self.photos[person_id][photo_id]
            self.embeddings.pop(photo_id, None)

    def drop(self, person_id: str) -> None:
        """Hold a person no longer, nor what is left of that person's photos and corrections."""
        del self.persons[person_id]
        self.index.remove(person_id)
        for kept in (self.texts, self.counters, self._rejected, self._best_quality, self._best_look, self._views):
            kept.pop(person_id, None)
        for photo_id in self.photos.pop(person_id):
            self.embeddings.pop(photo_id, None)
        for undo in self.undos_of(person_id):
            del self.undos[undo.undo_id]

    def move(
        self, giver: str, taker: str, photo_ids: Iterable[str], counter_ids: Iterable[str], undo_ids: Iterable[str]
    ) -> None:
        """Give what belongs to one person to another."""
        moved = {key: replace(self.photos[giver].pop(key), person_id=taker) for key in list(photo_ids)}
        self.photos[taker] = _oldest_first(self.photos[taker] | moved)
        for key in counter_ids:
            counter = replace(self.counters[giver].pop(key), person_id=taker)
            self.counters.setdefault(taker, {})[key] = counter
        for key in undo_ids:
            self.undos[key] = replace(self.undos[key], person_id=taker)

    def refresh(self, person: Person) -> Person:
        """Hold a person, and bring all that is derived of that person in line with photos and rejected looks."""
        self.add(person)
        person = self._derive(person)
        if person.embedding_count:
            self.index.put(person.person_id, self.template(person.person_id))
        else:
            self.index.remove(person.person_id)
        return person

    def _hit(self, probe: Embedding, person_id: str, similarity: float) -> Hit | None:
        """None where the person was forgotten a moment ago.

        No lock is held. Rejected looks are read before the person, since `drop` takes the person first: nobody is
        found without them.
        """
        rejected = self._rejected.get(person_id)
        person = self.persons.get(person_id)
        if person is None:
            return None
        return Hit(
            person,
            similarity,
            self._best_quality.get(person_id, 0),
            None if rejected is None else float((rejected @ probe).max()),
        )

    def _derive(self, person: Person) -> Person:
        """All that is derived of a person but the index."""
        person_id = person.person_id
        keys = [key for key in self.photos[person_id] if key in self.embeddings]
        scores = [self.photos[person_id][key].quality.score for key in keys]
        views = self._views_of([self.embeddings[key] for key in keys])
        weights = template_weights(scores, views)
        self._views[person_id] = dict(zip(keys, zip(views.tolist(), weights.tolist(), strict=True), strict=True))
        person = replace(person, embedding_count=len(keys), views=int(views.max(initial=-1)) + 1)
        self.persons[person_id] = person
        self._best_quality[person_id] = max(scores, default=0)
        if keys:
            self._best_look[person_id] = self.embeddings[keys[int(np.argmax(scores))]]
        else:
            self._best_look.pop(person_id, None)
        counters = self.valid_counters(person_id)
        if counters:
            self._rejected[person_id] = np.stack([counter.embedding for counter in counters])
        else:
            self._rejected.pop(person_id, None)
        return person

    def _views_of(self, embeddings: Sequence[Embedding]) -> NDArray[np.int64]:
        return views_of(np.array(embeddings, dtype=np.float32), self._same_view)

    def _mean(self, weighted: Sequence[tuple[float, Embedding]]) -> Embedding:
        total = np.zeros(self._dimension, dtype=np.float32)
        for weight, embedding in weighted:
            total += np.float32(weight) * embedding
        mean: Embedding = total / np.float32(max(float(np.linalg.norm(total)), 1e-12))
        return mean

    def _sound(self, vector: Embedding, person_id: str) -> Embedding:
        """The vector itself.

        Raises:
            BankError: it is none that this model could have made.
        """
        if vector.shape != (self._dimension,) or not np.isfinite(vector).all():
            raise BankError(f"The bank is damaged: person {person_id} has a broken embedding")
        return vector


def _oldest_first(photos: Mapping[str, Photo]) -> dict[str, Photo]:
    return dict(sorted(photos.items(), key=lambda item: (item[1].created_at, item[0])))
