"""Forgetting who was not seen for long: only by a clock that can be believed.

The installation remembers the latest time at which it ran. A clock that stands before that, or more than a month
after it, may have jumped (`clock.py`), and a wrong clock must not cost anyone their memory of somebody: then nobody
is forgotten until a person has said that the clock is right (`visage purge`), or until it is.

Days are counted from when a person was last seen, was registered, or retention was switched on, whichever is latest.
So nobody goes on the day on which a carer switches it on, or on which an old backup is restored.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from visage.admin.preferences import PreferenceStore
from visage.bank.bank import MemoryBank
from visage.bank.records import to_micros
from visage.clock import Clock
from visage.service.memory import give_back
from visage.types import Person

log = logging.getLogger("visage")

PURGE_EVERY = timedelta(days=1)
MARK = "clock.mark"
SINCE = "retention.since"
PURGED = "retention.purged"
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Due:
    """Who would be forgotten.

    Attributes:
        person: who.
        since: from when the days are counted.
        days: how many they are.
    """

    person: Person
    since: datetime
    days: int


def clock_of(store: PreferenceStore) -> Clock:
    """The clock of an installation, which goes on from what it keeps; and keeps what can be believed now."""
    clock = Clock(store.time(MARK))
    clock.now()
    store.keep_time(MARK, clock.mark)
    return clock


class Retention:
    """The rule at work on one bank.

    Args:
        bank: whose persons.
        store: where the times are kept.
        clock: which times are believed; None for one that goes on from what is kept.
    """

    def __init__(self, bank: MemoryBank, store: PreferenceStore, clock: Clock | None = None) -> None:
        self._bank = bank
        self._store = store
        self._clock = clock or Clock(store.time(MARK))

    def clock_fault(self, now: datetime) -> str | None:
        """Why this time cannot be believed, in words; None where it can."""
        return self._clock.fault(now)

    def due(self, now: datetime, days: int) -> list[Due]:
        """Who was not seen for so many days, the longest first."""
        began = self._store.time(SINCE) or now
        found = []
        for person in self._bank.persons(limit=2**31).persons:
            since = max(person.last_seen_at or person.created_at, person.created_at, began)
            if now - since >= timedelta(days=days):
                found.append(Due(person, since, (now - since).days))
        return sorted(found, key=lambda each: each.since)

    def tick(self, now: datetime, days: int | None) -> list[Due]:
        """To be called now and then while serving: notes the time, and says who is to be forgotten today.

        Args:
            now: what the clock says.
            days: of retention; None where it is off.
        """
        if fault := self.clock_fault(now):
            if days is not None:
                log.warning("%s. Nobody is forgotten; if the date is right, run `visage purge`", fault)
            # What expires goes on by as long as the server runs. The gap to the wrong date stays as wide.
            self._store.keep_time(MARK, self._clock.mark)
            return []
        micros = to_micros(now)
        kept = self._store.read()
        self._clock.believe(max(now, self._clock.mark or now))
        notes: dict[str, int | None] = {MARK: max(micros, kept.get(MARK, micros))}
        is_due = days is not None and not 0 <= micros - kept.get(PURGED, 0) < PURGE_EVERY / _MICROSECOND
        if days is None:
            notes[SINCE] = None
        elif SINCE not in kept:
            notes[SINCE] = micros
        if is_due:
            notes[PURGED] = micros
        self._store.write(notes)
        return self.due(now, days) if is_due and days is not None else []

    def believe(self, now: datetime) -> None:
        """A person said that the clock is right."""
        self._clock.believe(now)
        self._store.keep_time(MARK, now)

    def purge(self, due: Collection[Due]) -> bool:
        """Forget them; returns whether no trace is left, as `MemoryBank.forget`."""
        complete = [self._bank.forget(each.person.person_id) for each in due]
        give_back()
        return all(complete)
