"""What every store must do (`visage.bank.store.Store`): keep what it is given, leave no half, forget for good."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.contracts.conftest import OpenStore
from visage.bank.records import CounterExample, Erasure, StoredPhoto, person_to_json
from visage.bank.store import Store
from visage.errors import BankError, NotReady
from visage.types import Consent, Embedding, Issue, Person, Photo, Quality, Undo

MODEL, OTHER_MODEL = "a-model", "another"
START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
CONSENT = Consent("Maria Ü.", "legal guardian", date(2026, 1, 1), date(2027, 1, 1), "v3")


def at(minute: int) -> datetime:
    """A moment, by which records are in order."""
    return START + timedelta(minutes=minute)


def look(seed: int, dimension: int = 16) -> Embedding:
    """A unit vector of its own for each seed."""
    vector = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def someone(name: str, minute: int = 0, **fields: Any) -> Person:
    """The record of a person, whose id is the name."""
    return Person(name, name, None, {}, at(minute), at(minute), **fields)


def photo(key: str, person_id: str, minute: int, model: str = MODEL) -> StoredPhoto:
    """A photo taken at that minute."""
    record = Photo(key, person_id, Quality(minute, (Issue.BLURRED,)), at(minute))
    return StoredPhoto(record, b"\xff\xd8\0 " + key.encode(), model, look(minute))


def counter(key: str, person_id: str, minute: int) -> CounterExample:
    """A rejected look."""
    return CounterExample(key, person_id, MODEL, look(1000 + minute), at(minute))


def rejection(key: str, person_id: str, minute: int) -> Undo:
    """How to take back that the look of this minute was rejected."""
    return Undo(f"undo {key}", person_id, "not-me", {"counter_id": key}, at(minute))


def reject(store: Store, key: str, person_id: str, minute: int) -> None:
    """That's wrong."""
    store.reject(counter(key, person_id, minute), rejection(key, person_id, minute))


def merging(target: str, source: Person, photos: list[str], counters: list[str], undos: list[str]) -> Undo:
    """How to take a merge back."""
    content = {
        "person": person_to_json(source),
        "photos": photos,
        "counter_examples": counters,
        "undos": undos,
        "set_aside": [],
    }
    return Undo(f"undo {source.person_id}", target, "merge", content, at(100))


ANN = someone("ann", 1)
BOB = replace(someone("bob", 2, consent=CONSENT, last_seen_at=at(50)), relationship="brother", metadata={"k": 1})
CID = someone("cid", 3)
MERGE = merging("ann", BOB, ["b1", "b2"], ["c bob"], ["undo c bob"])
MERGED = replace(ANN, updated_at=at(100), consent=CONSENT, last_seen_at=at(50))


def family(store: Store) -> Store:
    """Ann and Bob, whose photos were taken in turns, and Cid; a look was rejected as each."""
    store.add_person(ANN, [photo("a1", "ann", 10), photo("a2", "ann", 12)])
    store.add_person(BOB, [photo("b1", "bob", 11), photo("b2", "bob", 13)])
    store.add_person(CID, [photo("d1", "cid", 14)])
    for minute, name in enumerate(("ann", "bob", "cid"), start=20):
        reject(store, f"c {name}", name, minute)
    return store


def merged(store: Store) -> Store:
    """The family, after Bob was found to be Ann."""
    family(store).merge(MERGED, BOB, MERGE)
    return store


def snapshot(store: Store) -> dict[str, Any]:
    """All that a store holds, to compare, and in which order."""
    found: dict[str, Any] = {"erased": {erasure.erased_id for erasure in store.erasures()}}
    for model in (MODEL, OTHER_MODEL):
        contents = store.load(model)
        assert (contents.damaged, contents.faults) == (frozenset(), ())
        found[model] = [(kept, None if vector is None else vector.tobytes()) for kept, vector in contents.photos]
    found["persons"] = {person.person_id: person for person in contents.persons}
    found["counters"] = [
        (each.counter_id, each.person_id, each.model, each.created_at, each.embedding.tobytes())
        for each in contents.counter_examples
    ]
    found["undos"] = [(undo, dict(undo.content)) for undo in contents.undos]
    found["pictures"] = {kept.photo_id: store.picture(kept.photo_id) for kept, _ in contents.photos}
    return found


