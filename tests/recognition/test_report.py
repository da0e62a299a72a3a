"""What to look at in the bank: found by the report, as comparing everyone with everyone finds it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.recognition.test_recognizer import enrol
from visage.bank.bank import Looks, MemoryBank
from visage.recognition.recognizer import Recognizer
from visage.recognition.report import MAX_PAIRS, Report, make_report
from visage.storage.sqlite import open_store
from visage.types import NewPhoto, Person, Photo, Quality
from visage.vision.embed import unit

Vectors = NDArray[np.float32]

SAME, NAMED = 0.45, 0.6


def same_person(photos: int) -> float:
    """A threshold that moves with the number of photos."""
    return SAME + 0.01 * photos


def named(_: int) -> float:
    """One threshold for all."""
    return NAMED


def looks_of(owners: NDArray[np.int64], embeddings: Vectors, weights: Vectors | None = None) -> Looks:
    """A bank with photo i of person owners[i]."""
    weights = np.ones(len(owners), dtype=np.float32) if weights is None else weights
    now, counts = datetime.now(UTC), np.bincount(owners)
    totals = np.zeros((len(counts), embeddings.shape[1]), dtype=np.float32)
    np.add.at(totals, owners, weights[:, None] * embeddings)
    return Looks(
        persons=tuple(Person(str(i), f"P{i}", None, {}, now, now, int(n), int(n)) for i, n in enumerate(counts)),
        templates=unit(totals),
        photos=tuple(Photo(f"photo-{i}", str(owner), Quality(80), now) for i, owner in enumerate(owners)),
        owners=owners,
        views=np.array([(owners[:i] == owner).sum() for i, owner in enumerate(owners)]),
        embeddings=embeddings,
        weights=weights,
    )


def around(centres: Vectors, spread: float, rng: np.random.Generator) -> Vectors:
    """A photo of each look."""
    return unit(centres + spread * unit(rng.normal(size=centres.shape).astype(np.float32)))


def found(report: Report) -> tuple[set[tuple[str, str]], dict[str, tuple[str, str | None]]]:
    """Pairs that look alike; photo → its person, and whom it looks like."""
    return (
        {(pair.first.person_id, pair.second.person_id) for pair in report.look_alikes},
        {
            item.photo.photo_id: (item.person.person_id, item.looks_like.person_id if item.looks_like else None)
            for item in report.misfits
        },
    )


def compared_one_by_one(looks: Looks) -> tuple[set[tuple[str, str]], dict[str, tuple[str, str | None]]]:
    """The same, the slow way."""
    persons, pairs, misfits = looks.persons, set(), {}
    for i, first in enumerate(persons):
        for j in range(i + 1, len(persons)):
            if looks.templates[i] @ looks.templates[j] >= NAMED:
                pairs.add((first.person_id, persons[j].person_id))
    for row, photo in enumerate(looks.photos):
        own = looks.owners[row]
        others = [other for other in np.flatnonzero(looks.owners == own) if other != row]
        if not others:
            continue
        rest = sum(looks.weights[other] * looks.embeddings[other].astype(float) for other in others)
        if looks.embeddings[row] @ rest / np.linalg.norm(rest) >= same_person(len(others)):
            continue
        best = max(
            (i for i in range(len(persons)) if i != own), key=lambda i: looks.templates[i] @ looks.embeddings[row]
        )
        like = looks.templates[best] @ looks.embeddings[row] >= NAMED
        misfits[photo.photo_id] = (persons[own].person_id, persons[best].person_id if like else None)
    return pairs, misfits


@pytest.mark.parametrize("seed", range(5))
def test_the_report_finds_what_comparing_everyone_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(60, 64)).astype(np.float32))
    centres[50:55] = around(centres[:5], 0.5, rng)
    owners = rng.permutation(np.concatenate([np.arange(60), rng.integers(0, 60, 150)]))
    embeddings = around(centres[owners], 0.8, rng)
    swapped = rng.choice(len(owners), 8, replace=False)
    embeddings[swapped] = around(centres[rng.integers(0, 60, 8)], 0.5, rng)
    embeddings[rng.choice(len(owners), 3)] = unit(rng.normal(size=(3, 64)).astype(np.float32))
    looks = looks_of(owners, embeddings, rng.uniform(5, 100, len(owners)).astype(np.float32))
    report = make_report(looks, same_person=same_person, named=named)
    pairs, misfits = compared_one_by_one(looks)
    assert found(report) == (pairs, misfits)
    assert len(pairs) >= 4
    assert sum(like is not None for _, like in misfits.values()) >= 4
    similarities = [pair.similarity for pair in report.look_alikes]
    assert similarities == sorted(similarities, reverse=True)
    assert [item.similarity for item in report.misfits] == sorted(item.similarity for item in report.misfits)
    few = [str(i) for i, count in enumerate(np.bincount(owners)) if count < 3]
    assert [person.person_id for person in report.thin] == few
    assert report.persons == 60


def test_look_alikes_do_not_depend_on_who_was_registered_first() -> None:
    looks = np.array([[1, 0], [0.65, np.sqrt(1 - 0.65**2)]], dtype=np.float32)
    reports = [
        make_report(
            looks_of(owners, looks[owners]),
            same_person=same_person,
            named=lambda photos: 0.6 if photos == 1 else 0.7,
        )
        for owners in (np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]))
    ]
    assert [len(report.look_alikes) for report in reports] == [1, 1]


def test_of_many_look_alikes_the_most_alike_are_named() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(unit(rng.normal(size=(1, 64)).astype(np.float32)), 40, axis=0)
    looks = looks_of(np.arange(40), around(centres, 0.5, rng))
    report = make_report(looks, same_person=same_person, named=named)
    every = np.sort((looks.templates @ looks.templates.T)[np.triu_indices(40, 1)])[::-1]
    assert [pair.similarity for pair in report.look_alikes] == pytest.approx(every[:MAX_PAIRS].tolist(), abs=1e-6)


def test_pairs_are_found_across_the_blocks_that_are_compared_at_a_time() -> None:
    rng = np.random.default_rng(1)
    centres = unit(rng.normal(size=(2500, 128)).astype(np.float32))
    for i, j in ((0, 2499), (1023, 1024), (5, 6), (1500, 2100)):
        centres[j] = centres[i]
    pairs, _ = found(make_report(looks_of(np.arange(2500), centres), same_person=same_person, named=lambda _: 0.9))
    assert pairs == {("0", "2499"), ("1023", "1024"), ("5", "6"), ("1500", "2100")}


def test_ten_thousand_persons_take_seconds() -> None:
    rng = np.random.default_rng(2)
    owners = np.repeat(np.arange(10_000), 3)
    embeddings = around(unit(rng.normal(size=(10_000, 192)).astype(np.float32))[owners], 0.5, rng)
    embeddings[7] = embeddings[15_000]
    looks = looks_of(owners, embeddings)
    start = time.perf_counter()
    report = make_report(looks, same_person=same_person, named=named)
    assert time.perf_counter() - start < 10
    assert found(report) == (set(), {"photo-7": ("2", "5000")})


def test_a_photo_under_the_wrong_name_is_found_with_its_owner(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    barack = enrol(recognizer, "Barack", photos["obama"], photos["obama2"], photos["obama3"]).person
    joe = enrol(recognizer, "Joe", photos["biden"]).person
    (planted,) = recognizer.add_photos(barack.person_id, [photos["biden"].read_bytes()]).outcomes
    report = recognizer.report()
    (misfit,) = report.misfits
    assert (misfit.person.name, misfit.photo, misfit.looks_like) == ("Barack", planted.photo, joe)
    assert misfit.similarity < 0.2
    assert (report.persons, report.thin, report.look_alikes) == (2, (joe,), ())
    assert planted.photo is not None
    recognizer.bank.forget_photo(barack.person_id, planted.photo.photo_id)
    assert recognizer.report().misfits == ()


def test_a_wrong_photo_of_someone_unregistered_looks_like_nobody(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    barack = enrol(recognizer, "Barack", photos["obama"], photos["obama2"], photos["obama3"]).person
    enrol(recognizer, "Joe", photos["biden"])
    recognizer.add_photos(barack.person_id, [photos["astronaut"].read_bytes()])
    (misfit,) = recognizer.report().misfits
    assert (misfit.person.name, misfit.looks_like) == ("Barack", None)


def test_one_man_under_two_names_looks_alike(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    barack = enrol(recognizer, "Barack", photos["obama"]).person
    joe = enrol(recognizer, "Joe", photos["biden"]).person
    barry = enrol(recognizer, "Barry", photos["obama2"], photos["obama3"]).person
    report = recognizer.report()
    (pair,) = report.look_alikes
    assert {pair.first.person_id, pair.second.person_id} == {barack.person_id, barry.person_id}
    between = recognizer.bank.template(barack.person_id) @ recognizer.bank.template(barry.person_id)
    assert pair.similarity == pytest.approx(float(between), abs=1e-6)
    assert {person.person_id for person in report.thin} == {barack.person_id, joe.person_id, barry.person_id}
    recognizer.merge(barack.person_id, barry.person_id)
    merged = recognizer.report()
    assert (merged.look_alikes, merged.misfits) == ((), ())
    assert [person.name for person in merged.thin] == ["Joe"]


def test_an_empty_bank_has_nothing_to_look_at(recognizer: Recognizer) -> None:
    assert recognizer.report() == Report(0, (), (), ())


def test_persons_of_another_model_are_counted(tmp_path: Path) -> None:
    bank = MemoryBank(open_store(tmp_path), model="old", dimension=2)
    photo = NewPhoto(np.array([1, 0], dtype=np.float32), b"", Quality(80))
    bank.enrol(name="A", relationship=None, metadata={}, photos=[photo])
    bank.close()
    bank = MemoryBank(open_store(tmp_path), model="new", dimension=2)
    report = make_report(bank.looks(), same_person=same_person, named=named)
    bank.close()
    assert (report.persons, len(report.thin)) == (1, 1)
