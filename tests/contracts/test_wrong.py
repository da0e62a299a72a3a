"""The suites bite: for each kind of fault there is a store or a search that has it, and a test that finds it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.contracts import test_search, test_store
from tests.contracts.conftest import plain_place
from tests.contracts.reference import Kept, PlainSearch, PlainStore, State
from visage.bank.records import Contents, CounterExample, Erasure, StoredPhoto
from visage.types import Embedding, Person, Undo


@dataclass
class Wrong:
    """What is wrong, and which tests of the suite must find it."""

    kind: type[Any]
    tests: Sequence[Callable[..., None]]


def fails(test: Callable[..., None], subject: str, make: Callable[[], object]) -> bool:
    """Does this test of a suite fail, in one of its cases, with a subject that is made for it?"""
    cases: list[dict[str, Any]] = [{}]
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names = mark.args[0].split(",")
            values = [value if len(names) > 1 else [value] for value in mark.args[1]]
            cases = [case | dict(zip(names, value, strict=True)) for case in cases for value in values]
    for case in cases:
        try:
            test(**{subject: make()}, **case)
        except (Exception, pytest.fail.Exception):
            return True
    return False


class ForgetsNothing(PlainStore):
    """Says that it did."""

    def delete_person(self, person_id: str) -> bool:
        with self.changing() as state:
            _ = state.persons[person_id]
        return True


class KeepsThePhotosOfWhoIsGone(PlainStore):
    """Forgets the name only; the rest is there, and has no owner."""

    def delete_person(self, person_id: str) -> bool:
        with self.changing() as state:
            kept = {key: each for key, each in state.photos.items() if each.photo.person_id == person_id}
            super().delete_person(person_id)
        with self.changing() as state:
            state.photos |= kept
        return True


class ForgetsOneTooMany(PlainStore):
    """Takes the rejected looks of others along."""

    def delete_person(self, person_id: str) -> bool:
        done = super().delete_person(person_id)
        with self.changing() as state:
            state.counters.clear()
        return done


class NotesNoErasure(PlainStore):
    """An older bank would bring the photo back."""

    def delete_photo(self, person: Person, photo_id: str) -> bool:
        with self.changing() as state:
            before = dict(state.erasures)
        done = super().delete_photo(person, photo_id)
        with self.changing() as state:
            state.erasures = before
        return done


class LosesOrder(PlainStore):
    """Gives what was stored last first."""

    def load(self, model: str) -> Contents:
        found = super().load(model)
        return replace(found, photos=found.photos[::-1])


class LosesTheOrderOfUndos(PlainStore):
    """Gives them by id."""

    def load(self, model: str) -> Contents:
        found = super().load(model)
        return replace(found, undos=tuple(sorted(found.undos, key=lambda undo: undo.undo_id, reverse=True)))


class KeepsHalf(PlainStore):
    """Two transactions instead of one: the first stays where the second fails."""

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        super().add_person(person, [])
        super().add_photos(person, photos)


class KeepsAPhotoEach(PlainStore):
    """One transaction for each photo."""

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        for photo in photos:
            super().add_photos(person, [photo])


class RemembersInMemory(PlainStore):
    """Answers before it has written."""

    def __init__(self, place: list[State]) -> None:
        super().__init__(list(place))


class WritesLater(PlainStore):
    """When somebody was seen is only in memory."""

    def note_seen(self, times: Mapping[str, datetime | None]) -> None:
        self._later = dict(times)

    def load(self, model: str) -> Contents:
        found = super().load(model)
        later = getattr(self, "_later", {})
        persons = [replace(each, last_seen_at=later.get(each.person_id, each.last_seen_at)) for each in found.persons]
        return replace(found, persons=tuple(persons))


class KeepsTheEmbeddings(PlainStore):
    """Of photos that are gone: whoever gets the id gets them."""

    def __init__(self, place: list[State]) -> None:
        super().__init__(place)
        self._old: dict[str, Kept] = {}

    def delete_photo(self, person: Person, photo_id: str) -> bool:
        with self.changing() as state:
            self._old[photo_id] = state.photos[photo_id]
        return super().delete_photo(person, photo_id)

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        super().add_person(person, photos)
        with self.changing() as state:
            for key in self._old.keys() & state.photos.keys():
                state.photos[key].vectors |= self._old[key].vectors


class GivesAnyEmbedding(PlainStore):
    """Takes one model's for another's."""

    def load(self, model: str) -> Contents:
        found = super().load(model)
        with self.changing() as state:
            vectors = {key: next(iter(kept.vectors.values())) for key, kept in state.photos.items()}
        return replace(found, photos=tuple((photo, vectors[photo.photo_id]) for photo, _ in found.photos))


class WritesBackWhatWasRead(PlainStore):
    """A person who gets a photo gets the whole old record."""

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        super().add_photos(person, photos)
        self.update_person(person)


class DropsConsent(PlainStore):
    """Where two are merged."""

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        super().merge(replace(target, consent=None), source, undo)


class MergesPhotosOnly(PlainStore):
    """The rejected looks of the source are lost."""

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        with self.changing() as state:
            state.counters = {k: each for k, each in state.counters.items() if each.person_id != source.person_id}
        super().merge(target, source, undo)


class MergesWithoutAMemory(PlainStore):
    """Nobody knows any more who was merged into whom."""

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        super().merge(target, source, undo)
        with self.changing() as state:
            state.merges.clear()


class SplitsAll(PlainStore):
    """Gives back more than is named."""

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
            counter_ids = [k for k, each in state.counters.items() if state.counter_origins[k] == source.person_id]
        super().split(target, source, photo_ids, counter_ids, undo_ids, undo_id)


class LeavesTheUndo(PlainStore):
    """What was taken back can be taken back again."""

    def unreject(self, counter_id: str, undo_id: str) -> None:
        super().unreject(counter_id, "none")


class SettlesNothing(PlainStore):
    """Undos, whole records of persons, stay."""

    def settle(self, undo_ids: Sequence[str], counter_ids: Sequence[str]) -> None:
        super().settle([], counter_ids)


class ForgetsWhoWasMerged(PlainStore):
    """Into somebody who is forgotten, in an older bank."""

    def part(self, state: State, gone: set[str]) -> None:
        return


class ForgetsNotAgain(PlainStore):
    """What an older bank brought back stays."""

    def apply_erasures(self, erasures: Sequence[Erasure]) -> int:
        with self.changing() as state:
            state.erasures |= {erasure.erased_id: erasure.erased_at for erasure in erasures}
        return 0


class SharesItsArrays(PlainStore):
    """Keeps what it was given, and not a copy."""

    def reject(
        self, counter: CounterExample, undo: Undo, counter_ids: Sequence[str] = (), undo_ids: Sequence[str] = ()
    ) -> None:
        super().reject(counter, undo, counter_ids, undo_ids)
        self._shared = counter

    def load(self, model: str) -> Contents:
        found = super().load(model)
        shared = getattr(self, "_shared", None)
        return replace(found, counter_examples=(shared,)) if shared else found


class SkipsNobody(PlainStore):
    """Also those whose pictures are damaged are tried again and again."""

    def without_embedding(self, model: str, limit: int, skipped: Collection[str]) -> list[tuple[str, bytes]]:
        return super().without_embedding(model, limit, [])


class LosesARace(PlainStore):
    """Reads, lets somebody else in, and writes."""

    def __init__(self, place: list[State]) -> None:
        super().__init__(place)
        self._both = threading.Barrier(2)

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        other = PlainStore([self._place[0]])
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.2)
        other.add_photos(person, photos)
        self._place[0] = other._place[0]


class WorksThoughClosed(PlainStore):
    """Writes to a bank that was replaced."""

    def close(self) -> None:
        return


STORES = [
    Wrong(ForgetsNothing, [test_store.test_who_is_forgotten_takes_all_along_and_nothing_of_others]),
    Wrong(KeepsThePhotosOfWhoIsGone, [test_store.test_who_is_forgotten_takes_all_along_and_nothing_of_others]),
    Wrong(ForgetsOneTooMany, [test_store.test_who_is_forgotten_takes_all_along_and_nothing_of_others]),
    Wrong(NotesNoErasure, [test_store.test_a_photo_that_is_forgotten_leaves_the_others]),
    Wrong(LosesOrder, [test_store.test_photos_rejections_and_undos_are_oldest_first]),
    Wrong(LosesTheOrderOfUndos, [test_store.test_photos_rejections_and_undos_are_oldest_first]),
    Wrong(KeepsHalf, [test_store.test_what_raised_has_changed_nothing]),
    Wrong(KeepsAPhotoEach, [test_store.test_what_raised_has_changed_nothing]),
    Wrong(RemembersInMemory, [test_store.test_what_has_returned_is_there_after_opening_again]),
    Wrong(WritesLater, [test_store.test_what_has_returned_is_there_after_opening_again]),
    Wrong(KeepsTheEmbeddings, [test_store.test_an_id_that_is_used_again_brings_no_embedding_back]),
    Wrong(GivesAnyEmbedding, [test_store.test_a_model_gets_its_own_embeddings_only]),
    Wrong(WritesBackWhatWasRead, [test_store.test_who_gets_photos_is_only_touched]),
    Wrong(DropsConsent, [test_store.test_a_merge_keeps_all_and_the_order]),
    Wrong(
        MergesPhotosOnly,
        [test_store.test_a_merge_keeps_all_and_the_order, test_store.test_a_merge_is_taken_back_without_a_trace],
    ),
    Wrong(MergesWithoutAMemory, [test_store.test_who_was_merged_into_somebody_forgotten_is_forgotten]),
    Wrong(SplitsAll, [test_store.test_a_split_gives_back_what_is_named]),
    Wrong(LeavesTheUndo, [test_store.test_a_rejection_is_taken_back_alone]),
    Wrong(SettlesNothing, [test_store.test_what_is_settled_goes_and_nothing_else]),
    Wrong(
        ForgetsWhoWasMerged,
        [test_store.test_in_a_bank_from_before_a_merge_was_taken_back_only_who_is_forgotten_goes],
    ),
    Wrong(ForgetsNotAgain, [test_store.test_what_was_forgotten_is_forgotten_again_in_an_older_bank]),
    Wrong(SharesItsArrays, [test_store.test_records_are_values]),
    Wrong(SkipsNobody, [test_store.test_a_model_gets_its_own_embeddings_only]),
    Wrong(LosesARace, [test_store.test_two_threads_lose_nothing]),
    Wrong(WorksThoughClosed, [test_store.test_a_closed_store_does_nothing]),
]


@pytest.mark.parametrize("wrong", STORES, ids=lambda wrong: wrong.kind.__name__)
def test_a_wrong_store_is_found(wrong: Wrong) -> None:
    for test in wrong.tests:
        assert fails(test, "opened", lambda: plain_place(wrong.kind)), test.__name__


class Unsorted(PlainSearch):
    """The nearest last."""

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[tuple[str, float]]]:
        return [row[::-1] for row in super().search(probes, limit)]


class NearestOnly(PlainSearch):
    """Passes the second over."""

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[tuple[str, float]]]:
        return [row[:1] for row in super().search(probes, limit)]


class NoLimit(PlainSearch):
    """Gives all."""

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[tuple[str, float]]]:
        return super().search(probes, len(self))


class Rounded(PlainSearch):
    """Cosines as eight bits have them."""

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[tuple[str, float]]]:
        return [[(key, round(cosine * 127) / 127) for key, cosine in row] for row in super().search(probes, limit)]


class RemovesNothing(PlainSearch):
    """Who is forgotten is still found."""

    def remove(self, key: str) -> None:
        self.revision += 1


class RemovesTheWrongOne(PlainSearch):
    """The last row takes the free place, and keeps its old vector."""

    def remove(self, key: str) -> None:
        if key in self._vectors:
            last, vector = list(self._vectors.items())[-1]
            super().remove(last)
            if last != key:
                del self._vectors[key]
                self._vectors[last] = np.roll(vector, 1)


class ComplainsOfWhoIsNotThere(PlainSearch):
    """Where there is nothing to forget."""

    def remove(self, key: str) -> None:
        del self._vectors[key]
        self.revision += 1


class KeepsTheOldOne(PlainSearch):
    """A new vector of a key does not replace the old one."""

    def put_all(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        fresh = [row for row, key in enumerate(keys) if key not in self._vectors]
        super().put_all([keys[row] for row in fresh], vectors[fresh])


class LosesTheLast(PlainSearch):
    """Of many."""

    def put_all(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        super().put_all(keys[:-1] or keys, vectors[:-1] if len(keys) > 1 else vectors)


class SharesWhatItWasGiven(PlainSearch):
    """Keeps no copy."""

    def put(self, key: str, vector: Embedding) -> None:
        super().put(key, vector)
        self._vectors[key] = vector


class NeverRevised(PlainSearch):
    """Whoever waits for a change waits for ever."""

    def remove(self, key: str) -> None:
        revision = self.revision
        super().remove(key)
        self.revision = revision


class SamplesTooMany(PlainSearch):
    """All of a town."""

    def sample(self, most: int) -> tuple[list[str], NDArray[np.float32]]:
        return super().sample(2**31)


class SamplesTooFew(PlainSearch):
    """One."""

    def sample(self, most: int) -> tuple[list[str], NDArray[np.float32]]:
        return super().sample(1)


class SamplesOtherVectors(PlainSearch):
    """Keys and vectors do not belong together."""

    def sample(self, most: int) -> tuple[list[str], NDArray[np.float32]]:
        keys, vectors = super().sample(most)
        return keys, vectors[::-1]


SEARCHES = [
    Wrong(Unsorted, [test_search.test_the_nearest_come_first_with_their_cosines]),
    Wrong(NearestOnly, [test_search.test_the_nearest_come_first_with_their_cosines]),
    Wrong(NoLimit, [test_search.test_the_nearest_come_first_with_their_cosines]),
    Wrong(Rounded, [test_search.test_the_nearest_come_first_with_their_cosines]),
    Wrong(RemovesNothing, [test_search.test_after_any_changes_a_search_sees_what_is_there]),
    Wrong(RemovesTheWrongOne, [test_search.test_after_any_changes_a_search_sees_what_is_there]),
    Wrong(ComplainsOfWhoIsNotThere, [test_search.test_to_forget_who_is_not_there_changes_nothing]),
    Wrong(KeepsTheOldOne, [test_search.test_after_any_changes_a_search_sees_what_is_there]),
    Wrong(LosesTheLast, [test_search.test_the_nearest_come_first_with_their_cosines]),
    Wrong(SharesWhatItWasGiven, [test_search.test_vectors_are_values]),
    Wrong(NeverRevised, [test_search.test_each_change_is_another_revision]),
    Wrong(SamplesTooMany, [test_search.test_a_sample_is_of_some_and_the_same_again]),
    Wrong(SamplesTooFew, [test_search.test_a_sample_is_of_some_and_the_same_again]),
    Wrong(SamplesOtherVectors, [test_search.test_a_sample_is_of_some_and_the_same_again]),
]


@pytest.mark.parametrize("wrong", SEARCHES, ids=lambda wrong: wrong.kind.__name__)
def test_a_wrong_search_is_found(wrong: Wrong) -> None:
    for test in wrong.tests:
        assert fails(test, "make_search", lambda: wrong.kind), test.__name__


def test_the_right_ones_are_not() -> None:
    """So a test that fails above fails for what is wrong."""
    of_stores = {test for wrong in STORES for test in wrong.tests}
    of_searches = {test for wrong in SEARCHES for test in wrong.tests}
    assert [test.__name__ for test in of_stores if fails(test, "opened", plain_place)] == []
    assert [test.__name__ for test in of_searches if fails(test, "make_search", lambda: PlainSearch)] == []