def photos_of(store: Store, person_id: str) -> list[str]:
    """The ids of a person's photos, as they are loaded."""
    return [kept.photo_id for kept, _ in store.load(MODEL).photos if kept.person_id == person_id]


def persons_of(store: Store) -> set[str]:
    """Everyone."""
    return {person.person_id for person in store.load(MODEL).persons}


def before_and_after_opening(store: Store, opened: OpenStore) -> Iterator[Store]:
    """The store, and then that of the same place, opened again."""
    yield store
    yield opened()


def test_a_new_store_is_empty_and_whole(opened: OpenStore) -> None:
    store = opened()
    contents = store.load(MODEL)
    assert (contents.persons, contents.photos, contents.counter_examples, contents.undos) == ((), (), (), ())
    assert (store.erasures(), store.check(), store.picture("nothing")) == ([], [], None)


def test_a_record_comes_back_as_it_was_given(opened: OpenStore) -> None:
    metadata = {"Ünïcode ✓": [1, None, True, 0.5, {"deep": "\u0000 𝄞 \n"}], "": ""}
    person = Person("id", "Zoë 'O\"Brien'; --", "nièce", metadata, at(1), at(2), 7, 3, CONSENT, at(3))
    nothing = replace(person, person_id="none", relationship=None, metadata={}, consent=None, last_seen_at=None)
    without_end = replace(nothing, person_id="some", consent=Consent("A", "self", date(2026, 1, 1)))
    pictures = {"one": b"", "two": bytes(range(256)) * 400}
    photos = [replace(photo(key, "id", 1), picture=picture) for key, picture in pictures.items()]
    store = opened()
    store.add_person(person, photos)
    store.add_person(nothing, [])
    store.add_person(without_end, [])
    for again in before_and_after_opening(store, opened):
        contents = again.load(MODEL)
        assert {each.person_id: each for each in contents.persons} == {
            each.person_id: replace(each, embedding_count=0, views=0) for each in (person, nothing, without_end)
        }
        for (kept, vector), given in zip(contents.photos, photos, strict=True):
            assert kept == given.photo
            assert vector is not None
            assert (vector.dtype.name, vector.tobytes()) == ("float32", given.embedding.tobytes())
            assert again.picture(kept.photo_id) == given.picture
        assert again.check() == []


WRITES: dict[str, Callable[[Store], object]] = {
    "add_person": lambda store: store.add_person(someone("eve"), [photo("e1", "eve", 1)]),
    "add_photos": lambda store: store.add_photos(replace(CID, updated_at=at(99)), [photo("d2", "cid", 1)]),
    "update_person": lambda store: store.update_person(
        replace(CID, name="Sid", metadata={"a": [1]}, consent=CONSENT)
    ),
    "add_embeddings": lambda store: store.add_embeddings(OTHER_MODEL, {"a1": look(5, 4)}),
    "reject": lambda store: reject(store, "new", "cid", 30),
    "unreject": lambda store: store.unreject("c cid", "undo c cid"),
    "teach": lambda store: store.teach(
        replace(CID, updated_at=at(98)),
        [photo("d3", "cid", 1)],
        Undo("taught", "cid", "is-me", {"photos": ["d3"]}, at(9)),
    ),
    "unteach": lambda store: store.unteach(replace(CID, updated_at=at(97)), ["d3"], "taught"),
    "note_seen": lambda store: store.note_seen({"ann": at(60), "bob": None}),
    "merge": lambda store: store.merge(MERGED, BOB, MERGE),
    "settle": lambda store: store.settle(["undo c ann"], ["c bob"]),
    "delete_photo": lambda store: store.delete_photo(replace(ANN, updated_at=at(101)), "a1"),
    "apply_erasures": lambda store: store.apply_erasures([Erasure("eve", at(1))]),
    "delete_person": lambda store: store.delete_person("cid"),
}
"""One after the other, on the family."""


