"""Corrections in the bank: what was rejected or merged survives, and can be taken back as if it had never been."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.bank.test_bank import DIMENSION, MODEL, look, photo
from visage.bank import corrections
from visage.bank.bank import MemoryBank
from visage.bank.records import person_to_json
from visage.errors import BankError, CannotUndo, DamagedPerson, InvalidValue, LastPhoto, PersonNotFound, UndoNotFound
from visage.storage import sqlite_database
from visage.storage.folder import FILE_NAME
from visage.storage.shape import migrate
from visage.storage.sqlite import open_store
from visage.storage.vault import Vault, new_key
from visage.types import Consent, NewPhoto, Person, Quality, Undo

OPENER = Callable[..., MemoryBank]
PROBES = np.stack([look(seed) for seed in (1, 2, 3, 4, 50)])

NEW_COLUMNS = {"consent", "last_seen_at"}

MOTHERS = Consent("Maria", "parent", date(2026, 1, 2))
HERS = Consent("Cid", "self", date(2026, 3, 4), date(2027, 3, 4), "v2")


@pytest.fixture
def open_bank(tmp_path: Path) -> Iterator[OPENER]:
    """Opens the bank of this test; what is left open is closed at the end."""
    opened: list[MemoryBank] = []

    def open_it(model: str = MODEL, dimension: int = DIMENSION) -> MemoryBank:
        for bank in opened:
            bank.close()
        opened.append(MemoryBank(open_store(tmp_path), model=model, dimension=dimension))
        return opened[-1]

    yield open_it
    for bank in opened:
        bank.close()


@pytest.fixture
def bank(open_bank: OPENER) -> MemoryBank:
    """An empty bank."""
    return open_bank()


def enrol(bank: MemoryBank, name: str, *seeds: int) -> str:
    """Remember someone who looks like this; returns the id."""
    photos = [photo(seed) for seed in seeds]
    return bank.enrol(name=name, relationship=f"of {name}", metadata={"n": name}, photos=photos).person_id


def merge(bank: MemoryBank, target: str, source: str, *, keep: bool = True) -> Undo:
    """The source goes into the target."""
    return bank.merge(target, source, kept=lambda _: keep)


def teach(bank: MemoryBank, person_id: str, *seeds: int, keep: bool = True, always: bool = True) -> Undo | None:
    """Somebody says that these looks are this person; the very look that was rejected is contradicted. What is not
    kept stands for the photos that show the same."""
    looks = [look(seed) for seed in seeds]
    shown = [
        each.photo_id
        for each, embedding in bank.embedded(person_id)
        if any(float(embedding @ one) > 0.99 for one in looks)
    ]
    _, undo = bank.teach(
        person_id,
        [photo(seed) for seed in seeds] if keep else [],
        looks=looks,
        contradicts=lambda similarity, rejected, *, photos: rejected > 0.99,
        held=[] if keep else shown,
        always=always,
    )
    return undo


def facts(bank: MemoryBank) -> dict[str, Any]:
    """Who there is, with which photos and rejected looks; when a person was last changed does not count."""
    persons = [replace(p, updated_at=p.created_at) for p in bank.persons(limit=1000).persons]
    return {
        p.person_id: (
            p,
            {one.photo_id: (one, bank.picture(p.person_id, one.photo_id)) for one in bank.photos(p.person_id)},
            {c.counter_id: (c.person_id, c.embedding.tobytes()) for c in bank.counter_examples(p.person_id)},
        )
        for p in persons
    }


def figures(bank: MemoryBank) -> dict[Any, float]:
    """Templates, and what a search finds."""
    found: dict[Any, float] = {}
    for person in bank.persons(limit=1000).persons:
        found |= {(person.person_id, i): float(x) for i, x in enumerate(bank.template(person.person_id))}
    for probe, hits in enumerate(bank.search(PROBES, 1000)):
        for hit in hits:
            found[probe, hit.person.person_id, "similarity"] = hit.similarity
            found[probe, hit.person.person_id, "rejected"] = -9 if hit.rejected is None else hit.rejected
            found[probe, hit.person.person_id, "quality"] = hit.quality
    return found


def undos(bank: MemoryBank) -> dict[str, Undo]:
    """All that can be taken back."""
    every = [undo for person in bank.persons(limit=1000).persons for undo in bank.undos(person.person_id)]
    return {undo.undo_id: undo for undo in every}


class Figures(dict[Any, float]):
    """Numbers that are equal though they were summed in another order."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return bool(dict(self) == pytest.approx(other, abs=1e-5))


def state(bank: MemoryBank) -> tuple[Any, Any]:
    """All that a correction may change, to compare."""
    return facts(bank), Figures(figures(bank))


