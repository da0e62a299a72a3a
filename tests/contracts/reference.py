"""What the contracts of a store and of a search say, as plainly as it can be written: dictionaries, nothing else.

They are subjects of the suites like any other, and what the wrong ones of `test_wrong.py` are made from.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from visage.bank.records import Contents, CounterExample, Erasure, StoredPhoto, person_from_json
from visage.errors import BankError, DamagedPerson, NotReady
from visage.types import Embedding, Person, Photo, Undo


@dataclass
class Kept:
    """A photo, with its embeddings by model, and whose it was first."""

    photo: Photo
    picture: bytes
    vectors: dict[str, Embedding]
    origin_id: str


@dataclass
class State:
    """All that is kept: what a disk is to others."""

    persons: dict[str, Person] = field(default_factory=dict)
    photos: dict[str, Kept] = field(default_factory=dict)
    counters: dict[str, CounterExample] = field(default_factory=dict)
    counter_origins: dict[str, str] = field(default_factory=dict)
    undos: dict[str, Undo] = field(default_factory=dict)
    merges: dict[str, str] = field(default_factory=dict)
    erasures: dict[str, datetime] = field(default_factory=dict)


class PlainStore:
    """A store in a place, which outlives it."""

    def __init__(self, place: list[State]) -> None:
        self._place = place
        self._turn = threading.RLock()
        self._closed = False

    @contextmanager
    def changing(self) -> Iterator[State]:
        """A copy of all; in force at the end, unless something is raised."""
        with self._turn:
            if self._closed:
                raise NotReady
            state = copy.deepcopy(self._place[0])
            try:
                yield state
            except KeyError as exc:
                raise BankError(f"There is no {exc}") from exc
            self._place[0] = state

    def load(self, model: str) -> Contents:
        with self.changing() as state:
            photos = sorted(state.photos.values(), key=lambda kept: (kept.photo.created_at, kept.photo.photo_id))
            return Contents(
                persons=tuple(state.persons.values()),
                photos=tuple((kept.photo, copy.copy(kept.vectors.get(model))) for kept in photos),
                counter_examples=tuple(
                    sorted(copy.deepcopy(list(state.counters.values())), key=lambda each: each.created_at)
                ),
                undos=tuple(sorted(state.undos.values(), key=lambda each: each.created_at)),
                damaged=frozenset(),
                faults=(),
            )

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        with self.changing() as state:
            _insert(state.persons, person.person_id, plain(person))
            _add(state, photos)

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        with self.changing() as state:
            _touch(state, person)
            _add(state, photos)

    def update_person(self, person: Person) -> None:
        with self.changing() as state:
            _replace(state, person)

    def delete_person(self, person_id: str) -> bool:
        with self.changing() as state:
            if person_id not in state.persons:
                raise DamagedPerson.of(person_id, "id")
            absorbed = _absorbed(state, person_id)
            _note_erased(state, [person_id, *absorbed, *_remove_person(state, person_id)])
            for source_id in absorbed:
                del state.merges[source_id]
        return True

    def delete_photo(self, person: Person, photo_id: str) -> bool:
        with self.changing() as state:
            _touch(state, person)
            state.photos.pop(photo_id, None)
            _note_erased(state, [photo_id])
        return True

    def erasures(self) -> list[Erasure]:
        with self.changing() as state:
            return sorted((Erasure(*each) for each in state.erasures.items()), key=lambda each: each.erased_at)

    def apply_erasures(self, erasures: Sequence[Erasure]) -> int:
        gone = {erasure.erased_id for erasure in erasures}
        with self.changing() as state:
            self.part(state, gone)
            persons, photos = len(state.persons), len(state.photos)
            for person_id in gone & state.persons.keys():
                photos -= sum(kept.photo.person_id == person_id for kept in state.photos.values())
                _remove_person(state, person_id)
            for key, kept in list(state.photos.items()):
                if {key, kept.origin_id} & gone:
                    del state.photos[key]
            for key in list(state.counters):
                if {key, state.counter_origins[key]} & gone:
                    del state.counters[key]
            for key, undo in list(state.undos.items()):
                if {key, undo.source_id} & gone:
                    del state.undos[key]
            for source_id in state.merges:
                while state.merges[source_id] in gone and state.merges[source_id] in state.merges:
                    state.merges[source_id] = state.merges[state.merges[source_id]]
            state.merges = {key: value for key, value in state.merges.items() if key not in gone}
            state.erasures |= {erasure.erased_id: erasure.erased_at for erasure in erasures}
            return persons - len(state.persons) + photos - len(state.photos)

    def part(self, state: State, gone: set[str]) -> None:
        """Take back what has put people, who are not forgotten, into those who are."""
        merges = [undo for undo in state.undos.values() if undo.kind == "merge"]
        for each in sorted(merges, key=lambda undo: undo.created_at, reverse=True):
            undo = state.undos[each.undo_id]
            if undo.person_id not in gone or undo.source_id in gone:
                continue

            def held(name: str, kept: Mapping[str, Any], of: Callable[[Any], str], undo: Undo = undo) -> list[str]:
                return [
                    key
                    for key in undo.content[name]
                    if key in kept and of(kept[key]) == undo.person_id and key not in gone
                ]

            photos = held("photos", state.photos, lambda kept: str(kept.photo.person_id))
            counters = held("counter_examples", state.counters, lambda counter: str(counter.person_id))
            undos = held("undos", state.undos, lambda other: str(other.person_id))
            if photos:
                source = person_from_json(undo.content["person"])
                state.persons[source.person_id] = source
                _give(state, source.person_id, photos, counters, undos)
                del state.undos[undo.undo_id]
                state.merges.pop(source.person_id, None)

    def picture(self, photo_id: str) -> bytes | None:
        with self.changing() as state:
            return state.photos[photo_id].picture if photo_id in state.photos else None

    def without_embedding(self, model: str, limit: int, skipped: Collection[str]) -> list[tuple[str, bytes]]:
        with self.changing() as state:
            wanted = [
                (key, kept.picture)
                for key, kept in sorted(state.photos.items())
                if model not in kept.vectors and kept.photo.person_id not in skipped
            ]
            return wanted[:limit]

    def add_embeddings(self, model: str, embeddings: Mapping[str, Embedding]) -> None:
        with self.changing() as state:
            for key in embeddings.keys() & state.photos.keys():
                state.photos[key].vectors[model] = embeddings[key].copy()

    def reject(
        self, counter: CounterExample, undo: Undo, counter_ids: Sequence[str] = (), undo_ids: Sequence[str] = ()
    ) -> None:
        with self.changing() as state:
            _ = state.persons[counter.person_id]
            for key in counter_ids:
                state.counters.pop(key, None)
            for key in undo_ids:
                state.undos.pop(key, None)
            _insert(state.counters, counter.counter_id, replace(counter, embedding=counter.embedding.copy()))
            state.counter_origins[counter.counter_id] = counter.person_id
            _insert(state.undos, undo.undo_id, undo)

    def unreject(self, counter_id: str, undo_id: str) -> None:
        with self.changing() as state:
            state.counters.pop(counter_id, None)
            state.undos.pop(undo_id, None)

    def teach(self, person: Person, photos: Sequence[StoredPhoto], undo: Undo) -> None:
        with self.changing() as state:
            _touch(state, person)
            _add(state, photos)
            _insert(state.undos, undo.undo_id, undo)

    def unteach(self, person: Person, photo_ids: Sequence[str], undo_id: str) -> bool:
        with self.changing() as state:
            _touch(state, person)
            for key in photo_ids:
                state.photos.pop(key, None)
            _note_erased(state, photo_ids)
            state.undos.pop(undo_id, None)
        return True

    def note_seen(self, times: Mapping[str, datetime | None]) -> None:
        with self.changing() as state:
            for key in times.keys() & state.persons.keys():
                state.persons[key] = replace(state.persons[key], last_seen_at=times[key])

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        giver = source.person_id
        with self.changing() as state:
            _replace(state, target)
            _insert(state.undos, undo.undo_id, undo)
            del state.persons[giver]
            _give(
                state,
                target.person_id,
                [key for key, kept in state.photos.items() if kept.photo.person_id == giver],
                [key for key, counter in state.counters.items() if counter.person_id == giver],
                [key for key, each in state.undos.items() if each.person_id == giver],
            )
            state.merges[giver] = target.person_id

    def split(
        self,
        target: Person,
        source: Person,
        photo_ids: Sequence[str],
        counter_ids: Sequence[str],
        undo_ids: Sequence[str],
        undo_id: str,
    ) -> None:
        with self.changing() as state:
            _replace(state, target)
            _insert(state.persons, source.person_id, plain(source))
            _give(state, source.person_id, photo_ids, counter_ids, undo_ids)
            state.undos.pop(undo_id, None)
            state.merges.pop(source.person_id, None)

    def settle(self, undo_ids: Sequence[str], counter_ids: Sequence[str]) -> None:
        with self.changing() as state:
            for key in undo_ids:
                state.undos.pop(key, None)
            for key in counter_ids:
                state.counters.pop(key, None)

    def check(self) -> list[str]:
        with self.changing():
            return []

    def close(self) -> None:
        self._closed = True

    def release(self) -> None:
        self.close()

    def transaction(self) -> AbstractContextManager[Any]:
        raise NotImplementedError

    def backup(self, target: IO[bytes], on_progress: Callable[[int, int], None]) -> NoReturn:
        raise NotImplementedError


def plain(person: Person) -> Person:
    """The record of a person: what is counted in memory is not kept."""
    return replace(person, embedding_count=0, views=0)


def _insert(table: dict[str, Any], key: str, value: object) -> None:
    if key in table:
        raise BankError(f"There is a {key} already")
    table[key] = value


def _add(state: State, photos: Sequence[StoredPhoto]) -> None:
    for stored in photos:
        _ = state.persons[stored.photo.person_id]
        vectors = {stored.model: stored.embedding.copy()}
        kept = Kept(stored.photo, stored.picture, vectors, stored.photo.person_id)
        _insert(state.photos, stored.photo.photo_id, kept)


def _touch(state: State, person: Person) -> None:
    held = state.persons[person.person_id]
    state.persons[person.person_id] = replace(held, updated_at=person.updated_at, last_seen_at=person.last_seen_at)


def _replace(state: State, person: Person) -> None:
    _ = state.persons[person.person_id]
    state.persons[person.person_id] = plain(person)


def _give(state: State, taker: str, photos: Sequence[str], counters: Sequence[str], undos: Sequence[str]) -> None:
    for key in photos:
        state.photos[key].photo = replace(state.photos[key].photo, person_id=taker)
    for key in counters:
        state.counters[key] = replace(state.counters[key], person_id=taker)
    for key in undos:
        state.undos[key] = replace(state.undos[key], person_id=taker)


def _remove_person(state: State, person_id: str) -> list[str]:
    """The person goes with everything; returns its ids."""
    del state.persons[person_id]
    gone = [key for key, kept in state.photos.items() if kept.photo.person_id == person_id]
    gone += [key for key, counter in state.counters.items() if counter.person_id == person_id]
    gone += [key for key, undo in state.undos.items() if undo.person_id == person_id]
    for key in gone:
        for table in (state.photos, state.counters, state.undos):
            table.pop(key, None)
    return gone


def _absorbed(state: State, person_id: str) -> list[str]:
    found: list[str] = []
    waiting = [person_id]
    while waiting:
        target = waiting.pop()
        sources = [key for key, value in state.merges.items() if value == target and key not in (person_id, *found)]
        found += sources
        waiting += sources
    return found


def _note_erased(state: State, ids: Sequence[str]) -> None:
    now = datetime.now(UTC)
    state.erasures |= dict.fromkeys(ids, now)


class PlainSearch:
    """A search that compares all."""

    def __init__(self, dimension: int) -> None:
        self._vectors: dict[str, Embedding] = {}
        self._dimension = dimension
        self._turn = threading.Lock()
        self.revision = 0

    def __len__(self) -> int:
        return len(self._vectors)

    def put(self, key: str, vector: Embedding) -> None:
        self.put_all([key], vector[None])

    def put_all(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        with self._turn:
            self._vectors |= {key: vector.copy() for key, vector in zip(keys, vectors, strict=True)}
            self.revision += 1

    def remove(self, key: str) -> None:
        with self._turn:
            if self._vectors.pop(key, None) is not None:
                self.revision += 1

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[tuple[str, float]]]:
        with self._turn:
            return [
                sorted(
                    ((key, float(vector @ probe)) for key, vector in self._vectors.items()),
                    key=lambda pair: -pair[1],
                )[:limit]
                for probe in probes
            ]

    def sample(self, most: int) -> tuple[list[str], NDArray[np.float32]]:
        with self._turn:
            keys = list(self._vectors)[:most]
            vectors = [self._vectors[key] for key in keys]
        return keys, np.array(vectors, dtype=np.float32).reshape(len(keys), self._dimension)
