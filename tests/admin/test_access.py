"""Sessions and refusals: by the clock that is believed, and bounded for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from visage.admin import access as access_module
from visage.admin import audit as audit_module
from visage.admin.access import SESSION_DAYS, Access, Guesses
from visage.admin.audit import SUM_UP_AFTER_S, Audit
from visage.admin.database import Database, open_database
from visage.admin.keys import AccessStore, Role
from visage.clock import Clock
from visage.errors import TooManyGuesses, Unauthenticated

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path)
    yield opened
    opened.close()


def opened_at(database: Database, now: datetime, mark: datetime | None = None) -> Access:
    """As a start at this time finds it."""
    return Access(AccessStore(database.transaction), required=True, clock=Clock(mark, wall=lambda: now))


def role(access: Access, token: str) -> Role | None:
    principal = access.principal(token=token, sent=None, address="192.0.2.1")
    return principal.role if principal is not None else None


def test_a_start_with_a_clock_that_jumped_ends_no_session(database: Database) -> None:
    access = opened_at(database, NOW)
    key, _ = access.create_key("tablet", Role.VIEWER)
    token = access.sign_in(key)
    for jump in (365 * DAY, -20_000 * DAY):
        assert role(opened_at(database, NOW + jump, mark=NOW), token) is Role.VIEWER
    assert role(opened_at(database, NOW, mark=NOW), token) is Role.VIEWER  # nor did it remove any


def test_a_session_ends_in_its_time_and_its_connections_with_it(database: Database) -> None:
    now = NOW
    access = Access(AccessStore(database.transaction), required=True, clock=Clock(wall=lambda: now))
    key, secret = access.create_key("tablet", Role.VIEWER)
    token = access.sign_in(key)

    async def watch() -> tuple[bool, bool, bool]:
        nonlocal now
        by_session = access.principal(token=token, sent=None, address="")
        by_key = access.principal(token=None, sent=secret, address="")
        assert by_session is not None and by_key is not None
        first, second = access.watch(by_session), access.watch(by_key)
        for _ in range(SESSION_DAYS - 1):
            now += DAY
            access.hang_up()
        before = first.done()
        now += DAY
        access.hang_up()
        return before, first.done(), second.done()

    assert asyncio.run(watch()) == (False, True, False)
    assert role(access, token) is None
    assert role(opened_at(database, now), token) is None


def test_a_key_that_signs_in_without_end_ends_no_session_of_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "MAX_SESSIONS", 5)
    access = opened_at(database, NOW)
    admin, _ = access.create_key("laptop", Role.ADMIN)
    viewer, _ = access.create_key("tablet", Role.VIEWER)
    own = access.sign_in(admin)
    tokens = [access.sign_in(viewer) for _ in range(9)]
    for each in (access, opened_at(database, NOW)):
        assert role(each, own) is Role.ADMIN
        assert [role(each, token) is not None for token in tokens] == [False] * 4 + [True] * 5


def test_a_right_key_is_known_whatever_wrong_ones_came_before(database: Database) -> None:
    access = opened_at(database, NOW)
    old, lost = access.create_key("lost", Role.VIEWER)
    _, good = access.create_key("kitchen", Role.VIEWER)
    access.revoke_key(old.key_id)
    refused = []
    for _ in range(Guesses.allowed + 5):
        with pytest.raises((Unauthenticated, TooManyGuesses)) as caught:
            access.check_key(lost, "192.0.2.1")
        refused.append(type(caught.value))
        assert access.check_key(good, "192.0.2.1").label == "kitchen"
    assert refused == [Unauthenticated] * Guesses.allowed + [TooManyGuesses] * 5


def test_refusals_of_a_kind_are_one_entry_and_one_more(database: Database, tmp_path: Path) -> None:
    now = 0.0
    log = Audit(database.transaction, tmp_path, monotonic=lambda: now)

    def entries() -> list[tuple[str, str | None, str]]:
        return [(entry.operation, entry.subject, entry.outcome) for entry in reversed(log.page(100))]

    for number in range(300):
        log.refuse("viewer", "delete_person", f"person-{number}", "FORBIDDEN", by_subject=False)
        log.refuse("unknown", "authenticate", f"192.0.2.{number % 2}", "UNAUTHENTICATED", by_subject=True)
    first = [
        ("delete_person", "person-0", "FORBIDDEN"),
        ("authenticate", "192.0.2.0", "UNAUTHENTICATED"),
        ("authenticate", "192.0.2.1", "UNAUTHENTICATED"),
    ]
    assert entries() == first
    log.sum_up()
    assert entries() == first
    now = SUM_UP_AFTER_S
    log.sum_up()
    summed = [
        ("delete_person", "+299", "FORBIDDEN"),
        ("authenticate", "192.0.2.0 +149", "UNAUTHENTICATED"),
        ("authenticate", "192.0.2.1 +149", "UNAUTHENTICATED"),
    ]
    assert entries() == first + summed
    log.refuse("viewer", "delete_person", "person-1", "FORBIDDEN", by_subject=False)
    log.refuse("viewer", "delete_person", "person-1", "FORBIDDEN", by_subject=False)
    log.sum_up(all_of_them=True)  # at the end, what was counted is not lost
    assert entries()[6:] == [("delete_person", "person-1", "FORBIDDEN"), ("delete_person", "+1", "FORBIDDEN")]
    assert log.verify().faults == ()


def test_refusals_of_many_kinds_do_not_fill_the_memory(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "_MAX_KINDS", 10)
    log = Audit(database.transaction, tmp_path, monotonic=lambda: 0.0)
    for number in range(30):
        log.refuse("unknown", "authenticate", f"2001:db8:{number:x}::1", "UNAUTHENTICATED", by_subject=True)
    assert len(log._refused) == 11
    log.sum_up(all_of_them=True)
    assert log.page(1)[0].subject == "+19"