def rows(folder: Path, table: str) -> list[Any]:
    """The rows of a table in the file."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as file:
        return file.execute(f"SELECT * FROM {table}").fetchall()


def test_a_rejection_survives_reopening(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    undo = bank.reject(ann.upper(), look(3))
    again = open_bank()
    (counter,) = again.counter_examples(ann)
    assert (counter.person_id, counter.embedding.tobytes()) == (ann, look(3).tobytes())
    rejected = {hit.person.person_id: hit.rejected for hit in again.search(look(3)[None], 5)[0]}
    assert rejected == {ann: pytest.approx(1, abs=1e-6), bob: None}
    assert (again.undos(ann), again.undos(bob)) == ((undo,), ())
    assert again.check() == []


def test_a_merge_survives_reopening(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1, 2), enrol(bank, "Bob", 3)
    undo = merge(bank, ann, bob)
    merged = bank.person(ann)
    again = open_bank()
    assert [again.person(ann)] == list(again.persons().persons) == [merged]
    assert (merged.name, merged.relationship, merged.metadata) == ("Ann", "of Ann", {"n": "Ann"})
    assert (merged.embedding_count, merged.updated_at > merged.created_at) == (3, True)
    pictures = {again.picture(ann, one.photo_id) for one in again.photos(ann)}
    assert pictures == {photo(seed).picture for seed in (1, 2, 3)}
    assert {one.person_id for one in again.photos(ann)} == {ann}
    mean = look(1) + look(2) + look(3)
    assert np.allclose(again.template(ann), mean / np.linalg.norm(mean), atol=1e-6)
    assert (again.undos(ann), again.check()) == ((undo,), [])
    with pytest.raises(PersonNotFound):
        again.person(bob)


def test_what_was_rejected_as_either_is_rejected_as_the_two_together_where_it_still_holds(bank: MemoryBank) -> None:
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    bank.reject(ann, look(3))
    bank.reject(bob, look(4))
    bank.merge(ann, bob, kept=lambda counter: counter.person_id == bob)
    (counter,) = bank.counter_examples(ann)
    assert (counter.person_id, counter.embedding.tobytes()) == (ann, look(4).tobytes())


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", ["not-me", "merge"])
def test_what_is_undone_is_as_it_was(open_bank: OPENER, kind: str, keep: bool, reopened: bool) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1, 2), enrol(bank, "Bob", 3, 50)
    bank.reject(ann, look(4))
    bank.reject(bob, look(1))
    before = state(bank)
    undo = bank.reject(ann, look(3)) if kind == "not-me" else merge(bank, ann, bob, keep=keep)
    assert state(bank) != before
    bank = open_bank() if reopened else bank
    assert bank.undo(undo.undo_id.upper()) == undo
    assert (state(bank), bank.check()) == (before, [])
    assert undo.undo_id not in undos(bank)
    assert state(open_bank()) == before
    with pytest.raises(UndoNotFound):
        open_bank().undo(undo.undo_id)


def test_nothing_is_undone_twice(bank: MemoryBank) -> None:
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    for undo in (bank.reject(ann, look(3)), merge(bank, ann, bob)):
        bank.undo(undo.undo_id)
        after = state(bank)
        with pytest.raises(UndoNotFound):
            bank.undo(undo.undo_id)
        assert state(bank) == after
    with pytest.raises(UndoNotFound):
        bank.undo("nothing")


def test_a_correction_can_be_undone_for_thirty_days(open_bank: OPENER) -> None:
    bank = open_bank()
    ann = enrol(bank, "Ann", 1)
    undo = bank.reject(ann, look(3))
    assert bank.settle(undo.created_at + timedelta(days=30)) == 0
    assert open_bank().undos(ann) == (undo,)
    open_bank().undo(undo.undo_id)


def test_an_older_correction_is_final_without_a_restart(open_bank: OPENER, tmp_path: Path) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    old = [bank.reject(ann, look(3)), merge(bank, ann, bob)]
    before = state(bank)
    assert bank.settle(old[-1].created_at + timedelta(days=30, seconds=1)) == 2
    for undo in old:
        with pytest.raises(UndoNotFound):
            bank.undo(undo.undo_id)
    assert bank.undos(ann) == ()
    assert rows(tmp_path, "undos") == []
    assert len(rows(tmp_path, "counter_examples")) == 1
    assert state(bank) == before
    assert state(open_bank()) == before


def test_one_start_with_a_clock_a_year_ahead_costs_no_undo(tmp_path: Path) -> None:
    with closing(MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION)) as bank:
        ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
        before = state(bank)
        undo = merge(bank, ann, bob)

    def ahead() -> datetime:
        return undo.created_at + timedelta(days=365)

    with closing(MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION, clock=ahead)) as bank:
        assert bank.undos(ann) == (undo,)
        bank.update(ann, name="Ann")
    with closing(MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION)) as bank:
        assert bank.undo(undo.undo_id) == undo
        assert state(bank) == before


def test_a_merge_made_before_the_clock_was_set_right_can_be_undone(tmp_path: Path) -> None:
    times = [datetime(1970, 1, 1, tzinfo=UTC)]
    bank = MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION, clock=lambda: times[-1])
    with closing(bank):
        ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
        before = state(bank)
        undo = merge(bank, ann, bob)
        times.append(datetime(2026, 1, 1, tzinfo=UTC))
        bank.undo(undo.undo_id)
        assert state(bank) == before


def test_the_same_look_is_rejected_once(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    before = state(bank)
    first = bank.reject(ann, look(3))
    assert {bank.reject(ann, look(3)).undo_id for _ in range(5)} == {first.undo_id}
    assert open_bank().reject(ann, look(3)) == first
    bank = open_bank()
    assert (len(bank.counter_examples(ann)), bank.undos(ann)) == (1, (first,))
    assert bank.reject(bob, look(3)).undo_id != first.undo_id, "as somebody else it is another word"
    assert bank.reject(ann, look(4)).undo_id != first.undo_id
    for undo in (*bank.undos(ann), *bank.undos(bob)):
        bank.undo(undo.undo_id)
    assert state(bank) == before
    assert bank.reject(ann, look(3)).undo_id != first.undo_id, "what was taken back can be said again"


def test_of_many_rejected_looks_the_newest_are_kept(
    open_bank: OPENER, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer cannot fill the bank; what is pushed out goes with its undo, and the bank agrees with the store."""
    monkeypatch.setattr(corrections, "MAX_REJECTED", 3)
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    others = bank.reject(bob, look(9))
    undos = [bank.reject(ann, look(seed)) for seed in range(10, 15)]
    kept = [look(seed).tobytes() for seed in (12, 13, 14)]
    for reopened in (False, True):
        bank = open_bank() if reopened else bank
        assert [counter.embedding.tobytes() for counter in bank.counter_examples(ann)] == kept
        assert (bank.undos(ann), bank.undos(bob)) == (tuple(undos[2:]), (others,))
        assert bank.check() == []
        with pytest.raises(UndoNotFound):
            bank.undo(undos[0].undo_id)
    bank = open_bank(model="another")
    bank.reject(ann, look(20))
    assert len(rows(tmp_path, "counter_examples")) == 5, "each model has its own"


