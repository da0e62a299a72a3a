"""Which photos are one view, and what that does to a person's template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visage.bank.bank import MemoryBank
from visage.bank.views import SAME_VIEW, template_weights, views_of
from visage.storage.sqlite import open_store
from visage.types import NewPhoto, Quality
from visage.vision.embed import unit

Vectors = NDArray[np.float32]
DIMENSION = 16


def shots(*copies: int, spread: float = 0.01, seed: int = 0) -> Vectors:
    """Unlike photos, each so many times with little difference."""
    rng = np.random.default_rng(seed)
    looks = np.repeat(np.eye(DIMENSION, dtype=np.float32)[: len(copies)], copies, axis=0)
    return unit(looks + spread * rng.normal(size=looks.shape).astype(np.float32))


def new(embedding: Vectors, score: int = 80) -> NewPhoto:
    """A photo of it."""
    return NewPhoto(embedding, b"picture", Quality(score))


def open_bank(folder: Path) -> MemoryBank:
    """The bank of a folder."""
    return MemoryBank(open_store(folder), model="m", dimension=DIMENSION)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[MemoryBank]:
    """An empty bank."""
    opened = open_bank(tmp_path)
    yield opened
    opened.close()


def enrol(bank: MemoryBank, *photos: NewPhoto) -> str:
    """Remember someone; returns the id."""
    return bank.enrol(name="Ann", relationship=None, metadata={}, photos=photos).person_id


def test_near_copies_are_one_view_and_other_photos_are_others() -> None:
    assert views_of(shots(3, 1, 2)).tolist() == [0, 0, 0, 1, 2, 2]
    assert views_of(shots()[:0]).tolist() == []


def test_what_turns_slowly_is_not_one_view() -> None:
    angles = np.radians(np.arange(0, 91, 5))
    film = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert min((film[1:] * film[:-1]).sum(axis=1)) > SAME_VIEW
    assert views_of(film).max() + 1 == 5  # a view reaches 20° to either side


@given(st.lists(st.integers(0, 100), min_size=1, max_size=12), st.integers(0, 3))
def test_a_view_weighs_as_much_as_its_best_photo(scores: list[int], kinds: int) -> None:
    views = np.arange(len(scores)) % (kinds + 1)
    weights = template_weights(scores, views)
    for view in set(views.tolist()):
        best = max(score for score, its in zip(scores, views, strict=True) if its == view)
        assert weights[views == view].sum() == pytest.approx(max(best, 5), rel=1e-5)


def test_copies_of_one_photo_do_not_outweigh_another(bank: MemoryBank) -> None:
    first, second = shots(1, 1)
    person_id = enrol(bank, new(first), new(second))
    before = bank.template(person_id)
    bank.add_photos(person_id, [new(first)] * 4)
    assert bank.template(person_id) == pytest.approx(before, abs=1e-6)
    person = bank.person(person_id)
    assert (person.embedding_count, person.views) == (6, 2)


def test_views_are_the_same_after_a_restart(tmp_path: Path) -> None:
    bank = open_bank(tmp_path)
    person_id = enrol(bank, *map(new, shots(1, 2, 2)))
    bank.forget_photo(person_id, bank.photos(person_id)[1].photo_id)
    before, template = bank.person(person_id), bank.template(person_id)
    bank.close()
    bank = open_bank(tmp_path)
    assert bank.person(person_id) == before
    assert bank.template(person_id) == pytest.approx(template, abs=1e-6)
    assert (before.embedding_count, before.views) == (4, 3)
    bank.close()


def test_views_are_counted_anew_when_persons_come_together_and_apart(bank: MemoryBank) -> None:
    one, two = shots(2, 2)[::2], shots(2, 2)[1::2]
    ann, twin = enrol(bank, *map(new, one)), enrol(bank, *map(new, two))
    undo = bank.merge(ann, twin, kept=lambda _: True)
    assert (bank.person(ann).embedding_count, bank.person(ann).views) == (4, 2)
    bank.undo(undo.undo_id)
    assert [bank.person(each).views for each in (ann, twin)] == [2, 2]