def test_what_has_returned_is_there_after_opening_again(opened: OpenStore) -> None:
    store = family(opened())
    for what, write in WRITES.items():
        before = snapshot(store)
        write(store)
        after = snapshot(store)
        assert after != before, what
        store = opened()
        assert snapshot(store) == after, what
    assert store.check() == []


def test_a_split_is_there_after_opening_again(opened: OpenStore) -> None:
    store = merged(opened())
    store.split(ANN, BOB, ["b1"], [], [], MERGE.undo_id)
    after = snapshot(store)
    assert snapshot(opened()) == after


FAILURES: dict[str, Callable[[Store], object]] = {
    "a person who is there": lambda store: store.add_person(ANN, [photo("new", "ann", 1)]),
    "a new person with a photo that is there": lambda store: store.add_person(
        someone("eve"), [photo("e1", "eve", 1), photo("a1", "eve", 2)]
    ),
    "more photos, one of which is there": lambda store: store.add_photos(
        replace(CID, updated_at=at(99)), [photo("d2", "cid", 1), photo("a1", "cid", 2)]
    ),
    "a rejection with an undo that is there": lambda store: store.reject(
        counter("new", "cid", 1), rejection("c ann", "cid", 1)
    ),
    "a lesson with an undo that is there": lambda store: store.teach(
        replace(CID, updated_at=at(99)), [photo("d2", "cid", 1)], rejection("c ann", "cid", 1)
    ),
    "a merge with an undo that is there": lambda store: store.merge(
        MERGED, BOB, replace(MERGE, undo_id="undo c cid")
    ),
    "a split of who is there": lambda store: store.split(ANN, CID, ["a1"], ["c ann"], [], "undo c ann"),
    "a change of nobody": lambda store: store.update_person(someone("nobody")),
    "photos of nobody": lambda store: store.add_photos(someone("nobody"), [photo("new", "nobody", 1)]),
    "a rejection as nobody": lambda store: reject(store, "new", "nobody", 1),
    "a lesson of nobody": lambda store: store.teach(
        someone("nobody"), [], Undo("new", "nobody", "is-me", {"photos": []}, at(1))
    ),
    "a merge into nobody": lambda store: store.merge(someone("nobody"), BOB, replace(MERGE, person_id="nobody")),
    "a merge of nobody": lambda store: store.merge(MERGED, someone("nobody"), replace(MERGE, undo_id="new")),
    "the end of nobody": lambda store: store.delete_person("nobody"),
}