def test_forgetting_a_person_forgets_the_corrections(open_bank: OPENER, tmp_path: Path) -> None:
    bank = open_bank()
    ann, bob, cid = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2), enrol(bank, "Cid", 50)
    bank.reject(ann, look(3))
    bank.reject(bob, look(4))
    gone = merge(bank, ann, bob)
    stays = bank.reject(cid, look(1))
    bank.forget(ann)
    assert [row[1] for row in rows(tmp_path, "counter_examples") + rows(tmp_path, "undos")] == [cid, cid]
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(trace in files for trace in (b"of Bob", look(3).tobytes(), look(4).tobytes()))
    with pytest.raises(UndoNotFound):
        bank.undo(gone.undo_id)
    assert undos(bank) == {stays.undo_id: stays}
    assert undos(open_bank()) == {stays.undo_id: stays}


def test_a_merge_that_makes_no_sense_changes_nothing(open_bank: OPENER) -> None:
    bank = open_bank()
    ann = enrol(bank, "Ann", 1)
    before = state(bank)
    for target, source, error in (
        (ann, ann, InvalidValue),
        (ann, ann.upper(), InvalidValue),
        (ann, "nobody", PersonNotFound),
        ("nobody", ann, PersonNotFound),
    ):
        with pytest.raises(error):
            merge(bank, target, source)
    with pytest.raises(PersonNotFound):
        bank.reject("nobody", look(2))
    assert state(bank) == before
    assert state(open_bank()) == before


@pytest.mark.parametrize("what", ["reject", "merge", "teach", "undo not-me", "undo merge", "undo is-me"])
def test_a_correction_that_cannot_be_written_changes_nothing(open_bank: OPENER, tmp_path: Path, what: str) -> None:
    bank = open_bank()
    ann, bob, cid = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2), enrol(bank, "Cid", 3)
    rejection, merger = bank.reject(ann, look(4)), merge(bank, ann, cid)
    taught = teach(bank, bob, 5)
    assert taught is not None
    before, kept = state(bank), undos(bank)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
        for change in ("INSERT", "DELETE"):
            file.execute(f"CREATE TRIGGER no_{change} BEFORE {change} ON undos BEGIN SELECT RAISE(ABORT, 'no'); END")
    corrections: dict[str, Callable[[], object]] = {
        "reject": lambda: bank.reject(ann, look(3)),
        "merge": lambda: merge(bank, ann, bob, keep=False),
        "teach": lambda: teach(bank, ann, 4),
        "undo is-me": lambda: bank.undo(taught.undo_id),
        "undo not-me": lambda: bank.undo(rejection.undo_id),
        "undo merge": lambda: bank.undo(merger.undo_id),
    }
    with pytest.raises(BankError):
        corrections[what]()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
        file.execute("DROP TRIGGER no_INSERT")
        file.execute("DROP TRIGGER no_DELETE")
    assert (state(bank), undos(bank), bank.check()) == (before, kept, [])
    assert state(open_bank()) == before


