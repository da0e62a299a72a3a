"""Who was not seen for long is forgotten; by a clock that jumped, nobody is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.bank.test_bank import DIMENSION, MODEL, photo
from tests.storage.test_backup import back_up, restore
from visage.admin.database import Database, open_database
from visage.admin.preferences import PreferenceStore
from visage.bank.bank import MemoryBank
from visage.service.retention import MARK, SINCE, Retention
from visage.storage.folder import FILE_NAME
from visage.storage.sqlite import open_store
from visage.types import Consent

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
YEAR = 365 * DAY
DAYS = 20


def opened(folder: Path) -> MemoryBank:
    return MemoryBank(open_store(folder), model=MODEL, dimension=DIMENSION)


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "data")
    yield database
    database.close()


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[MemoryBank]:
    bank = opened(tmp_path / "data")
    for seed, name in enumerate(("Ann", "Bob"), start=1):
        bank.enrol(name=name, relationship=None, metadata={}, photos=[photo(seed)])
    yield bank
    bank.close()


@pytest.fixture
def times(admin: Database) -> PreferenceStore:
    return PreferenceStore(admin.transaction)


def tick_daily(
    bank: MemoryBank, times: PreferenceStore, first: int, last: int, *, see: str | None = None
) -> list[str]:
    """A server that runs from one day to another, and one person comes every day; returns who was to be forgotten."""
    gone = []
    for day in range(first, last):
        moment = NOW + day * DAY
        if see is not None:
            bank.note_seen({person.person_id: moment for person in bank.named(see)})
        for due in Retention(bank, times).tick(moment, DAYS):
            gone.append(due.person.name)
            Retention(bank, times).purge([due])
    return gone


def test_who_is_not_seen_for_long_is_forgotten_and_who_comes_is_not(bank: MemoryBank, times: PreferenceStore) -> None:
    assert tick_daily(bank, times, 0, DAYS, see="Ann") == []
    assert tick_daily(bank, times, DAYS, DAYS + 3, see="Ann") == ["Bob"]
    assert [person.name for person in bank.persons().persons] == ["Ann"]


def test_without_retention_nobody_is_ever_forgotten(bank: MemoryBank, times: PreferenceStore) -> None:
    for day in range(0, 500, 20):
        assert Retention(bank, times).tick(NOW + day * DAY, None) == []


@pytest.mark.parametrize("jump", [YEAR, 31 * DAY, -YEAR, -3 * DAY], ids=str)
def test_a_clock_that_jumped_forgets_nobody(bank: MemoryBank, times: PreferenceStore, jump: timedelta) -> None:
    tick_daily(bank, times, 0, 10, see="Ann")
    later = NOW + 10 * DAY
    for hour in range(0, 48, 4):
        assert Retention(bank, times).tick(later + jump + timedelta(hours=hour), DAYS) == []
    assert Retention(bank, times).clock_fault(later + jump) is not None
    assert times.time(MARK) == NOW + 9 * DAY  # a wrong clock leaves no mark
    assert tick_daily(bank, times, 10, 22, see="Ann") == ["Bob"]  # and when it is right again, all goes on


def test_a_server_that_was_off_for_months_waits_until_somebody_says_that_the_date_is_right(
    bank: MemoryBank, times: PreferenceStore
) -> None:
    tick_daily(bank, times, 0, 2, see="Ann")
    spring = NOW + 200 * DAY
    assert Retention(bank, times).tick(spring, DAYS) == []
    assert [due.person.name for due in Retention(bank, times).due(spring, DAYS)] == ["Bob", "Ann"]
    Retention(bank, times).believe(spring)
    assert Retention(bank, times).clock_fault(spring) is None


def test_switching_it_on_forgets_nobody_that_day(bank: MemoryBank, times: PreferenceStore) -> None:
    for day in range(0, 400, 25):
        Retention(bank, times).tick(NOW + day * DAY, None)
    assert Retention(bank, times).tick(NOW + 400 * DAY, DAYS) == []
    assert tick_daily(bank, times, 401, 400 + DAYS) == []
    assert sorted(tick_daily(bank, times, 400 + DAYS, 402 + DAYS)) == ["Ann", "Bob"]


def test_switching_it_off_begins_anew(bank: MemoryBank, times: PreferenceStore) -> None:
    tick_daily(bank, times, 0, 15)
    Retention(bank, times).tick(NOW + 15 * DAY, None)
    assert tick_daily(bank, times, 16, 16 + DAYS) == []


def test_an_old_backup_is_not_purged_for_its_age(tmp_path: Path, bank: MemoryBank, times: PreferenceStore) -> None:
    tick_daily(bank, times, 0, 5, see="Ann")
    bank.close()
    path = back_up(tmp_path / "data", tmp_path / "b.visage")
    restore(tmp_path / "data", path)
    restored = opened(tmp_path / "data")
    assert times.time(SINCE) is None
    Retention(restored, times).believe(NOW + 300 * DAY)
    assert Retention(restored, times).tick(NOW + 300 * DAY, DAYS) == []
    assert restored.person_count == 2
    restored.close()


def test_last_seen_is_written_once_an_hour(tmp_path: Path, bank: MemoryBank) -> None:
    (ann,) = bank.named("Ann")
    bank.note_seen({ann.person_id: NOW, "nobody": NOW})
    assert bank.person(ann.person_id).last_seen_at == NOW
    for minutes in (1, 30, 59):
        bank.note_seen({ann.person_id: NOW + timedelta(minutes=minutes)})
    assert bank.person(ann.person_id).last_seen_at == NOW
    bank.note_seen({ann.person_id: NOW + timedelta(hours=1)})
    bank.update(ann.person_id, name="Anna")
    bank.add_photos(ann.person_id, [photo(9)])
    bank.close()
    again = opened(tmp_path / "data")
    assert again.person(ann.person_id).last_seen_at == NOW + timedelta(hours=1)
    again.forget_seen()
    again.close()
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as file:
        assert file.execute("SELECT DISTINCT last_seen_at FROM persons").fetchall() == [(None,)]


def test_two_who_are_one_were_seen_when_the_later_was(bank: MemoryBank) -> None:
    (ann,), (bob,) = bank.named("Ann"), bank.named("Bob")
    bank.note_seen({ann.person_id: NOW - 50 * DAY, bob.person_id: NOW})
    bank.merge(ann.person_id, bob.person_id, kept=lambda counter: True)
    assert bank.person(ann.person_id).last_seen_at == NOW


def test_consent_is_kept_sealed(tmp_path: Path, bank: MemoryBank) -> None:
    consent = Consent("Jane Doe", "legal guardian", date(2025, 1, 2), None, "v3")
    person = bank.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)], consent=consent)
    bank.merge(bank.named("Ann")[0].person_id, person.person_id, kept=lambda counter: True)
    (undo,) = bank.undos(bank.named("Ann")[0].person_id)
    bank.undo(undo.undo_id)
    bank.close()
    again = opened(tmp_path / "data")
    assert again.person(person.person_id).consent == consent
    again.close()
    assert b"Jane Doe" not in (tmp_path / "data" / FILE_NAME).read_bytes()
