"""Faces before the camera that nobody knows: in memory only, bounded in number and time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cachetools import TTLCache

from visage.errors import UnknownNotFound
from visage.types import Confirmation, Embedding, Enrolment, NewPhoto
from visage.vision.models import DEFAULT_SAMENESS

_MAX_UNKNOWNS = 50
_MAX_AGE_S = 600.0
_GONE_AFTER_S = 5.0
"""A track that was not seen for so long is not before a camera any more: nobody holds its id."""
_MAX_DISMISSED = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """A face that nobody knows.

    Attributes:
        unknown_id: names it, for minutes.
        first_seen_at, last_seen_at: by the camera.
        photo: its best picture so far, as it would be registered.
    """

    unknown_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    photo: NewPhoto


class Unknowns:
    """One entry a track. Safe to use from several threads.

    Args:
        clock: seconds, never going back.
        surely_same: cosine of two looks from which on they are the same person's, whatever happened in between.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, surely_same: float = DEFAULT_SAMENESS.surely
    ) -> None:
        self._clock = clock
        self._surely_same = surely_same
        self._turn = threading.Lock()
        self._entries: OrderedDict[str, tuple[float, Unknown]] = OrderedDict()
        self._dismissed: OrderedDict[str, None] = OrderedDict()
        self._said: TTLCache[tuple[str, str], Enrolment | Confirmation] = TTLCache(_MAX_UNKNOWNS, _MAX_AGE_S, clock)

    def remember_said(self, unknown_id: str, word: str, reply: Enrolment | Confirmation) -> None:
        """This face is somebody now: it waits no longer, and who says the same again gets the same reply.

        Args:
            unknown_id: names the face.
            word: what was said of it.
            reply: to that.
        """
        with self._turn:
            self._entries.pop(unknown_id.lower(), None)
            self._said[unknown_id.lower(), word] = reply

    def said(self, unknown_id: str, word: str) -> Enrolment | Confirmation | None:
        """The reply to a word that was said of a face before; None where it was not."""
        with self._turn:
            return self._said.get((unknown_id.lower(), word))

    def seen(self, unknown_id: str, score: int, make_photo: Callable[[], NewPhoto]) -> None:
        """Nobody knows this face; its picture is made only where it is better than the one kept.

        Args:
            unknown_id: of the track.
            score: quality of the picture that could be made, 0–100.
            make_photo: makes it.
        """
        now = datetime.now(UTC)
        with self._turn:
            if unknown_id in self._dismissed:
                return
            _, entry = self._entries.pop(unknown_id, (0, None))
            if entry is None:
                entry = self._come_back(Unknown(unknown_id, now, now, make_photo()))
            elif score > entry.photo.quality.score:
                entry = replace(entry, last_seen_at=now, photo=make_photo())
            else:
                entry = replace(entry, last_seen_at=now)
            self._entries[unknown_id] = (self._clock(), entry)
            self._forget_old()

    def join(self, unknown_id: str, other_id: str) -> None:
        """Another track has just turned out to be this one: they are one entry, the best picture stays, and what was
        dismissed as the one is dismissed as the other.

        Args:
            unknown_id: of the track that goes on.
            other_id: of the one that does not.
        """
        with self._turn:
            found = [self._entries.pop(key)[1] for key in (unknown_id, other_id) if key in self._entries]
            if unknown_id in self._dismissed or other_id in self._dismissed:
                self._dismiss(unknown_id)
            elif found:
                first_seen_at = min(entry.first_seen_at for entry in found)
                photo = max((entry.photo for entry in found), key=lambda photo: photo.quality.score)
                entry = Unknown(unknown_id, first_seen_at, datetime.now(UTC), photo)
                self._entries[unknown_id] = (self._clock(), entry)

    def _come_back(self, entry: Unknown) -> Unknown:
        """A face that was here before, on another connection or before a pause, takes the place of its older entries:
        of those whose track is not before a camera any more. The best picture stays."""
        gone = self._clock() - _GONE_AFTER_S
        for key, (at_s, older) in list(self._entries.items()):
            if at_s <= gone and float(older.photo.embedding @ entry.photo.embedding) >= self._surely_same:
                del self._entries[key]
                better = max(older.photo, entry.photo, key=lambda photo: photo.quality.score)
                entry = replace(entry, first_seen_at=min(older.first_seen_at, entry.first_seen_at), photo=better)
        return entry

    def forget(self, unknown_id: str) -> None:
        """This face is known now, or not wanted; one that is not there is no error."""
        with self._turn:
            self._entries.pop(unknown_id, None)

    def forget_like(self, embedding: Embedding, similarity: float) -> None:
        """Forget every entry that shows this face: it is known now, also where it was seen badly a moment ago.

        Args:
            embedding: (D,) float32, unit length.
            similarity: cosine from which on an entry is that face.
        """
        with self._turn:
            alike = [
                key
                for key, (_, entry) in self._entries.items()
                if float(entry.photo.embedding @ embedding) >= similarity
            ]
            for key in alike:
                del self._entries[key]

    def dismiss(self, unknown_id: str) -> None:
        """Nobody wants to name this face; as long as it stays before the camera it does not come up again.

        Raises:
            UnknownNotFound: forgotten already.
        """
        unknown_id = self.get(unknown_id).unknown_id
        with self._turn:
            self._entries.pop(unknown_id, None)
            self._dismiss(unknown_id)

    def _dismiss(self, unknown_id: str) -> None:
        self._dismissed[unknown_id] = None
        while len(self._dismissed) > _MAX_DISMISSED:
            self._dismissed.popitem(last=False)

    def __contains__(self, unknown_id: str) -> bool:
        """Does this face wait to be named?"""
        with self._turn:
            return unknown_id in self._entries

    def all(self) -> list[Unknown]:
        """The latest seen first."""
        with self._turn:
            self._forget_old()
            return [entry for _, entry in reversed(self._entries.values())]

    def get(self, unknown_id: str) -> Unknown:
        """One of them.

        Raises:
            UnknownNotFound: forgotten already.
        """
        with self._turn:
            self._forget_old()
            try:
                return self._entries[unknown_id.lower()][1]
            except KeyError:
                raise UnknownNotFound from None

    def forget_old(self, is_here: Callable[[str], bool]) -> None:
        """Forget who was last seen too long ago, and what was said of faces whose person is not remembered any more.

        Args:
            is_here: is somebody remembered, by id?
        """
        with self._turn:
            self._forget_old()
            self._said.expire()
            for key, reply in list(self._said.items()):
                if not is_here(reply.person.person_id):
                    del self._said[key]

    def _forget_old(self) -> None:
        while self._entries:
            at_s, _ = next(iter(self._entries.values()))
            if len(self._entries) <= _MAX_UNKNOWNS and self._clock() - at_s <= _MAX_AGE_S:
                return
            self._entries.popitem(last=False)