def test_the_newest_word_counts_and_can_be_taken_back(open_bank: OPENER) -> None:
    bank = open_bank()
    ann = enrol(bank, "Ann", 1)
    assert teach(bank, ann, 2, always=False) is None, "nothing to take back"
    bank.reject(ann, look(3))
    bank.reject(ann, look(4))
    before = state(bank)
    undo = teach(bank, ann, 3, 5, always=False)
    assert undo is not None
    assert [c.embedding.tobytes() for c in bank.counter_examples(ann)] == [look(4).tobytes()]
    bank.reject(ann, look(3))
    assert len(bank.counter_examples(ann)) == 2, "what is said later counts again"
    bank.undo(undos(bank)[max(undos(bank), key=lambda key: undos(bank)[key].created_at)].undo_id)
    after = state(bank)
    bank = open_bank()
    assert state(bank) == after
    bank.undo(undo.undo_id)
    assert len(bank.photos(ann)) == 3, "only the photo that contradicted goes"
    bank.forget_photo(ann, bank.photos(ann)[-1].photo_id)
    assert state(bank) == before
    assert state(open_bank()) == before


def shown(bank: MemoryBank, person_id: str) -> tuple[list[int], list[int]]:
    """The looks of a person's photos, and those that are rejected and hold; by seed."""
    known = {look(seed).tobytes(): seed for seed in range(12)}
    photos = [known[embedding.tobytes()] for _, embedding in bank.embedded(person_id)]
    return photos, [known[counter.embedding.tobytes()] for counter in bank.counter_examples(person_id)]


@pytest.mark.parametrize("always", [True, False], ids=["is-me", "register"])
def test_an_older_word_that_is_taken_back_leaves_a_newer_one_alone(open_bank: OPENER, always: bool) -> None:
    bank = open_bank()
    ann = enrol(bank, "Ann", 1)
    bank.reject(ann, look(3))
    first = teach(bank, ann, 3)
    bank.reject(ann, look(3))
    second = teach(bank, ann, 3, keep=False, always=always)
    assert first is not None
    assert second is not None
    assert shown(bank, ann) == ([1, 3], [])
    bank.undo(first.undo_id)
    assert shown(open_bank(), ann) == ([1, 3], []), "the second word stands for all of it"
    bank = open_bank()
    bank.undo(second.undo_id)
    assert shown(bank, ann) == ([1], [3, 3])
    assert shown(open_bank(), ann) == ([1], [3, 3])


def test_a_newer_word_that_is_taken_back_leaves_an_older_one_alone(bank: MemoryBank) -> None:
    ann = enrol(bank, "Ann", 1)
    bank.reject(ann, look(3))
    first = teach(bank, ann, 3)
    bank.reject(ann, look(3))
    second = teach(bank, ann, 3, keep=False)
    assert first is not None
    assert second is not None
    bank.undo(second.undo_id)
    assert shown(bank, ann) == ([1, 3], [3]), "the second rejection holds again"
    bank.undo(first.undo_id)
    assert shown(bank, ann) == ([1], [3, 3])


def test_a_photo_registered_again_stays_when_the_word_that_brought_it_is_taken_back(bank: MemoryBank) -> None:
    ann = enrol(bank, "Ann", 1)
    word = teach(bank, ann, 3)
    assert teach(bank, ann, 3, keep=False) == word, "to say the same again is to say it once"
    again = teach(bank, ann, 3, keep=False, always=False)
    assert word is not None
    assert again is not None
    assert teach(bank, ann, 3, keep=False, always=False) == again
    bank.undo(word.undo_id)
    assert shown(bank, ann) == ([1, 3], [])
    bank.undo(again.undo_id)
    assert shown(bank, ann) == ([1], [])


def test_a_photo_that_became_final_is_not_taken_back_by_a_newer_word(tmp_path: Path) -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC)]
    bank = MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION, clock=lambda: times[-1])
    with closing(bank):
        ann = enrol(bank, "Ann", 1)
        bank.reject(ann, look(3))
        teach(bank, ann, 3)
        bank.reject(ann, look(3))
        times.append(times[0] + timedelta(days=29))
        second = teach(bank, ann, 3, keep=False)
        assert second is not None
        times.append(times[0] + timedelta(days=31))
        bank.settle(times[-1])
        bank.undo(second.undo_id)
        assert shown(bank, ann) == ([1, 3], [3]), "what was set aside a month ago is gone, what was kept then stays"


