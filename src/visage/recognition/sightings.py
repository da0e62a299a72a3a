"""What the camera has seen lately: in memory only, bounded in number and time."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from visage.bank.bank import MemoryBank
from visage.errors import PersonNotFound, SightingNotFound
from visage.types import Embedding, IdentifiedFace, Person

_MAX_SIGHTINGS = 5000
_MAX_AGE_S = 600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a person was named since the start, and when last."""

    person: Person
    times: int
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class _Sighting:
    """The faces of one image that might be someone: embedding, and (person, named?, similarity) of each candidate."""

    at_s: float
    faces: tuple[tuple[Embedding, dict[str, tuple[bool, float]]], ...]


class Sightings:
    """Remembers identifications for some minutes, so that "that's wrong" can be said of them.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._sightings: OrderedDict[str, _Sighting] = OrderedDict()
        self._seen: dict[str, tuple[int, datetime]] = {}

    def add(self, faces: Sequence[IdentifiedFace]) -> str:
        """Remember an identification; returns its id."""
        key, now = str(uuid.uuid4()), self._clock()
        kept = tuple((face.face.embedding, _candidates(face)) for face in faces if face.candidates)
        with self._turn:
            for face in faces:
                if face.match is not None:
                    person_id = face.match.person.person_id
                    self._seen[person_id] = (self._seen.get(person_id, (0,))[0] + 1, datetime.now(UTC))
            if kept:
                self._sightings[key] = _Sighting(now, kept)
            self._forget_old()
        return key

    def forget_old(self) -> None:
        """Forget what was seen too long ago."""
        with self._turn:
            self._forget_old()

    def face_of(self, identification_id: str, person_id: str) -> Embedding:
        """The face of an identification that was named as a person, or else the one most like that person.

        Raises:
            SightingNotFound: forgotten already, or that person did not come up.
        """
        with self._turn:
            sighting = self._sightings.get(identification_id.lower())
        if sighting is None or self._clock() - sighting.at_s > _MAX_AGE_S:
            raise SightingNotFound
        found = [(candidates[person_id], face) for face, candidates in sighting.faces if person_id in candidates]
        if not found:
            raise SightingNotFound
        return max(found, key=lambda pair: pair[0])[1]

    def seen(self, bank: MemoryBank) -> list[Seen]:
        """Who was named since the start, the latest first; those forgotten meanwhile are left out."""
        with self._turn:
            entries = list(self._seen.items())
        found = []
        for person_id, (times, last) in entries:
            try:
                found.append(Seen(bank.person(person_id), times, last))
            except PersonNotFound:
                continue
        return sorted(found, key=lambda seen: seen.last_seen_at, reverse=True)

    def _forget_old(self) -> None:
        now = self._clock()
        while self._sightings:
            oldest = next(iter(self._sightings.values()))
            if len(self._sightings) <= _MAX_SIGHTINGS and now - oldest.at_s <= _MAX_AGE_S:
                return
            self._sightings.popitem(last=False)


def _candidates(face: IdentifiedFace) -> dict[str, tuple[bool, float]]:
    named = face.match.person.person_id if face.match else None
    return {c.person.person_id: (c.person.person_id == named, c.similarity) for c in face.candidates}
