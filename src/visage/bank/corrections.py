"""Corrections, and how they are taken back: what was rejected, taught or merged, in the store first, then in memory.

Each function is one change: where it raises, nothing has changed. The bank's lock is held by who calls.

A correction can be taken back until `settle` makes it final. An undo knows by id what it moves back, so that
corrections can be taken back in any order (`docs/decisions/0006-corrections.md`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from visage.bank.records import CounterExample, consent_from_json, person_from_json, person_to_json, stored_photos
from visage.bank.roster import Roster
from visage.bank.store import Store
from visage.errors import CannotUndo, InvalidValue, UndoNotFound
from visage.types import Embedding, NewPhoto, Person, Photo, Undo

UNDO_PERIOD = timedelta(days=30)
"""How long a correction can be taken back."""


MAX_REJECTED = 200
"""Looks by one model that are kept as not a person's. Who may say "that's wrong" and nothing else could fill the bank
with them, and each is one more comparison for every face."""


class Contradicts(Protocol):
    """Is a rejection contradicted by the word that a face is this person?"""

    def __call__(self, similarity: float, rejected: float, *, photos: int) -> bool:
        """Args:
        similarity: cosine of the face to the person's template.
        rejected: cosine of the face to the rejected one.
        photos: in that template.
        """


def reject(store: Store, roster: Roster, person_id: str, embedding: Embedding, now: datetime) -> Undo:
    """Keep a look that is not this person's, so that it is not given this name again; the same look once. Where
    `MAX_REJECTED` are kept already, the oldest gives way, and cannot be taken back any more.

    Args:
        store, roster: the bank.
        person_id: who it is not.
        embedding: (D,) float32, unit length.
        now: the time.

    Returns: the undo; of a look that was rejected before, and can be taken back, that of then.

    Raises:
        PersonNotFound: no such person.
        BankError: the store cannot be written.
    """
    person_id = roster.person(person_id).person_id
    same = {c.counter_id for c in roster.valid_counters(person_id) if np.array_equal(c.embedding, embedding)}
    for undo in roster.undos_of(person_id):
        if undo.kind == "not-me" and undo.content["counter_id"] in same:
            return undo
    counter = CounterExample(str(uuid.uuid4()), person_id, roster.model, embedding, now)
    undo = Undo(str(uuid.uuid4()), person_id, "not-me", {"counter_id": counter.counter_id}, now)
    kept = roster.own_counters(person_id)
    oldest = min(kept, key=lambda each: each.created_at).counter_id if len(kept) >= MAX_REJECTED else None
    undos = [
        each.undo_id
        for each in roster.undos_of(person_id)
        if each.kind == "not-me" and each.content["counter_id"] == oldest
    ]
    store.reject(counter, undo, [] if oldest is None else [oldest], undos)
    if oldest is not None:
        del roster.counters[person_id][oldest]
    for undo_id in undos:
        del roster.undos[undo_id]
    roster.counters.setdefault(person_id, {})[counter.counter_id] = counter
    roster.undos[undo.undo_id] = undo
    roster.refresh(roster.persons[person_id])
    return undo


def teach(
    store: Store,
    roster: Roster,
    person_id: str,
    photos: Sequence[NewPhoto],
    now: datetime,
    *,
    looks: Sequence[Embedding],
    contradicts: Contradicts,
    held: Sequence[str],
    always: bool,
) -> tuple[tuple[Photo, ...], Undo | None]:
    """Remember more photos of a person, and let the newest word count: rejected looks that it contradicts are set
    aside. What an older word set aside or kept already, this one stands for too: it stays when the older one is
    taken back.

    Args:
        store, roster: the bank.
        person_id: who it is.
        photos: to be kept; may be none.
        now: the time.
        looks: (D,) float32 each, unit length: what was said to be this person, kept or not; with `always` the first
            is the face that was pointed at, the others are more of it.
        contradicts: is a rejected look contradicted by what was said?
        held: photos of this person that show what was said, and need not be kept again.
        always: make an undo, also where there is nothing to take back.

    Returns: the photos; and the undo that forgets those of them which contradicted, or all with `always`, and
        brings the rejected looks back. It is that of the first time where a word is only repeated. None where there
        is nothing to take back.

    Raises:
        PersonNotFound: no such person.
        BankError: the store cannot be written.
    """
    person = roster.person(person_id)
    start = roster.next_photo_at(person.person_id, now)
    stored = stored_photos(person.person_id, photos, roster.model, start)
    template, count = roster.template_with(person.person_id, stored)

    def lifts(counter: CounterExample, look: Embedding) -> bool:
        return contradicts(float(template @ look), float(counter.embedding @ look), photos=count)

    holding = {counter.counter_id for counter in roster.valid_counters(person.person_id)}
    counters = roster.own_counters(person.person_id)
    aside = [c.counter_id for c in counters if any(lifts(c, look) for look in looks)]
    lifted = [key for key in aside if key in holding]
    word = _word(looks[:1] if always else looks, always)
    older = [each for each in roster.undos_of(person.person_id) if each.kind == "is-me"]
    if not photos and not lifted:
        for each in reversed(older):
            if each.content.get("word") == word:
                return (), each
    shared = [key for key in held if any(key in each.content["photos"] for each in older)]
    undo = None
    if aside or shared or always:
        undone = [
            item.photo.photo_id
            for item in stored
            if always or any(lifts(counter, item.embedding) for counter in counters)
        ]
        content = {"photos": undone + shared, "set_aside": aside, "lifted": lifted, "word": word}
        undo = Undo(str(uuid.uuid4()), person.person_id, "is-me", content, now)
    elif not stored:
        return (), None
    person = replace(person, updated_at=now)
    if undo is None:
        store.add_photos(person, stored)
    else:
        store.teach(person, stored, undo)
        roster.undos[undo.undo_id] = undo
    roster.keep(stored)
    roster.refresh(person)
    return tuple(item.photo for item in stored), undo


def merge(
    store: Store,
    roster: Roster,
    target_id: str,
    source_id: str,
    now: datetime,
    *,
    kept: Callable[[CounterExample], bool],
) -> Undo:
    """Make two persons one: all that belongs to the source goes to the target, and the source is gone.

    Args:
        store, roster: the bank.
        target_id: who stays, with name, relationship and metadata; and with consent, if there is any, else with the
            source's.
        source_id: who goes.
        now: the time.
        kept: does this rejected look, of either and by this model, still hold for the two together? Those that
            do not are set aside until the merge is undone.

    Raises:
        PersonNotFound: no such person.
        InvalidValue: they are the same.
        BankError: the store cannot be written.
    """
    target, source = roster.person(target_id), roster.person(source_id)
    if target.person_id == source.person_id:
        raise InvalidValue.of("from", "must be another person")
    # Also those that are set aside already: what did that may be taken back before the merge is.
    counters = [counter for person in (target, source) for counter in roster.own_counters(person.person_id)]
    content: dict[str, Any] = {
        "person": person_to_json(source),
        "photos": list(roster.photos[source.person_id]),
        "counter_examples": list(roster.counters.get(source.person_id, {})),
        "undos": [undo.undo_id for undo in roster.undos_of(source.person_id)],
        "set_aside": [counter.counter_id for counter in counters if not kept(counter)],
    }
    lender = _lender(roster, source)
    if lender is not None:
        content["lender"] = lender
    if target.consent is None and source.consent is not None:
        content["lent"] = {"by": lender or source.person_id, "to": target.person_id}
    seen = [moment for moment in (target.last_seen_at, source.last_seen_at) if moment is not None]
    target = replace(
        target, updated_at=now, last_seen_at=max(seen, default=None), consent=target.consent or source.consent
    )
    undo = Undo(str(uuid.uuid4()), target.person_id, "merge", content, now)
    store.merge(target, source, undo)
    roster.move(source.person_id, target.person_id, content["photos"], content["counter_examples"], content["undos"])
    roster.undos[undo.undo_id] = undo
    roster.drop(source.person_id)
    roster.refresh(target)
    return undo


def correction(roster: Roster, undo_id: str) -> Undo:
    """A correction that can be taken back.

    Raises:
        UndoNotFound: no such correction, or it is final.
    """
    try:
        return roster.undos[undo_id.lower()]
    except KeyError:
        raise UndoNotFound from None


def undo(store: Store, roster: Roster, undo_id: str, now: datetime) -> Undo:
    """Take a correction back; returns what was undone.

    Raises:
        UndoNotFound: no such correction, or it is final.
        CannotUndo: too much has changed since.
        BankError: the store cannot be written.
    """
    undone = correction(roster, undo_id)
    changed = {"merge": _split, "is-me": _unteach, "not-me": _unreject}[undone.kind](store, roster, undone, now)
    del roster.undos[undone.undo_id]
    for person in changed:
        roster.refresh(person)
    return undone


def settle(store: Store, roster: Roster, now: datetime) -> int:
    """What was corrected longer ago than `UNDO_PERIOD` is final: its undo goes, and so do looks that were set aside.

    Args:
        store, roster: the bank.
        now: the time, by a clock that can be believed.

    Returns: how many undos went.

    Raises:
        BankError: the store cannot be written.
    """
    settled = [undo for undo in roster.undos.values() if undo.created_at < now - UNDO_PERIOD]
    if not settled:
        return 0
    aside = {
        counter_id
        for undo in settled
        for counter_id in undo.content.get("set_aside", ())
        if counter_id in roster.counters.get(undo.person_id, {})
    }
    store.settle([undo.undo_id for undo in settled], sorted(aside))
    for each in settled:
        del roster.undos[each.undo_id]
    for counters in roster.counters.values():
        for counter_id in aside & counters.keys():
            del counters[counter_id]
    return len(settled)


def _split(store: Store, roster: Roster, undo: Undo, now: datetime) -> list[Person]:
    """Take a merge back."""
    source, target = person_from_json(undo.content["person"]), roster.persons[undo.person_id]
    # Of what the source brought, that which is still the target's: the rest went since, or never came here.
    photos = [key for key in undo.content["photos"] if key in roster.photos[target.person_id]]
    if not photos or len(photos) == len(roster.photos[target.person_id]):
        raise CannotUndo
    held = roster.counters.get(target.person_id, {})
    counters = [key for key in undo.content["counter_examples"] if key in held]
    undos = [
        key
        for key in undo.content["undos"]
        if key in roster.undos and roster.undos[key].person_id == target.person_id
    ]
    lent = undo.content.get("lent", {}).get("to") == target.person_id
    if target.consent is not None and (lender := _lender(roster, target)) and (lent or lender == source.person_id):
        target = replace(target, consent=None)
    if undo.content.get("lender") in roster.persons:  # who is somebody again, and has it back
        source = replace(source, consent=None)
    target = replace(target, updated_at=now)
    store.split(target, source, photos, counters, undos, undo.undo_id)
    roster.add(source)
    roster.move(target.person_id, source.person_id, photos, counters, undos)
    return [target, source]


def _unteach(store: Store, roster: Roster, undo: Undo, now: datetime) -> list[Person]:
    """Forget what was taught, but for what another word stands for too; the looks that it set aside, and no other
    word did, hold again once the undo is gone."""
    person = replace(roster.persons[undo.person_id], updated_at=now)
    photos = roster.photos[person.person_id]
    others = {
        key
        for other in roster.undos.values()
        if other.kind == "is-me" and other.undo_id != undo.undo_id and other.person_id == undo.person_id
        for key in other.content["photos"]
    }
    # A photo that an older word brought may be older than can be taken back: it has become final with that word.
    taught = [
        key
        for key in undo.content["photos"]
        if key in photos and key not in others and photos[key].created_at >= now - UNDO_PERIOD
    ]
    if taught and len(taught) == len(photos):
        raise CannotUndo("That is the only photo of this person by now; delete the person instead")
    store.unteach(person, taught, undo.undo_id)
    roster.drop_photos(person.person_id, taught)
    return [person]


def _unreject(store: Store, roster: Roster, undo: Undo, now: datetime) -> list[Person]:
    """Let a rejected look go."""
    counter_id = undo.content["counter_id"]
    store.unreject(counter_id, undo.undo_id)
    roster.counters.get(undo.person_id, {}).pop(counter_id, None)
    return [roster.persons[undo.person_id]]


def _word(looks: Sequence[Embedding], always: bool) -> str:
    """Tells whether the same was said of the same looks."""
    said = hashlib.sha256(bytes([always]))
    for look in looks:
        said.update(look.tobytes())
    return said.hexdigest()


def _lender(roster: Roster, person: Person) -> str | None:
    """Whose consent a person holds, where a merge that can be undone has brought it."""
    for undo in roster.undos_of(person.person_id):
        lent = undo.content.get("lent")
        if lent is None or lent["to"] != person.person_id:
            continue
        if person.consent == consent_from_json(undo.content["person"]["consent"]):
            return str(lent["by"])
    return None