def test_a_word_about_two_together_is_none_about_the_one_who_is_split_off(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    bank.reject(bob, look(3))
    merger = merge(bank, ann, bob)
    assert shown(bank, ann) == ([1, 2], [3])
    teach(bank, ann, 3)
    assert shown(bank, ann) == ([1, 2, 3], [])
    bank.undo(merger.undo_id)
    assert (shown(bank, ann), shown(bank, bob)) == (([1, 3], []), ([2], [3]))
    assert (shown(open_bank(), ann), shown(bank, bob)) == (([1, 3], []), ([2], [3]))


def test_a_rejection_that_a_merge_contradicts_stays_aside_when_the_word_that_lifted_it_is_taken_back(
    bank: MemoryBank,
) -> None:
    ann, bob = enrol(bank, "Ann", 1, 3), enrol(bank, "Bob", 2)
    bank.reject(bob, look(3))
    word = teach(bank, bob, 3)
    assert word is not None
    merger = merge(bank, ann, bob, keep=False)
    bank.undo(word.undo_id)
    assert shown(bank, ann)[1] == [], "it looks like Ann"
    bank.undo(merger.undo_id)
    assert shown(bank, bob) == ([2], [3])


PROPERTY = settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate])
NUMBERS = st.integers(0, 7)
WORDS = st.lists(
    st.tuples(st.sampled_from(["reject", "is-me", "undo", "undo"]), NUMBERS, NUMBERS), min_size=10, max_size=14
)


@settings(PROPERTY, max_examples=6)
@given(WORDS, st.booleans())
def test_of_all_words_that_were_not_taken_back_the_newest_counts(
    words: list[tuple[str, int, int]], merges: bool
) -> None:
    """Of two persons and two looks each, in any order; half of the time the two are one in the middle of it."""
    with tempfile.TemporaryDirectory() as folder:
        bank = MemoryBank(open_store(Path(folder)), model=MODEL, dimension=DIMENSION)
        ids = [enrol(bank, "Ann", 0), enrol(bank, "Bob", 1)]
        said: dict[str, tuple[str, int, str]] = {}  # undo id → what, look, about whom; the newest last
        merger: Undo | None = None
        moved: list[str] = []

        def agree() -> None:
            for person_id in ids:
                if not bank.has(person_id):
                    continue
                own = {key: (what, seed) for key, (what, seed, who) in said.items() if who == person_id}
                photos, rejected = shown(bank, person_id)
                for seed in (3, 4, 5, 6):
                    about = [what for what, each in own.values() if each == seed]
                    assert (seed in rejected) == (about[-1:] == ["reject"]), (seed, about)
                    assert (seed in photos) == ("is-me" in about), (seed, about)
                assert undos(bank).keys() - {merger.undo_id if merger else ""} == said.keys()

        for step, (what, a, b) in enumerate(words):
            if merges and step == 3:
                merger = merge(bank, ids[0], ids[1])
                moved = [key for key, (_, _, who) in said.items() if who == ids[1]]
                said |= {key: (*said[key][:2], ids[0]) for key in moved}
            if merges and step == 8 and merger is not None:
                bank.undo(merger.undo_id)
                merger = None
                said |= {key: (*said[key][:2], ids[1]) for key in moved if key in said}
            person_id = ids[0] if merger else ids[a % 2]
            seed = 3 + b % 2 + (2 if a % 2 else 0)
            if what == "undo" and said:
                key = list(said)[a % len(said)]
                bank.undo(key)
                del said[key]
            elif what != "undo":
                has = seed in shown(bank, person_id)[0]
                undo = bank.reject(person_id, look(seed)) if what == "reject" else None
                undo = undo or teach(bank, person_id, seed, keep=not has)
                assert undo is not None
                said[undo.undo_id] = (what, seed, person_id)
            agree()
        bank.close()


def test_the_only_photo_that_is_left_is_not_taken_back(open_bank: OPENER) -> None:
    bank = open_bank()
    ann = enrol(bank, "Ann", 1)
    undo = teach(bank, ann, 2)
    assert undo is not None
    bank.forget_photo(ann, bank.photos(ann)[0].photo_id)
    before = state(bank)
    with pytest.raises(CannotUndo):
        bank.undo(undo.undo_id)
    assert state(bank) == before


def test_what_was_set_aside_is_gone_when_it_cannot_be_brought_back(open_bank: OPENER, tmp_path: Path) -> None:
    bank = open_bank()
    ann = enrol(bank, "Ann", 1)
    bank.reject(ann, look(3))
    undo = teach(bank, ann, 3)
    assert undo is not None
    bank.settle(undo.created_at + timedelta(days=30, seconds=1))
    assert (undos(bank), bank.counter_examples(ann), len(bank.photos(ann))) == ({}, (), 2)
    assert rows(tmp_path, "counter_examples") == []
    bank = open_bank()
    assert (undos(bank), bank.counter_examples(ann), len(bank.photos(ann))) == ({}, (), 2)


