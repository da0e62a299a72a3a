"""What the camera has seen lately: in memory only, bounded in number and time."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import MemoryBank
from visage.errors import PersonNotFound, SightingNotFound
from visage.types import Embedding, IdentifiedFace, Image, Person, Quality

_MAX_SIGHTINGS = 5000
_MAX_PICTURE_BYTES = 16 * 2**20
_MAX_AGE_S = 600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a person was named since the start, and when last."""

    person: Person
    times: int
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A face that was looked at closely, cut out of its frame.

    Attributes:
        image: (h, w, 3) uint8, RGB, a copy.
        landmarks: (5, 2) float32 pixels in it, as in `Face`.
        embedding: (D,) float32, unit length, of this picture.
        quality: of this picture.
    """

    image: Image
    landmarks: NDArray[np.float32]
    embedding: Embedding
    quality: Quality


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A face of an identification.

    Attributes:
        embedding: (D,) float32, unit length, by which it was identified.
        score: quality of the face, 0–100.
        picture: its best; None where none is kept.
    """

    embedding: Embedding
    score: int
    picture: Picture | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Face:
    """A face that might be someone: (named?, area, similarity) of each candidate, and which picture is its own."""

    embedding: Embedding
    score: int
    candidates: dict[str, tuple[bool, float, float]]
    picture_key: str | None


@dataclass(frozen=True, slots=True)
class _Sighting:
    """The faces of one image that might be someone."""

    at_s: float
    faces: tuple[_Face, ...]


class Sightings:
    """Remembers identifications for some minutes, so that "that's wrong" and "that's right" can be said of them.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._sightings: OrderedDict[str, _Sighting] = OrderedDict()
        self._pictures: OrderedDict[str, tuple[float, str, Picture]] = OrderedDict()
        self._picture_bytes = 0
        self._seen: dict[str, tuple[int, datetime]] = {}

    def add(self, faces: Sequence[IdentifiedFace], picture_keys: Sequence[str | None] | None = None) -> str:
        """Remember an identification.

        Args:
            faces: what was decided.
            picture_keys: for each face under which key its picture was kept, where one was.

        Returns: its id.
        """
        key, now = str(uuid.uuid4()), self._clock()
        kept = tuple(
            _Face(face.face.embedding, face.face.quality.score, _candidates(face), picture_key)
            for face, picture_key in zip(faces, picture_keys or [None] * len(faces), strict=True)
            if face.candidates
        )
        named = {face.match.person.person_id for face in faces if face.match is not None}
        with self._turn:
            for person_id in named:
                self._seen[person_id] = (self._seen.get(person_id, (0,))[0] + 1, datetime.now(UTC))
            if kept:
                self._sightings[key] = _Sighting(now, kept)
            self._forget_old()
        return key

    def forget_old(self, bank: MemoryBank) -> None:
        """Forget what was seen too long ago, and the pictures of those who are forgotten."""
        with self._turn:
            for key, (_, person_id, _) in list(self._pictures.items()):
                if not bank.has(person_id):
                    self._drop_picture(key)
            self._forget_old()

    def picture_score(self, key: str) -> int:
        """Quality of the picture under a key, 0–100; −1 where there is none."""
        with self._turn:
            kept = self._pictures.get(key)
        return -1 if kept is None else kept[2].quality.score

    def keep_picture(self, key: str, person_id: str, picture: Picture) -> None:
        """Keep a picture of who may be this person, in place of the one under this key."""
        with self._turn:
            self._drop_picture(key)
            self._pictures[key] = (self._clock(), person_id, picture)
            self._picture_bytes += picture.image.nbytes
            self._forget_old()

    def look(self, identification_id: str, person_id: str) -> Look:
        """The face of an identification that was named as a person, or else the one most like that person; of
        several that were named so, the largest.

        Raises:
            SightingNotFound: forgotten already, or that person did not come up.
        """
        with self._turn:
            sighting = self._sightings.get(identification_id.lower())
            if sighting is None or self._clock() - sighting.at_s > _MAX_AGE_S:
                raise SightingNotFound
            found = [(face.candidates[person_id], face) for face in sighting.faces if person_id in face.candidates]
            if not found:
                raise SightingNotFound
            face = max(found, key=lambda pair: pair[0])[1]
            kept = self._pictures.get(face.picture_key) if face.picture_key else None
        return Look(face.embedding, face.score, kept[2] if kept else None)

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
        while self._pictures:
            key, (at_s, _, _) = next(iter(self._pictures.items()))
            if self._picture_bytes <= _MAX_PICTURE_BYTES and now - at_s <= _MAX_AGE_S:
                break
            self._drop_picture(key)
        while self._sightings:
            oldest = next(iter(self._sightings.values()))
            if len(self._sightings) <= _MAX_SIGHTINGS and now - oldest.at_s <= _MAX_AGE_S:
                return
            self._sightings.popitem(last=False)

    def _drop_picture(self, key: str) -> None:
        if key in self._pictures:
            self._picture_bytes -= self._pictures.pop(key)[2].image.nbytes


def _candidates(face: IdentifiedFace) -> dict[str, tuple[bool, float, float]]:
    named = face.match.person.person_id if face.match else None
    return {
        c.person.person_id: (True, face.face.box.area, c.similarity)
        if c.person.person_id == named
        else (False, 0.0, c.similarity)
        for c in face.candidates
    }
