"""Another model takes over: photos that only the old one has embedded are embedded by the new one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visage.bank.roster import Roster
from visage.bank.store import Store
from visage.errors import BankError, DamagedPerson
from visage.types import Person

log = logging.getLogger("visage")

_BATCH = 32


def foreign_photos(roster: Roster) -> int:
    """How many photos the roster's model has not embedded. Needs no lock."""
    return sum(map(len, tuple(roster.photos.values()))) - len(roster.embeddings)


def reembed(
    store: Store,
    roster: Roster,
    turn: AbstractContextManager[Any],
    embed: Callable[[Sequence[bytes]], NDArray[np.float32]],
    on_progress: Callable[[int, int], None],
) -> int:
    """Embed every photo that this model has not embedded yet. What was done stays done when it is cut short.

    Args:
        store, roster: the bank.
        turn: its lock, which is held while a batch is kept, and not while it is embedded.
        embed: n pictures (JPEG) → (n, D) float32, unit length.
        on_progress: is told how many of how many are done.

    Returns: how many were embedded.
    """
    with turn:
        total, done, skipped = foreign_photos(roster), 0, set(roster.damaged)
    on_progress(done, total)
    while batch := _next(store, roster.model, skipped):
        vectors = embed([picture for _, picture in batch])
        fresh = {photo_id: vector for (photo_id, _), vector in zip(batch, vectors, strict=True)}
        with turn:
            store.add_embeddings(roster.model, fresh)
            for person_id, photos in roster.photos.items():
                if own := photos.keys() & fresh.keys():  # what was forgotten meanwhile is nobody's
                    roster.embeddings |= {photo_id: fresh[photo_id] for photo_id in own}
                    roster.refresh(roster.persons[person_id])
        done += len(batch)
        on_progress(done, total)
    return done


def reembed_person(
    store: Store,
    roster: Roster,
    turn: AbstractContextManager[Any],
    person_id: str,
    embed: Callable[[Sequence[bytes]], NDArray[np.float32]],
) -> Person:
    """As `reembed`, of one person; pictures that cannot be read are left. Costs nothing where none waits.

    Raises:
        PersonNotFound: no such person.
    """
    with turn:
        person = roster.person(person_id)
        waiting = [key for key in roster.photos[person.person_id] if key not in roster.embeddings]
    pictures: dict[str, bytes] = {}
    for key in waiting:
        with suppress(BankError):
            if (picture := store.picture(key)) is not None:
                pictures[key] = picture
    if not pictures:
        return person
    vectors = embed(list(pictures.values()))
    with turn:
        person = roster.person(person_id)
        # Another may have been as quick, or a photo was forgotten.
        missing = roster.photos[person.person_id].keys() - roster.embeddings.keys()
        fresh = {key: vector for key, vector in zip(pictures, vectors, strict=True) if key in missing}
        if not fresh:
            return person
        store.add_embeddings(roster.model, fresh)
        roster.embeddings |= fresh
        return roster.refresh(person)


def _next(store: Store, model: str, skipped: set[str]) -> list[tuple[str, bytes]]:
    """The next photos to embed; whoever has a damaged picture joins those who are skipped."""
    while True:
        try:
            return store.without_embedding(model, _BATCH, skipped)
        except DamagedPerson as damaged:
            log.error("%s", damaged.message)
            skipped.add(damaged.person_id)