@pytest.mark.parametrize("gone", ["source", "target"])
def test_a_merge_whose_photos_are_gone_cannot_be_undone(open_bank: OPENER, gone: str) -> None:
    bank = open_bank()
    people = {"target": enrol(bank, "Ann", 1, 2), "source": enrol(bank, "Bob", 3, 4)}
    photos = bank.photos(people[gone])
    undo = merge(bank, people["target"], people["source"])
    for one in photos:
        bank.forget_photo(people["target"], one.photo_id)
    before = state(bank)
    for again in (False, True):
        opened = open_bank() if again else bank
        with pytest.raises(CannotUndo):
            opened.undo(undo.undo_id)
        assert (state(opened), opened.check()) == (before, [])


def test_a_merge_that_lost_some_photos_is_undone_with_the_others(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1, 2), enrol(bank, "Bob", 3, 4)
    first, second = bank.photos(bob)
    undo = merge(bank, ann, bob)
    bank.forget_photo(ann, first.photo_id)
    bank.add_photos(ann, [photo(50)])
    bank.undo(undo.undo_id)
    assert bank.photos(bob) == (second,)
    assert bank.person(ann).embedding_count == 3
    after = state(bank)
    assert state(open_bank()) == after


ORDERS = [
    pytest.param((1, 0), id="last first"),
    pytest.param((0, 1), id="first first"),
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_chain_of_merges_is_undone_in_any_order(open_bank: OPENER, order: tuple[int, int]) -> None:
    bank = open_bank()
    ann, bob, cid = enrol(bank, "Ann", 1, 2), enrol(bank, "Bob", 3), enrol(bank, "Cid", 4)
    before = state(bank)
    merges = [merge(bank, ann, bob), merge(bank, cid, ann)]
    assert bank.person(cid).embedding_count == 4
    for index in order:
        bank.undo(merges[index].undo_id)
        assert bank.check() == []
    assert state(bank) == before
    assert state(open_bank()) == before


def test_a_merge_keeps_the_only_consent_there_is(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob, cid = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2), enrol(bank, "Cid", 3)
    bank.update(bob, consent=MOTHERS)
    bank.update(cid, consent=HERS)
    before = state(bank)
    merges = [merge(bank, ann, bob), merge(bank, ann, cid)]
    assert bank.person(ann).consent == MOTHERS, "which came first"
    assert open_bank().person(ann).consent == MOTHERS
    bank = open_bank()
    for undo in reversed(merges):
        bank.undo(undo.undo_id)
    assert state(bank) == before
    assert state(open_bank()) == before


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("last", [None, "other", "same"])
def test_consent_goes_back_to_whom_it_is_of(open_bank: OPENER, order: tuple[int, int], last: str | None) -> None:
    bank = open_bank()
    ann, bob, cid = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2), enrol(bank, "Cid", 3)
    bank.update(bob, consent=MOTHERS)
    bank.update(cid, consent={None: None, "other": HERS, "same": MOTHERS}[last])
    before = state(bank)
    merges = [merge(bank, ann, bob), merge(bank, cid, ann)]
    assert bank.person(cid).consent == (HERS if last == "other" else MOTHERS)
    for index in order:
        bank.undo(merges[index].undo_id)
    assert state(bank) == before
    assert state(open_bank()) == before


def test_consent_that_was_given_after_a_merge_stays(bank: MemoryBank) -> None:
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    bank.update(bob, consent=MOTHERS)
    undo = merge(bank, ann, bob)
    bank.update(ann, consent=HERS)
    bank.undo(undo.undo_id)
    assert (bank.person(ann).consent, bank.person(bob).consent) == (HERS, MOTHERS)


def test_a_chain_of_merges_with_a_rejected_look_is_undone_first_first(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob, cid = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2), enrol(bank, "Cid", 3)
    bank.reject(ann, look(4))
    before = state(bank)
    merges = [merge(bank, ann, bob), merge(bank, cid, ann)]
    for undo in merges:
        bank.undo(undo.undo_id)
    assert state(bank) == before
    assert state(open_bank()) == before


@pytest.mark.parametrize(
    "order",
    [
        pytest.param((1, 0), id="last first"),
        pytest.param((0, 1), id="first first"),
    ],
)
def test_two_merges_into_one_person_are_undone_in_any_order(open_bank: OPENER, order: tuple[int, int]) -> None:
    bank = open_bank()
    ann, bob, cid = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2), enrol(bank, "Cid", 3)
    bank.reject(bob, look(4))
    before = state(bank)
    merges = [merge(bank, ann, bob), merge(bank, ann, cid)]
    for index in order:
        bank.undo(merges[index].undo_id)
    assert state(bank) == before
    assert state(open_bank()) == before


