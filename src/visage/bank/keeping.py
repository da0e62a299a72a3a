"""What is kept of people: enrolled, given photos, changed, seen, forgotten, in the store first, then in memory.

Each function is one change: where it raises, nothing has changed. The bank's lock is held by who calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from visage.bank.records import stored_photos
from visage.bank.roster import Roster
from visage.bank.store import Store
from visage.errors import LastPhoto
from visage.types import NewPhoto, Person, Photo

_SEEN_STEP = timedelta(hours=1)
"""Recognising someone must not write to the disk at every frame."""


def enrol(store: Store, roster: Roster, person: Person, photos: Sequence[NewPhoto]) -> Person:
    """Remember a new person, as of `created_at`.

    Raises:
        BankError: the store cannot be written.
    """
    stored = stored_photos(person.person_id, photos, roster.model, person.created_at)
    store.add_person(person, stored)
    roster.add(person)
    roster.keep(stored)
    return roster.refresh(person)


def add_photos(
    store: Store, roster: Roster, person_id: str, photos: Sequence[NewPhoto], now: datetime
) -> tuple[Photo, ...]:
    """Remember more photos of a person.

    Raises:
        PersonNotFound: no such person.
        BankError: the store cannot be written.
    """
    person = replace(roster.person(person_id), updated_at=now)
    start = roster.next_photo_at(person.person_id, now)
    stored = stored_photos(person.person_id, photos, roster.model, start)
    store.add_photos(person, stored)
    roster.keep(stored)
    roster.refresh(person)
    return tuple(item.photo for item in stored)


def change(
    store: Store, roster: Roster, person_id: str, function: Callable[[Person], Person], now: datetime
) -> Person:
    """Change what is known of a person by what is known now.

    Args:
        store, roster: the bank.
        person_id: who.
        function: takes the person as they are, and gives them as they are to be: another name, relationship,
            metadata or consent. The very person: there is nothing to change. What it raises, this raises.
        now: the time.

    Returns: the person as they are then.

    Raises:
        PersonNotFound: no such person.
        BankError: the store cannot be written.
    """
    person = roster.person(person_id)
    wanted = function(person)
    if wanted is person:
        return person
    changed = replace(
        person,
        name=wanted.name,
        relationship=wanted.relationship,
        metadata=dict(wanted.metadata),
        consent=wanted.consent,
        updated_at=now,
    )
    store.update_person(changed)
    roster.add(changed)
    return changed


def forget(store: Store, roster: Roster, person_id: str) -> bool:
    """Forget a person with every photo; one who is damaged can be forgotten too.

    Returns: no trace is left in the store's files; where False, the next start tries again to remove it.

    Raises:
        PersonNotFound: no such person.
        BankError: the store cannot be written.
    """
    if person_id.lower() in roster.damaged:
        complete = store.delete_person(person_id.lower())
        roster.damaged.discard(person_id.lower())
        return complete
    person = roster.person(person_id)
    complete = store.delete_person(person.person_id)
    roster.drop(person.person_id)
    return complete


def forget_photo(store: Store, roster: Roster, person_id: str, photo_id: str, now: datetime) -> bool:
    """Forget one photo of a person; returns as `forget`.

    Raises:
        PersonNotFound, PhotoNotFound: no such person, or no such photo of that person.
        LastPhoto: it is the only one.
        BankError: the store cannot be written.
    """
    photo = roster.photo(person_id, photo_id)
    if len(roster.photos[photo.person_id]) == 1:
        raise LastPhoto
    person = replace(roster.person(photo.person_id), updated_at=now)
    complete = store.delete_photo(person, photo.photo_id)
    roster.drop_photos(person.person_id, [photo.photo_id])
    roster.refresh(person)
    return complete


def note_seen(store: Store, roster: Roster, seen: Mapping[str, datetime]) -> None:
    """Keep when persons were last seen, but for what would change by less than an hour.

    Raises:
        BankError: the store cannot be written.
    """
    later = {
        person_id: moment
        for person_id, moment in seen.items()
        if (person := roster.persons.get(person_id)) is not None
        and (person.last_seen_at is None or moment - person.last_seen_at >= _SEEN_STEP)
    }
    _keep_seen(store, roster, later)


def forget_seen(store: Store, roster: Roster) -> None:
    """Forget when everyone was last seen.

    Raises:
        BankError: the store cannot be written.
    """
    everyone = roster.persons.values()
    _keep_seen(store, roster, {person.person_id: None for person in everyone if person.last_seen_at is not None})


def _keep_seen(store: Store, roster: Roster, times: Mapping[str, datetime | None]) -> None:
    if times:
        store.note_seen(times)
        for person_id, moment in times.items():
            roster.add(replace(roster.persons[person_id], last_seen_at=moment))