def test_what_raised_has_changed_nothing(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    for what, fail in FAILURES.items():
        with pytest.raises(BankError):
            fail(store)
        assert snapshot(store) == before, what
    store = opened()
    assert snapshot(store) == before
    store.add_photos(CID, [photo("d2", "cid", 40)])
    assert photos_of(opened(), "cid") == ["d1", "d2"], "and it goes on"


def test_photos_rejections_and_undos_are_oldest_first(opened: OpenStore) -> None:
    store = opened()
    store.add_person(ANN, [photo("z", "ann", 5), photo("y", "ann", 1)])
    store.add_person(BOB, [photo("a", "bob", 4), photo("x", "bob", 2)])
    for key, name, minute in (("k", "bob", 9), ("l", "ann", 7), ("m", "bob", 8)):
        reject(store, key, name, minute)
    for again in before_and_after_opening(store, opened):
        contents = again.load(MODEL)
        assert [kept.photo_id for kept, _ in contents.photos] == ["y", "x", "a", "z"]
        assert [each.counter_id for each in contents.counter_examples] == ["l", "m", "k"]
        assert [each.undo_id for each in contents.undos] == ["undo l", "undo m", "undo k"]


def test_a_model_gets_its_own_embeddings_only(opened: OpenStore) -> None:
    store = family(opened())
    store.add_photos(CID, [photo("d2", "cid", 30, OTHER_MODEL)])
    assert {kept.photo_id for kept, vector in store.load(MODEL).photos if vector is None} == {"d2"}
    assert {kept.photo_id for kept, vector in store.load(OTHER_MODEL).photos if vector is not None} == {"d2"}
    waiting = store.without_embedding(OTHER_MODEL, 100, [])
    assert dict(waiting) == {key: photo(key, "", 0).picture for key in ("a1", "a2", "b1", "b2", "d1")}
    assert len(store.without_embedding(OTHER_MODEL, 2, [])) == 2
    assert {key for key, _ in store.without_embedding(OTHER_MODEL, 100, ["ann", "cid"])} == {"b1", "b2"}
    store.add_embeddings(OTHER_MODEL, {key: look(n, 4) for n, (key, _) in enumerate(waiting)})
    assert store.without_embedding(OTHER_MODEL, 100, []) == []
    vectors = {kept.photo_id: vector for kept, vector in store.load(OTHER_MODEL).photos}
    for n, (key, _) in enumerate(waiting):
        vector = vectors[key]
        assert vector is not None
        assert vector.tobytes() == look(n, 4).tobytes()


def test_embeddings_of_photos_that_are_gone_are_not_kept(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    store.add_embeddings(OTHER_MODEL, {"gone": look(1), "too": look(2)})
    store.add_embeddings(OTHER_MODEL, {})
    assert snapshot(store) == before
    store.add_embeddings(OTHER_MODEL, {"gone": look(1), "a1": look(2)})
    assert [kept.photo_id for kept, vector in store.load(OTHER_MODEL).photos if vector is not None] == ["a1"]


def test_a_change_is_of_one_person_and_leaves_the_photos(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    changed = Person("bob", "Rob", None, {"new": {}}, BOB.created_at, at(77), consent=None, last_seen_at=at(78))
    store.update_person(changed)
    assert snapshot(store) == before | {"persons": before["persons"] | {"bob": changed}}


def test_who_gets_photos_is_only_touched(opened: OpenStore) -> None:
    """What else the record says was read before somebody else changed it, and is not written back."""
    store = family(opened())
    old = replace(BOB, name="read before", metadata={}, consent=None, updated_at=at(99))
    store.add_photos(old, [photo("b3", "bob", 30)])
    store.teach(old, [photo("b4", "bob", 31)], Undo("taught", "bob", "is-me", {"photos": ["b4"]}, at(31)))
    store.unteach(old, ["b4"], "taught")
    store.delete_photo(old, "b3")
    assert snapshot(store)["persons"]["bob"] == replace(BOB, updated_at=at(99))


def test_when_people_were_seen_is_kept_and_forgotten(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)["persons"]
    store.note_seen({"ann": at(60), "bob": None})
    expected = {"ann": replace(ANN, last_seen_at=at(60)), "bob": replace(BOB, last_seen_at=None)}
    assert snapshot(store)["persons"] == before | expected


def test_who_is_forgotten_takes_all_along_and_nothing_of_others(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    assert store.delete_person("bob") is True
    for again in before_and_after_opening(store, opened):
        after = snapshot(again)
        assert after["persons"] == {key: one for key, one in before["persons"].items() if key != "bob"}
        assert after[MODEL] == [pair for pair in before[MODEL] if pair[0].person_id != "bob"]
        assert after["counters"] == [each for each in before["counters"] if each[1] != "bob"]
        assert after["undos"] == [pair for pair in before["undos"] if pair[0].person_id != "bob"]
        assert after["erased"] == {"bob", "b1", "b2", "c bob", "undo c bob"}
        assert (again.picture("b1"), again.picture("a1")) == (None, before["pictures"]["a1"])
        with pytest.raises(BankError):
            again.delete_person("bob")


def test_a_photo_that_is_forgotten_leaves_the_others(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    assert store.delete_photo(replace(ANN, updated_at=at(99)), "a1") is True
    after = snapshot(store)
    assert after[MODEL] == [pair for pair in before[MODEL] if pair[0].photo_id != "a1"]
    assert (after["erased"], store.picture("a1")) == ({"a1"}, None)
    assert after["persons"] == before["persons"] | {"ann": replace(ANN, updated_at=at(99))}
    assert (after["counters"], after["undos"]) == (before["counters"], before["undos"])


@pytest.mark.parametrize("forget", ["delete_photo", "delete_person", "unteach", "apply_erasures"])
def test_an_id_that_is_used_again_brings_no_embedding_back(opened: OpenStore, forget: str) -> None:
    store = opened()
    store.add_person(ANN, [photo("a1", "ann", 1)])
    ways: dict[str, Callable[[], object]] = {
        "delete_photo": lambda: store.delete_photo(ANN, "a1"),
        "delete_person": lambda: store.delete_person("ann"),
        "unteach": lambda: store.unteach(ANN, ["a1"], "none"),
        "apply_erasures": lambda: store.apply_erasures([Erasure("a1", at(1))]),
    }
    ways[forget]()
    store.add_person(BOB, [photo("a1", "bob", 2, OTHER_MODEL)])
    ((kept, vector),) = store.load(MODEL).photos
    assert (kept.person_id, vector) == ("bob", None)


def test_a_rejection_is_taken_back_alone(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    reject(store, "new", "ann", 40)
    after = snapshot(store)
    assert [each[0] for each in after["counters"]] == ["c ann", "c bob", "c cid", "new"]
    assert after["undos"][-1] == (rejection("new", "ann", 40), {"counter_id": "new"})
    store.reject(counter("newer", "ann", 41), rejection("newer", "ann", 41), ["new"], ["undo new"])
    instead = snapshot(store)
    assert [each[0] for each in instead["counters"]] == ["c ann", "c bob", "c cid", "newer"]
    assert len(instead["undos"]) == len(after["undos"])
    store.unreject("newer", "undo newer")
    assert snapshot(store) == before


def test_a_lesson_is_taken_back_alone(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    taught = Undo("taught", "ann", "is-me", {"photos": ["a3"], "set_aside": ["c ann"]}, at(40))
    store.teach(ANN, [photo("a3", "ann", 40)], taught)
    assert photos_of(opened(), "ann") == ["a1", "a2", "a3"]
    store = opened()
    assert snapshot(store)["undos"][-1] == (taught, dict(taught.content))
    assert store.unteach(ANN, ["a3"], "taught") is True
    assert snapshot(store) == before | {"erased": {"a3"}}
    store.teach(ANN, [], taught)
    assert store.unteach(ANN, [], "taught") is True
    assert snapshot(store) == before | {"erased": {"a3"}}


def test_what_is_settled_goes_and_nothing_else(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    store.settle(["undo c ann", "not there"], ["c bob", "neither"])
    after = snapshot(store)
    assert [undo.undo_id for undo, _ in after["undos"]] == ["undo c bob", "undo c cid"]
    assert [each[0] for each in after["counters"]] == ["c ann", "c cid"]
    rest = {key: value for key, value in before.items() if key not in ("undos", "counters")}
    assert {key: after[key] for key in rest} == rest
    store.settle([], [])
    assert snapshot(store) == after


def test_a_merge_keeps_all_and_the_order(opened: OpenStore) -> None:
    store = family(opened())
    store.add_embeddings(OTHER_MODEL, {"b1": look(1, 4)})
    before = snapshot(store)
    store.merge(MERGED, BOB, MERGE)
    after = snapshot(store)

    def moved(person_id: str) -> str:
        return "ann" if person_id == "bob" else person_id

    assert after["persons"] == {"ann": MERGED, "cid": CID}
    for model in (MODEL, OTHER_MODEL):
        expected = [(replace(kept, person_id=moved(kept.person_id)), vector) for kept, vector in before[model]]
        assert after[model] == expected
    assert after["pictures"] == before["pictures"]
    assert after["counters"] == [(key, moved(owner), *rest) for key, owner, *rest in before["counters"]]
    assert after["undos"] == [
        *((replace(undo, person_id=moved(undo.person_id)), content) for undo, content in before["undos"]),
        (MERGE, dict(MERGE.content)),
    ]
    assert after["erased"] == set()
    with pytest.raises(BankError):
        store.update_person(BOB)


def test_a_merge_is_taken_back_without_a_trace(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    store.merge(MERGED, BOB, MERGE)
    store.split(ANN, BOB, ["b1", "b2"], ["c bob"], ["undo c bob"], MERGE.undo_id)
    assert snapshot(store) == before
    assert snapshot(opened()) == before


def test_a_split_gives_back_what_is_named(opened: OpenStore) -> None:
    store = merged(opened())
    store.split(replace(ANN, name="Anna"), replace(BOB, name="Rob"), ["b2"], [], ["undo c bob"], MERGE.undo_id)
    after = snapshot(store)
    assert after["persons"]["ann"].name == "Anna"
    assert after["persons"]["bob"] == replace(BOB, name="Rob")
    assert (photos_of(store, "ann"), photos_of(store, "bob")) == (["a1", "b1", "a2"], ["b2"])
    assert [each[1] for each in after["counters"]] == ["ann", "ann", "cid"]
    assert [undo.person_id for undo, _ in after["undos"]] == ["ann", "bob", "cid"]


@pytest.mark.parametrize("first", [0, 1], ids=["first first", "last first"])
def test_a_chain_of_merges_is_taken_back_in_either_order(opened: OpenStore, first: int) -> None:
    store = family(opened())
    before = snapshot(store)
    store.merge(MERGED, BOB, MERGE)
    undos = ["undo c ann", "undo c bob", MERGE.undo_id]
    chain = replace(merging("cid", MERGED, ["a1", "a2", "b1", "b2"], ["c ann", "c bob"], undos), created_at=at(101))
    store.merge(CID, MERGED, chain)
    assert photos_of(store, "cid") == ["a1", "b1", "a2", "b2", "d1"]
    if first == 0:
        store.split(CID, BOB, ["b1", "b2"], ["c bob"], ["undo c bob"], MERGE.undo_id)
        store.split(CID, ANN, ["a1", "a2"], ["c ann"], ["undo c ann"], chain.undo_id)
    else:
        store.split(CID, MERGED, ["a1", "a2", "b1", "b2"], ["c ann", "c bob"], undos, chain.undo_id)
        store.split(ANN, BOB, ["b1", "b2"], ["c bob"], ["undo c bob"], MERGE.undo_id)
    assert snapshot(store) == before
    assert snapshot(opened()) == before


def test_who_was_merged_into_somebody_forgotten_is_forgotten(opened: OpenStore) -> None:
    store = merged(opened())
    store.delete_person("ann")
    expected = {"ann", "bob", "a1", "a2", "b1", "b2", "c ann", "c bob", "undo c ann", "undo c bob", MERGE.undo_id}
    assert snapshot(store)["erased"] == expected
    assert persons_of(store) == {"cid"}


def test_who_was_parted_again_is_not_forgotten_with_the_other(opened: OpenStore) -> None:
    store = merged(opened())
    store.split(ANN, BOB, ["b1", "b2"], ["c bob"], ["undo c bob"], MERGE.undo_id)
    store.delete_person("ann")
    assert snapshot(store)["erased"] == {"ann", "a1", "a2", "c ann", "undo c ann"}
    assert photos_of(store, "bob") == ["b1", "b2"]


def test_what_was_forgotten_is_forgotten_again_in_an_older_bank(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    gone = [Erasure("bob", at(70)), Erasure("a1", at(71)), Erasure("c cid", at(72)), Erasure("elsewhere", at(73))]
    assert store.apply_erasures(gone) == 2, "a person and a photo"
    assert store.erasures() == gone
    for again in before_and_after_opening(store, opened):
        after = snapshot(again)
        assert persons_of(again) == {"ann", "cid"}
        assert [kept.photo_id for kept, _ in after[MODEL]] == ["a2", "d1"]
        assert [each[0] for each in after["counters"]] == ["c ann"]
        assert (again.picture("a1"), again.picture("b1"), again.check()) == (None, None, [])
        assert after["persons"]["ann"] == before["persons"]["ann"]
        assert again.apply_erasures(gone) == 0
        assert again.erasures() == gone


def test_in_a_bank_from_before_a_merge_was_taken_back_only_who_is_forgotten_goes(opened: OpenStore) -> None:
    store = merged(opened())
    assert store.apply_erasures([Erasure("ann", at(70)), Erasure("a1", at(70)), Erasure("a2", at(70))]) == 1
    after = snapshot(store)
    assert after["persons"] == {"bob": BOB, "cid": CID}, "who is not forgotten is a person again"
    assert [kept.photo_id for kept, _ in after[MODEL]] == ["b1", "b2", "d1"]
    assert [each[:2] for each in after["counters"]] == [("c bob", "bob"), ("c cid", "cid")]
    assert [undo.undo_id for undo, _ in after["undos"]] == ["undo c bob", "undo c cid"]


def test_in_a_bank_from_before_a_merge_was_taken_back_the_other_is_forgotten(opened: OpenStore) -> None:
    store = merged(opened())
    assert store.apply_erasures([Erasure("bob", at(70))]) == 2, "the photos, which are Ann's here"
    after = snapshot(store)
    assert persons_of(store) == {"ann", "cid"}
    assert [kept.photo_id for kept, _ in after[MODEL]] == ["a1", "a2", "d1"]
    assert [each[0] for each in after["counters"]] == ["c ann", "c cid"]
    assert MERGE.undo_id not in [undo.undo_id for undo, _ in after["undos"]], "nothing brings Bob back"


def test_who_was_merged_by_way_of_somebody_forgotten_goes_with_the_last(opened: OpenStore) -> None:
    store = merged(opened())
    content = {**merging("cid", MERGED, ["a1", "a2", "b1", "b2"], [], []).content}
    store.merge(CID, MERGED, Undo("chain", "cid", "merge", content, at(101)))
    store.settle([MERGE.undo_id, "chain"], [])
    store.apply_erasures([Erasure("ann", at(70))])
    store.delete_person("cid")
    assert {"cid", "bob"} <= snapshot(store)["erased"]


def test_records_are_values(opened: OpenStore) -> None:
    """Whoever changes what was given, or what was got, changes nothing in the store."""
    store = opened()
    given = photo("a1", "ann", 1)
    rejected = counter("c", "ann", 2)
    added = look(3, 4)
    store.add_person(ANN, [given])
    store.reject(rejected, rejection("c", "ann", 2))
    store.add_embeddings(OTHER_MODEL, {"a1": added})
    before = snapshot(store)
    for vector in (given.embedding, rejected.embedding, added):
        vector[:] = 0
    assert snapshot(store) == before
    ((_, got),) = store.load(MODEL).photos
    assert got is not None
    if got.flags.writeable:
        got[:] = 0
    assert snapshot(store) == before


def test_two_threads_lose_nothing(opened: OpenStore) -> None:
    store = family(opened())
    failures: list[Exception] = []

    def work(name: str) -> None:
        try:
            for number in range(6):
                store.add_person(someone(f"{name} {number}"), [])
                store.add_photos(CID, [photo(f"{name} {number}", "cid", 30 + number)])
                reject(store, f"{name} {number}", "ann", 40 + number)
                store.unreject(f"{name} {number}", f"undo {name} {number}")
                store.load(MODEL)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    keys = {f"{name} {number}" for name, number in itertools.product(("one", "two"), range(6))}
    for again in before_and_after_opening(store, opened):
        assert persons_of(again) == keys | {"ann", "bob", "cid"}
        assert set(photos_of(again, "cid")) == keys | {"d1"}
        assert len(again.load(MODEL).counter_examples) == 3
        assert again.check() == []


def test_a_closed_store_does_nothing(opened: OpenStore) -> None:
    store = family(opened())
    before = snapshot(store)
    store.close()
    store.close()
    for write in WRITES.values():
        with pytest.raises(NotReady):
            write(store)
    with pytest.raises(NotReady):
        store.load(MODEL)
    with pytest.raises(NotReady):
        store.picture("a1")
    assert snapshot(opened()) == before