def test_a_rejection_is_undone_after_a_merge_was_undone(open_bank: OPENER) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    before = state(bank)
    rejection = bank.reject(bob, look(3))
    bank.undo(merge(bank, ann, bob).undo_id)
    bank.undo(rejection.undo_id)
    assert state(bank) == before
    assert state(open_bank()) == before


def test_after_a_merge_was_undone_everyone_has_their_own_undos(bank: MemoryBank) -> None:
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    bank.reject(ann, look(3))
    bank.reject(bob, look(4))
    before = undos(bank)
    bank.undo(merge(bank, ann, bob).undo_id)
    assert undos(bank) == before


@pytest.mark.parametrize("keep", [False, True])
def test_a_rejection_that_was_undone_stays_undone_when_a_merge_is(open_bank: OPENER, keep: bool) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    before = state(bank)
    rejection = bank.reject(ann, look(3))
    merger = merge(bank, ann, bob, keep=keep)
    bank.undo(rejection.undo_id)
    bank.undo(merger.undo_id)
    assert state(bank) == before


def test_photos_stay_in_the_order_of_registering(open_bank: OPENER) -> None:
    ann = enrol(open_bank(), "Ann", *range(9))
    again = open_bank()
    pictures = [again.picture(ann, one.photo_id) for one in again.photos(ann)]
    assert pictures == [photo(seed).picture for seed in range(9)]


@pytest.mark.parametrize("step_s", [0, -3600], ids=["stands still", "is set back"])
def test_photos_stay_in_that_order_by_a_clock_that_goes_wrong(tmp_path: Path, step_s: int) -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC)]

    def clock() -> datetime:
        times.append(times[-1] + timedelta(seconds=step_s))
        return times[-1]

    def opened() -> MemoryBank:
        return MemoryBank(open_store(tmp_path), model=MODEL, dimension=DIMENSION, clock=clock)

    with closing(opened()) as bank:
        ann = enrol(bank, "Ann", 1, 2)
        for seed in range(3, 9):
            bank.add_photos(ann, [photo(seed)])
            teach(bank, ann, seed + 10)
        held = bank.photos(ann)
    with closing(opened()) as bank:
        assert bank.photos(ann) == held


def test_a_bank_of_the_first_version_opens_and_can_be_corrected(open_bank: OPENER, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    engine = sqlite_database.connect(tmp_path / FILE_NAME, fresh=True)
    migrate(engine, Vault(new_key()), "0001")
    engine.dispose()
    now = datetime(2025, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    people = [Person(f"person-{seed}", f"P{seed}", "aunt", {"k": seed}, now, now, 1, 1) for seed in (1, 2)]
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        for seed, person in enumerate(people, start=1):
            row = {name: value for name, value in person_to_json(person).items() if name not in NEW_COLUMNS}
            file.execute(f"INSERT INTO persons ({', '.join(row)}) VALUES (?,?,?,?,?,?)", [*row.values()])
            fields = (
                f"photo-{seed}",
                person.person_id,
                '{"score": 70, "issues": ["BLURRED"]}',
                b"jpeg",
                row["created_at"],
            )
            file.execute(
                "INSERT INTO photos (photo_id, person_id, quality, picture, created_at) VALUES (?,?,?,?,?)", fields
            )
            file.execute("INSERT INTO embeddings VALUES (?,?,?)", (f"photo-{seed}", MODEL, look(seed).tobytes()))
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "undos" not in tables
    bank = open_bank()
    assert [bank.person(person.person_id) for person in people] == people
    assert bank.search(look(2)[None], 1)[0][0].person == people[1]
    before = state(bank)
    rejection, merger = bank.reject("person-1", look(3)), merge(bank, "person-1", "person-2")
    again = open_bank()
    assert (again.person_count, len(again.counter_examples("person-1")), again.check()) == (1, 1, [])
    again.undo(merger.undo_id)
    again.undo(rejection.undo_id)
    assert state(open_bank()) == before


@pytest.mark.parametrize("scores,weights", [((100, 50), (2, 1)), ((80, 0), (16, 1)), ((0, 0), (1, 1))])
def test_a_better_photo_counts_more_in_the_template(
    open_bank: OPENER, scores: tuple[int, int], weights: tuple[int, int]
) -> None:
    photos = [NewPhoto(look(seed), b"", Quality(score)) for seed, score in enumerate(scores, start=1)]
    ann = open_bank().enrol(name="Ann", relationship=None, metadata={}, photos=photos).person_id
    bank = open_bank()
    expected = weights[0] * look(1) + weights[1] * look(2)
    assert np.allclose(bank.template(ann), expected / np.linalg.norm(expected), atol=1e-6)
    (hit,) = bank.search(look(1)[None], 1)[0]
    assert hit.quality == max(scores)
    assert hit.similarity == pytest.approx(float(look(1) @ bank.template(ann)), abs=1e-6)
    worst, best = sorted(bank.looks().weights)
    assert best / worst == pytest.approx(weights[0] / weights[1])


def test_looks_that_another_model_rejected_are_not_compared(open_bank: OPENER) -> None:
    old = open_bank("old-model", 8)
    enrolled = old.enrol(name="Ann", relationship=None, metadata={}, photos=[NewPhoto(look(1)[:8], b"", Quality(80))])
    undo = old.reject(enrolled.person_id, look(3)[:8])
    bank = open_bank()
    bank.reembed(lambda pictures: np.stack([look(1)] * len(pictures)), on_progress=lambda *_: None)
    assert bank.search(look(3)[None], 1)[0][0].rejected is None
    assert bank.counter_examples(enrolled.person_id) == ()
    assert bank.undos(enrolled.person_id) == (undo,)
    assert len(open_bank("old-model", 8).counter_examples(enrolled.person_id)) == 1


@pytest.mark.parametrize("vector", [b"", bytes(8), bytes([1]) * 93], ids=["empty", "short", "altered"])
def test_a_person_with_a_broken_rejected_look_is_not_named(open_bank: OPENER, tmp_path: Path, vector: bytes) -> None:
    bank = open_bank()
    ann, bob = enrol(bank, "Ann", 1), enrol(bank, "Bob", 2)
    bank.reject(ann, look(3))
    bank.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        file.execute("UPDATE counter_examples SET vector = ?", (vector,))
    bank = open_bank()
    assert [hit.person.person_id for hit in bank.search(look(1)[None], 5)[0]] == [bob]
    with pytest.raises(DamagedPerson, match=ann):
        bank.person(ann)


def change(bank: MemoryBank, what: str, a: int, b: int) -> None:
    """Change something or other; what the bank may refuse, it may."""
    people = sorted(bank.persons(limit=1000).persons, key=lambda person: person.created_at)
    if what == "enrol" or not people:
        enrol(bank, "New", *range(a, a + 1 + b % 3))
        return
    one, other = people[a % len(people)].person_id, people[b % len(people)].person_id
    try:
        if what == "add":
            bank.add_photos(one, [photo(b)])
        elif what == "reject":
            bank.reject(one, look(b))
        elif what == "teach":
            teach(bank, one, b, keep=a % 2 == 0, always=a % 3 == 0)
        elif what == "forget":
            bank.forget(one)
        elif what == "forget photo":
            bank.forget_photo(one, bank.photos(one)[b % len(bank.photos(one))].photo_id)
        elif what == "consent":
            bank.update(one, consent=[None, MOTHERS, HERS][b % 3])
        elif what == "settle":
            bank.settle(datetime.now(UTC) + timedelta(days=30, microseconds=-a * 10_000))
        elif what == "merge" and one != other:
            merge(bank, one, other, keep=b % 2 == 0)
        elif what == "undo" and (made := sorted(undos(bank).values(), key=lambda undo: undo.created_at)):
            bank.undo(made[a % len(made)].undo_id)
    except (LastPhoto, CannotUndo):
        pass


def compare_with_the_file(changes: list[tuple[str, int, int]]) -> None:
    """After these changes to three persons, does the bank in memory know what its file does?"""
    with tempfile.TemporaryDirectory() as folder:

        def opened() -> MemoryBank:
            return MemoryBank(open_store(Path(folder)), model=MODEL, dimension=DIMENSION)

        with closing(opened()) as bank:
            for what, a, b in [("enrol", 0, 0), ("enrol", 1, 1), ("enrol", 3, 2), *changes]:
                change(bank, what, a, b)
            held = (state(bank), undos(bank), bank.persons(limit=1000))
            assert bank.check() == []
        with closing(opened()) as bank:
            assert (state(bank), undos(bank), bank.persons(limit=1000)) == held


def some(*changes: str) -> st.SearchStrategy[list[tuple[str, int, int]]]:
    """Sequences of these changes."""
    return st.lists(st.tuples(st.sampled_from(changes), NUMBERS, NUMBERS), min_size=12, max_size=25)


@PROPERTY
@given(some("enrol", "add", "reject", "teach", "undo", "forget", "forget photo"))
def test_memory_and_file_agree_whatever_is_rejected_and_undone(changes: list[tuple[str, int, int]]) -> None:
    compare_with_the_file(changes)


@PROPERTY
@given(some("enrol", *["reject", "merge"] * 2, "teach", *["undo"] * 3, "forget photo", "consent", "settle"))
def test_memory_and_file_agree_whatever_is_merged_and_undone(changes: list[tuple[str, int, int]]) -> None:
    compare_with_the_file(changes)
